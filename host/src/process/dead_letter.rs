//! The dead letter: a message that is never going to work, with all that is known of its end.
//!
//! Pure. The payload is that of the source message, byte for byte, so that a replay needs nothing
//! else; what is known of its end is in `Weir-*` headers. A dead letter that is too large for one
//! message, because its payload alone nearly was, goes out in parts.

use super::Judged;
use super::chain::Rejection;
use crate::headers::block::{self, ForeignLines};
use crate::headers::{LETTER, PART, PREFIX, SERVER_PREFIX, begins_with, is_server_header};
use crate::message::Message;
use crate::outgoing::OutgoingMessage;
use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;
use std::time::{SystemTime, UNIX_EPOCH};

/// Most bytes of one header of the dead letter: the end of a traceback, not a whole log.
const LONGEST: usize = 2048;
/// Most bytes of a reason or a traceback where headers take up half of what a message may be.
const SHORT: usize = 128;
/// Least bytes of payload for which a part is worth its headers.
const LEAST: usize = 256;

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
}

impl DeadLetterBuilder {
    /// The parts of the dead letter of a message of the source; none when dead letters are off.
    #[must_use]
    pub fn build(
        &self,
        source: Judged<'_>,
        rejection: &Rejection,
    ) -> SmallVec<[OutgoingMessage; 1]> {
        let Judged {
            message: source,
            source_id,
            ..
        } = source;
        let Some(subject) = &self.subject else {
            return SmallVec::new();
        };
        let id = format!("{}/dead/{source_id}/{}", self.id, source.sequence);
        let stream = source_id
            .rsplit_once('@')
            .map_or(source_id, |(stream, _)| stream);
        let mut whole = OutgoingMessage {
            subject: ByteString::from(subject.as_str()),
            id: Some(id),
            digest: None,
            headers: self.headers(source, stream, rejection, LONGEST),
            foreign: foreign(source),
            payload: source.payload.clone(),
            key: source.key.clone(),
        };
        if whole.size() - whole.payload.len() > self.max_payload / 2 {
            whole.headers = self.headers(source, stream, rejection, SHORT);
        }
        match whole.size() <= self.max_payload {
            true => SmallVec::from([whole]),
            false => self.parts(source, source_id, &whole),
        }
    }

    fn parts(
        &self,
        source: &Message,
        source_id: &str,
        whole: &OutgoingMessage,
    ) -> SmallVec<[OutgoingMessage; 1]> {
        // A part's longer message id, `Weir-Part` and `Weir-Letter`, beside the source id that both name.
        const PART_HEADERS: usize = 192;
        // A step of the size of a part, so that it is seldom another when the input is repeated and
        // its dead letter has, for example, a digit more.
        const STEP: usize = 8 * 1024;
        let overhead = whole.size() - whole.payload.len() + PART_HEADERS + source_id.len();
        let most = match self.max_payload.saturating_sub(overhead) {
            room if room > 8 * STEP => room - room % STEP,
            // Headers without room for a payload: in one message, for a server that takes more.
            room if room < LEAST => source.payload.len().max(1),
            room => room,
        };
        let count = source.payload.len().div_ceil(most).max(1);
        // The size is part of the identity: parts of other sizes do not make up the payload.
        let letter = format!("{source_id}/{}/{most}", source.sequence);
        let id = format!("{}/dead/{letter}", self.id);
        let part = |index: usize| {
            let start = index * most;
            let end = source.payload.len().min(start + most);
            let mut headers = whole.headers.clone();
            headers.push(line(PART, &format!("{}/{count}", index + 1), LONGEST));
            headers.push(line(LETTER, &letter, LONGEST));
            let payload = source.payload.slice(start..end);
            OutgoingMessage {
                subject: whole.subject.clone(),
                id: Some(format!("{id}/{index}")),
                digest: None,
                headers,
                foreign: whole.foreign.clone(),
                payload,
                key: whole.key.clone(),
            }
        };
        (0..count).map(part).collect()
    }

    fn headers(
        &self,
        source: &Message,
        stream: &str,
        rejection: &Rejection,
        longest: usize,
    ) -> Vec<(ByteString, ByteString)> {
        let ours = |name: &str| begins_with(name.as_bytes(), PREFIX);
        let kept = source
            .headers
            .iter()
            .filter(|(name, _)| !is_server_header(name) && !ours(name));
        let mut headers: Vec<_> = kept.cloned().collect();
        let mut tell = |name: &str, value: &str, longest: usize| {
            if !value.is_empty() {
                headers.push(line(&format!("{PREFIX}{name}"), value, longest));
            }
        };
        tell("Reason", &rejection.reason, longest);
        tell("Backtrace", &rejection.traceback.join(" | "), longest);
        if let Some(fault) = &rejection.fault {
            tell("Backtrace", &fault.backtrace.join(" | "), longest);
            tell("Stderr", tail(&fault.stderr, longest), longest);
        }
        let mut add = |name: &str, value: &str| tell(name, value, LONGEST);
        add("Kind", rejection.kind.as_str());
        add("Pipeline", &self.pipeline);
        add(
            "Operator",
            rejection.operator.as_deref().unwrap_or_default(),
        );
        add("Stream", stream);
        add("Sequence", &source.sequence.to_string());
        add("Attempt", &source.attempt.to_string());
        add("Digest", &rejection.digest);
        add("Config-Hash", &rejection.config_hash);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = jiff::Timestamp::from_second(now.as_secs().try_into().unwrap_or_default());
        add("Time", &now.map(|now| now.to_string()).unwrap_or_default());
        if let Some(fault) = &rejection.fault {
            add("Memory-Bytes", &fault.memory_bytes.to_string());
            add("Elapsed-Us", &fault.elapsed.as_micros().to_string());
        }
        // As it was, for a replay: it has come through the server, which takes no line breaks in one.
        if foreign_subject(source).is_none() {
            let subject = ByteString::from(format!("{PREFIX}Subject"));
            headers.push((subject, source.subject.clone()));
        }
        headers
    }
}

/// The subject of a message that is no text, as its bytes.
fn foreign_subject(source: &Message) -> Option<&Bytes> {
    source.foreign.as_ref()?.subject.as_ref()
}

/// What a dead letter keeps of the lines that are no text, and such a subject.
fn foreign(source: &Message) -> ForeignLines {
    let Some(parts) = &source.foreign else {
        return ForeignLines::new();
    };
    let is_kept = |line: &&Bytes| {
        let name = block::name(line);
        ![SERVER_PREFIX, PREFIX]
            .iter()
            .any(|prefix| begins_with(name, prefix))
    };
    let kept = parts.lines.iter().filter(is_kept).cloned();
    let subject = parts.subject.as_ref().map(|subject| {
        let line = [PREFIX.as_bytes(), b"Subject: ", subject];
        Bytes::from(line.concat())
    });
    kept.chain(subject).collect()
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
