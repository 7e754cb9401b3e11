//! What the server sends, as far as it is needed here.
//!
//! One type for all kinds: they have few fields, which mean the same wherever they occur, and a
//! field that a newer server adds does no harm. The whole is in nats-server's
//! `server/jetstream_events.go`.

use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
pub struct Advisory<'a> {
    /// `io.nats.jetstream.advisory.v1.<kind>`.
    #[serde(borrow, rename = "type")]
    pub schema: Cow<'a, str>,
    /// Unique.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// RFC 3339.
    #[serde(borrow)]
    pub timestamp: Cow<'a, str>,
    #[serde(borrow, default)]
    pub stream: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub consumer: Option<Cow<'a, str>>,
    /// `create`, `delete` or `modify`, of a stream or a consumer.
    #[serde(borrow, default)]
    pub action: Option<Cow<'a, str>>,
    /// Sequence in the stream of the message that it is about.
    #[serde(default)]
    pub stream_seq: Option<u64>,
    #[serde(default)]
    pub deliveries: Option<u64>,
    /// Whatever the client gave as a reason; may have several lines.
    #[serde(borrow, default)]
    pub reason: Option<Cow<'a, str>>,
    /// The server that leads now.
    #[serde(borrow, default)]
    pub leader: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub replicas: Vec<Replica<'a>>,
    #[serde(default)]
    pub paused: Option<bool>,
    #[serde(borrow, default)]
    pub pause_until: Option<Cow<'a, str>>,
    /// Priority group of a consumer.
    #[serde(borrow, default)]
    pub group: Option<Cow<'a, str>>,
    /// Id of an atomic batch.
    #[serde(borrow, default)]
    pub batch: Option<Cow<'a, str>>,
}

/// A server that holds a copy of a stream or of a consumer's state.
#[derive(Deserialize)]
pub struct Replica<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Whether it has all that the leader has.
    pub current: bool,
}

impl Advisory<'_> {
    /// The last part of the schema, which tells the kinds apart.
    pub fn kind(&self) -> &str {
        self.schema.rsplit('.').next().unwrap_or_default()
    }
}
