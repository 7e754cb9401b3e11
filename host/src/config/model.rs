//! The YAML as a person writes it.
//!
//! Every type here is text and numbers with their defaults, nothing is checked across fields:
//! `shape.rs` compares a file with the schema of these types, and `resolve/` turns them into
//! `resolved.rs`. The doc comments are for users: they become the descriptions in the JSON Schema and
//! the reference page.

mod connection;
mod rollout;
mod streams;

pub use connection::{Nats, Tls};
pub use rollout::Rollout;
pub use streams::{Create, Source, Start, StartAt, StartWord, Storage, StreamSettings};

use super::grants;
use super::units::{DurationText, SizeText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One pipeline. A file may hold several, separated by `---`, and a process may run several files.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("required" = ["name", "source"]))]
pub struct Pipeline {
    /// Letters, digits, `-` and `_`, at most 64. Part of message ids, of the names of the durable
    /// consumer and of metrics, so that a pipeline that is renamed starts anew.
    #[schemars(example = &"rebates")]
    pub name: Option<String>,
    /// How to reach NATS.
    pub nats: Nats,
    /// What is read.
    pub source: Source,
    /// What the key of a message is made of: text with the placeholders `{subject}`,
    /// `{subject[N]}` (a token, counted from 0), `{header:Name}` and `{payload:/json/pointer}`. A
    /// message that lacks one of them has no key.
    #[schemars(example = &"{subject[1]}", example = &"{payload:/order/user}")]
    pub key: Option<String>,
    /// Where the event time of a message stands. Without it, or where a message lacks it, the time
    /// at which JetStream stored the message counts.
    pub event_time: Option<EventTime>,
    /// Which messages wait for which.
    pub order: Order,
    /// Threads that each walk the whole pipeline with a connection and plugin instances of their
    /// own. More than 1 needs `order: none`.
    #[schemars(range(min = 1, max = 256))]
    pub lanes: usize,
    /// The most that one call of a plugin gets.
    pub batch: Batch,
    /// The most that a lane holds between pulling and settling; nothing is pulled without room.
    pub in_flight: InFlight,
    /// What happens to a message that a plugin wants to see again.
    pub retry: Retry,
    /// The keys of operators that give none themselves: see `operators[].require-signature`.
    #[schemars(example = ["keys/release.pub"])]
    pub require_signature: Vec<String>,
    /// The plugins that a message passes, in order. None at all moves messages as they are.
    pub operators: Vec<Operator>,
    /// Where results go.
    pub sink: Sink,
    /// Where messages go that will never work. `off` drops them: they are terminated, and counted.
    pub dead_letter: DeadLetter,
    /// How long a soft shutdown waits for work in flight before it becomes a hard one.
    pub drain: DurationText,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self {
            name: None,
            nats: Nats::default(),
            source: Source::default(),
            key: None,
            event_time: None,
            order: Order::None,
            lanes: 1,
            batch: Batch::default(),
            in_flight: InFlight::default(),
            retry: Retry::default(),
            require_signature: Vec::new(),
            operators: Vec::new(),
            sink: Sink::default(),
            dead_letter: DeadLetter::default(),
            drain: "10s".into(),
        }
    }
}

/// Either a header or a place in a JSON payload. Its value is RFC 3339 text, or a number of seconds,
/// milliseconds, microseconds or nanoseconds since 1970, told apart by size.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EventTime {
    /// The name of a header.
    #[schemars(example = &"Event-Time")]
    pub header: Option<String>,
    /// A JSON pointer into the payload.
    #[schemars(example = &"/created-at")]
    pub payload: Option<String>,
}

/// Which messages wait for which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// None waits for another. Fastest.
    None,
    /// Messages of one key are processed, published and settled in sequence; a key that fails
    /// holds back only itself.
    Key,
    /// All messages are.
    Stream,
}

/// A bound by count and by bytes; whichever is met first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Batch {
    /// Messages in one call.
    #[schemars(range(min = 1, max = 65536))]
    pub max_messages: usize,
    /// Bytes of payloads and headers in one call. A message that is larger travels alone.
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

