//! What the pipeline has published for the replayed inputs, as far as its streams still hold it.
//!
//! The streams of results and of dead letters are merged by time, starting when the first input was stored.
//! Outputs that the streams no longer hold, and inputs that the pipeline has not settled yet, do not count as
//! differences.

use super::Replayed;
use super::inputs::is_table;
use super::origin::Published;
use super::range::Range;
use super::windows::Windows;
use crate::cli::Console;
use crate::compare::matcher::{Matcher, OnlySide};
use crate::compare::report::Why;
use crate::compare::{Identity, Outputs, Slot, stored, stored_of_job};
use crate::config::resolved::Pipeline;
use crate::jsonl::Line;
use crate::message::Message;
use crate::nats::history::{Begin, History, Reader, Stored};
use crate::nats::{Connection, consumers, job, jobs, outputs, parking, streams};
use crate::report::ResultExt;
use anyhow::{Context, Result};
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Maximum clock difference between servers, in nanoseconds.
const SKEW: u64 = 10_000_000_000;
/// Maximum number of parked retries to read.
const PARKED: usize = 100_000;

/// How long to wait until the streams of the outputs have what the job has committed, and how often to ask.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// One stream and its next message.
struct Branch {
    reader: Reader,
    next: Option<Stored>,
}

/// The outputs of the live pipeline.
pub(super) struct Live {
    /// Of each of its streams.
    identities: Vec<Identity>,
    /// The stream of the job, if it is one.
    job: Option<String>,
    ranges: Vec<Range>,
    /// Up to where inputs may be in the state with which the replay begins.
    begun: Vec<u64>,
    /// What was published with the state with which the replay begins.
    published: Option<Published>,
    /// When the first and the last input were stored; from a savepoint, from when that was made.
    times: RangeInclusive<u64>,
    branches: Vec<Branch>,
    /// The pipeline has settled the inputs of each stream up to this one.
    settled: Vec<u64>,
    /// The streams lack outputs that the job has committed.
    lacks: bool,
    /// Inputs that are parked.
    parked: HashSet<u64>,
    /// Results of inputs before this one may have been removed; and whether any that are replayed.
    results_since: u64,
    forgets: bool,
    /// The same for dead letters; `None` if they are not compared.
    dead_letters_since: Option<u64>,
}

impl Live {
    /// Reads the state of the pipeline's consumer, then its streams.
    ///
    /// # Errors
    /// If the streams of the results cannot be determined, or a stream cannot be read.
    pub(super) async fn open(
        connection: &Connection,
        pipeline: &Pipeline,
        Replayed {
            sources,
            ranges,
            begun,
            published,
            ..
        }: &Replayed,
        given: &[String],
        console: &Console,
    ) -> Result<Self> {
        let source = sources.first().context("nothing is read")?;
        let identities = sources.iter();
        let identities = identities.map(|source| Identity::of(pipeline, &source.source_id));
        let identities: Vec<Identity> = identities.collect::<Result<_>>().usage()?;
        // In this order, so that the streams have the outputs of everything that is settled and not parked.
        let settled = settled(connection, pipeline).await?;
        let lacks = match pipeline.job.is_some() {
            true => !arrive(connection, pipeline, given, console).await?,
            false => false,
        };
        let parked = parking::waiting(connection, pipeline, &source.source_id, PARKED).await?;
        let (mut first, mut last) = (u64::MAX, 0);
        let read = sources.iter().zip(ranges);
        for (source, range) in read.filter(|(_, range)| range.len() > 0) {
            if !is_table(pipeline, &source.name) {
                first = first.min(source.stored_at(range.first).await?.unwrap_or_default());
                last = last.max(source.stored_at(range.last).await?.unwrap_or(u64::MAX));
            }
        }
        // A timer may have fired before the first input was stored.
        first = published.map_or(first, |published| first.min(published.at));
        let mut live = Self {
            identities,
            job: pipeline.job.as_ref().map(|_| job::names(&pipeline.name).1),
            ranges: ranges.clone(),
            begun: begun.clone(),
            published: *published,
            times: first..=last,
            branches: Vec::new(),
            settled: sources.iter().map(|source| settled(&source.name)).collect(),
            lacks,
            parked,
            results_since: 0,
            forgets: false,
            dead_letters_since: None,
        };
        for output in outputs::output_streams(connection, pipeline, given).await? {
            let stream = &output.stream;
            let since = since(stream, source).await?;
            if output.results {
                // A stream that keeps only the last message per subject has removed the others.
                let since = if stream.per_subject { u64::MAX } else { since };
                live.results_since = live.results_since.max(since);
                live.forgets |= stream.per_subject || !stream.reaches_back_to(first);
            }
            if output.dead_letters {
                // Replayed and purged dead letters can be missing anywhere in the stream.
                let whole = stream.deleted == 0 && !stream.per_subject;
                live.dead_letters_since = Some(if whole { since } else { u64::MAX });
            }
            let filters: Vec<String> = output.filter.into_iter().collect();
            let begin = Begin::Time(first.saturating_sub(SKEW));
            let mut reader = stream.read(&filters, begin, stream.last).await?;
            let next = reader.next().await?;
            live.branches.push(Branch { reader, next });
        }
        Ok(live)
    }

