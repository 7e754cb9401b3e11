//! Durable consumers: created or adopted at the start, verified, and asked for their lag.

use super::limits::{self, PullLimits};
use super::streams::{Durable, Ensured, jetstream};
use super::{Connection, adopt, failed, passes, permitted, unless_refused};
use crate::config::resolved::{Pipeline, Source, Start};
use crate::report::{self, ResultExt};
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, IntoConsumerConfig, pull};
use async_nats::jetstream::context::{ConsumerInfoErrorKind, Context};
use async_nats::jetstream::{ErrorCode, response::Response, stream};

/// Where a consumer that has to be made begins. Under a host that runs, one that was deleted must
/// skip nothing of what has come since: a new stream is read from its beginning, and `start: new`
/// means after the last message that is known to be settled.
pub(super) fn start(source: &Source, incarnation: &str, last: Option<&Ensured>) -> DeliverPolicy {
    match (&source.start, last) {
        (Start::New | Start::Sequence(_), Some(last)) if last.incarnation != incarnation => {
            DeliverPolicy::All
        }
        (Start::New, Some(last)) => DeliverPolicy::ByStartSequence {
            start_sequence: last.source.settled + 1,
        },
        (Start::New, None) => DeliverPolicy::New,
        (Start::All, _) => DeliverPolicy::All,
        (Start::Sequence(start_sequence), _) => DeliverPolicy::ByStartSequence {
            start_sequence: *start_sequence,
        },
        // The configuration has checked that it parses.
        (Start::Time(text), _) => async_nats::datetime::parse_rfc3339(text)
            .map_or(DeliverPolicy::All, |start_time| {
                DeliverPolicy::ByStartTime { start_time }
            }),
    }
}

/// Creates the durable consumer, or adopts an existing one if a pipeline can use it.
///
/// # Errors
/// What the server refuses, or why the existing consumer cannot be used.
pub async fn ensure(
    connection: &Connection,
    stream: &stream::Stream,
    pipeline: &Pipeline,
    start: DeliverPolicy,
) -> Result<Durable> {
    let Source {
        stream: source,
        consumer: name,
        ..
    } = &pipeline.source;
    let what = || format!("cannot use consumer `{name}` of stream `{source}`");
    let mut asked = consumer_config(pipeline, start).into_consumer_config();
    let api = connection.api.consumer_info(source, name);
    let there = unless_refused(connection, &api, stream.consumer_info(name)).await;
    let there = match there.map(|there| there.map_err(|error| failed(&error))) {
        Ok(Ok(there)) => Some(there),
        // One that is there and does not answer must not be taken for one that has to be made.
        Ok(Err(error)) if passes(&error) => return Err(error).with_context(what),
        _ => None,
    };
    if let Some(there) = there {
        let adopted = adopt::adopt(&there.config, asked, pipeline).with_context(what)?;
        let pipeline = &pipeline.name;
        for kept in &adopted.kept {
            tracing::warn!(
                pipeline,
                "consumer `{name}` of stream `{source}` is kept as it is: {kept}"
            );
        }
        if adopted.changed.is_empty() {
            return Ok(durable(&there));
        }
        let changed = adopted.changed.join(", ");
        tracing::warn!(
            pipeline,
            "changing consumer `{name}` of stream `{source}`: {changed}"
        );
        asked = adopted.config;
    }
    let api = connection.api.consumer_create(source, name);
    let made = permitted(connection, &api, stream.create_consumer(asked)).await;
    let made = made.with_context(what)?.map_err(|error| refused(&error));
    let made = made.with_context(what)?;
    Ok(durable(made.cached_info()))
}

fn refused(error: &stream::ConsumerError) -> anyhow::Error {
    let hint = match error.kind() {
        stream::ConsumerErrorKind::JetStream(error) => limits::hint(error.error_code(), "source"),
        _ => None,
    };
    let error = failed(error);
    match hint {
        Some(hint) => report::hint(error, hint),
        None => error,
    }
}

