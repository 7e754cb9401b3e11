//! Ready-to-use pipeline settings: every default is applied, every rule compiled, every value checked.
//!
//! `model.rs` is the text of the user; this is what the host runs. Nothing here refers to a position in a
//! file, and nothing here can be invalid.

mod dead_letter;
mod reads;
mod views;

use super::component::Reference;
pub use super::event_time::{EventTime, Place};
pub use super::grants::Grants;
pub use super::model::{OnInvalid, OnMissingKey, Storage};
use super::template::{KeyRule, SubjectFilter, Template};
use crate::config::limits::Limits;
use crate::signature::Key;
use crate::time::watermark::Rules;
use crate::time::windows::Windows;
pub use dead_letter::{DeadLetter, Redact};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
pub use views::{View, ViewFrom};

/// One pipeline, checked.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Unique within a host; part of message ids, of the default name of the durable consumer, of metrics.
    pub name: String,
    pub nats: Nats,
    /// The first of `sources`; the only one of a pipeline that is no job.
    pub source: Source,
    /// At least one. Those of one stream have subjects that do not overlap.
    pub sources: Vec<NamedSource>,
    pub on_missing_key: OnMissingKey,
    /// `Some` with `delivery: exactly-once`, `order: key` or `order: stream`.
    pub job: Option<Job>,
    /// Lanes: OS threads that each run the whole pipeline.
    pub lanes: usize,
    /// The largest batch for one plugin call.
    pub batch: Bounds,
    /// How much a lane holds between pull and settlement.
    pub in_flight: Bounds,
    pub retry: Retry,
    /// In the order of the chain; empty for a pipeline that only moves messages.
    pub operators: Vec<Operator>,
    pub sink: Sink,
    /// The subject of messages that are too late for all their windows; they are dropped if `None`.
    pub late: Option<Template>,
    /// `None` if the file says `dead-letter: off`: rejected messages are then termed and counted.
    pub dead_letter: Option<DeadLetter>,
    /// How long a soft stop may take before it becomes a hard stop.
    pub drain: Duration,
    /// How long it may have work and settle nothing before it counts as stalled.
    pub stalled_after: Duration,
}

impl Pipeline {
    /// Whether an operator has windows.
    #[must_use]
    pub fn has_windows(&self) -> bool {
        let mut operators = self.operators.iter();
        operators.any(|operator| operator.windows.is_some())
    }

    /// The beginning of its message ids: its name, and a hash of its consumer and of its sink's template.
    /// The results of pipelines that share the name, the source and the last operator are therefore not
    /// mistaken for duplicates of each other.
    #[must_use]
    pub fn id(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.source.consumer.as_bytes());
        // The name of a consumer contains no space.
        hasher.update(b" ");
        hasher.update(self.sink.subject.as_str().as_bytes());
        let hash = hasher.finalize().to_hex();
        format!("{}~{}", self.name, hash.get(..8).unwrap_or_default())
    }
}

/// What makes a pipeline a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub order: Order,
    /// From 1 to 1,024.
    pub partitions: u16,
    /// Bytes of memory, or of the disk, that the state of a partition may take.
    pub state_bytes: u64,
    pub store: Store,
    /// The time to live of values that a plugin sets without one; none keeps them forever.
    pub state_ttl: Option<Duration>,
    /// Other hosts that follow the log of each partition, if there are so many.
    pub standbys: usize,
    /// Results with dead letters, and bytes with those of deltas, in one commit.
    pub commit: Bounds,
    pub watermark: Rules,
    pub views: Vec<View>,
}

/// Where the state of a partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    Memory,
    /// Below this directory; if none, below the user's directory for caches.
    Disk(Option<PathBuf>),
}

/// What the results of a job are in order of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Of each key.
    #[default]
    Key,
    /// Of the whole stream: there is one partition.
    Stream,
}

/// How to reach NATS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nats {
    /// One or more `nats://` or `tls://` addresses.
    pub servers: Vec<String>,
    pub auth: Auth,
    pub tls: Tls,
    /// Prefix of the connection's inboxes, for accounts that restrict subscriptions.
    pub inbox_prefix: String,
    /// What the subjects of the JetStream API begin with: [`API_PREFIX`], or that of a domain or an import.
    pub api_prefix: String,
}

/// What the subjects of the JetStream API begin with, unless the configuration says otherwise.
pub const API_PREFIX: &str = "$JS.API";

/// Credentials, at most one kind. `Debug` names the kind and hides the secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Auth {
    #[default]
    None,
    /// A `.creds` file with a JWT and a seed.
    CredentialsFile(PathBuf),
    /// An nkey seed.
    NkeySeed(String),
    UserPassword {
        user: String,
        password: String,
    },
    Token(String),
}

impl fmt::Debug for Auth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("None"),
            Self::CredentialsFile(path) => formatter
                .debug_tuple("CredentialsFile")
                .field(path)
                .finish(),
            Self::NkeySeed(_) => formatter.write_str("NkeySeed(..)"),
            Self::UserPassword { user, .. } => formatter
                .debug_struct("UserPassword")
                .field("user", user)
                .finish_non_exhaustive(),
            Self::Token(_) => formatter.write_str("Token(..)"),
        }
    }
}

/// TLS of the connection.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tls {
    /// Refuse a server without TLS.
    pub required: bool,
    /// Start the TLS handshake before the server's INFO.
    pub first: bool,
    /// The root certificates to trust, instead of the system's.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What to pull, and with which consumer.
