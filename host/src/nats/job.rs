//! What a job needs at its server: a stream of its own, and the streams of its results and dead letters that
//! source it.
//!
//! A *definition* in the job's stream says what its state was made with. A pipeline that would read that state
//! otherwise is refused, and so is another pipeline of the same name.

use super::job_progress::JobProgress;
use super::sourcing::{self, Transform};
use super::stored::{self, Which};
use super::streams::{Context, default_stream, ensure_target, jetstream, may_create, stream_name};
use super::{Connection, consumers, job_stream, permitted};
use crate::config::resolved::{Job, Order, Pipeline, Start, StreamSettings};
use crate::report::ResultExt;
use crate::state::group::GROUPS;
use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::{PublishErrorKind, traits::Publisher};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{RetentionPolicy, StorageType, Stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
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
    /// The streams that source it, and the subjects that each has from it.
    pub targets: Vec<Target>,
    /// The subjects of the source that it reads.
    pub filters: Vec<String>,
    /// How many partitions it has, and how far it is on this host.
    pub partitions: u16,
    pub progress: Arc<JobProgress>,
}

/// A stream that sources the stream of a job.
#[derive(Clone, Debug)]
pub struct Target {
    stream: String,
    /// What the subjects in the job's stream begin with, before the partition.
    of: String,
    /// The only subject that it has there; none if each message has its own.
    subject: Option<String>,
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
    if config.retention != RetentionPolicy::Limits {
        return Err(anyhow!(
            "a job cannot read stream `{from}`: it drops what its consumers have settled"
        ))
        .hint(|| {
            format!("create a stream that sources `{from}`, with retention `limits`, and read that")
        });
    }
    let (prefix, stream) = names(&pipeline.name);
    let wanted = job_stream::Wanted {
        in_memory: config.storage == StorageType::Memory,
        replicas: config.num_replicas,
    };
    let created = job_stream::ensure(connection, &stream, &prefix, may_create.then_some(wanted));
    created.await?;
    let source_id = format!("{from}@{incarnation}");
    let place = (&*stream, &*prefix);
    let begin = defined(
        connection, context, pipeline, job, source, &source_id, place,
    )
    .await?;
    let (sink, dead_letter) = (&pipeline.sink, pipeline.dead_letter.as_ref());
    let reach = sink.subject.reach();
    let made = |given: Option<&StreamSettings>, subject: &str| match given {
        Some(settings) => Some(settings.clone()),
        None => create.then(|| StreamSettings {
            replicas: config.num_replicas,
            ..default_stream(vec![subject.to_owned()])
        }),
    };
    let results = Transform {
        from: format!("{prefix}.out.*.>"),
        to: ">".to_owned(),
    };
    let mut target = sink.stream.clone();
    if let Some(reach) = &reach {
        let (name, settings) = (target.take(), made(sink.create.as_ref(), reach.as_str()));
        let (name, settings) = (name.as_deref(), settings.as_ref());
        let (subject, role) = (reach.as_str(), "sink");
        let found = ensure_target(connection, context, subject, name, settings, create, role);
        target = found.await?.or(sink.stream.clone());
    }
    let target = known(target, "sink")?;
    let mut targets = vec![Target {
        stream: target.clone(),
        of: format!("{prefix}.out"),
        subject: None,
    }];
    let mut by_stream = vec![(target, vec![results])];
    if let Some(dead) = dead_letter {
        let (name, settings) = (
            dead.stream.as_deref(),
            made(dead.create.as_ref(), &dead.subject),
        );
        let (subject, role) = (&*dead.subject, "dead-letter");
        let settings = settings.as_ref();
        let found = ensure_target(connection, context, subject, name, settings, create, role);
        let target = known(found.await?.or(dead.stream.clone()), role)?;
        targets.push(Target {
            stream: target.clone(),
            of: format!("{prefix}.dead"),
            subject: Some(subject.to_owned()),
        });
        let dead = Transform {
            from: format!("{prefix}.dead.*"),
            to: subject.to_owned(),
        };
        match by_stream.iter_mut().find(|(stream, _)| *stream == target) {
            Some((_, transforms)) => transforms.push(dead),
            None => by_stream.push((target, vec![dead])),
        }
    }
    for (target, transforms) in by_stream {
        sourcing::ensure(
            connection,
            context,
            &target,
            &stream,
            &transforms,
            may_create,
        )
        .await?;
    }
    Ok(JobPlace {
        stream,
        prefix,
        begin,
        targets,
        filters: match &*pipeline.source.subjects {
            [] => vec![">".to_owned()],
            subjects => subjects.iter().map(ToString::to_string).collect(),
        },
        partitions: job.partitions,
        progress: Arc::new(JobProgress::new(pipeline.lanes)),
    })
}

/// # Errors
/// If nobody knows which stream it is.
fn known(stream: Option<String>, section: &str) -> Result<String> {
    let unknown = || anyhow!("cannot determine which stream takes what the job publishes");
    stream
        .ok_or_else(unknown)
        .hint(|| format!("name it: `{section}.stream`"))
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

/// # Errors
/// If the state was made otherwise than this pipeline would read it.
fn refuse_other(found: &Definition, pipeline: &Pipeline, job: &Job) -> Result<()> {
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

/// How far the streams of a pipeline are with what its job has published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sourced {
    /// The stream that is behind, if one is.
    pub behind: Option<String>,
    /// Sequences of the job's stream that are known to be sourced, added up: it grows as they are.
    pub upto: u64,
}

/// Removes results and dead letters from the stream of a job that the streams of the pipeline have stored: it keeps
/// what they have not.
///
/// # Errors
/// When the server does not say, or refuses.
pub(super) async fn sweep(connection: &Connection, place: &JobPlace) -> Result<Sourced> {
    let (context, job) = (jetstream(connection), &place.stream);
    let mut all = Sourced::default();
    for Target {
        stream,
        of,
        subject,
    } in &place.targets
    {
        let filter = format!("{of}.>");
        let last = Which::last(&filter);
        let Some(last) = stored::get(connection, &context, job, &last).await? else {
            continue;
        };
        let own = last.subject.strip_prefix(of);
        let own = own.and_then(|rest| rest.splitn(3, '.').nth(2));
        let subject = subject.as_deref().or(own).unwrap_or_default();
        let sourced = sourcing::sourced(connection, &context, stream, job, subject).await?;
        let sourced = sourced.unwrap_or_default();
        all.upto += sourced;
        if sourced < last.sequence {
            all.behind = Some(stream.clone());
        }
        if sourced > 0 {
            purge(connection, &context, job, &filter, sourced + 1).await?;
        }
    }
    Ok(all)
}

async fn purge(
    connection: &Connection,
    context: &Context,
    stream: &str,
    filter: &str,
    before: u64,
) -> Result<()> {
    let question = json!({ "filter": filter, "seq": before });
    let api = connection.api.stream_purge(stream);
    let asked = context.request(format!("STREAM.PURGE.{stream}"), &question);
    let answer: Response<serde_json::Value> = permitted(connection, &api, asked)
        .await?
        .map_err(|error| anyhow!("{error}"))?;
    match answer {
        Response::Ok(_) => Ok(()),
        Response::Err { error } => Err(anyhow!("{error}")),
    }
}
