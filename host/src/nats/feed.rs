//! Publishes a file of messages to a stream, and receives the outputs: for `weir dev`.

use super::wire::{Subscription, Wire};
use super::{Connection, streams};
use crate::headers::{Headers, MESSAGE_ID, block};
use crate::jsonl::Record;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::{HeaderMap, HeaderName, HeaderValue};
use bytestring::ByteString;
use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

/// Publishes that may await their acks at once. Far below what the client allows, over which
/// publishing would wait for acks that nobody awaits.
const WINDOW: usize = 512;

/// Publishes messages in their order and awaits their acks.
pub struct Feed {
    context: streams::Context,
    pending: VecDeque<(Instant, PublishAckFuture)>,
}

/// A message that is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    pub stream: String,
    pub sequence: u64,
    /// When it was published, before it was stored.
    pub published: Instant,
}

impl Feed {
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            context: streams::jetstream(connection),
            pending: VecDeque::new(),
        }
    }

    /// Publishes one message; returns what was stored meanwhile.
    ///
    /// # Errors
    /// When the server does not store a message, this one or one before it.
    pub async fn publish(&mut self, message: &Record) -> Result<Option<Stored>> {
        let what = || format!("cannot publish to `{}`", message.subject);
        let published = Instant::now();
        let headers = header_map(&message.headers).with_context(what)?;
        let subject = message.subject.to_string();
        let sent = self
            .context
            .publish_with_headers(subject, headers, message.payload.clone())
            .await;
        let sent = sent
            .map_err(|error| anyhow!("{}", error.kind()))
            .with_context(what)?;
        self.pending.push_back((published, sent));
        if self.pending.len() < WINDOW {
            Ok(None)
        } else {
            self.confirmed().await
        }
    }

    /// Waits for the oldest publish; `None` when all are stored.
    ///
    /// # Errors
    /// When the server does not store it.
    pub async fn confirmed(&mut self) -> Result<Option<Stored>> {
        let Some((published, ack)) = self.pending.pop_front() else {
            return Ok(None);
        };
        let ack = ack.await.map_err(|error| anyhow!("{}", error.kind()));
        let ack = ack.context("cannot publish the input")?;
        Ok(Some(Stored {
            stream: ack.stream,
            sequence: ack.sequence,
            published,
        }))
    }
}

fn header_map(headers: &Headers) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        let what = || format!("header `{name}` cannot be sent");
        let parsed: HeaderName = name
            .parse()
            .map_err(anyhow::Error::msg)
            .with_context(what)?;
        let value: HeaderValue = value
            .parse()
            .map_err(anyhow::Error::msg)
            .with_context(what)?;
        map.append(parsed, value);
    }
    Ok(map)
}

/// Hears every message on some subjects, from now on, whatever its bytes are. Hearing is not receiving: it
/// settles nothing.
pub struct Tap {
    subscription: Subscription,
}

impl Tap {
    /// Listens to one filter. When it returns, the server knows.
    pub async fn open(wire: &Wire, filter: &str) -> Self {
        let subscription = wire.subscribe(filter);
        wire.flush().await;
        Self { subscription }
    }

    /// The next message; `None` when the connection is closed. Its sequence is that of the input it
    /// came from, as its message id or its capsule says.
    pub async fn next(&mut self) -> Option<Record> {
        let message = self.subscription.next().await?;
        let of_result = || message.header(MESSAGE_ID)?.split('/').nth(3);
        let sequence = message.header("Weir-Sequence").or_else(of_result);
        Some(Record {
            sequence: sequence.and_then(|sequence| sequence.parse().ok()),
            subject: ByteString::from(String::from_utf8_lossy(&message.subject).into_owned()),
            headers: block::read(&message.headers).0,
            payload: message.payload,
            key: None,
            event_time: None,
        })
    }
}

/// Waits until everything has come that the server had sent to this connection before now, for as long
/// as a second: it keeps the order of what it sends, so its answer is behind all of it.
pub async fn catch_up(wire: &Wire) {
    let _ = tokio::time::timeout(Duration::from_secs(1), wire.flush()).await;
}
