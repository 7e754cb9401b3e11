//! Parking: a message whose retry is far off waits in a separate stream instead of in the consumer.
//!
//! Pure; `nats/parking.rs` creates the stream, `judge.rs` decides which messages are parked, `settle.rs` acks
//! them.
//!
//! # The order of events
//!
//! **Publish the message to the parking stream as a schedule, await the publish ack, then ack the input.**
//! The server holds it until it is due, then stores it on the due subject of the same stream. A second
//! durable consumer delivers it to a lane, where it ends like any input: its results are stored first, and
//! only then is it acked in the parking stream.
//!
//! A crash between publish and ack redelivers the input. If the lane parks it again, the message replaces its
//! own schedule: the identity makes the subject of a schedule, and the server keeps one schedule for each
//! subject. There is deliberately no message id: within the duplicate window it would suppress the next
//! parking of the same message.
//!
//! # Identity
//!
//! Headers contain what the stream says about the original: its source id, sequence, subject, time and
//! attempts. So message ids, dead letters and what plugins see are those of the original message.

use crate::headers::block::ForeignLines;
use crate::headers::{self, Headers, begins_with, is_server_header};
use crate::message::Message;
use crate::outgoing::OutgoingMessage;
use bytestring::ByteString;
use std::time::{Duration, Instant};

/// Headers that say what the original message was.
const PREFIX: &str = "Weir-Parked-";
/// How long parking rests after the server did not take a message.
const REST: Duration = Duration::from_secs(10);

/// Where a message came from, if not from the pipeline's source just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `<stream>@<incarnation>`, of which message ids are made.
    pub source_id: ByteString,
    /// When JetStream stored the original: nanoseconds since the Unix epoch.
    pub stored: u64,
    /// How often a plugin had asked for it again when it was parked, that time included.
    pub retries: u32,
}

/// The parking stream of one pipeline, as a lane sees it.
#[derive(Clone, Debug)]
pub struct Parking {
    stream: String,
    subjects: Subjects,
    /// Not before this, after the server did not take a message.
    resting: Option<Instant>,
}

/// The subjects of a parking stream. Pipelines that share a name share the stream. Each has the subjects of
/// its source, so that none replaces or takes what another has parked.
#[derive(Clone, Debug)]
pub struct Subjects {
    /// What the stream captures: those of all pipelines of this name.
    pub all: String,
    /// Those of the pipeline, as a filter.
    pub own: String,
    /// Where the server stores what is due.
    pub due: String,
    /// The durable consumer of that.
    pub consumer: String,
    /// What the subjects of schedules begin with.
    wait: String,
}

impl Subjects {
    /// Of a pipeline with this name, which reads this stream with this consumer.
    #[must_use]
    pub fn of(pipeline: &str, stream: &str, consumer: &str) -> Self {
        let all = format!("weir.parked.{pipeline}");
        let own = format!("{all}.{stream}.{consumer}");
        Self {
            consumer: format!("{stream}-{consumer}"),
            all: format!("{all}.>"),
            due: format!("{own}.due"),
            wait: format!("{own}.wait"),
            own: format!("{own}.>"),
        }
    }

    /// One for each message: a second schedule on it replaces the first.
    fn waiting(&self, source_id: &str, sequence: u64) -> ByteString {
        let wait = &self.wait;
        ByteString::from(format!("{wait}.{source_id}.{sequence}"))
    }
}

