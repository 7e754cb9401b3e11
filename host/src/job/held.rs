//! Entries of the state that wait for their next attempt: a message, or a timer that a plugin wants to retry.
//! Pure.
//!
//! Integers are little endian, and texts and bytes come with their length before them. The first byte tells
//! what it is. Of a message follow the watermark before it if it has one, its input, sequence and event time, then subject, key (with a byte before it
//! that says whether there is one), header block and payload; of a timer its clock and time, operator and tag.

use super::log::Input;
use crate::config::resolved::Order;
use crate::headers::block;
use crate::message::Message;
use crate::state::Clock;
use bytes::{Buf, BufMut, Bytes};
use bytestring::ByteString;

const MESSAGE: u8 = 1;
const EVENT_TIMER: u8 = 2;
const PROCESSING_TIMER: u8 = 3;
const MARKED_MESSAGE: u8 = 4;

/// What waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Message(Input),
    /// Its key is that of its queue.
    Timer(HeldTimer),
}

/// A timer that has fired already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeldTimer {
    pub operator: ByteString,
    pub tag: Bytes,
    pub clock: Clock,
    pub at: u64,
}

/// The bytes of a message.
pub(super) fn message(Input { input, message, .. }: &Input) -> Vec<u8> {
    let (foreign, mut bytes) = (message.foreign.as_deref(), Vec::new());
    match message.watermark {
        None => bytes.put_u8(MESSAGE),
        Some(watermark) => {
            bytes.put_u8(MARKED_MESSAGE);
            bytes.put_i64_le(watermark);
        }
    }
    bytes.put_u32_le(u32::try_from(*input).unwrap_or(u32::MAX));
    bytes.put_u64_le(message.sequence);
    bytes.put_u64_le(message.event_time);
    let subject = foreign.and_then(|foreign| foreign.subject.as_deref());
    put(&mut bytes, subject.unwrap_or(message.subject.as_bytes()));
    bytes.put_u8(message.key.is_some().into());
    let key = message.key.as_ref().map_or(&b""[..], |key| key.as_bytes());
    put(&mut bytes, key);
    match foreign.and_then(|foreign| foreign.block.as_deref()) {
        Some(block) => put(&mut bytes, block),
        None => {
            let lines = message.headers.iter();
            let lines = lines.map(|(name, value)| format!("{name}: {value}"));
            let lines: Vec<String> = lines.collect();
            let others = foreign.map_or(&[][..], |foreign| &foreign.lines);
            let lines = lines.iter().map(|line| line.as_bytes());
            let lines = lines.chain(others.iter().map(|line| &**line));
            put(&mut bytes, &block::join(lines));
        }
    }
    put(&mut bytes, &message.payload);
    bytes
}

/// The bytes of a timer.
pub(super) fn timer(timer: &HeldTimer) -> Vec<u8> {
    let mut bytes = vec![match timer.clock {
        Clock::EventTime => EVENT_TIMER,
        Clock::ProcessingTime => PROCESSING_TIMER,
    }];
    bytes.put_u64_le(timer.at);
    put(&mut bytes, timer.operator.as_bytes());
    put(&mut bytes, &timer.tag);
    bytes
}

fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    to.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    to.put_slice(bytes);
}

/// What these bytes are; `None` if they are neither.
pub(super) fn read(bytes: &[u8]) -> Option<Held> {
    let mut bytes = Bytes::copy_from_slice(bytes);
    let clock = match bytes.try_get_u8().ok()? {
        MESSAGE => return read_message(bytes, None).map(Held::Message),
        MARKED_MESSAGE => {
            let watermark = Some(bytes.try_get_i64_le().ok()?);
            return read_message(bytes, watermark).map(Held::Message);
        }
        EVENT_TIMER => Clock::EventTime,
        PROCESSING_TIMER => Clock::ProcessingTime,
        _ => return None,
    };
    Some(Held::Timer(HeldTimer {
        clock,
        at: bytes.try_get_u64_le().ok()?,
        operator: ByteString::try_from(take(&mut bytes)?).ok()?,
        tag: take(&mut bytes)?,
    }))
}

fn read_message(mut bytes: Bytes, watermark: Option<i64>) -> Option<Input> {
    let input = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
    let sequence = bytes.try_get_u64_le().ok()?;
    let event_time = bytes.try_get_u64_le().ok()?;
    let subject = take(&mut bytes)?;
    let has_key = bytes.try_get_u8().ok()? == 1;
    let key = ByteString::try_from(take(&mut bytes)?).ok()?;
    let block = take(&mut bytes)?;
    let payload = take(&mut bytes)?;
    let message = Message {
        key: has_key.then_some(key),
        watermark,
        ..Message::received(subject, &block, payload, sequence, event_time)
    };
    let stored = 0;
    Some(Input {
        input,
        message,
        stored,
        timed: true,
    })
}

fn take(from: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
    (length <= from.len()).then(|| from.split_to(length))
}

/// What messages have in common that wait for each other; none for one that waits for no other.
pub(super) fn waits_for(order: Order, message: &Message) -> Option<&str> {
    match order {
        Order::Key => message.key.as_deref(),
        Order::Stream => Some(""),
    }
}

/// The queue of a message: that of those that wait for each other, or its own.
pub(super) fn queue(order: Order, Input { input, message, .. }: &Input) -> (&[u8], Vec<u8>) {
    match waits_for(order, message) {
        Some(key) => (key.as_bytes(), Vec::new()),
        None => (b"", format!("{input}/{}", message.sequence).into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(subject: &'static [u8], block: &'static [u8], key: Option<&'static str>) -> Input {
        let (block, payload) = (Bytes::from_static(block), Bytes::from_static(b"\xff\x00"));
        let subject = Bytes::from_static(subject);
        let message = Message {
            key: key.map(ByteString::from_static),
            watermark: key.map(|_| -7),
            ..Message::received(subject, &block, payload, 7, 9)
        };
        Input {
            input: 1,
            message,
            stored: 0,
            timed: true,
        }
    }

    #[test]
    fn a_message_comes_back_as_it_was_whatever_its_bytes() {
        for input in [
            input(b"in.a", b"", None),
            input(b"in.a", b"", Some("")),
            input(b"in.a", b"NATS/1.0\r\nA: b\r\nA: c\r\n\r\n", Some("k")),
            input(
                b"in.\xff",
                b"NATS/1.0\r\nA:b\r\nM\xfc: x\r\n\r\n",
                Some("k"),
            ),
        ] {
            let bytes = message(&input);
            assert_eq!(read(&bytes), Some(Held::Message(input)));
            for end in 0..bytes.len() {
                assert_eq!(read(bytes.get(..end).unwrap_or_default()), None, "{end}");
            }
        }
    }

    #[test]
    fn a_timer_comes_back_as_it_was() {
        for clock in [Clock::EventTime, Clock::ProcessingTime] {
            let held = HeldTimer {
                operator: ByteString::from_static("op"),
                tag: Bytes::from_static(b"\xfe"),
                clock,
                at: u64::MAX,
            };
            assert_eq!(read(&timer(&held)), Some(Held::Timer(held)));
        }
        assert_eq!(read(b""), None);
        assert_eq!(read(b"\x09abc"), None);
    }
}
