//! The stream of parked retries: created or adopted at the start, and asked for its number of messages.
//!
//! It needs message schedules (nats-server 2.12, architecture decision record 51 of NATS), and work-queue
//! retention, so that messages that came back and were acked are removed. If it is not possible, the pipeline
//! runs without it: a long retry then waits at the source's consumer.

use super::stored::{self, Which};
use super::streams::{Context, Durable, jetstream, stream_name};
use super::{Connection, consumers, is_at_least, unless_refused};
use crate::config::resolved::Pipeline;
use crate::parked::{Subjects, parked};
use anyhow::Context as _;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{ErrorCode, stream};
use std::collections::HashSet;

/// The first server with message schedules.
const OLDEST_SERVER: (u64, u64, u64) = (2, 12, 0);

/// The subjects that a pipeline parks its messages on.
#[must_use]
pub fn subjects(pipeline: &Pipeline) -> Subjects {
    let source = &pipeline.source;
    Subjects::of(&pipeline.name, &source.stream, &source.consumer)
}

/// Creates the parking stream of a pipeline, or adopts an existing one.
///
/// # Errors
/// Why there is none, in words for the log and the status. The pipeline can run all the same.
pub(super) async fn ensure(
    connection: &Connection,
    context: &Context,
    source: &stream::Config,
    pipeline: &Pipeline,
    create: bool,
) -> Result<Durable, String> {
    let subjects = subjects(pipeline);
    let name = stream_name(&subjects.all);
    if pipeline.in_flight.messages < 2 {
        return Err("`in-flight.max-messages` leaves no room for parked messages".to_owned());
    }
    let version = connection.client().server_info().version;
    if !is_at_least(&version, OLDEST_SERVER) {
        return Err(format!(
            "nats-server {version} has no message schedules; 2.12 or later has"
        ));
    }
    let stream = match find(connection, context, &name).await? {
        Some(stream) => stream,
        None if create => make(connection, context, &name, &subjects, source).await?,
        None => {
            return Err(format!(
                "there is no stream `{name}`; pass `--create` to create it"
            ));
        }
    };
    let got = &stream.cached_info().config;
    if !got.allow_message_schedules {
        return Err(format!("stream `{name}` does not allow message schedules"));
    }
    if !got.subjects.contains(&subjects.all) {
        return Err(format!(
            "stream `{name}` does not capture `{}`",
            subjects.all
        ));
    }
    let (due, reader) = (subjects.due, &subjects.consumer);
    let consumer = stream.create_consumer(pull::Config {
        durable_name: Some(reader.clone()),
        description: Some(format!("weir pipeline {}, long retries", pipeline.name)),
        ack_policy: AckPolicy::Explicit,
        ack_wait: pipeline.source.ack_wait,
        max_deliver: -1,
        filter_subject: due.clone(),
        max_ack_pending: pipeline.source.max_ack_pending,
        ..Default::default()
    });
    let api = connection
        .api
        .consumer_create(&name, &format!("{reader}.{due}"));
    let made = unless_refused(connection, &api, consumer).await?;
    let made = made
        .map_err(|error| format!("cannot use consumer `{reader}` of stream `{name}`: {error}"))?;
    Ok(consumers::durable(made.cached_info()))
}

/// Messages in the parking stream: those that wait and those that are due and not settled.
///
/// # Errors
/// When the server does not answer.
pub async fn pending(context: &Context, parking: &Durable) -> anyhow::Result<u64> {
    let stream = context.get_stream(&parking.stream).await;
    let stream = stream.map_err(|error| anyhow::anyhow!("{}", error.kind()))?;
    Ok(stream.cached_info().state.messages)
}

/// The sequences of the inputs of `source_id` that wait for a retry, as far as `most` messages tell.
///
/// # Errors
/// When the server does not answer.
pub async fn waiting(
    connection: &Connection,
    pipeline: &Pipeline,
    source_id: &str,
    most: usize,
) -> anyhow::Result<HashSet<u64>> {
    let subjects = subjects(pipeline);
    let name = stream_name(&subjects.all);
    let context = jetstream(connection);
    let what = |why: String| anyhow::anyhow!(why).context("cannot read parked retries");
    let found = find(connection, &context, &name).await.map_err(what)?;
    let mut waiting = HashSet::new();
    if found.is_none() {
        return Ok(waiting);
    }
    let mut next = 1;
    for _ in 0..most {
        let which = Which::next(next, &subjects.own);
        let asked = stored::get(connection, &context, &name, &which).await;
        let Some(message) = asked.context("cannot read parked retries")? else {
            break;
        };
        next = message.sequence + 1;
        if let Some((from, sequence)) = parked(&message.message().headers)
            && from == source_id
        {
            waiting.insert(sequence);
        }
    }
    Ok(waiting)
}

async fn find(
    connection: &Connection,
    context: &Context,
    name: &str,
) -> Result<Option<stream::Stream>, String> {
    let api = connection.api.stream_info(name);
    match unless_refused(connection, &api, context.get_stream(name)).await? {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            kind => Err(format!("cannot read stream `{name}`: {kind}")),
        },
    }
}

/// As safe as the source: with its storage and its replicas.
async fn make(
    connection: &Connection,
    context: &Context,
    name: &str,
    subjects: &Subjects,
    source: &stream::Config,
) -> Result<stream::Stream, String> {
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![subjects.all.clone()],
        description: Some("weir: messages that wait for their next attempt".to_owned()),
        retention: stream::RetentionPolicy::WorkQueue,
        storage: source.storage,
        num_replicas: source.num_replicas,
        allow_message_schedules: true,
        allow_direct: true,
        ..Default::default()
    };
    let api = connection.api.stream_create(name);
    match unless_refused(connection, &api, context.create_stream(config)).await? {
        Ok(stream) => {
            tracing::info!(stream = name, "created the stream for long retries");
            Ok(stream)
        }
        // Another host may have been quicker.
        Err(error) => find(connection, context, name)
            .await?
            .ok_or_else(|| format!("cannot create stream `{name}`: {}", error.kind())),
    }
}
