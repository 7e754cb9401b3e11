//! The YAML as a user writes it.
//!
//! These types hold text and numbers with their defaults. Nothing is checked across fields:
//! `shape.rs` compares a file with the schema of these types, and `resolve/` turns them into
//! `resolved.rs`. The doc comments are for users: they become the descriptions in the JSON Schema and
//! the reference page.

mod connection;
mod dead_letter;
mod job;
mod key;
mod limits;
mod rollout;
mod streams;
mod time;
mod views;
mod windows;

pub use connection::{Nats, Tls};
pub use dead_letter::{DeadLetter, DeadLetterSettings, Off, Redact};
pub use job::{Commit, Delivery, State, Store};
pub use key::OnMissingKey;
pub use limits::{Compile, Limits};
pub use rollout::Rollout;
pub use streams::{
    Create, NamedSource, Source, Start, StartAt, StartWord, Storage, StreamSettings,
};
pub use time::{DurationOrOff, EventTime, EventTimeSettings, OfStream, OnInvalid, Watermark};
pub use views::{StateValue, View, ViewFrom};
pub use windows::{CalendarUnit, Early, Hopping, Panes, Session, Tumbling, Window};

use super::grants;
use super::units::{DurationText, SizeText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One pipeline. A file may contain several, separated by `---`, and a process may run several files.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("required" = ["name"]))]
pub struct Pipeline {
    /// Letters, digits, `-` and `_`, at most 64. The name is part of message ids, of the name of the durable consumer
    /// and of metrics, so a renamed pipeline starts from the beginning.
    #[schemars(example = &"rebates")]
    pub name: Option<String>,
    /// How to reach NATS.
    pub nats: Nats,
    /// The stream or bucket that the pipeline reads. Either this or `sources` is required.
    pub source: Source,
    /// Several sources, each with a name that plugins can ask for. Use it instead of `source`, only with
    /// `delivery: exactly-once`.
    pub sources: BTreeMap<String, NamedSource>,
    /// The key of a message: text with the placeholders `{subject}`, `{subject[N]}` (a token, counted from 0),
    /// `{subject[N..]}` (that token and all later ones), `{header:Name}` and `{payload:/json/pointer}`. If a message
    /// lacks one of them, it has no key: see `on-missing-key`.
    #[schemars(example = &"{subject[1]}", example = &"{payload:/order/user}")]
    pub key: Option<String>,
    /// What happens to a message that lacks a part of its `key`. `weir_messages_without_key_total` counts such messages
    /// in every case.
    pub on_missing_key: OnMissingKey,
    /// The event time of a message. `stream`, the default, is the time at which JetStream stored the message.
    pub event_time: Option<EventTime>,
    /// How the watermark follows event times. Only with `delivery: exactly-once`.
    pub watermark: Watermark,
    /// The delivery guarantee for each input. The default depends on `order`: `exactly-once` with `order: key` and
    /// `order: stream`, else `at-least-once`. `delivery` and `order` imply each other, so one of them is enough.
    pub delivery: Option<Delivery>,
    /// The number of shares of the keys, each with its own state and commits. A job can use at most as many hosts as
    /// it has partitions. The default is 8, and 1 with `order: stream`. Only with `delivery: exactly-once`.
    #[schemars(range(min = 1, max = 1024))]
    pub partitions: Option<usize>,
    /// The state of the plugins. Only with `delivery: exactly-once`.
    pub state: State,
    /// Limits of one commit. Only with `delivery: exactly-once`.
    pub commit: Commit,
    /// Which messages wait for others. The default depends on `delivery`: `none` for at-least-once delivery; for
    /// exactly-once delivery `key`, or `stream` with `partitions: 1` and no `key`.
    pub order: Option<Order>,
    /// The number of threads that each run the whole pipeline with their own connection and plugin instances. A job
    /// can use at most as many lanes as partitions.
    #[schemars(range(min = 1, max = 256))]
    pub lanes: usize,
    /// The largest batch for one call of a plugin.
    pub batch: Batch,
    /// The limits of a lane between pull and settlement; it pulls only as much as it has room for.
    pub in_flight: InFlight,
    /// What happens to a message that a plugin asks to retry.
    pub retry: Retry,
    /// The default of `operators[].require-signature`.
    #[schemars(example = ["keys/release.pub"])]
    pub require_signature: Vec<String>,
    /// The plugins that process a message, in order. Without operators, the pipeline moves messages unchanged.
    pub operators: Vec<Operator>,
    /// Where results go.
    pub sink: Sink,
    /// The subject for messages that are too late for all their windows, with the placeholders of `sink.subject`.
    /// They are stored with the results, in the form in which they reached the operator. Without `late`, such
    /// messages are dropped. They are counted in both cases.
    #[schemars(example = &"late.{subject}")]
    pub late: Option<String>,
    /// Where messages go that cannot be processed. `off` discards them: the host terms and counts them.
    pub dead_letter: DeadLetter,
    /// The latest value for each key of a job's results or state, for look-ups. Only with `delivery: exactly-once`.
    pub views: Vec<View>,
    /// How long a soft stop waits for messages in flight before it becomes a hard stop.
    pub drain: DurationText,
    /// The time after which a pipeline that has work and settles nothing is reported as stalled. The default is
    /// `source.ack-wait`.
    #[schemars(example = &"5m")]
    pub stalled_after: Option<DurationText>,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self {
            name: None,
            nats: Nats::default(),
            source: Source::default(),
            sources: BTreeMap::new(),
            key: None,
            on_missing_key: OnMissingKey::default(),
            event_time: None,
            watermark: Watermark::default(),
            delivery: None,
            partitions: None,
            state: State::default(),
            commit: Commit::default(),
            order: None,
            lanes: 1,
            batch: Batch::default(),
            in_flight: InFlight::default(),
            retry: Retry::default(),
            require_signature: Vec::new(),
            operators: Vec::new(),
            sink: Sink::default(),
            late: None,
            dead_letter: DeadLetter::default(),
            views: Vec::new(),
            drain: "10s".into(),
            stalled_after: None,
        }
    }
}

