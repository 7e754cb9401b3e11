//! What a job needs at its server: a stream of its own, and those of `job_outputs.rs`.
//!
//! A *definition* in the job's stream says what its state was made with. A pipeline that would read that state
//! otherwise is refused, and so is another pipeline of the same name.

use super::job_input::{self, Input};
use super::job_outputs::{self, Target};
use super::job_progress::JobProgress;
use super::stored::{self, Which};
use super::streams::{Context, may_create, stream_name};
use super::{Connection, consumers, job_stream, permitted};
use crate::config::resolved::{Job, Order, Pipeline, Start};
use crate::report::ResultExt;
use crate::state::group::GROUPS;
use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::{PublishErrorKind, traits::Publisher};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{StorageType, Stream};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// What the subjects of all jobs begin with.
pub const PREFIX: &str = "weir.job";

/// What `Ensured` says of a job.
#[derive(Clone, Debug)]
pub struct JobPlace {
    /// Its stream.
    pub stream: String,
    /// What all subjects of its stream begin with.
    pub prefix: String,
    /// The position in the source behind which a new job begins.
    pub begin: u64,
    /// Tells its stream from one of the same name that was deleted; see [`incarnation`](super::streams::incarnation).
    pub incarnation: String,
    /// Where its results and dead letters go.
    pub targets: Vec<Target>,
    /// The stream that it reads, and the same as `<stream>@<incarnation>`; and the subjects there, all if empty.
    pub reads: (String, String),
    pub filters: Vec<String>,
    /// That stream, if it is the job's own, and the source where its messages come from: `<stream>@<incarnation>`.
    pub input: Option<Input>,
    pub origin: Option<String>,
    /// How many partitions it has, and how far it is on this host.
    pub partitions: u16,
    pub progress: Arc<JobProgress>,
}

/// Where a job keeps its state, by the name of its pipeline: the subjects' prefix, and the stream.
#[must_use]
pub fn names(pipeline: &str) -> (String, String) {
    let prefix = format!("{PREFIX}.{pipeline}");
    let stream = stream_name(&prefix);
    (prefix, stream)
}

/// The subject that a result has in its stream, from that in the job's stream; none for anything else.
#[must_use]
pub fn result_subject(subject: &str) -> Option<&str> {
    let mut rest = subject.strip_prefix(PREFIX)?.splitn(5, '.');
    let is_result = rest.nth(2)? == "out";
    rest.nth(1).filter(|_| is_result)
}

/// What the state of a job was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// `<stream>@<incarnation>`, and the position behind which the job began.
    pub source: String,
    pub begin: u64,
    pub partitions: u16,
    pub key: Option<String>,
    #[serde(default)]
    pub order: Order,
}

impl Definition {
    /// Reads what is in the stream of a job, into which anybody may have written.
    ///
    /// # Errors
    /// When it is no definition.
    pub fn read(payload: &[u8]) -> Result<Self> {
        let read: Self = serde_json::from_slice(payload)?;
        match (1..=GROUPS).contains(&read.partitions) {
            true => Ok(read),
            false => bail!("a job cannot have {} partitions", read.partitions),
        }
    }
}

/// Makes what is missing and may be made, and verifies the rest.
///
/// # Errors
/// What is missing, what the server refuses, or how the state was made otherwise.
pub(super) async fn ensure(
    connection: &Connection,
    context: &Context,
    pipeline: &Pipeline,
    job: &Job,
    source: &Stream,
    incarnation: &str,
    create: bool,
) -> Result<JobPlace> {
    let config = &source.cached_info().config;
    let (from, may_create) = (&pipeline.source.stream, may_create(pipeline, create));
    let (prefix, stream) = names(&pipeline.name);
    let wanted = job_stream::Wanted {
        in_memory: config.storage == StorageType::Memory,
        replicas: config.num_replicas,
    };
    let created = job_stream::ensure(connection, &stream, &prefix, may_create.then_some(wanted));
    let job_incarnation = created.await?;
    let input = job_input::ensure(connection, context, pipeline, source, &stream, may_create);
    let input = input.await?;
    let source_id = format!("{from}@{incarnation}");
    let place = (&*stream, &*prefix);
    let begin = defined(
        connection, context, pipeline, job, source, &source_id, place,
    )
    .await?;
    let own = job_outputs::Own {
        stream: &stream,
        prefix: &prefix,
        replicas: config.num_replicas,
    };
    let targets = job_outputs::ensure(connection, context, pipeline, own, create).await?;
    Ok(JobPlace {
        stream,
        prefix,
        begin,
        incarnation: job_incarnation,
        targets,
        filters: match (&input, &*pipeline.source.subjects) {
            (Some(_), _) | (None, []) => Vec::new(),
            (None, subjects) => subjects.iter().map(ToString::to_string).collect(),
        },
        reads: match &input {
            Some(Input {
                stream,
                incarnation,
            }) => (stream.clone(), format!("{stream}@{incarnation}")),
            None => (from.clone(), source_id.clone()),
        },
        origin: input.is_some().then_some(source_id),
        input,
        partitions: job.partitions,
        progress: Arc::new(JobProgress::new(pipeline.lanes)),
    })
}

