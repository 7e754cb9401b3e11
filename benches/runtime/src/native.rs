//! The transforms of the bench's plugins in native code, over the same messages.

#[path = "../../guests/json/src/order.rs"]
mod order;

use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;
use weir::message::{Message, Outcome, Output};

fn one(output: Output) -> Outcome {
    let mut outputs = SmallVec::new();
    outputs.push(output);
    Outcome::Emit(outputs)
}

/// Every message as it came.
pub(crate) fn pass(batch: &[Message]) -> Vec<Outcome> {
    batch.iter().map(|_| one(Output::default())).collect()
}

/// Every field of every message, copied.
pub(crate) fn by_value(batch: &[Message]) -> Vec<Outcome> {
    let text = |text: &ByteString| ByteString::from(text.to_string());
    let copy = |message: &Message| Output {
        subject: Some(text(&message.subject)),
        payload: Some(Bytes::copy_from_slice(&message.payload)),
        headers: Some(
            message
                .headers
                .iter()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
        ),
        key: message.key.as_ref().map(text),
        ..Output::default()
    };
    batch.iter().map(|message| one(copy(message))).collect()
}

/// Every order with its total.
pub(crate) fn json(batch: &[Message]) -> Vec<Outcome> {
    let total = |message: &Message| match order::with_total(&message.payload) {
        Ok(payload) => one(Output {
            payload: Some(payload.into()),
            ..Output::default()
        }),
        Err(error) => Outcome::Reject(error.to_string()),
    };
    batch.iter().map(total).collect()
}