/// Which messages wait for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// No message waits for another. Fastest.
    None,
    /// Results of one key are in the order of the stream; a key that fails holds back only itself. The pipeline
    /// runs as a job and needs a `key`.
    Key,
    /// Results of all messages are in the order of the stream. The pipeline runs as a job with one partition.
    Stream,
}

/// Limits by count and by bytes; the first one that is reached applies.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Batch {
    /// The most messages in one call.
    #[schemars(range(min = 1, max = 65536))]
    pub max_messages: usize,
    /// The most bytes of payloads and headers in one call. A larger message is a batch by itself.
    pub max_bytes: SizeText,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_messages: 256,
            max_bytes: "4MiB".into(),
        }
    }
}

/// Limits per lane, by count and by bytes; the first one that is reached applies.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct InFlight {
    /// The most messages that are pulled and not yet settled.
    #[schemars(range(min = 1, max = 1000000))]
    pub max_messages: usize,
    /// The most bytes of these messages.
    pub max_bytes: SizeText,
}

impl Default for InFlight {
    fn default() -> Self {
        Self {
            max_messages: 1024,
            max_bytes: "64MiB".into(),
        }
    }
}

/// What happens to a message whose outcome is `retry`. The delay doubles from `initial` to `max`,
/// with jitter, unless the plugin asks for a longer one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Retry {
    /// The number of attempts after which a retry becomes a dead letter. Only retries that a plugin asks for count.
    /// Redeliveries and failures of the server or the network do not count.
    #[schemars(range(min = 1))]
    pub max_attempts: u32,
    /// The delay before the second attempt.
    pub initial: DurationText,
    /// The longest delay.
    pub max: DurationText,
    /// If a message must wait longer than this for its next attempt, the host parks it: the message waits in the
    /// stream `WEIR_PARKED_<PIPELINE>` and does not count against `source.max-ack-pending`. The default is
    /// `source.ack-wait`. Needs nats-server 2.12.
    pub park_after: Option<DurationText>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            initial: "1s".into(),
            max: "1m".into(),
            park_after: None,
        }
    }
}

