//! Creates and restores savepoints of a whole job, and resets a job: what `weir job` does to all partitions.
//!
//! A restore first claims all partitions, those of the old and of the new job. Then it gives each its new
//! state and frees it. So an old and a new partition never run at the same time, even after an interruption.

use super::log::{Log, Progress};
use super::operate::Operated;
use super::positions::{Span, merged, spans};
use super::replace::Replacement;
use super::savepoint::{Amount, Header, Part, Reader, Writer};
use crate::nats::Connection;
use crate::nats::job::Definition;
use crate::nats::{job_admin, jobs};
use crate::state::group::GROUPS;
use crate::state::{Group, Groups, State};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use tokio::io::{AsyncRead, AsyncWrite};

/// Writes a savepoint of a job while it goes on. One partition is in memory at a time.
///
/// # Errors
/// When a partition cannot be read, or the savepoint not be written.
pub async fn save(job: &Operated, to: impl AsyncWrite + Unpin) -> Result<Amount> {
    let mut header = Header {
        job: job.name.clone(),
        definition: job.definition.clone(),
        at: jiff::Timestamp::now().to_string(),
        weir: env!("CARGO_PKG_VERSION").to_owned(),
        digests: BTreeMap::new(),
    };
    if let Some(held) = job.log(0).checkpoint().await.ok().flatten() {
        header.digests = held.checkpoint.digests.as_ref().clone();
    }
    let mut writer = Writer::begin(to, &header).await?;
    let mut amount = Amount::default();
    for partition in 0..job.definition.partitions {
        let groups = job.groups(partition)?;
        let Some(found) = job.read(partition, None).await? else {
            writer
                .spans(&[unread(&job.definition, groups.numbers())])
                .await?;
            continue;
        };
        let inputs = &found.held.checkpoint.inputs;
        let spans = spans(&groups.numbers(), inputs).into_iter();
        let spans = spans.map(|span| Span {
            committed: found.held.fence.0,
            ..complete(span, &job.definition)
        });
        let spans: Vec<Span> = spans.collect();
        writer.spans(&spans).await?;
        for group in groups.iter() {
            let of = Amount::of(&found.state, group);
            if of.rows > 0 {
                writer
                    .group(group.number(), &found.state.snapshot(group))
                    .await?;
                amount.add(of);
            }
        }
    }
    writer.end(amount).await?;
    Ok(amount)
}

/// Groups of a partition that never had an owner.
fn unread(definition: &Definition, groups: Range<u16>) -> Span {
    let inputs = definition.inputs().into_iter();
    let inputs = inputs.map(|(source, begin)| Progress::at(source, begin));
    let inputs = inputs.collect();
    Span {
        groups,
        inputs,
        committed: 0,
    }
}

/// The same span, with inputs that were added to the job after the last claim of its partition. A missing
/// input is read from its beginning.
fn complete(mut span: Span, definition: &Definition) -> Span {
    for (source, begin) in definition
        .inputs()
        .into_iter()
        .filter(|(_, begin)| *begin > 0)
    {
        if !span.inputs.iter().any(|input| *input.source == *source) {
            span.inputs.push(Progress::at(source, begin));
        }
    }
    span
}

/// How much state a job has.
///
/// # Errors
/// When a partition cannot be read.
pub async fn amount(job: &Operated) -> Result<Amount> {
    let mut amount = Amount::default();
    for partition in 0..job.definition.partitions {
        if let Some(found) = job.read(partition, None).await? {
            let groups = job.groups(partition)?;
            groups
                .iter()
                .for_each(|group| amount.add(Amount::of(&found.state, group)));
        }
    }
    Ok(amount)
}

/// Where the state of key groups comes from, in the order of the groups.
enum Source<R> {
    Nothing,
    Savepoint(Box<Reader<R>>, Option<(u16, Bytes)>),
}

impl<R: AsyncRead + Unpin> Source<R> {
    /// The state of a group, if it has any.
    async fn group(&mut self, group: u16) -> Result<Option<Bytes>> {
        let Self::Savepoint(reader, ahead) = self else {
            return Ok(None);
        };
        while ahead.as_ref().is_none_or(|(number, _)| *number < group) {
            *ahead = match reader.next().await? {
                Some(Part::Group(number, content)) => Some((number, content)),
                Some(_) => continue,
                None => Some((u16::MAX, Bytes::new())),
            };
        }
        Ok(ahead
            .take_if(|(number, _)| *number == group)
            .map(|(_, content)| content))
    }
}

/// Gives a job the state of a savepoint, which was verified, and its number of partitions that of `definition`.
///
/// # Errors
/// When it cannot be done to the end: it can be run again.
pub async fn restore(
    connection: &Connection,
    job: &Operated,
    definition: &Definition,
    spans: &[Span],
    from: impl AsyncRead + Unpin,
) -> Result<()> {
    let source = Source::Savepoint(Box::new(Reader::begin(from).await?), None);
    replace(connection, job, definition, spans, source).await
}

/// Takes all state from a job, and lets it go on behind these positions.
///
/// # Errors
/// When it cannot be done to the end: it can be run again.
pub async fn reset(connection: &Connection, job: &Operated, inputs: Vec<Progress>) -> Result<()> {
    let all = Span {
        groups: 0..GROUPS,
        inputs,
        committed: 0,
    };
    let nothing = Source::<tokio::io::Empty>::Nothing;
    replace(connection, job, &job.definition, &[all], nothing).await
}

async fn replace<R: AsyncRead + Unpin>(
    connection: &Connection,
    job: &Operated,
    definition: &Definition,
    spans: &[Span],
    mut source: Source<R>,
) -> Result<()> {
    let before = jobs::claimed(connection, &job.name).await?.min(GROUPS);
    let logs: Vec<_> = (0..before.max(definition.partitions))
        .map(|partition| job.log(partition))
        .collect();
    let mut taken = Vec::with_capacity(logs.len());
    for log in &logs {
        taken.push(job.seize(log).await?);
    }
    if job.defined == 0 || job.definition != *definition {
        job_admin::define(connection, &job.name, definition, job.defined).await?;
    }
    for ((partition, mut replacement), log) in (0..).zip(taken).zip(&logs) {
        job.clear(log, replacement.held().fence).await?;
        let groups = Groups::of_partition(partition, definition.partitions);
        let numbers = groups.as_ref().map_or(0..0, Groups::numbers);
        for group in groups.iter().flat_map(Groups::iter) {
            put(job, &mut replacement, group, &mut source).await?;
        }
        let inputs = merged(&numbers, spans);
        job.step(replacement.finish(numbers, inputs)).await?;
    }
    job_admin::replaced(connection, &job.name).await
}

async fn put<R: AsyncRead + Unpin>(
    job: &Operated,
    replacement: &mut Replacement<'_, impl Log, Operated>,
    group: Group,
    source: &mut Source<R>,
) -> Result<()> {
    let content = source
        .group(group.number())
        .await
        .context("cannot read the savepoint")?;
    let content = match content {
        Some(content) => content,
        // Nothing was there before.
        None if replacement.held().checkpoint.log == 0 => return Ok(()),
        None => State::new(Groups::all(), [], u64::MAX)?.snapshot(group),
    };
    job.step(replacement.put(group.number(), content)).await
}
