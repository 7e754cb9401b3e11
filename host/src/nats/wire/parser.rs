//! Parses what a server sends. Pure.
//!
//! Subject and header block stay bytes, because publishers may put anything into them, and a message that is
//! not valid text is still a message. Only broken framing of the protocol ends a connection, and only the
//! server can send that.

use bytes::{Buf, Bytes, BytesMut};
use std::fmt;

/// The longest line that is read, in bytes. INFO is the longest: it names every server of a cluster.
const LONGEST_LINE: usize = 1 << 20;
/// The largest message that is read, in bytes: the most that a server may be configured to take
/// (`MAX_PAYLOAD_MAX_SIZE` in nats-server).
const LARGEST_MESSAGE: usize = 64 << 20;
/// Room for at least this many bytes is kept for the next read.
const READ: usize = 64 << 10;

/// One message of a subscription. All parts are views of what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub subject: Bytes,
    /// Empty if there is none.
    pub reply: Bytes,
    /// The whole block with its version line and its empty line; empty if there is none.
    pub headers: Bytes,
    pub payload: Bytes,
}

impl Message {
    /// Bytes of subject, reply, headers and payload, as the server counts them against a pull.
    #[must_use]
    pub fn length(&self) -> usize {
        self.subject.len() + self.reply.len() + self.headers.len() + self.payload.len()
    }

    /// The status on the version line of the header block, and the words behind it.
    #[must_use]
    pub fn status(&self) -> Option<(u16, &str)> {
        let rest = self.headers.strip_prefix(b"NATS/1.0 ")?;
        let line = rest.split(|byte| *byte == b'\r' || *byte == b'\n').next()?;
        let line = std::str::from_utf8(line).ok()?.trim();
        let (code, words) = line.split_once(' ').unwrap_or((line, ""));
        Some((code.parse().ok()?, words.trim()))
    }

    /// The value of the first header with this name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.headers.split(|byte| *byte == b'\n').skip(1);
        let value = lines.into_iter().find_map(|line| {
            let (start, value) = line.split_at_checked(name.len())?;
            let found = start.eq_ignore_ascii_case(name.as_bytes());
            value.strip_prefix(b":").filter(|_| found)
        })?;
        Some(std::str::from_utf8(value).ok()?.trim())
    }
}

/// One thing that a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// JSON about the server.
    Info(Bytes),
    /// With the number of the subscription that it is for.
    Message(u64, Message),
    Ping,
    Pong,
    Ok,
    /// In the server's words, without its quotes.
    Error(String),
}

/// What is no NATS protocol. The connection cannot go on.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(&'static str);

impl std::error::Error for Malformed {}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "this is not the protocol of nats: {}", self.0)
    }
}

/// Takes frames off what is read.
#[derive(Debug, Default)]
pub struct Parser {
    buffer: BytesMut,
    /// How much of the buffer has no end of a line.
    scanned: usize,
    /// The line of a message whose rest has not come.
    head: Option<Head>,
}

/// The line of a message. The ranges are in the line.
#[derive(Debug)]
struct Head {
    subscription: u64,
    subject: (usize, usize),
    reply: (usize, usize),
    /// Bytes of the line with its end.
    line: usize,
    headers: usize,
    total: usize,
}

impl Parser {
    /// Where the next bytes are to be read to.
    pub fn room(&mut self) -> &mut BytesMut {
        let whole = self.head.as_ref();
        let missing = whole.map_or(0, |head| {
            (head.line + head.total + 2).saturating_sub(self.buffer.len())
        });
        // Small rests of the buffer are not worth a read of their own.
        if self.buffer.capacity() - self.buffer.len() < READ / 4 || missing > READ {
            self.buffer.reserve(missing.max(READ));
        }
        &mut self.buffer
    }