/// One use of a plugin.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("required" = ["name", "plugin"]))]
pub struct Operator {
    /// Letters, digits, `-` and `_`, at most 64; unique in the pipeline. The name appears in metrics, logs and dead
    /// letters.
    #[schemars(example = &"price")]
    pub name: Option<String>,
    /// A standard plugin, such as `std:filter`: `weir plugin list --std` lists them. Or the file of a component; a
    /// relative path starts at the folder of this file. Or `nats://BUCKET/NAME@VERSION` for a component that was
    /// pushed with `weir plugin push`; with a tag instead of the version, the host follows the tag. Or
    /// `oci://REGISTRY/REPOSITORY:TAG@DIGEST` for a component in an OCI registry; without the digest, the host
    /// follows the tag.
    #[schemars(example = &"rebates.wasm")]
    pub plugin: Option<String>,
    /// The host passes this value to the plugin's `configure` as JSON. The default is `{}`. The plugin decides
    /// whether it is valid; `weir check` asks the plugin.
    pub config: serde_json::Value,
    /// Subjects of the source that this operator processes; messages on other subjects skip it. An empty list means
    /// all subjects.
    #[schemars(example = ["orders.*.paid"])]
    pub subjects: Vec<String>,
    /// The windows over which the plugin aggregates.
    pub window: Option<Window>,
    /// Which headers the plugin sees: `none`, `all`, or a list of names.
    pub headers: Headers,
    /// What the plugin can access outside its instance. Nothing by default.
    pub grants: grants::Written,
    /// The resource limits of one instance of the plugin.
    pub limits: Limits,
    /// How messages share an instance of the plugin. With `lane`, one instance processes the messages of a lane, one
    /// after the other. With `message`, each message has a new, configured instance.
    pub isolation: Isolation,
    /// Trusts the plugin to return from every call: the host removes the checks that stop a call at its deadline, and
    /// the plugin runs up to 40 % faster. If a call never returns, it blocks its lane until the host is stopped. All
    /// other limits apply.
    pub trusted: bool,
    /// How hosts compare a new version of the plugin with the previous one.
    pub rollout: Rollout,
    /// Public minisign keys: the key itself, which begins with `RW`, or a file with the key. The plugin runs only if
    /// one of these keys has signed it. The host refuses a new version without such a signature, and keeps running
    /// the old one. The default is the pipeline's keys. Without any key, no signature is required.
    #[schemars(example = ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"])]
    pub require_signature: Vec<String>,
}

/// What the messages of an operator share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    #[default]
    Lane,
    Message,
}

/// Which headers cross the border to a plugin.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Headers {
    /// One word for all of them.
    Word(HeadersWord),
    /// Those with one of these names.
    Names(Vec<String>),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeadersWord {
    None,
    All,
}

impl Default for Headers {
    fn default() -> Self {
        Self::Word(HeadersWord::None)
    }
}

/// Where results go.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Sink {
    /// The subject of each result: text with the placeholders `{subject}`, `{subject[N]}` (a token, counted from 0),
    /// `{subject[N..]}` (that token and all later ones), `{key}` and `{header:Name}`. Their values come from the
    /// result, or from its input if the plugin did not set them.
    #[schemars(example = &"rebates.{subject[1]}", example = &"routed.{subject}")]
    pub subject: String,
    /// The stream that captures the results. By default the host finds it by the subject. A created stream is named
    /// after the subject.
    pub stream: Option<String>,
    /// Whether to create the stream if it is missing: `true`, or its settings.
    pub create: Create,
    /// Allows results on subjects that the pipeline itself reads. Use it only with plugins that give every result a
    /// new subject or end the loop themselves.
    pub allow_own_source: bool,
    /// Whether the host publishes results in batches (fast ingest, nats-server 2.14).
    pub fast_ingest: FastIngest,
    /// Whether results have a message id. Without message ids, results cost the server less. Results of a job
    /// have the header `Weir-Origin` instead, which names their input.
    pub message_ids: MessageIds,
    /// Publishes the results of a job, instead of letting their stream source them from the job's stream. Use it if
    /// you cannot change that stream, or if it is in another account. It weakens the guarantee. Only with
    /// `delivery: exactly-once`.
    pub forward: bool,
    /// Stores the results of a job in the job's own stream, under their own subjects, and for how long. Then no other
    /// stream captures or sources them, and each is stored once. Only with `delivery: exactly-once`.
    pub in_job_stream: Option<InJobStream>,
}

/// How long the stream of a job keeps the results.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InJobStream {
    /// The age at which a host removes results from the job's stream, while one runs the job.
    #[schemars(example = &"7d")]
    pub max_age: DurationText,
}

/// Whether results go out in batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FastIngest {
    /// In batches, if one stream captures all results and allows batches (`allow_batched`).
    Auto,
    /// One by one.
    Off,
}

/// Whether results carry a message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MessageIds {
    /// The server does not store repeats within the duplicate window.
    On,
    /// The server stores repeats after a crash or a lost connection.
    Off,
}

impl Default for Sink {
    fn default() -> Self {
        Self {
            subject: "{subject}".to_owned(),
            stream: None,
            create: Create::default(),
            allow_own_source: false,
            fast_ingest: FastIngest::Auto,
            message_ids: MessageIds::On,
            forward: false,
            in_job_stream: None,
        }
    }
}