/// The position behind which the job begins in its source, from its definition; which is stored if there is
/// none.
async fn defined(
    connection: &Connection,
    context: &Context,
    pipeline: &Pipeline,
    job: &Job,
    source: &Stream,
    source_id: &str,
    (stream, prefix): (&str, &str),
) -> Result<u64> {
    let what = || format!("cannot run job `{}`", pipeline.name);
    let subject = format!("{prefix}.job");
    // Another host may store it in between, but only once.
    for _ in 0..2 {
        let last = Which::last(&subject);
        if let Some(found) = stored::get(connection, context, stream, &last)
            .await
            .with_context(what)?
        {
            let found = Definition::read(&found.payload)
                .with_context(|| format!("cannot read the message on `{subject}`"))
                .with_context(what)?;
            refuse_other(&found, pipeline, job).with_context(what)?;
            // A stream that was made anew is read from its beginning.
            return Ok(if found.source == source_id {
                found.begin
            } else {
                0
            });
        }
        let none = consumers::refuse_left(connection, source, pipeline);
        none.await.with_context(what)?;
        let definition = Definition {
            source: source_id.to_owned(),
            begin: begin(connection, source, pipeline)
                .await
                .with_context(what)?,
            partitions: job.partitions,
            key: pipeline.key.as_ref().map(|key| key.as_str().to_owned()),
            order: job.order,
        };
        let first = PublishMessage::build()
            .payload(serde_json::to_vec(&definition)?.into())
            .expected_last_subject_sequence(0);
        let sent = context
            .publish_message(first.outbound_message(subject.clone()))
            .await;
        let acked = match sent {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        match acked.map_err(|error| error.kind()) {
            Ok(_) => return Ok(definition.begin),
            Err(PublishErrorKind::WrongLastSequence) => {}
            Err(kind) => return Err(anyhow!("{kind}")).with_context(what),
        }
    }
    bail!("{}: its definition on `{subject}` changes", what())
}

/// Refuses the state of another definition.
///
/// # Errors
/// If it was made otherwise than this pipeline would read it.
pub fn refuse_other(found: &Definition, pipeline: &Pipeline, job: &Job) -> Result<()> {
    let key = pipeline.key.as_ref().map(|key| key.as_str());
    let stream = found
        .source
        .rsplit_once('@')
        .map_or(&*found.source, |(stream, _)| stream);
    let quoted = |text: Option<&str>| text.map_or("none".to_owned(), |text| format!("`{text}`"));
    let (field, was, is) = if stream != pipeline.source.stream {
        (
            "source.stream",
            quoted(Some(stream)),
            quoted(Some(&pipeline.source.stream)),
        )
    } else if found.partitions != job.partitions {
        (
            "partitions",
            found.partitions.to_string(),
            job.partitions.to_string(),
        )
    } else if found.key.as_deref() != key {
        ("key", quoted(found.key.as_deref()), quoted(key))
    } else if found.order != job.order {
        let word = |order| match order {
            Order::Key => quoted(Some("key")),
            Order::Stream => quoted(Some("stream")),
        };
        ("order", word(found.order), word(job.order))
    } else {
        return Ok(());
    };
    Err(anyhow!("its state was made with another `{field}`: {was}, and not {is}")).hint(|| {
        format!("undo the change of `{field}`, or give the pipeline another `name`, with which it begins anew")
    })
}

/// The position behind which a new job begins.
async fn begin(connection: &Connection, source: &Stream, pipeline: &Pipeline) -> Result<u64> {
    if pipeline.source.start == Start::All {
        return Ok(0);
    }
    let consumer = source.create_consumer(pull::Config {
        description: Some(format!("weir pipeline {}: where to begin", pipeline.name)),
        deliver_policy: consumers::start(&pipeline.source, "", None),
        ack_policy: AckPolicy::None,
        inactive_threshold: Duration::from_secs(5),
        memory_storage: true,
        num_replicas: 1,
        ..Default::default()
    });
    let api = connection.api.ephemeral(&pipeline.source.stream);
    let made = permitted(connection, &api, consumer).await?;
    let made = made.map_err(|error| anyhow!("{error}"))?;
    Ok(made.cached_info().delivered.stream_sequence)
}
