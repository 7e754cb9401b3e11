//! The stream of parked retries: created or adopted at the start, and asked for its number of messages.
//!
//! It needs message schedules (nats-server 2.12, architecture decision record 51 of NATS), and work-queue
//! retention, so that messages that came back and were acked are removed. If it is not possible, the pipeline
//! runs without it: a long retry then waits at the source's consumer.

use super::stored::{self, Which};
use super::streams::{Context, Durable, jetstream, stream_name};
use super::{Connection, consumers, failed, is_at_least, unless_refused};
use crate::config::resolved::Pipeline;
use crate::parked::{Subjects, parked};
use anyhow::{Context as _, Result, bail};
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
/// Why there is none. The pipeline can run all the same, unless the server only does not answer yet.
pub(super) async fn ensure(
    connection: &Connection,
    context: &Context,
    source: &stream::Config,
    pipeline: &Pipeline,
    create: bool,
) -> Result<Durable> {
    let subjects = subjects(pipeline);
    let name = stream_name(&subjects.all);
    if pipeline.in_flight.messages < 2 {
        bail!("`in-flight.max-messages` leaves no room for parked messages");
    }
    let version = connection.client().server_info().version;
    if !is_at_least(&version, OLDEST_SERVER) {
        bail!("nats-server {version} has no message schedules; 2.12 or later has");
    }
    let stream = match find(connection, context, &name).await? {
        Some(stream) => stream,
        None if create => make(connection, context, &name, &subjects, source).await?,
        None => {
            bail!("there is no stream `{name}`; pass `--create` to create it");
        }
    };
    let got = &stream.cached_info().config;
    if !got.allow_message_schedules {
        bail!("stream `{name}` does not allow message schedules");
    }
    if !got.subjects.contains(&subjects.all) {
        bail!("stream `{name}` does not capture `{}`", subjects.all);
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
    let made = unless_refused(connection, &api, consumer).await;
    let made = made.map_err(anyhow::Error::msg)?;
    let made = made.map_err(|error| failed(&error));
    let made =
        made.with_context(|| format!("cannot use consumer `{reader}` of stream `{name}`"))?;
    Ok(consumers::durable(made.cached_info()))
}

/// Messages in the parking stream: those that wait and those that are due and not settled.
///
/// # Errors
/// When the server does not answer.
pub async fn pending(context: &Context, parking: &Durable) -> Result<u64> {
    let stream = context.get_stream(&parking.stream).await;
    let stream = stream.map_err(|error| failed(&error))?;
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
) -> Result<HashSet<u64>> {
    let subjects = subjects(pipeline);
    let name = stream_name(&subjects.all);
    let context = jetstream(connection);
    let found = find(connection, &context, &name).await;
    let found = found.context("cannot read parked retries")?;
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
) -> Result<Option<stream::Stream>> {
    let api = connection.api.stream_info(name);
    let asked = unless_refused(connection, &api, context.get_stream(name)).await;
    match asked.map_err(anyhow::Error::msg)? {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(error.kind(), GetStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND) =>
        {
            Ok(None)
        }
        Err(error) => Err(failed(&error)).with_context(|| format!("cannot read stream `{name}`")),
    }
}

/// As safe as the source: with its storage and its replicas.
async fn make(
    connection: &Connection,
    context: &Context,
    name: &str,
    subjects: &Subjects,
    source: &stream::Config,
) -> Result<stream::Stream> {
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
    let asked = unless_refused(connection, &api, context.create_stream(config)).await;
    match asked.map_err(anyhow::Error::msg)? {
        Ok(stream) => {
            tracing::info!(stream = name, "created the stream for long retries");
            Ok(stream)
        }
        // Another host may have been quicker.
        Err(error) => {
            let found = find(connection, context, name).await?;
            let made = found.ok_or_else(|| failed(&error));
            made.with_context(|| format!("cannot create stream `{name}`"))
        }
    }
}
