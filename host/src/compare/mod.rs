//! What a pipeline has published against what a candidate would publish: output by output.
//!
//! Both sides come as they come: a result of the live pipeline may be stored long after its input,
//! and in another order. `matcher.rs` brings together the outputs that have the same input and the
//! same place among its outputs; `report.rs` counts what differs and keeps samples for reading.
//!
//! Pure: knows no broker, no plugin and no clock. `weir replay` feeds it from stored history, a
//! shadow from what has just happened.

pub mod matcher;
pub mod report;
mod seen;

use crate::headers::Headers;
use crate::headers::PREFIX;
use crate::headers::{DIGEST, MESSAGE_ID, is_server_header};
use crate::jsonl::{Dead, Line, Record};
use crate::outgoing::OutgoingMessage;
use bytes::Bytes;
use bytestring::ByteString;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Which of the outputs of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The result at this index.
    Result(u64),
    /// The one dead message.
    DeadLetter,
}

impl fmt::Display for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Result(index) => write!(formatter, "result {index}"),
            Self::DeadLetter => formatter.write_str("dead letter"),
        }
    }
}

/// Whose outputs are read, and of which stream the inputs are: what message ids begin with.
#[derive(Clone, Debug)]
pub struct Identity {
    pub pipeline: String,
    /// `<stream>@<incarnation>`.
    pub source_id: String,
}

impl Identity {
    /// The input and the slot of an output with this message id. `None` if it is another pipeline's,
    /// or was made of another stream, or by somebody else.
    #[must_use]
    pub fn read(&self, id: &str) -> Option<(u64, Slot)> {
        let rest = id.strip_prefix(self.pipeline.as_str())?;
        let (operator, rest) = rest.strip_prefix('/')?.split_once('/')?;
        let rest = rest
            .strip_prefix(self.source_id.as_str())?
            .strip_prefix('/')?;
        if operator == "dead" {
            // Of one in parts, what follows tells the parts apart.
            let sequence = rest.split('/').next()?;
            return Some((sequence.parse().ok()?, Slot::DeadLetter));
        }
        let (sequence, index) = rest.split_once('/')?;
        let index = index.parse().ok()?;
        Some((sequence.parse().ok()?, Slot::Result(index)))
    }
}

/// The outputs of one candidate or one live input, each in its slot.
pub type Outputs = Vec<(Slot, Line)>;

/// An output as it is compared and shown: without the headers that say which version made it, and in
/// the order of the names of the others.
#[must_use]
pub fn line(
    sequence: u64,
    slot: Slot,
    subject: &ByteString,
    headers: &Headers,
    payload: &Bytes,
) -> Line {
    if slot == Slot::DeadLetter {
        let fact = |name: &str| {
            let value = headers.get(&format!("{PREFIX}{name}"));
            value.map(ToOwned::to_owned)
        };
        return Line::Dead(Dead {
            reject: fact("Reason").unwrap_or_default(),
            operator: fact("Operator"),
            kind: fact("Kind"),
            traceback: Vec::new(),
            sequence: Some(sequence),
        });
    }
    let said = |name: &str| !is_server_header(name) && !name.eq_ignore_ascii_case(DIGEST);
    let lines = headers.iter().filter(|(name, _)| said(name));
    let mut lines: Vec<_> = lines.cloned().collect();
    // As stored headers are read; the lines of one name keep their order.
    lines.sort_by(|(left, _), (right, _)| left.cmp(right));
    Line::Message(Record {
        subject: subject.clone(),
        payload: payload.clone(),
        headers: lines.into_iter().collect(),
        key: None,
        event_time: None,
        sequence: Some(sequence),
    })
}

/// The outputs of an input that would be published in these messages.
#[must_use]
pub fn outputs(
    sequence: u64,
    messages: impl IntoIterator<Item = OutgoingMessage>,
    dead: bool,
) -> Outputs {
    let slots = (0..).map(Slot::Result);
    // The parts of one dead letter say the same of its end.
    let most = if dead { 1 } else { usize::MAX };
    let messages = messages.into_iter().take(most).zip(slots);
    let outputs = messages.map(|(message, slot)| {
        let slot = if dead { Slot::DeadLetter } else { slot };
        let headers: Headers = message.headers.into_iter().collect();
        let line = line(sequence, slot, &message.subject, &headers, &message.payload);
        (slot, line)
    });
    outputs.collect()
}

/// The slot of a stored message and how it is compared, if it is an output of this pipeline.
#[must_use]
pub fn stored(
    identity: &Identity,
    subject: &ByteString,
    headers: &Headers,
    payload: &Bytes,
) -> Option<(u64, Slot, Line)> {
    let (sequence, slot) = identity.read(headers.get(MESSAGE_ID)?)?;
    let line = line(sequence, slot, subject, headers, payload);
    Some((sequence, slot, line))
}

/// What is enough of an output to say whether another is the same, and in what it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    subject: u64,
    headers: u64,
    payload: u64,
    /// How a dead letter came to be.
    end: u64,
}

impl Print {
    fn of(line: &Line) -> Self {
        let nothing = hash(&());
        match line {
            Line::Message(record) => Self {
                subject: hash(&*record.subject),
                headers: hash(&record.headers.iter().collect::<Vec<_>>()),
                payload: hash(&record.payload),
                end: nothing,
            },
            Line::Dead(dead) => Self {
                subject: nothing,
                headers: nothing,
                payload: nothing,
                end: hash(&(&dead.kind, &dead.operator, &dead.reject)),
            },
            Line::Retry(retry) => Self {
                subject: nothing,
                headers: nothing,
                payload: nothing,
                end: hash(&(&retry.operator, &retry.retry)),
            },
        }
    }
}

fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Bytes that an output takes in memory, about.
fn size(line: &Line) -> usize {
    const FRAME: usize = 256;
    FRAME
        + match line {
            Line::Message(record) => {
                let headers = record.headers.iter();
                let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
                record.subject.len() + record.payload.len() + headers
            }
            Line::Dead(dead) => dead.reject.len(),
            Line::Retry(retry) => retry.retry.len(),
        }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
