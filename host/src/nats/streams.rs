//! Streams and consumers: checked at the start, created on request, and read back.
//!
//! An old server accepts and ignores settings that it does not know, so weir compares what it requested with
//! what the server reports.

use super::by_subject::fast_ingest;
use super::job::{self, JobPlace};
use super::limits::PullLimits;
use super::targets::{create_stream, default_stream, ensure_target};
use super::{Connection, consumers, failed, loops, parking, passes, permitted};
use crate::config::resolved::{Pipeline, Source};
use crate::report::{self, ResultExt};
use anyhow::{Context as _, Result, anyhow};
pub use async_nats::jetstream::context::Context;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{self, ErrorCode, stream};
use std::time::Duration;

/// How long a request to the JetStream API may take. Elections take 4 to 9 s (measured), so less
/// would call a healthy cluster broken.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A JetStream context over a connection.
#[must_use]
pub fn jetstream(connection: &Connection) -> Context {
    let prefix = connection.api.prefix();
    let mut context = jetstream::with_prefix(connection.client().clone(), prefix);
    context.set_timeout(TIMEOUT);
    context
}

/// A durable consumer that is there.
#[derive(Clone, Debug, Default)]
pub struct Durable {
    pub stream: String,
    pub consumer: String,
    /// Its creation time in nanoseconds since the Unix epoch, which distinguishes it from a deleted one of
    /// the same name.
    pub created: i128,
    /// The sequence up to which every message was settled when it was read.
    pub settled: u64,
    /// How long the server waits for an ack, at least.
    pub ack_wait: Duration,
    /// What a pull may ask for.
    pub limits: PullLimits,
}

/// What a pipeline's lanes need to know of its source.
#[derive(Clone, Debug)]
pub struct Ensured {
    pub source: Durable,
    /// What brings back retries that were far off, or why nothing does.
    pub parking: Result<Durable, String>,
    /// The stream that takes the results in batches, or why none does.
    pub fast_ingest: Result<String, String>,
    /// Where the pipeline keeps its state, if it is a job.
    pub job: Option<JobPlace>,
    /// What the stream captures: all that its messages can be on. Of a job, of the streams that it reads whole.
    pub subjects: Vec<String>,
    /// Copies that the server keeps of the source.
    pub replicas: usize,
    /// The creation time of a stream in milliseconds since the Unix epoch, base 36, which distinguishes it
    /// from a deleted one of the same name. Part of message ids, because sequences begin again at 1.
    pub incarnation: String,
}

/// Checks that everything in the pipeline exists, and creates what it may. `last` is the position of the
/// pipeline if this host has run it before.
///
/// # Errors
/// A missing stream without `create`, a denied request, a server without JetStream.
pub async fn ensure(
    connection: &Connection,
    pipeline: &Pipeline,
    create: bool,
    last: Option<&Ensured>,
) -> Result<Ensured> {
    let context = jetstream(connection);
    if let Some(job) = &pipeline.job {
        return job::ensure(connection, &context, pipeline, job, create).await;
    }
    let source = ensure_source(connection, &context, &pipeline.source, create).await?;
    let config = &source.cached_info().config;
    loops::refuse(connection, &context, pipeline, &pipeline.source, config).await?;
    let incarnation = created(source.cached_info());
    // A template that begins with a placeholder may go anywhere, so there is nothing to look up.
    if let Some(reach) = pipeline.sink.subject.reach() {
        let sink = &pipeline.sink;
        let (stream, settings) = (sink.stream.as_deref(), sink.create.as_ref());
        ensure_target(
            connection,
            &context,
            reach.as_str(),
            stream,
            settings,
            create,
            "sink",
        )
        .await?;
    }
    if let Some(dead) = &pipeline.dead_letter {
        ensure_target(
            connection,
            &context,
            &dead.subject,
            dead.stream.as_deref(),
            dead.create.as_ref(),
            create,
            "dead-letter",
        )
        .await?;
    }
    let fast_ingest = fast_ingest(connection, &context, &pipeline.sink).await?;
    let start = consumers::start(&pipeline.source, &incarnation, last);
    let durable = consumers::ensure(connection, &source, pipeline, start).await?;
    let parking = parking::ensure(
        connection,
        &context,
        config,
        pipeline,
        may_create(pipeline, create),
    )
    .await;
    let parking = match parking {
        Err(error) if passes(&error) => return Err(error),
        parking => parking.map_err(|error| report::line(&error)),
    };
    if let Err(why) = &parking {
        let pipeline = &pipeline.name;
        tracing::info!(
            pipeline,
            "long retries count against max-ack-pending while they wait: {why}"
        );
    }
    Ok(Ensured {
        source: durable,
        parking,
        fast_ingest,
        job: None,
        subjects: config.subjects.clone(),
        replicas: config.num_replicas,
        incarnation,
    })
}

