//! A message as it waits in the state for its next attempt. Pure.
//!
//! Integers are little endian, and texts and bytes come with their length before them: `input`, `sequence` and
//! `event time`, then subject, key (with a byte before it that says whether there is one), header block and
//! payload.

use super::log::Input;
use crate::headers::block;
use crate::message::Message;
use bytes::{Buf, BufMut, Bytes};
use bytestring::ByteString;

/// The bytes of a message.
pub(super) fn write(Input { input, message }: &Input) -> Vec<u8> {
    let (foreign, mut bytes) = (message.foreign.as_deref(), Vec::new());
    bytes.put_u32_le(u32::try_from(*input).unwrap_or(u32::MAX));
    bytes.put_u64_le(message.sequence);
    bytes.put_u64_le(message.event_time);
    let subject = foreign.and_then(|foreign| foreign.subject.as_deref());
    put(&mut bytes, subject.unwrap_or(message.subject.as_bytes()));
    bytes.put_u8(message.key.is_some().into());
    put(
        &mut bytes,
        message.key.as_ref().map_or(b"", |key| key.as_bytes()),
    );
    match foreign.and_then(|foreign| foreign.block.as_deref()) {
        Some(block) => put(&mut bytes, block),
        None => {
            let lines = message.headers.iter();
            let lines: Vec<String> = lines
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            let others = foreign.map_or(&[][..], |foreign| &foreign.lines);
            let lines = lines.iter().map(|line| line.as_bytes());
            put(
                &mut bytes,
                &block::join(lines.chain(others.iter().map(|line| &**line))),
            );
        }
    }
    put(&mut bytes, &message.payload);
    bytes
}

fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    to.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    to.put_slice(bytes);
}

/// The message of these bytes; `None` if they are none.
pub(super) fn read(bytes: &[u8]) -> Option<Input> {
    let mut bytes = Bytes::copy_from_slice(bytes);
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
        ..Message::received(subject, &block, payload, sequence, event_time)
    };
    Some(Input { input, message })
}

fn take(from: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
    (length <= from.len()).then(|| from.split_to(length))
}
