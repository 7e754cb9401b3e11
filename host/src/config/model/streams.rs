//! The `source:` section, and the settings of streams to create.

use super::time::EventTime;
use crate::config::units::{DurationText, SizeText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to read, and with which consumer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Source {
    /// The name of the stream. Either this or `bucket` is required.
    #[schemars(example = &"ORDERS")]
    pub stream: Option<String>,
    /// Subjects of the stream to read; `*` matches one token, a final `>` one or more. Empty means all.
    /// They must not overlap.
    #[schemars(example = ["orders.>"])]
    pub subjects: Vec<String>,
    /// The name of a key-value bucket: each change of a key is a message.
    #[schemars(example = &"CUSTOMERS")]
    pub bucket: Option<String>,
    /// Keys of the bucket to read, with `*` and `>` as in `subjects`. Empty means all.
    #[schemars(example = ["eu.>"])]
    pub keys: Vec<String>,
    /// The name of the durable consumer, which all hosts of the pipeline share. The default is
    /// `weir-<pipeline>`.
    pub consumer: Option<String>,
    /// Where a new consumer begins: `all`, `new`, `{sequence: N}` or `{time: "2026-01-31T00:00:00Z"}`.
    pub start: Start,
    /// How long JetStream waits for an ack before it redelivers a message. The host sends in-progress acks
    /// every third of it, so that slow processing does not cause redelivery.
    pub ack_wait: DurationText,
    /// How many messages all hosts of the pipeline together may hold, including those that wait for a retry
    /// and are not parked.
    #[schemars(range(min = 1))]
    pub max_ack_pending: i64,
    /// Whether to create the stream if it is missing: `true`, or its settings.
    pub create: Create,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            stream: None,
            subjects: Vec::new(),
            bucket: None,
            keys: Vec::new(),
            consumer: None,
            start: Start::Word(StartWord::All),
            ack_wait: "30s".into(),
            max_ack_pending: 16384,
            create: Create::default(),
        }
    }
}

/// One of several sources of a job, under its name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NamedSource {
    /// The name of the stream. Several sources may have the same stream, with subjects that do not overlap. Either this
    /// or `bucket` is required.
    #[schemars(example = &"CLICKS")]
    pub stream: Option<String>,
    /// As [`source.subjects`](#source).
    pub subjects: Vec<String>,
    /// As [`source.bucket`](#source).
    #[schemars(example = &"CUSTOMERS")]
    pub bucket: Option<String>,
    /// As [`source.keys`](#source).
    pub keys: Vec<String>,
    /// Whether it is a table: read to its end before the first message of the others, and before them from then on.
    /// Event time does not wait for it.
    pub table: bool,
    /// Where the job begins in it. Sources of one stream begin together.
    pub start: Start,
    /// The key of its messages, as the pipeline's `key`, which is the default; of a bucket, the key in the bucket is.
    #[schemars(example = &"{payload:/user}")]
    pub key: Option<String>,
    /// Where its messages have their event time, as the pipeline's `event-time`, which is the default.
    pub event_time: Option<EventTime>,
    /// Whether to create the stream if it is missing: `true`, or its settings.
    pub create: Create,
}

impl Default for NamedSource {
    fn default() -> Self {
        Self {
            stream: None,
            subjects: Vec::new(),
            bucket: None,
            keys: Vec::new(),
            table: false,
            start: Start::Word(StartWord::All),
            key: None,
            event_time: None,
            create: Create::default(),
        }
    }
}

impl NamedSource {
    /// As a source without a name.
    #[must_use]
    pub fn source(&self) -> Source {
        Source {
            stream: self.stream.clone(),
            subjects: self.subjects.clone(),
            bucket: self.bucket.clone(),
            keys: self.keys.clone(),
            start: self.start.clone(),
            create: self.create.clone(),
            ..Source::default()
        }
    }
}

/// Where a new durable consumer begins.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Start {
    /// One word.
    Word(StartWord),
    /// One position in the stream.
    At(StartAt),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StartWord {
    /// With the oldest message of the stream.
    All,
    /// With the first message after the consumer was created.
    New,
}

/// One position in the stream: a sequence or a time.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StartAt {
    /// The sequence of the first message.
    #[schemars(range(min = 1))]
    pub sequence: Option<u64>,
    /// RFC 3339. The consumer begins with the first message that was stored at that time or later.
    #[schemars(example = &"2026-01-31T00:00:00Z")]
    pub time: Option<String>,
}

/// Whether to create a missing stream, and how.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Create {
    /// With every default, or not at all.
    Flag(bool),
    /// With these settings.
    Settings(StreamSettings),
}

impl Default for Create {
    fn default() -> Self {
        Self::Flag(false)
    }
}

/// How a missing stream is created. An existing stream is not changed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StreamSettings {
    /// What the stream captures. By default it is derived from the section that contains it.
    pub subjects: Vec<String>,
    /// On disk or in memory.
    pub storage: Storage,
    /// Servers that hold a copy. By default 1; for the results and dead letters of a job, as many as of its source.
    #[schemars(range(min = 1, max = 5))]
    pub replicas: Option<usize>,
    /// Messages older than this are removed. By default they are kept forever.
    #[schemars(example = &"7d")]
    pub max_age: Option<DurationText>,
    /// Above this size the oldest messages are removed. There is no limit by default.
    #[schemars(example = &"10GiB")]
    pub max_bytes: Option<SizeText>,
    /// How long the server remembers message ids. It drops duplicates within this time.
    pub duplicate_window: DurationText,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            subjects: Vec::new(),
            storage: Storage::File,
            replicas: None,
            max_age: None,
            max_bytes: None,
            duplicate_window: "2m".into(),
        }
    }
}

/// Where a stream keeps its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// On disk.
    File,
    /// In memory; lost when the server stops.
    Memory,
}