impl Parking {
    #[must_use]
    pub fn new(subjects: Subjects, stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            subjects,
            resting: None,
        }
    }

    /// The schedule that makes the server store `message` again after `delay`.
    /// `None` when parking rests, when the message is not all text or would be too large, or when
    /// the time is beyond what can be written.
    #[must_use]
    pub fn schedule(
        &self,
        message: &Message,
        origin: &Origin,
        delay: Duration,
        max_payload: usize,
    ) -> Option<OutgoingMessage> {
        let rests = self.resting.is_some_and(|until| Instant::now() < until);
        // What is no text would not come back as it was.
        if rests || message.foreign.is_some() {
            return None;
        }
        let due = jiff::Timestamp::now().checked_add(delay).ok()?;
        let mut headers: Vec<_> = message.headers.iter().map(headers::keep).collect();
        let mut add = |name: &str, value: String| {
            headers.push((ByteString::from(name), ByteString::from(value)));
        };
        add("Nats-Schedule", format!("@at {due}"));
        add("Nats-Schedule-Target", self.subjects.due.clone());
        // Any other stream that captured the subject would take it for an ordinary message.
        add("Nats-Expected-Stream", self.stream.clone());
        for (name, value) in [
            ("Place", origin.source_id.to_string()),
            ("Sequence", message.sequence.to_string()),
            ("Stored", origin.stored.to_string()),
            ("Subject", message.subject.to_string()),
            ("Attempt", message.attempt.to_string()),
            ("Retries", origin.retries.to_string()),
        ] {
            add(&format!("{PREFIX}{name}"), value);
        }
        let scheduled = OutgoingMessage {
            is_late: false,
            foreign: ForeignLines::new(),
            subject: self.subjects.waiting(&origin.source_id, message.sequence),
            id: None,
            digest: None,
            headers,
            payload: message.payload.clone(),
            key: None,
        };
        (scheduled.size() <= max_payload).then_some(scheduled)
    }

    /// The server did not take a message. True if this is the first time in a while, and worth a
    /// line in the log.
    pub fn rest(&mut self) -> bool {
        let now = Instant::now();
        let first = self.resting.is_none_or(|until| until < now);
        self.resting = Some(now + REST);
        first
    }
}

/// Where a parked message came from, `<stream>@<incarnation>`, and its sequence there.
#[must_use]
pub fn parked(headers: &Headers) -> Option<(&str, u64)> {
    let fact = |name: &str| headers.get(&format!("{PREFIX}{name}"));
    Some((fact("Place")?, fact("Sequence")?.parse().ok()?))
}

/// The original of what came from the due subject: `message` as it was, with its attempts so far and
/// those of this delivery. A message that was not parked by this host's kind is its own original.
#[must_use]
pub fn original(message: Message, stream: &str) -> (Message, Origin) {
    let fact = |name: &str| message.headers.get(&format!("{PREFIX}{name}"));
    let facts = (|| {
        let number = |name: &str| fact(name)?.parse::<u64>().ok();
        let attempt = u32::try_from(number("Attempt")?).ok()?;
        let origin = Origin {
            source_id: ByteString::from(fact("Place")?),
            stored: number("Stored")?,
            retries: u32::try_from(number("Retries")?).ok()?,
        };
        let subject = ByteString::from(fact("Subject")?);
        Some((number("Sequence")?, subject, attempt, origin))
    })();
    let Some((sequence, subject, attempt, origin)) = facts else {
        let origin = Origin {
            source_id: ByteString::from(stream),
            stored: message.event_time,
            retries: 0,
        };
        return (message, origin);
    };
    let headers: Headers = message.headers.iter().filter_map(given_back).collect();
    let message = Message {
        watermark: None,
        is_late: false,
        foreign: None,
        subject,
        headers,
        event_time: origin.stored,
        sequence,
        attempt: message.attempt.saturating_add(attempt),
        ..message
    };
    (message, origin)
}

/// A header as it was; `None` for what parking has added.
fn given_back((name, value): &(ByteString, ByteString)) -> Option<(ByteString, ByteString)> {
    if is_server_header(name) || begins_with(name.as_bytes(), PREFIX) {
        return None;
    }
    let was = headers::kept(name.as_bytes()).and_then(|was| std::str::from_utf8(was).ok());
    Some((
        was.map_or_else(|| name.clone(), ByteString::from),
        value.clone(),
    ))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests;
