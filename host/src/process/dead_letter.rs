//! The dead letter: a message that cannot be processed, with everything that is known about its failure.
//!
//! Pure. A dead letter holds its message byte for byte, so that sending it again needs nothing else, in the first of
//! these forms that fits:
//!
//! - **plain**: the payload is that of the message, its headers come first, and `Weir-*` headers say what is
//!   known of its end. A header of the message that means something to the server or to weir is renamed
//!   ([`headers::keep`]), so that nobody but the host can say anything in a `Weir-*` header.
//! - **packed**: subject, header block and payload of the message are the payload of the letter, one behind
//!   the other, and `Weir-Packed` says how long the first two are. For header blocks that their lines do not
//!   give back, or that leave no room for what the letter says.
//!
//! Either goes out in parts where it is too large for one message. What the letter says becomes shorter
//! before it is packed. Something is always made, so that no message is termed with nothing stored.

use super::chain::Rejection;
use super::{Judged, outputs, redaction};
use crate::config::resolved::Redact;
use crate::headers::block::{self, ForeignLines};
use crate::headers::{self, LARGEST_BLOCK, LETTER, PACKED, PART, PREFIX};
use crate::outgoing::{MessageId, OutgoingMessage};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Header lines.
type Lines = Vec<(ByteString, ByteString)>;
/// Most bytes of one header of the dead letter: the end of a traceback, not a whole log.
const LONGEST: usize = 2048;
/// Most bytes of a text where headers leave little room.
const SHORT: usize = 128;

/// Between the lines of a backtrace: a header is one line.
const BETWEEN_LINES: &str = " | ";
/// The same within a line.
const WITHIN_A_LINE: &str = r" \| ";

/// The lines of a backtrace as one.
fn one_line(backtrace: &[String]) -> String {
    let lines = backtrace.iter();
    let lines = lines.map(|line| line.replace(BETWEEN_LINES, WITHIN_A_LINE));
    lines.collect::<Vec<_>>().join(BETWEEN_LINES)
}

/// The lines of a backtrace in a dead letter.
pub fn backtrace(header: &str) -> impl Iterator<Item = String> {
    let lines = header.split(BETWEEN_LINES);
    lines.map(|line| line.replace(WITHIN_A_LINE, BETWEEN_LINES))
}

/// The smallest message that letters are made for, in bytes: about what the least of headers takes.
pub const LEAST: usize = 1024;

/// Makes dead letters for one pipeline.
#[derive(Clone, Debug)]
pub struct DeadLetterBuilder {
    /// Its name.
    pub pipeline: String,
    /// What their message ids begin with: [`Pipeline::id`](crate::config::resolved::Pipeline::id).
    pub id: String,
    /// `None` when dead letters are off.
    pub subject: Option<String>,
    /// The largest message that the server takes, in bytes.
    pub max_payload: usize,
    /// What letters do not keep.
    pub redact: Arc<Redact>,
}

/// How much a letter says in its headers.
#[derive(Clone, Copy, PartialEq)]
enum Detail {
    /// Everything, with texts of so many bytes at most.
    Texts(usize),
    /// What sending the message again needs.
    Least,
}

/// A letter before it is divided.
struct Draft<'a> {
    builder: &'a DeadLetterBuilder,
    subject: &'a str,
    source: Judged<'a>,
    headers: Lines,
    /// Lines behind them that are no text.
    foreign: ForeignLines,
    content: Bytes,
    packed: bool,
}

impl DeadLetterBuilder {
    /// The parts of the dead letter of a message of the source, at least one; none when dead letters are
    /// off.
    #[must_use]
    pub fn build(
        &self,
        source: Judged<'_>,
        rejection: &Rejection,
    ) -> SmallVec<[OutgoingMessage; 1]> {
        let Some(subject) = &self.subject else {
            return SmallVec::new();
        };
        let redacted = redaction::redacted(&self.redact, source.message);
        let source = Judged {
            message: redacted.as_ref().unwrap_or(source.message),
            ..source
        };
        let draft = |packed: bool, detail: Detail| {
            let (mut headers, foreign, content) = match packed {
                true => packed_content(source),
                false => plain_content(source),
            };
            if redacted.is_some() {
                headers.push(line(&format!("{PREFIX}Redacted"), "true", LONGEST));
            }
            self.say(source, rejection, detail, &mut headers);
            Draft {
                builder: self,
                subject,
                source,
                headers,
                foreign,
                content,
                packed,
            }
        };
        let [long, short] = [LONGEST, SHORT].map(Detail::Texts);
        let forms = [(false, long), (false, short), (true, long), (true, short)];
        let parts = source.message.foreign.as_ref();
        let is_odd = parts.is_some_and(|parts| parts.block.is_some());
        let fitting = forms
            .into_iter()
            .filter(|(packed, _)| *packed || !is_odd)
            .find_map(|(packed, detail)| draft(packed, detail).fitted());
        fitting.unwrap_or_else(|| {
            let last = draft(true, Detail::Least);
            // A server that has no room for a letter at all takes it whole when it has more.
            let room = Some(last.room()).filter(|room| *room > 0);
            last.parts(room.unwrap_or(last.content.len().max(1)))
        })
    }