/// A bound by count and by bytes, per lane; whichever is met first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct InFlight {
    /// Messages pulled and not yet settled.
    #[schemars(range(min = 1, max = 1000000))]
    pub max_messages: usize,
    /// Their bytes.
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
    /// Deliveries after which a retry becomes a dead letter. Failures of the server or the network
    /// never count.
    #[schemars(range(min = 1))]
    pub max_attempts: u32,
    /// The delay before the second delivery.
    pub initial: DurationText,
    /// The longest delay.
    pub max: DurationText,
    /// A message that must wait longer than this for its next attempt is parked: it waits in a stream
    /// of its own, `WEIR_PARKED_` and the pipeline's name, and not within `source.max-ack-pending`.
    /// `source.ack-wait` unless given. Needs `order: none` and nats-server 2.12.
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
    /// Letters, digits, `-` and `_`, at most 64; unique in the pipeline. Names it in metrics, logs
    /// and dead letters.
    #[schemars(example = &"price")]
    pub name: Option<String>,
    /// The file of the component; a relative path starts at the folder of the file that names it. Or
    /// `nats://BUCKET/NAME@VERSION` for one that was pushed with `weir plugin push`; a host follows a
    /// tag in place of the version. Or `oci://REGISTRY/REPOSITORY:TAG@DIGEST` for one in a registry of
    /// OCI artifacts; a host follows a tag without a digest.
    #[schemars(example = &"rebates.wasm")]
    pub plugin: Option<String>,
    /// Handed to the plugin's `configure` as JSON; `{}` unless given. What may stand here is up to the plugin; `weir
    /// check` asks it.
    pub config: serde_json::Value,
    /// Subjects of the source that this operator sees; messages on others pass it by. All when
    /// empty.
    #[schemars(example = ["orders.*.paid"])]
    pub subjects: Vec<String>,
    /// Which headers the plugin sees: `none`, `all`, or a list of names.
    pub headers: Headers,
    /// What the plugin may reach outside of its instance. Nothing unless given.
    pub grants: grants::Written,
    /// What one instance of the plugin may use.
    pub limits: Limits,
    /// What messages share: `lane`, an instance that serves one after the other; or `message`, each a
    /// call and a fresh, configured instance of its own.
    pub isolation: Isolation,
    /// The plugin's author is trusted to return from every call: it runs without the checks that end
    /// a call at its deadline, and up to 40 % faster. A call that never returns then holds its lane
    /// until the host is stopped. The other limits remain.
    pub trusted: bool,
    /// How new versions of the plugin are judged.
    pub rollout: Rollout,
    /// Public keys of minisign: the key itself, which begins with `RW`, or the file that has it. The
    /// plugin runs only if one of them has signed it; a new version that is not signed so is refused,
    /// and the old one goes on. Those of the pipeline unless given; nothing need be signed where
    /// there are none.
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

/// What one instance of a plugin may use. On for every plugin.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Linear memory and tables.
    pub memory: SizeText,
    /// Time for one call, whatever the plugin does with it.
    pub deadline: DurationText,
    /// Bytes that one call may hand back.
    pub output: SizeText,
    /// Bytes of the body of one HTTP response.
    pub http_response: SizeText,
    /// HTTP requests that an instance may have open at once.
    #[schemars(range(min = 1, max = 1000))]
    pub http_requests: usize,
    /// Component-model handles that an instance may hold.
    #[schemars(range(min = 16, max = 1000000))]
    pub handles: usize,
    /// Calls after which an instance is replaced by a fresh one.
    #[schemars(range(min = 1))]
    pub recycle_calls: u64,
    /// Memory above which an instance is replaced between calls. Three quarters of `memory` unless
    /// given.
    pub recycle_memory: Option<SizeText>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: "64MiB".into(),
            deadline: "1s".into(),
            output: "16MiB".into(),
            http_response: "4MiB".into(),
            http_requests: 8,
            handles: 256,
            recycle_calls: 100_000,
            recycle_memory: None,
        }
    }
}

/// Where results go.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Sink {
    /// The subject of each result: text with the placeholders `{subject}`, `{subject[N]}` (a token,
    /// counted from 0), `{key}` and `{header:Name}`, taken from the result, and from its input where
    /// the plugin set nothing.
    #[schemars(example = &"rebates.{subject[1]}", example = &"routed.{subject}")]
    pub subject: String,
    /// The stream that captures the results. Found by subject unless given; where one is created it
    /// is named after the subject.
    pub stream: Option<String>,
    /// Create the stream when it is missing: `true`, or its settings.
    pub create: Create,
    /// Let results land on subjects that the pipeline reads itself. Only for plugins that give
    /// every result a new subject, or that end the loop themselves.
    pub allow_own_source: bool,
}

impl Default for Sink {
    fn default() -> Self {
        Self {
            subject: "{subject}".to_owned(),
            stream: None,
            create: Create::default(),
            allow_own_source: false,
        }
    }
}

/// Where messages go that will never work: settings, or `off`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DeadLetter {
    /// `off`.
    Word(Off),
    /// On, which is the default.
    Settings(DeadLetterSettings),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Off {
    Off,
}

impl Default for DeadLetter {
    fn default() -> Self {
        Self::Settings(DeadLetterSettings::default())
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DeadLetterSettings {
    /// One subject, without placeholders. `weir.dead.` and the pipeline's name unless given.
    #[schemars(example = &"dead.rebates")]
    pub subject: Option<String>,
    /// The stream that captures them. Found by subject unless given; where one is created it is
    /// named after the subject.
    pub stream: Option<String>,
    /// Create the stream when it is missing: `true`, or its settings.
    pub create: Create,
}
