//! The `source:` section, and the settings of streams to create.

use super::time::EventTime;
use crate::config::units::{DurationText, SizeText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The stream or bucket to read, and the consumer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Source {
    /// The name of the stream. Either this or `bucket` is required.
    #[schemars(example = &"ORDERS")]
    pub stream: Option<String>,
    /// Subjects of the stream to read; `*` matches one token, a final `>` one or more. An empty list means all
    /// subjects. They must not overlap.
    #[schemars(example = ["orders.>"])]
    pub subjects: Vec<String>,
    /// The name of a key-value bucket: each change of a key is a message.
    #[schemars(example = &"CUSTOMERS")]
    pub bucket: Option<String>,
    /// Keys of the bucket to read, with `*` and `>` as in `subjects`. An empty list means all keys.
    #[schemars(example = ["eu.>"])]
    pub keys: Vec<String>,
    /// The name of the durable consumer, which all hosts of the pipeline share. The default is
    /// `weir-<pipeline>`.
    pub consumer: Option<String>,
    /// The first message of a new consumer: `all`, `new`, `{sequence: N}` or `{time: "2026-01-31T00:00:00Z"}`.
    pub start: Start,
    /// The time that JetStream waits for an ack before it redelivers a message. The host sends in-progress acks every
    /// third of this time, so slow processing does not cause redelivery.
    pub ack_wait: DurationText,
    /// The most messages that all hosts of the pipeline together may hold, including messages that wait for a retry
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

/// One of several sources of a job, with its name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NamedSource {
    /// The name of the stream. Several sources may have the same stream, with subjects that do not overlap. Either
    /// this or `bucket` is required.
    #[schemars(example = &"CLICKS")]
    pub stream: Option<String>,
    /// Like [`source.subjects`](#source).
    pub subjects: Vec<String>,
    /// Like [`source.bucket`](#source).
    #[schemars(example = &"CUSTOMERS")]
    pub bucket: Option<String>,
    /// Like [`source.keys`](#source).
    pub keys: Vec<String>,
    /// Whether the source is a table. The job reads a table to its end before the first message of the other sources,
    /// and reads its changes first from then on. Event time does not wait for a table.
    pub table: bool,
    /// The first message that the job reads. Sources of one stream must start together.
    pub start: Start,
    /// The key of its messages. The default is the pipeline's `key`, and for a bucket the key in the bucket.
    #[schemars(example = &"{payload:/user}")]
    pub key: Option<String>,
    /// The event time of its messages. The default is the pipeline's `event-time`.
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

/// The first message of a new durable consumer.
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
    /// The oldest message of the stream.
    All,
    /// The first message after the consumer was created.
    New,
}

/// One position in the stream: a sequence or a time.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StartAt {
    /// The sequence of the first message.
    #[schemars(range(min = 1))]
    pub sequence: Option<u64>,
    /// RFC 3339. The consumer starts with the first message that was stored at that time or later.
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

/// How to create a missing stream. An existing stream is not changed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StreamSettings {
    /// The subjects that the stream captures. The default depends on the section that contains this one.
    pub subjects: Vec<String>,
    /// On disk or in memory.
    pub storage: Storage,
    /// The number of servers that hold a copy. The default is 1; for the results and dead letters of a job it is the
    /// number of replicas of the source.
    #[schemars(range(min = 1, max = 5))]
    pub replicas: Option<usize>,
    /// The age at which the server removes messages. By default messages stay for ever.
    #[schemars(example = &"7d")]
    pub max_age: Option<DurationText>,
    /// The size above which the server removes the oldest messages. By default there is no limit.
    #[schemars(example = &"10GiB")]
    pub max_bytes: Option<SizeText>,
    /// The time for which the server remembers message ids. It drops duplicates within this time.
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
