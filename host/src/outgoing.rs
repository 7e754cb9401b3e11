//! What is published for one source message, made ready before any of it is sent.

use crate::headers::{DIGEST, MESSAGE_ID};
use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;
use std::time::Instant;

/// `NATS/1.0` with its line ends, and the empty line behind the headers.
const HEADER_FRAME: usize = 12;

/// One message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMessage {
    pub subject: ByteString,
    /// By which the server drops repeats: the header [`MESSAGE_ID`].
    pub id: Option<String>,
    /// The plugins that it comes from: the header [`DIGEST`]. Shared by all messages of a chain.
    pub digest: Option<ByteString>,
    /// All others.
    pub headers: Vec<(ByteString, ByteString)>,
    pub payload: Bytes,
}

impl OutgoingMessage {
    /// Bytes that count against the server's `max_payload`: headers and payload.
    #[must_use]
    pub fn size(&self) -> usize {
        let lines = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        let id = self.id.as_ref();
        let id = id.map_or(0, |id| MESSAGE_ID.len() + id.len() + 4);
        let digest = self.digest.as_ref();
        let digest = digest.map_or(0, |digest| DIGEST.len() + digest.len() + 4);
        self.payload.len() + HEADER_FRAME + id + digest + lines.sum::<usize>()
    }
}

/// Everything that is published for one source message, and what its acks then mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publication {
    /// Results; none if the plugins dropped it. The input is acked.
    Results(SmallVec<[OutgoingMessage; 1]>),
    /// A dead letter, in parts if it is too large for one message; none if dead letters are off.
    /// The input is termed, with the reason.
    DeadLetter(SmallVec<[OutgoingMessage; 1]>, String),
    /// The input itself, for the parking stream. The input is acked; if the server does not take it,
    /// it is delivered again, not before the time at which it would have come back.
    Parked(SmallVec<[OutgoingMessage; 1]>, Instant),
}

impl Publication {
    /// What to publish, in order.
    #[must_use]
    pub fn messages(&self) -> &[OutgoingMessage] {
        match self {
            Publication::Results(messages)
            | Publication::DeadLetter(messages, _)
            | Publication::Parked(messages, _) => messages,
        }
    }

    /// The messages, to be sent. What remains says what their acks mean.
    pub fn take_messages(&mut self) -> SmallVec<[OutgoingMessage; 1]> {
        match self {
            Publication::Results(messages)
            | Publication::DeadLetter(messages, _)
            | Publication::Parked(messages, _) => std::mem::take(messages),
        }
    }
}