/// A consumer as the server has just described it.
pub(super) fn durable(info: &consumer::Info) -> Durable {
    Durable {
        stream: info.stream_name.clone(),
        consumer: info.name.clone(),
        created: info.created.unix_timestamp_nanos(),
        settled: info.ack_floor.stream_sequence,
        ack_wait: adopt::ack_wait(&info.config),
        limits: PullLimits::of(&info.config),
    }
}

fn consumer_config(pipeline: &Pipeline, deliver_policy: DeliverPolicy) -> pull::Config {
    let source = &pipeline.source;
    pull::Config {
        durable_name: Some(source.consumer.clone()),
        description: Some(format!("weir pipeline {}", pipeline.name)),
        deliver_policy,
        ack_policy: AckPolicy::Explicit,
        ack_wait: source.ack_wait,
        // The host counts attempts: a delivery that a crash or an outage used up must not condemn
        // a message.
        max_deliver: -1,
        filter_subjects: source.subjects.iter().map(ToString::to_string).collect(),
        max_ack_pending: source.max_ack_pending,
        ..Default::default()
    }
}

/// The consumer as it is now.
///
/// # Errors
/// `Ok(None)` when the server says that there is no such consumer; an error when it does not say.
pub async fn info(context: &Context, durable: &Durable) -> Result<Option<consumer::Info>> {
    let subject = format!("CONSUMER.INFO.{}.{}", durable.stream, durable.consumer);
    let answer: Response<consumer::Info> = context
        // Nothing but an empty object will do: the server refuses `null`.
        .request(subject, &serde_json::json!({}))
        .await
        .map_err(|error| failed(&error))?;
    match answer {
        Response::Ok(info) => Ok(Some(info)),
        Response::Err { error }
            if [ErrorCode::CONSUMER_NOT_FOUND, ErrorCode::STREAM_NOT_FOUND]
                .contains(&error.error_code()) =>
        {
            Ok(None)
        }
        Response::Err { error } => Err(error.into()),
    }
}

/// Whether the consumer is still the same one: neither gone nor created again under its name. Without the
/// permission to ask, true.
///
/// # Errors
/// When the server does not answer.
pub async fn is_the_same(connection: &Connection, durable: &Durable) -> Result<bool> {
    let api = connection
        .api
        .consumer_info(&durable.stream, &durable.consumer);
    let context = jetstream(connection);
    match unless_refused(connection, &api, info(&context, durable)).await {
        Ok(found) => Ok(found?.is_some_and(|info| self::durable(&info).created == durable.created)),
        Err(_refused) => Ok(true),
    }
}

/// A job has no consumer. If its pipeline still has one, that consumer knows what the job would process
/// again.
///
/// # Errors
/// If there is one, with its position; or when the server does not answer.
pub(super) async fn refuse_left(
    connection: &Connection,
    source: &stream::Stream,
    read: &Source,
) -> Result<()> {
    let (stream, consumer) = (&read.stream, &read.consumer);
    let api = connection.api.consumer_info(stream, consumer);
    let asked = unless_refused(connection, &api, source.consumer_info(consumer)).await;
    let found = match asked {
        Ok(Ok(found)) => found,
        Ok(Err(error)) if error.kind() == ConsumerInfoErrorKind::NotFound => return Ok(()),
        Err(_) => return Ok(()),
        Ok(Err(error)) => {
            let what = || format!("cannot look for consumer `{consumer}` of stream `{stream}`");
            return Err(failed(&error)).with_context(what);
        }
    };
    let settled = found.ack_floor.stream_sequence;
    Err(anyhow!(
        "consumer `{consumer}` of stream `{stream}` has settled its messages up to {settled}, from when it was no job"
    ))
    .hint(|| {
        let next = settled + 1;
        format!(
            "to go on there, write `source.start: {{ sequence: {next} }}`; then delete the consumer with \
             `nats consumer rm {stream} {consumer}`"
        )
    })
}
