//! Which advisories are alerts, how severe, and in which words.

use crate::advisory::{Advisory, Replica};
use serde::{Deserialize, Serialize};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know when looking back.
    Info,
    /// Look at it in working hours.
    Warning,
    /// Look at it now.
    Critical,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Every kind of alert, for checking the configuration.
pub const KINDS: [&str; 11] = [
    "batch-abandoned",
    "consumer-deleted",
    "consumer-leader-elected",
    "consumer-paused",
    "consumer-quorum-lost",
    "consumer-unpinned",
    "max-deliveries",
    "stream-deleted",
    "stream-leader-elected",
    "stream-quorum-lost",
    "terminated",
];

/// What is published.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Alert<'a> {
    /// One line for people. First, because that is what survives where lines are cut.
    pub text: String,
    pub severity: Severity,
    /// One of [`KINDS`].
    pub kind: &'static str,
    /// When it happened, in RFC 3339.
    pub at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<&'a str>,
    /// Of the message that it is about: `nats stream get STREAM SEQUENCE` shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Id of the advisory: the same however often it is delivered.
    pub advisory: &'a str,
}

impl<'a> Alert<'a> {
    /// `None` for what nobody on duty needs to see: creations, changes, naks, the audit of every
    /// request, and whatever a newer server may send.
    pub fn of(advisory: &'a Advisory) -> Option<Self> {
        use Severity::{Critical, Info, Warning};

        let stream = advisory.stream.as_deref();
        let consumer = advisory.consumer.as_deref();
        let action = advisory.action.as_deref();
        let of_stream = format!("stream `{}`", stream.unwrap_or("?"));
        let of_consumer = format!("consumer `{}` of {of_stream}", consumer.unwrap_or("?"));
        let message = format!("message {}", advisory.stream_seq.unwrap_or_default());
        let reason = advisory
            .reason
            .as_deref()
            .map_or(String::new(), |text| format!(": {text}"));

        let (severity, kind, text) = match (advisory.kind(), action) {
            ("max_deliver", _) => {
                let times = times(advisory.deliveries);
                let text = format!("{of_consumer} gave up on {message}, delivered {times}");
                (Warning, "max-deliveries", text)
            }
            ("terminated", _) => {
                let text = format!("{of_consumer} will never process {message}{reason}");
                (Warning, "terminated", text)
            }
            ("consumer_action", Some("delete")) => (
                Warning,
                "consumer-deleted",
                format!("{of_consumer} was deleted"),
            ),
            ("stream_action", Some("delete")) => (
                Critical,
                "stream-deleted",
                format!("{of_stream} was deleted"),
            ),
            ("consumer_quorum_lost", _) => {
                let text = format!(
                    "{of_consumer} stands still: {}",
                    current(&advisory.replicas)
                );
                (Critical, "consumer-quorum-lost", text)
            }
            ("stream_quorum_lost", _) => {
                let text = format!("{of_stream} stands still: {}", current(&advisory.replicas));
                (Critical, "stream-quorum-lost", text)
            }
            ("consumer_leader_elected", _) => {
                let text = format!("{of_consumer} is led by {}", leader(advisory));
                (Info, "consumer-leader-elected", text)
            }
            ("stream_leader_elected", _) => {
                let text = format!("{of_stream} is led by {}", leader(advisory));
                (Info, "stream-leader-elected", text)
            }
            ("consumer_pause", _) => {
                let text = match (advisory.paused, advisory.pause_until.as_deref()) {
                    (Some(true), Some(until)) => format!("{of_consumer} is paused until {until}"),
                    (Some(true), None) => format!("{of_consumer} is paused"),
                    _ => format!("{of_consumer} goes on after a pause"),
                };
                (Info, "consumer-paused", text)
            }
            ("consumer_group_unpinned", _) => {
                let group = advisory.group.as_deref().unwrap_or("?");
                let text = format!("group `{group}` of {of_consumer} lost its client{reason}");
                (Info, "consumer-unpinned", text)
            }
            ("stream_batch_abandoned", _) => {
                let batch = advisory.batch.as_deref().unwrap_or("?");
                let text = format!("batch `{batch}` was abandoned by {of_stream}{reason}");
                (Warning, "batch-abandoned", text)
            }
            _ => return None,
        };
        Some(Self {
            severity,
            kind,
            text: one_line(&text),
            at: &advisory.timestamp,
            stream,
            consumer,
            sequence: advisory.stream_seq,
            advisory: &advisory.id,
        })
    }
}

fn times(deliveries: Option<u64>) -> String {
    match deliveries.unwrap_or_default() {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        many => format!("{many} times"),
    }
}

fn leader(advisory: &Advisory) -> String {
    let leader = advisory.leader.as_deref().unwrap_or("?");
    match advisory.replicas.as_slice() {
        [] => format!("`{leader}`"),
        replicas => format!("`{leader}`, {}", current(replicas)),
    }
}

/// How many replicas have everything.
fn current(replicas: &[Replica]) -> String {
    let behind: Vec<_> = replicas.iter().filter(|replica| !replica.current).collect();
    let (current, all) = (replicas.len() - behind.len(), replicas.len());
    if behind.is_empty() {
        return format!("all {all} replicas are current");
    }
    let names: Vec<_> = behind
        .iter()
        .map(|replica| format!("`{}`", replica.name))
        .collect();
    format!(
        "{current} of {all} replicas current, without {}",
        names.join(" and ")
    )
}

/// Reasons come from clients, with line breaks and worse in them.
fn one_line(text: &str) -> String {
    let words = text.split(|character: char| character.is_whitespace() || character.is_control());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