    /// Adds the reason and the details of a failure.
    fn say(&self, source: Judged<'_>, rejection: &Rejection, detail: Detail, headers: &mut Lines) {
        let Judged {
            message,
            source_id,
            timer,
            ..
        } = source;
        let mut tell = |name: &str, value: &str, longest: usize| {
            if !value.is_empty() {
                headers.push(line(&format!("{PREFIX}{name}"), value, longest));
            }
        };
        tell("Pipeline", &self.pipeline, LONGEST);
        tell("Sequence", &message.sequence.to_string(), LONGEST);
        tell("Kind", rejection.kind.as_str(), LONGEST);
        // Without it, what comes back by way of a pipeline that reads dead letters would have no end.
        if let hops @ 1.. = outputs::hops(&message.headers) {
            tell("Hops", &hops.saturating_add(1).to_string(), LONGEST);
        }
        let Detail::Texts(longest) = detail else {
            return;
        };
        tell("Reason", &rejection.reason, longest);
        // A timer has no sequence, no subject and no payload. It is known by its key, its time and its name.
        if message.sequence == 0 {
            // What they are made of may be what is not kept.
            let kept = |text| match self.redact.is_empty() {
                true => text,
                false => redaction::REDACTED,
            };
            tell(
                "Key",
                kept(message.key.as_deref().unwrap_or_default()),
                longest,
            );
            tell("Timer", &time(message.event_time), LONGEST);
            // The timer of a window has a tag that is no text: its time is the end of the window.
            if let Some(name) = name(timer) {
                tell("Timer-Name", kept(name), longest);
            }
        }
        tell("Backtrace", &one_line(&rejection.traceback), longest);
        if let Some(fault) = &rejection.fault {
            tell("Backtrace", &one_line(&fault.backtrace), longest);
            tell("Stderr", tail(&fault.stderr, longest), longest);
            tell("Memory-Bytes", &fault.memory_bytes.to_string(), LONGEST);
            tell(
                "Elapsed-Us",
                &fault.elapsed.as_micros().to_string(),
                LONGEST,
            );
        }
        let stream = source_id.rsplit_once('@');
        let operator = rejection.operator.as_deref().unwrap_or_default();
        for (name, value) in [
            ("Operator", operator),
            ("Stream", stream.map_or(&**source_id, |(stream, _)| stream)),
            ("Attempt", &message.attempt.to_string()),
            ("Digest", &rejection.digest),
            ("Config-Hash", &rejection.config_hash),
            ("Time", &now()),
        ] {
            tell(name, value, LONGEST);
        }
    }
}

/// The lines and the payload of a plain letter. The subject is as it was: it has come through the server,
/// which takes no line breaks in one.
fn plain_content(source: Judged<'_>) -> (Lines, ForeignLines, Bytes) {
    let message = source.message;
    let mut lines: Lines = message.headers.iter().map(headers::keep).collect();
    let parts = message.foreign.as_ref();
    let foreign = parts.iter().flat_map(|parts| &parts.lines);
    let mut foreign: ForeignLines = foreign.map(headers::keep_foreign).collect();
    match parts.and_then(|parts| parts.subject.as_ref()) {
        Some(subject) => {
            let line = [PREFIX.as_bytes(), b"Subject: ", subject];
            foreign.push(line.concat().into());
        }
        None => lines.push((
            ByteString::from(format!("{PREFIX}Subject")),
            message.subject.clone(),
        )),
    }
    (lines, foreign, message.payload.clone())
}

/// The same of a packed one.
fn packed_content(source: Judged<'_>) -> (Lines, ForeignLines, Bytes) {
    let message = source.message;
    let parts = message.foreign.as_ref();
    let subject = parts.and_then(|parts| parts.subject.clone());
    let subject = subject.unwrap_or_else(|| message.subject.as_bytes().clone());
    let block = parts.and_then(|parts| parts.block.clone());
    let block = block.unwrap_or_else(|| {
        let text = message.headers.iter();
        let text = text.map(|(name, value)| format!("{name}: {value}").into());
        let foreign = parts.iter().flat_map(|parts| &parts.lines).cloned();
        let lines: Vec<Bytes> = text.chain(foreign).collect();
        block::join(lines.iter().map(|line| &**line))
    });
    let mut content = BytesMut::with_capacity(subject.len() + block.len() + message.payload.len());
    for part in [&subject, &block, &message.payload] {
        content.extend_from_slice(part);
    }
    let lengths = format!("{} {}", subject.len(), block.len());
    let lines = vec![
        line(PACKED, &lengths, LONGEST),
        line(&format!("{PREFIX}Subject"), &message.subject, SHORT),
    ];
    (lines, ForeignLines::new(), content.freeze())
}

