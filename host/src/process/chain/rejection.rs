//! Why a message, or a timer, is a dead letter.

use crate::message::Message;
use crate::plugin::Fault;

/// Why a message is a dead letter.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// `None` when the sink refused what the chain returned, or the message came to no operator.
    pub operator: Option<String>,
    pub kind: Kind,
    /// One line, unless it is the sink's.
    pub reason: String,
    /// The lines below the first of a plugin's rejection: SDKs put the traceback of an exception
    /// there, innermost call as the language has it.
    pub traceback: Vec<String>,
    /// blake3 of the component, and of the operator's `config:`.
    pub digest: String,
    pub config_hash: String,
    /// What the runtime saw, when it was a fault and not an answer.
    pub fault: Option<Fault>,
    /// What a timer had emitted, if it has fired and this is about its results. They are what the dead letter keeps.
    pub emitted: Option<Vec<Message>>,
}

impl Rejection {
    /// The kind and the reason, in a line.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{}: {}", self.kind.as_str(), self.reason)
    }

    /// Who rejects the message: an operator, what lies behind the last, or what lies before the first.
    #[must_use]
    pub fn by(&self) -> &str {
        match (&self.operator, self.kind) {
            (Some(operator), _) => operator,
            (None, Kind::EventTime | Kind::MissingKey) => "source",
            (None, _) => "sink",
        }
    }

    /// The message is refused before any operator sees it.
    #[must_use]
    pub fn by_source(kind: Kind, reason: String) -> Self {
        Self {
            kind,
            ..Self::by_sink(reason)
        }
    }

    /// The chain's results cannot be published.
    #[must_use]
    pub fn by_sink(reason: String) -> Self {
        let (digest, config_hash) = (String::new(), String::new());
        Self {
            operator: None,
            kind: Kind::Sink,
            reason,
            traceback: Vec::new(),
            digest,
            config_hash,
            fault: None,
            emitted: None,
        }
    }
}

/// What kind of end it was; the `Weir-Kind` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Reject,
    Trap,
    Deadline,
    Memory,
    Output,
    Length,
    Retries,
    Sink,
    /// A plugin would see a part of the message that is no text.
    Foreign,
    /// It has no valid event time.
    EventTime,
    /// It lacks a part of its key, and `on-missing-key` says so.
    MissingKey,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Reject,
        Self::Trap,
        Self::Deadline,
        Self::Memory,
        Self::Output,
        Self::Length,
        Self::Retries,
        Self::Sink,
        Self::Foreign,
        Self::EventTime,
        Self::MissingKey,
    ];

    /// The name in headers, JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Reject => "reject",
            Kind::Trap => "trap",
            Kind::Deadline => "deadline",
            Kind::Memory => "memory",
            Kind::Output => "output",
            Kind::Length => "length",
            Kind::Retries => "retries",
            Kind::Sink => "sink",
            Kind::Foreign => "foreign",
            Kind::EventTime => "event-time",
            Kind::MissingKey => "missing-key",
        }
    }
}

/// The reason of a rejection, and the traceback below it.
pub(super) fn apart(reason: &str) -> (String, Vec<String>) {
    let mut lines = reason.trim().lines().map(str::trim_end);
    let first = lines.next().unwrap_or_default().to_owned();
    (first, lines.map(str::to_owned).collect())
}