    /// Passes the next output on: the result of a window to `windows`, others to the matcher. Returns whether there was one.
    pub(super) async fn tell(
        &mut self,
        matcher: &mut Matcher,
        windows: &mut Windows,
    ) -> Result<bool> {
        let oldest = self
            .branches
            .iter_mut()
            .filter(|branch| branch.next.is_some());
        let oldest = oldest.min_by_key(|branch| branch.next.as_ref().map(|next| next.stored));
        let Some(branch) = oldest else {
            return Ok(false);
        };
        let next = branch.next.take();
        branch.next = branch.reader.next().await?;
        if let Some(next) = next
            && !windows.take_live(&next.message)
        {
            self.pass_on(&next, matcher);
        }
        Ok(true)
    }

    fn pass_on(&self, next: &Stored, matcher: &mut Matcher) {
        let message = &next.message;
        let Message {
            subject,
            headers,
            payload,
            ..
        } = message;
        if let ([identity], [range]) = (&*self.identities, &*self.ranges)
            && let Some((sequence, slot, line)) = stored(identity, subject, headers, payload)
        {
            if (range.first..=range.last).contains(&sequence) {
                matcher.published(sequence, slot, line);
            }
            return;
        }
        let job = self.job.as_ref();
        let found =
            job.and_then(|job| stored_of_job(job, &self.identities, (&next.stream, message)));
        let Some(found) = found.filter(|found| self.compares(&found.line)) else {
            return;
        };
        let Some((source, sequence)) = found.input else {
            // A timer: what was stored after the savepoint may have been committed before.
            let published = self.published.as_ref();
            let is_after = published.is_none_or(|published| found.place > published.place);
            let is_certain = is_after && self.times.contains(&next.stored);
            return matcher.published_unnamed(found.line, None, is_certain);
        };
        if let (Some(range), Some(begun)) = (self.ranges.get(source), self.begun.get(source))
            && (range.first..=range.last).contains(&sequence)
        {
            matcher.published_unnamed(found.line, found.input, sequence > *begun);
        }
    }

    /// Whether an output of the candidate can have a counterpart.
    pub(super) fn compares(&self, line: &Line) -> bool {
        self.dead_letters_since.is_some() || !matches!(line, Line::Dead(_))
    }

    /// The outputs of the candidate that can have counterparts.
    pub(super) fn comparable(&self, mut outputs: Outputs) -> Outputs {
        outputs.retain(|(_, line)| self.compares(line));
        outputs
    }

    /// Whether results of the replayed inputs may have been removed.
    pub(super) fn forgets(&self) -> bool {
        self.forgets
    }

    /// Why it is no difference that one side lacks an output that no input names, if so. The inputs up to these were read.
    pub(super) fn judge_unnamed(&self, side: OnlySide, read: &[u64]) -> Option<Why> {
        let mut ends = self.settled.iter().zip(read);
        match side {
            OnlySide::Live => None,
            OnlySide::Candidate if self.lacks || ends.any(|(settled, read)| settled < read) => {
                Some(Why::Unsettled)
            }
            OnlySide::Candidate => self.forgets.then_some(Why::Forgotten),
        }
    }

    /// Why the absence of this output is not a difference, if so.
    pub(super) fn judge(&self, sequence: u64, slot: Slot) -> Option<Why> {
        let since = match slot {
            Slot::Result(_) => self.results_since,
            Slot::DeadLetter => self.dead_letters_since.unwrap_or_default(),
        };
        let settled = self.settled.first().copied().unwrap_or_default();
        if self.lacks || sequence > settled || self.parked.contains(&sequence) {
            Some(Why::Unsettled)
        } else {
            (sequence < since).then_some(Why::Forgotten)
        }
    }
}

/// Waits until the streams have what the job has committed. Returns whether they have it in time.
async fn arrive(
    connection: &Connection,
    pipeline: &Pipeline,
    given: &[String],
    console: &Console,
) -> Result<bool> {
    let (_progress, began) = (
        console.progress("waiting until the streams have the results of the job"),
        Instant::now(),
    );
    loop {
        let have = outputs::have_arrived(connection, pipeline, given).await?;
        if have || began.elapsed() > PATIENCE {
            return Ok(have);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tells of each stream the input up to which the pipeline has settled everything. A pipeline without a consumer is no
/// longer active.
async fn settled(connection: &Connection, pipeline: &Pipeline) -> Result<impl Fn(&str) -> u64> {
    let of = match pipeline.job.is_some() {
        true => jobs::furthest(connection, pipeline).await?,
        false => Some(
            [(
                pipeline.source.stream.clone(),
                consumed(connection, pipeline).await?,
            )]
            .into(),
        ),
    };
    Ok(move |stream: &str| {
        let Some(of) = &of else { return u64::MAX };
        let position = of.get(stream).copied();
        // A stream of the job's own says nothing of the source.
        position.unwrap_or(if of.is_empty() { 0 } else { u64::MAX })
    })
}

async fn consumed(connection: &Connection, pipeline: &Pipeline) -> Result<u64> {
    let durable = streams::Durable {
        stream: pipeline.source.stream.clone(),
        consumer: pipeline.source.consumer.clone(),
        ..Default::default()
    };
    let context = streams::jetstream(connection);
    let info = consumers::info(&context, &durable).await;
    let info =
        info.with_context(|| format!("cannot read the state of consumer `{}`", durable.consumer))?;
    Ok(info.map_or(u64::MAX, |info| {
        match info.num_pending == 0 && info.num_ack_pending == 0 {
            true => u64::MAX,
            false => info.ack_floor.stream_sequence,
        }
    }))
}

/// The input before which outputs may have been removed from the stream.
async fn since(stream: &History, source: &History) -> Result<u64> {
    if stream.reaches_back_to(source.first_stored) {
        return Ok(0);
    }
    match stream.first > stream.last {
        true => Ok(u64::MAX),
        false => source.sequence_at(stream.first_stored).await,
    }
}
