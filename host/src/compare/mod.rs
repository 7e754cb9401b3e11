//! Compares what a pipeline has published with what a candidate would publish, output by output.
//!
//! The outputs of both sides arrive in any order: a result of the live pipeline may be stored long after its
//! input. `matcher.rs` matches outputs with the same input and slot, and `matcher/unnamed.rs` those that no input names;
//! `report.rs` counts differences and keeps samples.
//!
//! Pure: knows no broker, no plugin and no clock. `weir replay` feeds it from stored history, a shadow from
//! recent messages.

pub mod matcher;
mod output_counts;
pub mod report;

use crate::config::resolved::Pipeline;
use crate::headers::{
    DIGEST, FromJob, Headers, MESSAGE_ID, ORIGIN, PART, PREFIX, is_server_header,
};
use crate::jsonl::{Dead, Line, Record};
use crate::message::Message;
use crate::outgoing::OutgoingMessage;
use crate::report::ResultExt;
use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use bytestring::ByteString;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The slot of an output among those of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The result at this index.
    Result(u64),
    /// The dead letter of the input; there is at most one.
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

/// The pipeline of the outputs and the stream of the inputs: the beginning of message ids.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What its message ids begin with: [`Pipeline::id`](crate::config::resolved::Pipeline::id).
    pub pipeline_id: String,
    /// `<stream>@<incarnation>`.
    pub source_id: String,
}

impl Identity {
    /// That of a pipeline with inputs from `source_id`.
    ///
    /// # Errors
    /// When its results carry no message ids: nothing else says which input a result is from.
    pub fn of(pipeline: &Pipeline, source_id: &str) -> Result<Self> {
        if !pipeline.sink.message_ids {
            let name = &pipeline.name;
            return Err(anyhow!(
                "they carry no message ids (`sink.message-ids: off`)"
            ))
            .with_context(|| format!("cannot compare with the results of pipeline `{name}`"))
            .hint(|| "remove `message-ids: off`, and compare with outputs that are published after that");
        }
        Ok(Self {
            pipeline_id: pipeline.id(),
            source_id: source_id.to_owned(),
        })
    }

    /// The input and the slot of an output with this message id. `None` if it belongs to another pipeline or
    /// stream, or is not from weir.
    #[must_use]
    pub fn read(&self, id: &str) -> Option<(u64, Slot)> {
        let rest = id.strip_prefix(self.pipeline_id.as_str())?;
        let (operator, rest) = rest.strip_prefix('/')?.split_once('/')?;
        let rest = rest
            .strip_prefix(self.source_id.as_str())?
            .strip_prefix('/')?;
        if operator == "dead" {
            // If the dead letter is in parts, the rest distinguishes the parts.
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

/// An output as it is compared and shown: without the headers that name the version, and with the other
/// headers sorted by name.
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
    let of_weir = |name: &str| {
        [DIGEST, ORIGIN]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own))
    };
    let said = |name: &str| !is_server_header(name) && !of_weir(name);
    let lines = headers.iter().filter(|(name, _)| said(name));
    let mut lines: Vec<_> = lines.cloned().collect();
    // Sorted like stored headers; the values of one name keep their order.
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

/// Whether a message stands for an output: a dead letter in parts is one, for which its first part stands.
fn is_one(slot: Slot, headers: &Headers) -> bool {
    slot != Slot::DeadLetter || headers.get(PART).is_none_or(|part| part.starts_with("1/"))
}

/// The outputs of an input, from the messages that would be published.
#[must_use]
pub fn outputs(
    sequence: u64,
    messages: impl IntoIterator<Item = OutgoingMessage>,
    dead: bool,
) -> Outputs {
    let slots = (0..).map(Slot::Result);
    let outputs = messages.into_iter().zip(slots);
    let outputs = outputs.filter_map(|(message, slot)| {
        let slot = if dead { Slot::DeadLetter } else { slot };
        let headers: Headers = message.headers.into_iter().collect();
        let line = line(sequence, slot, &message.subject, &headers, &message.payload);
        is_one(slot, &headers).then_some((slot, line))
    });
    outputs.collect()
}

/// The slot of a stored message and its form for comparison, if it stands for an output of this pipeline.
#[must_use]
pub fn stored(
    identity: &Identity,
    subject: &ByteString,
    headers: &Headers,
    payload: &Bytes,
) -> Option<(u64, Slot, Line)> {
    let (sequence, slot) = identity.read(headers.get(ORIGIN).or(headers.get(MESSAGE_ID))?)?;
    if !is_one(slot, headers) {
        return None;
    }
    let line = line(sequence, slot, subject, headers, payload);
    Some((sequence, slot, line))
}

/// An output of a job, as it is stored.
pub struct OfJob {
    /// In which source its input is, and where; none of what comes of a timer.
    pub input: Option<(usize, u64)>,
    /// The partition that has committed it, if it is known, and where it stood in the job's stream.
    pub partition: Option<u16>,
    pub place: u64,
    pub line: Line,
}

/// A message of the stream `read`, if it is an output of the job with the stream `job`. `identities` are those of the
/// job's sources.
#[must_use]
pub fn stored_of_job(
    job: &str,
    identities: &[Identity],
    (read, message): (&str, &Message),
) -> Option<OfJob> {
    let headers = &message.headers;
    let from = FromJob::of(headers).filter(|from| from.stream == job);
    let kept = || (read == job).then_some(message.sequence);
    let place = from.as_ref().map(|from| from.place).or_else(kept)?;
    let origin = headers.get(ORIGIN);
    let mut known = identities.iter().enumerate();
    let input = match origin {
        Some(id) => Some(known.find_map(|(source, it)| Some((source, it.read(id)?.0)))?),
        None => None,
    };
    let partition = from.and_then(|from| from.partition);
    let is_dead = headers.get(&format!("{PREFIX}Kind")).is_some();
    let slot = match is_dead {
        true => Slot::DeadLetter,
        false => Slot::Result(0),
    };
    let line = line(0, slot, &message.subject, headers, &message.payload);
    is_one(slot, headers).then(|| OfJob {
        input,
        partition,
        place,
        line: line.without_sequence(),
    })
}

/// A summary of an output that tells whether and how another output differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Print {
    subject: u64,
    headers: u64,
    payload: u64,
    /// The cause of a dead letter.
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

/// Approximate size of an output in memory, in bytes.
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
