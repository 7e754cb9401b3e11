//! The streams that a job reads: found or created, and the first position in each. Also the definition of the
//! job, which contains them.

use super::job::{DefinedSource, Definition, refuse_other, rows};
use super::job_input::{self, Input};
use super::stored::{self, Which};
use super::streams::{self, Context, created, may_create};
use super::{Connection, consumers, failed, job_admin, loops, permitted};
use crate::config::resolved::{self, Job, Pipeline, Start};
use anyhow::{Context as _, Result, bail};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::Stream;
use std::time::Duration;

/// How often the definition is stored, if others do the same.
const TRIES: usize = 10;

/// A stream that a job reads.
#[derive(Clone, Debug)]
pub struct Reads {
    /// That of its sources, and their names; none if they have none.
    pub of: String,
    pub names: Vec<String>,
    /// Whether they are tables.
    pub is_table: bool,
    /// What is read: the same stream, or the job's own that sources it. And as `<stream>@<incarnation>`.
    pub stream: String,
    pub id: String,
    /// The subjects there; all if empty.
    pub filters: Vec<String>,
    /// The position behind which a new job begins.
    pub begin: u64,
    /// What is read if it is the job's own, and where its messages come from: `<stream>@<incarnation>`.
    pub own: Option<Input>,
    pub origin: Option<String>,
}

/// A stream of sources, as it was found.
pub(super) struct Found {
    pub read: resolved::Source,
    pub stream: Stream,
    /// `<stream>@<incarnation>`.
    pub id: String,
}

/// Finds or makes the streams of all sources.
///
/// # Errors
/// One is missing, or what the job publishes would come back through it.
pub(super) async fn find(
    connection: &Connection,
    context: &Context,
    pipeline: &Pipeline,
    create: bool,
) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for read in pipeline
        .streams()
        .iter()
        .filter_map(|name| pipeline.read_of(name))
    {
        let stream = streams::ensure_source(connection, context, &read, create).await?;
        let info = stream.cached_info();
        loops::refuse(connection, context, pipeline, &read, &info.config).await?;
        let id = format!("{}@{}", read.stream, created(info));
        found.push(Found { read, stream, id });
    }
    Ok(found)
}

/// What the job with this stream and this prefix reads of them.
///
/// # Errors
/// Its state was made otherwise, or a stream that it needs is missing.
pub(super) async fn ensure(
    connection: &Connection,
    context: &Context,
    (pipeline, job): (&Pipeline, &Job),
    found: &[Found],
    (stream, prefix): (&str, &str),
    create: bool,
) -> Result<Vec<Reads>> {
    let (may_create, is_named) = (may_create(pipeline, create), pipeline.is_named());
    let mut owns = Vec::new();
    for Found {
        read,
        stream: source,
        ..
    } in found
    {
        let own = (stream, is_named);
        let own = job_input::ensure(connection, context, read, source, own, may_create);
        owns.push(own.await?);
    }
    let definition = defined(
        connection,
        context,
        (pipeline, job),
        found,
        (stream, prefix),
    );
    let definition = definition
        .await
        .with_context(|| format!("cannot run job `{}`", pipeline.name))?;
    let reads = found.iter().zip(owns).map(|(found, own)| {
        let Found { read, id, .. } = found;
        let names = pipeline.sources_of(&read.stream);
        let is_table = names.clone().any(|named| named.is_table);
        let subjects = read.subjects.iter().map(ToString::to_string);
        let (stream, is_own) = match &own {
            Some(own) => (own.stream.clone(), true),
            None => (read.stream.clone(), false),
        };
        Reads {
            of: read.stream.clone(),
            is_table,
            names: names.filter_map(|named| named.name.clone()).collect(),
            id: own
                .as_ref()
                .map_or_else(|| id.clone(), |own| format!("{stream}@{}", own.incarnation)),
            stream,
            filters: subjects.filter(|_| !is_own).collect(),
            // All that is there was moved into it for the job.
            begin: if is_own { 0 } else { definition.begin_of(id) },
            origin: is_own.then(|| id.clone()),
            own,
        }
    });
    let mut reads: Vec<Reads> = reads.collect();
    let place = |reads: &Reads| {
        let mut sources = definition.sources();
        sources.position(|source| source.stream() == reads.of)
    };
    reads.sort_by_key(place);
    Ok(reads)
}

/// The definition of the job, which is stored if there is none or it has more sources now.
async fn defined(
    connection: &Connection,
    context: &Context,
    (pipeline, job): (&Pipeline, &Job),
    found: &[Found],
    (stream, prefix): (&str, &str),
) -> Result<Definition> {
    let subject = format!("{prefix}.job");
    // Other hosts may store it in between.
    for _ in 0..TRIES {
        let last = stored::get(connection, context, stream, &Which::last(&subject)).await?;
        let sequence = last.as_ref().map_or(0, |last| last.sequence);
        let last = last.map(|last| Definition::read(&last.payload));
        let last = last.transpose();
        let last = last.with_context(|| format!("cannot read the message on `{subject}`"))?;
        match &last {
            Some(last) => refuse_other(last, pipeline, job)?,
            None => {
                for Found { stream, read, .. } in found {
                    consumers::refuse_left(connection, stream, read).await?;
                }
            }
        }
        let mut sources = Vec::new();
        for named in &pipeline.sources {
            let known = last.as_ref();
            let known = known.and_then(|last| last.sources().find(|it| it.is_of(named, pipeline)));
            let mut of_stream = found.iter();
            let found = of_stream.find(|found| found.read.stream == named.source.stream);
            let Some(found) = found else { continue };
            let (source, begin) = match (known, &last) {
                (Some(known), _) => (known.source.clone(), known.begin),
                (None, Some(last)) if last.reads(&found.id) => {
                    (found.id.clone(), last.begin_of(&found.id))
                }
                _ => (found.id.clone(), begin(connection, found).await?),
            };
            sources.push(DefinedSource {
                name: named.name.clone(),
                source,
                begin,
                key: named.key.as_ref().map(|key| key.as_str().to_owned()),
                table: named.is_table,
                rows: rows(named),
            });
        }
        // Those that are known stay where they are: a message that waits in the state knows its input by its place.
        let place = |it: &DefinedSource| {
            let mut known = last.iter().flat_map(Definition::sources);
            known.position(|known| known.source == it.source && known.key == it.key)
        };
        sources.sort_by_key(|it| place(it).unwrap_or(usize::MAX));
        let next = Definition::of(sources, job.partitions, job.order)?;
        if last.as_ref() == Some(&next) {
            return Ok(next);
        }
        let content = serde_json::to_vec(&next)?;
        if job_admin::store(connection, subject.clone(), content, sequence).await? {
            return Ok(next);
        }
    }
    bail!("its definition on `{subject}` changes")
}

/// The position behind which a new job begins in a stream.
async fn begin(connection: &Connection, Found { read, stream, .. }: &Found) -> Result<u64> {
    if read.start == Start::All {
        return Ok(0);
    }
    let consumer = stream.create_consumer(pull::Config {
        description: Some("weir: where a job begins".to_owned()),
        deliver_policy: consumers::start(read, "", None),
        ack_policy: AckPolicy::None,
        inactive_threshold: Duration::from_secs(5),
        memory_storage: true,
        num_replicas: 1,
        ..Default::default()
    });
    let api = connection.api.ephemeral(&read.stream);
    let made = permitted(connection, &api, consumer).await?;
    let made = made.map_err(|error| failed(&error))?;
    Ok(made.cached_info().delivered.stream_sequence)
}
