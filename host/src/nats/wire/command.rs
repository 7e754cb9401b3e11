//! Commands of a client as bytes. Pure.

use bytes::{BufMut, BytesMut};
use serde_json::Value;

/// A subject that cannot be written: it is empty, or has a blank or a line break, which would end it early
/// or begin another command.
#[derive(Debug, PartialEq, Eq)]
pub struct Unwritable;

/// Adds `CONNECT` with these options.
pub(super) fn connect(into: &mut BytesMut, options: &Value) {
    into.put_slice(b"CONNECT ");
    into.put_slice(options.to_string().as_bytes());
    into.put_slice(b"\r\n");
}

/// Adds a question that the server answers after all that came before it.
pub(super) fn ping(into: &mut BytesMut) {
    into.put_slice(b"PING\r\n");
}

/// Adds the answer to the server's question.
pub(super) fn pong(into: &mut BytesMut) {
    into.put_slice(b"PONG\r\n");
}

/// Adds a subscription. The subject may have a queue group behind it.
pub(super) fn subscribe(into: &mut BytesMut, subject: &[u8], number: u64) {
    into.put_slice(b"SUB ");
    into.put_slice(subject);
    into.put_u8(b' ');
    put_number(into, number);
    into.put_slice(b"\r\n");
}

/// Adds the end of a subscription: at once, or with its message of this number.
pub(super) fn unsubscribe(into: &mut BytesMut, number: u64, most: Option<u64>) {
    into.put_slice(b"UNSUB ");
    put_number(into, number);
    if let Some(most) = most {
        into.put_u8(b' ');
        put_number(into, most);
    }
    into.put_slice(b"\r\n");
}

/// Adds a message. The header block is whole, or empty.
///
/// # Errors
/// When a subject cannot be written. Nothing is added then.
pub(super) fn publish(into: &mut BytesMut, message: &Parts<'_>) -> Result<(), Unwritable> {
    let Parts {
        subject,
        reply,
        headers,
        payload,
    } = *message;
    if !is_subject(subject) || !is_word(reply) {
        return Err(Unwritable);
    }
    into.reserve(subject.len() + reply.len() + headers.len() + payload.len() + 64);
    into.put_slice(if headers.is_empty() {
        b"PUB "
    } else {
        b"HPUB "
    });
    into.put_slice(subject);
    into.put_u8(b' ');
    if !reply.is_empty() {
        into.put_slice(reply);
        into.put_u8(b' ');
    }
    if !headers.is_empty() {
        put_number(into, headers.len() as u64);
        into.put_u8(b' ');
    }
    put_number(into, (headers.len() + payload.len()) as u64);
    into.put_slice(b"\r\n");
    into.put_slice(headers);
    into.put_slice(payload);
    into.put_slice(b"\r\n");
    Ok(())
}

/// How many of the first `most` bytes are whole commands, of what the functions here have written.
pub(super) fn whole(bytes: &[u8], most: usize) -> usize {
    let mut whole = 0;
    loop {
        let rest = bytes.get(whole..).unwrap_or_default();
        let Some(line) = memchr::memchr(b'\n', rest).map(|end| end + 1) else {
            return whole;
        };
        let head = rest.get(..line).unwrap_or_default();
        let body = match head.starts_with(b"PUB ") || head.starts_with(b"HPUB ") {
            true => {
                let size = head.trim_ascii_end().rsplit(|byte| *byte == b' ').next();
                let size = size.and_then(|size| std::str::from_utf8(size).ok()?.parse().ok());
                size.unwrap_or(0_usize) + 2
            }
            false => 0,
        };
        let next = whole + line + body;
        if next > most.min(bytes.len()) {
            return whole;
        }
        whole = next;
    }
}

/// Whether a message can be published to it, as far as the framing of the protocol goes.
#[must_use]
pub fn is_subject(text: &[u8]) -> bool {
    !text.is_empty() && is_word(text)
}

fn is_word(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| !matches!(byte, 0 | b'\t' | b'\n' | b'\r' | b' '))
}

/// The parts of a message to publish.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts<'a> {
    pub subject: &'a [u8],
    /// Where an answer is to go; empty if none is wanted.
    pub reply: &'a [u8],
    /// The whole block with its version line and its empty line; empty if there is none.
    pub headers: &'a [u8],
    pub payload: &'a [u8],
}

/// Decimal digits.
fn put_number(into: &mut BytesMut, number: u64) {
    into.put_slice(itoa::Buffer::new().format(number).as_bytes());
}