    /// The next frame; `None` if more bytes are needed.
    ///
    /// # Errors
    /// When what was read is not the protocol. Nothing more can be read then.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Malformed> {
        if let Some(head) = self.head.take() {
            return self.message(head);
        }
        let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', unseen) else {
            self.scanned = self.buffer.len();
            return match self.scanned > LONGEST_LINE {
                true => Err(Malformed("a line is too long")),
                false => Ok(None),
            };
        };
        let length = self.scanned + end + 1;
        self.scanned = 0;
        let line = self
            .buffer
            .get(..length)
            .unwrap_or_default()
            .trim_ascii_end();
        let (verb, rest) = match line.iter().position(|byte| is_blank(*byte)) {
            Some(end) => line.split_at(end),
            None => (line, &[][..]),
        };
        match verb {
            b"MSG" => self.message(head(line, length, false)?),
            b"HMSG" => self.message(head(line, length, true)?),
            b"PING" => Ok(Some(self.skip(length, Frame::Ping))),
            b"PONG" => Ok(Some(self.skip(length, Frame::Pong))),
            b"+OK" => Ok(Some(self.skip(length, Frame::Ok))),
            b"-ERR" => {
                let words = String::from_utf8_lossy(rest.trim_ascii()).into_owned();
                let words = words.trim_matches('\'').to_owned();
                Ok(Some(self.skip(length, Frame::Error(words))))
            }
            b"INFO" => {
                let line = self.buffer.split_to(length).freeze();
                Ok(Some(Frame::Info(line.slice(b"INFO".len()..))))
            }
            _ => Err(Malformed("a line begins with an unknown word")),
        }
    }

    fn skip(&mut self, length: usize, frame: Frame) -> Frame {
        self.buffer.advance(length);
        frame
    }

    fn message(&mut self, head: Head) -> Result<Option<Frame>, Malformed> {
        let body = head.line + head.total;
        let Some(end) = self.buffer.get(body..body + 2) else {
            self.head = Some(head);
            return Ok(None);
        };
        if end != b"\r\n" {
            return Err(Malformed(
                "a message does not have the length that it declares",
            ));
        }
        let whole = self.buffer.split_to(body + 2).freeze();
        let payload = head.line + head.headers;
        let message = Message {
            subject: whole.slice(head.subject.0..head.subject.1),
            reply: whole.slice(head.reply.0..head.reply.1),
            headers: whole.slice(head.line..payload),
            payload: whole.slice(payload..body),
        };
        Ok(Some(Frame::Message(head.subscription, message)))
    }
}

/// `MSG <subject> <subscription> [reply] <bytes>`, or
/// `HMSG <subject> <subscription> [reply] <header bytes> <bytes of both>`.
fn head(line: &[u8], length: usize, with_headers: bool) -> Result<Head, Malformed> {
    let mut words = [(0, 0); 6];
    let (mut count, mut at) = (0, 0);
    while at < line.len() {
        let is_word = |byte: &u8| !is_blank(*byte);
        let rest = line.get(at..).unwrap_or_default();
        let Some(start) = rest.iter().position(is_word) else {
            break;
        };
        let word = rest.get(start..).unwrap_or_default();
        let end = word.iter().position(|byte| is_blank(*byte));
        let range = (at + start, at + start + end.unwrap_or(word.len()));
        let place = words.get_mut(count);
        *place.ok_or(Malformed("the line of a message has too many words"))? = range;
        (count, at) = (count + 1, range.1);
    }
    let number = |(start, end): (usize, usize)| {
        let text = std::str::from_utf8(line.get(start..end)?).ok()?;
        text.parse::<usize>().ok()
    };
    let few = Malformed("the line of a message has too few words");
    let (reply, headers, total) = match (with_headers, count, words) {
        (false, 4, [.., total, _, _]) => ((0, 0), Some(0), number(total)),
        (false, 5, [_, _, _, reply, total, _]) => (reply, Some(0), number(total)),
        (true, 5, [_, _, _, headers, total, _]) => ((0, 0), number(headers), number(total)),
        (true, 6, [_, _, _, reply, headers, total]) => (reply, number(headers), number(total)),
        _ => return Err(few),
    };
    let [_, subject, subscription, ..] = words;
    let wrong = Malformed("a number of a message is wrong");
    let (Some(subscription), Some(headers), Some(total)) = (number(subscription), headers, total)
    else {
        return Err(wrong);
    };
    if headers > total || total > LARGEST_MESSAGE {
        return Err(wrong);
    }
    Ok(Head {
        subscription: subscription as u64,
        subject,
        reply,
        line: length,
        headers,
        total,
    })
}

/// What separates words, as in the server's own parser.
fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests;