impl Draft<'_> {
    /// In one message if that fits, else in parts whose payloads are at least as large as their headers.
    fn fitted(&self) -> Option<SmallVec<[OutgoingMessage; 1]>> {
        let whole = self.message(String::new(), Vec::new(), self.content.clone());
        let frame = whole.size() - whole.payload.len();
        if frame <= LARGEST_BLOCK && whole.size() <= self.builder.max_payload {
            return Some([whole].into());
        }
        let room = self.room();
        let frame = self.builder.max_payload.saturating_sub(room);
        (frame <= room && frame <= LARGEST_BLOCK).then(|| self.parts(room))
    }

    /// Bytes of payload that a part has room for.
    fn room(&self) -> usize {
        // The largest numbers that parts can have.
        let part = self.part(usize::MAX, usize::MAX, usize::MAX, Bytes::new());
        self.builder.max_payload.saturating_sub(part.size())
    }

    fn parts(&self, room: usize) -> SmallVec<[OutgoingMessage; 1]> {
        // A step of the size of a part, so that it is seldom another when the input is repeated and its
        // dead letter has, for example, a digit more.
        const STEP: usize = 8 * 1024;
        let most = match room {
            room if room > 8 * STEP => room - room % STEP,
            room => room,
        };
        let count = self.content.len().div_ceil(most).max(1);
        // Alike, so that a stream stores all of them or none.
        let most = self.content.len().div_ceil(count).max(1);
        let part = |index: usize| {
            let start = index * most;
            let end = self.content.len().min(start + most);
            self.part(index, count, most, self.content.slice(start..end))
        };
        (0..count).map(part).collect()
    }

    fn part(&self, index: usize, count: usize, most: usize, payload: Bytes) -> OutgoingMessage {
        let Judged {
            message, source_id, ..
        } = self.source;
        // The size and the form are part of the identity: other parts do not make up the message.
        let form = if self.packed { "p" } else { "" };
        let letter = format!("{source_id}/{}/{most}{form}", message.sequence);
        let number = format!("{}/{count}", index.saturating_add(1));
        let more = vec![line(PART, &number, LONGEST), line(LETTER, &letter, LONGEST)];
        self.message(format!("/{most}{form}/{index}"), more, payload)
    }

    fn message(&self, id: String, more: Lines, payload: Bytes) -> OutgoingMessage {
        let Judged {
            message, source_id, ..
        } = self.source;
        let (prefix, sequence) = (&self.builder.id, message.sequence);
        let mut headers = self.headers.clone();
        headers.extend(more);
        OutgoingMessage {
            is_late: false,
            subject: ByteString::from(self.subject),
            id: Some(MessageId::Whole(format!(
                "{prefix}/dead/{source_id}/{sequence}{id}"
            ))),
            digest: None,
            headers,
            foreign: self.foreign.clone(),
            payload,
            key: message.key.clone(),
        }
    }
}

/// The name that a plugin has given a timer; none where it has given none.
fn name(timer: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(timer).ok()?;
    (!name.is_empty() && !name.contains(char::is_control)).then_some(name)
}

/// RFC 3339 in UTC, of nanoseconds since the Unix epoch.
fn time(nanoseconds: u64) -> String {
    let time = jiff::Timestamp::from_nanosecond(nanoseconds.into());
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// RFC 3339, to the second.
fn now() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = jiff::Timestamp::from_second(now.as_secs().try_into().unwrap_or_default());
    now.map(|now| now.to_string()).unwrap_or_default()
}

/// One header line: a header has no line breaks, so those of a text become ` | `.
fn line(name: &str, value: &str, longest: usize) -> (ByteString, ByteString) {
    let mut text = String::with_capacity(value.len().min(longest));
    for character in value.trim_end().chars() {
        if text.len() >= longest {
            break;
        }
        match character {
            '\n' => text.push_str(" | "),
            control if control.is_control() => text.push(' '),
            other => text.push(other),
        }
    }
    (ByteString::from(name), ByteString::from(text))
}

/// The last bytes: a traceback says the most at its end.
fn tail(text: &str, longest: usize) -> &str {
    let mut start = text.len().saturating_sub(longest);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may fail by panicking")]
mod tests;