#[derive(Clone, Debug)]
pub struct Source {
    pub stream: String,
    /// Filters of the consumer; empty for the whole stream.
    pub subjects: Vec<SubjectFilter>,
    /// The key-value bucket whose stream it is, if the file names one.
    pub bucket: Option<String>,
    /// Name of the durable consumer, shared by every host that runs the pipeline.
    pub consumer: String,
    pub start: Start,
    /// How long JetStream waits for an ack before it redelivers. The host sends in-progress acks every
    /// third of it.
    pub ack_wait: Duration,
    pub max_ack_pending: i64,
    /// Which of these the file names.
    pub given: Given,
    /// How to create the stream if it is missing.
    pub create: Option<StreamSettings>,
}

/// A source with what its messages have.
#[derive(Clone, Debug)]
pub struct NamedSource {
    /// None for the `source` of a pipeline.
    pub name: Option<String>,
    pub source: Source,
    pub key: Option<KeyRule>,
    /// Where the event time is in a message; it is the stream's when `None`.
    pub event_time: Option<EventTime>,
    /// Whether it is read before the others, and event time does not wait for it.
    pub is_table: bool,
}

/// What the file says of the consumer, besides its defaults. A consumer that somebody else has made keeps the
/// rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    pub ack_wait: bool,
    pub max_ack_pending: bool,
}

/// Where a new durable consumer begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    All,
    New,
    Sequence(u64),
    /// RFC 3339.
    Time(String),
}

/// Settings of a stream to create, from `--create` or `create:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    pub subjects: Vec<String>,
    pub storage: Storage,
    /// 1, or as many as the source of a job has, if `None`.
    pub replicas: Option<usize>,
    pub max_age: Option<Duration>,
    pub max_bytes: Option<i64>,
    pub duplicate_window: Duration,
}

/// Limits by count and by bytes; the first that is reached applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub messages: usize,
    pub bytes: usize,
}

/// What happens to a message whose outcome is `retry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts after which a retry that a plugin asks for becomes a dead letter.
    pub max_attempts: u32,
    /// Delay before the second attempt; it doubles from there, with jitter.
    pub initial: Duration,
    /// The delay never exceeds this.
    pub max: Duration,
    /// A message with a longer delay waits in the parking stream, if there is one.
    pub park_after: Duration,
}

/// One use of a plugin.
#[derive(Clone, Debug)]
pub struct Operator {
    pub name: String,
    /// Where the component comes from.
    pub plugin: Reference,
    /// The value of `config:`, passed to `configure` as JSON text.
    pub config: serde_json::Value,
    /// Source subjects that this operator processes; empty for all. Messages on others skip it.
    pub subjects: Vec<SubjectFilter>,
    /// Those that its plugin aggregates, if it does.
    pub windows: Option<Arc<Windows>>,
    pub headers: HeaderSelection,
    pub grants: Grants,
    pub limits: Limits,
    /// Runs without the checks that end a call at its deadline while it computes.
    pub trusted: bool,
    /// One of these keys must have signed the plugin; empty if no signature is required.
    pub require_signature: Vec<Key>,
    pub rollout: Rollout,
}

impl Operator {
    /// What its values in the state belong to.
    #[must_use]
    pub fn state_id(&self) -> Cow<'_, str> {
        super::windows::state_id(&self.name, self.windows.as_deref())
    }
}

/// How a new version of a plugin is compared with the previous one. The default disables it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollout {
    /// How long a version is watched after it has taken over; zero disables rollback.
    pub probation: Duration,
    /// How long a canary runs before it takes over; zero for never.
    pub canary: Duration,
    /// Messages that a version must have processed before it is judged.
    pub min_messages: u64,
    /// How many percent more of its messages may fail than of the previous version.
    pub max_errors: f64,
    /// The time per message in percent of the previous version's.
    pub max_call_time: f64,
    /// Bytes of the states of a shadow of a job, on one host.
    pub shadow_bytes: u64,
}

/// Which headers cross the border.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum HeaderSelection {
    #[default]
    None,
    All,
    Named(Vec<String>),
}

impl HeaderSelection {
    /// These cross, too.
    pub fn add(&mut self, names: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned());
        match self {
            Self::All => {}
            Self::None => *self = Self::Named(names.collect()),
            Self::Named(known) => known.extend(names),
        }
    }
}

/// Where outputs go.
#[derive(Clone, Debug)]
pub struct Sink {
    /// Rendered for each output; missing fields come from the input.
    pub subject: Template,
    /// The stream that is expected to capture them; found by subject if `None`.
    pub stream: Option<String>,
    /// How to create the stream if it is missing.
    pub create: Option<StreamSettings>,
    /// Whether results may land on subjects that the pipeline itself reads.
    pub allow_own_source: bool,
    /// Whether results go out in batches where their stream takes them.
    pub fast_ingest: bool,
    /// Whether results carry a message id.
    pub message_ids: bool,
    /// Whether the owners of a job's partitions publish the results; otherwise their stream sources them.
    pub forward: bool,
    /// For how long the stream of a job keeps the results itself; `None` if it hands them over.
    pub in_job_stream: Option<Duration>,
}

impl Sink {
    /// Why results cannot go out in batches, whatever the server has; `None` if they can.
    #[must_use]
    pub fn no_fast_ingest(&self) -> Option<&'static str> {
        if !self.fast_ingest {
            return Some("`sink.fast-ingest` is `off`");
        }
        match self.subject.reach() {
            None => Some("`sink.subject` leaves open which streams capture the results"),
            Some(_) => None,
        }
    }
}