/// Whether the host may make a stream that the pipeline file does not name.
pub(super) fn may_create(pipeline: &Pipeline, create: bool) -> bool {
    let dead_letter = pipeline.dead_letter.as_ref();
    create
        || pipeline.source.create.is_some()
        || pipeline.sink.create.is_some()
        || dead_letter.is_some_and(|dead| dead.create.is_some())
}

/// Finds the stream of a source; creates it when it may.
pub(super) async fn ensure_source(
    connection: &Connection,
    context: &Context,
    source: &Source,
    create: bool,
) -> Result<stream::Stream> {
    let name = &source.stream;
    let what = || match &source.bucket {
        Some(bucket) => format!("cannot read bucket `{bucket}`"),
        None => format!("cannot read stream `{name}`"),
    };
    let api = connection.api.stream_info(name);
    let asked = permitted(connection, &api, context.get_stream(name)).await;
    let error = match asked.with_context(what)? {
        Ok(stream) => return Ok(stream),
        Err(error) => error,
    };
    let missing = matches!(error.kind(), GetStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::STREAM_NOT_FOUND);
    if !missing {
        return Err(failed(&error)).with_context(what);
    }
    if let Some(bucket) = &source.bucket {
        return Err(anyhow!("there is no bucket `{bucket}`")).hint(|| {
            format!(
                "create it with `nats kv add {bucket}`: weir does not make the buckets of others"
            )
        });
    }
    let settings = source.create.clone().or_else(|| {
        (create && !source.subjects.is_empty())
            .then(|| default_stream(source.subjects.iter().map(ToString::to_string).collect()))
    });
    let Some(settings) = settings else {
        let hint = if create {
            "name the `subjects` of the source: a stream cannot be created without them".to_owned()
        } else {
            format!(
                "create it with `nats stream add {name}`, pass `--create`, or set `source.create`"
            )
        };
        return Err(anyhow!("there is no stream `{name}`")).hint(|| hint);
    };
    create_stream(connection, context, name, &settings, "source").await
}

/// `rebates.*` becomes `REBATES`, `weir.dead.rebates` becomes `WEIR_DEAD_REBATES`.
pub(super) fn stream_name(subject: &str) -> String {
    let literal: Vec<_> = subject
        .split('.')
        .take_while(|token| !matches!(*token, "*" | ">"))
        .collect();
    let name = if literal.is_empty() {
        "WEIR_OUTPUT".to_owned()
    } else {
        literal.join("_")
    };
    name.to_ascii_uppercase()
}

/// The creation time of a stream in milliseconds since the Unix epoch, which distinguishes it from a deleted
/// one of its name.
#[must_use]
pub fn incarnation(created: i64) -> String {
    base36(u64::try_from(created).unwrap_or_default())
}

/// The [`incarnation`] of a stream.
pub(super) fn created(stream: &stream::Info) -> String {
    let milliseconds = stream.created.unix_timestamp_nanos() / 1_000_000;
    base36(u64::try_from(milliseconds).unwrap_or_default())
}

pub(super) fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{base36, stream_name};

    #[test]
    fn a_created_stream_is_named_after_the_literal_part_of_its_subject() {
        assert_eq!(stream_name("rebates.*"), "REBATES");
        assert_eq!(stream_name("weir.dead.rebates"), "WEIR_DEAD_REBATES");
        assert_eq!(stream_name(">"), "WEIR_OUTPUT");
    }

    #[test]
    fn incarnations_are_base_36() {
        assert_eq!(base36(0), "0");
        assert_eq!(base36(35), "z");
        assert_eq!(base36(36), "10");
    }
}
