//! Durable consumers: made or adopted at start, read back, and looked at for lag.

use super::Connection;
use super::streams::{Durable, denied_or};
use crate::config::resolved::{Order, Pipeline, Start};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, PriorityPolicy, pull};
use async_nats::jetstream::context::Context;
use async_nats::jetstream::{self, ErrorCode, stream};
use std::time::Duration;

/// Name of the priority group of ordered pipelines: the server serves one member at a time.
pub const GROUP: &str = "weir";

/// How long the member that is served may go without pulling before another takes its place. A
/// pull waits 10 s at the server; three of them are silence.
const PIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes the durable consumer, or adopts the one that is there if its settings allow it.
pub async fn ensure(
    connection: &Connection,
    stream: &stream::Stream,
    pipeline: &Pipeline,
) -> Result<()> {
    let name = &pipeline.source.consumer;
    let what = || {
        format!(
            "cannot use consumer `{name}` of stream `{}`",
            pipeline.source.stream
        )
    };
    let wanted = consumer_config(pipeline);
    let mut asked = wanted.clone();
    if let Ok(existing) = stream.consumer_info(name).await {
        // Where to begin is settled once: the durable's own position counts from then on.
        asked.deliver_policy = existing.config.deliver_policy;
    }
    let made = stream.create_consumer(asked).await;
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            let api = format!("$JS.API.CONSUMER.CREATE.{}.{name}", pipeline.source.stream);
            return Err(denied_or(connection, &api, &error.to_string())).with_context(what);
        }
    };
    let got = &made.cached_info().config;
    if got.ack_policy != AckPolicy::Explicit {
        return Err(anyhow!(
            "its ack policy is {:?}, weir needs explicit acks",
            got.ack_policy
        ))
        .with_context(what)
        .hint(|| "name another `source.consumer`, or delete this one");
    }
    if pipeline.order != Order::None && got.priority_policy != PriorityPolicy::PinnedClient {
        return Err(anyhow!(
            "the server did not take its priority policy, which `order:` needs"
        ))
        .with_context(what)
        .hint(|| "update nats-server to 2.11 or later, or delete the consumer");
    }
    Ok(())
}

fn consumer_config(pipeline: &Pipeline) -> pull::Config {
    let source = &pipeline.source;
    let ordered = pipeline.order != Order::None;
    let deliver_policy = match &source.start {
        Start::All => DeliverPolicy::All,
        Start::New => DeliverPolicy::New,
        Start::Sequence(start_sequence) => DeliverPolicy::ByStartSequence {
            start_sequence: *start_sequence,
        },
        // The configuration has checked that it parses.
        Start::Time(text) => async_nats::datetime::parse_rfc3339(text)
            .map_or(DeliverPolicy::All, |start_time| {
                DeliverPolicy::ByStartTime { start_time }
            }),
    };
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
        priority_policy: if ordered {
            PriorityPolicy::PinnedClient
        } else {
            PriorityPolicy::None
        },
        priority_groups: if ordered {
            vec![GROUP.to_owned()]
        } else {
            Vec::new()
        },
        priority_timeout: if ordered {
            source.ack_wait.max(PIN_TIMEOUT)
        } else {
            Duration::ZERO
        },
        ..Default::default()
    }
}

/// The consumer as it is now, for lag and takeovers.
///
/// # Errors
/// `Ok(None)` when the server says that there is no such consumer; an error when it does not say.
pub async fn info(context: &Context, durable: &Durable) -> Result<Option<consumer::Info>> {
    let subject = format!("CONSUMER.INFO.{}.{}", durable.stream, durable.consumer);
    let answer: jetstream::response::Response<consumer::Info> = context
        // Nothing but an empty object will do: the server refuses `null`.
        .request(subject, &serde_json::json!({}))
        .await
        .map_err(|error| anyhow!("{}", error.kind()))?;
    match answer {
        jetstream::response::Response::Ok(info) => Ok(Some(info)),
        jetstream::response::Response::Err { error }
            if [ErrorCode::CONSUMER_NOT_FOUND, ErrorCode::STREAM_NOT_FOUND]
                .contains(&error.error_code()) =>
        {
            Ok(None)
        }
        jetstream::response::Response::Err { error } => Err(anyhow!("{error}")),
    }
}

/// Gives up the pin of an ordered consumer, so that another host need not wait until it times out.
pub async fn unpin(context: &Context, durable: &Durable) {
    let subject = format!("CONSUMER.UNPIN.{}.{}", durable.stream, durable.consumer);
    let request = serde_json::json!({ "group": GROUP });
    let answer: Result<serde_json::Value, _> = context.request(subject, &request).await;
    if let Err(error) = answer {
        tracing::debug!("cannot give up the pin, it will time out: {}", error.kind());
    }
}
