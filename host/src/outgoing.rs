//! What is published for one source message, made ready before any of it is sent.

use crate::headers::{DIGEST, MESSAGE_ID};
use crate::message::Few;
use bytes::Bytes;
use bytestring::ByteString;
use std::time::Instant;

/// `NATS/1.0` with its line ends, and the empty line behind the headers.
const HEADER_FRAME: usize = 12;

/// One message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub subject: ByteString,
    /// By which the server drops repeats: the header [`MESSAGE_ID`].
    pub id: Option<String>,
    /// The plugins that it comes from: the header [`DIGEST`]. Shared by all letters of a chain.
    pub digest: Option<ByteString>,
    /// All others.
    pub headers: Vec<(ByteString, ByteString)>,
    pub payload: Bytes,
}

impl Letter {
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
pub enum Parcel {
    /// Results; none if the plugins dropped it. The input is acked.
    Results(Few<Letter>),
    /// A dead letter, in parts if it is too large for one message; none if dead letters are off.
    /// The input is termed, with the reason.
    DeadLetter(Few<Letter>, String),
    /// The input itself, for the parking stream. The input is acked; if the server does not take it,
    /// it is delivered again, not before the time at which it would have come back.
    Parked(Few<Letter>, Instant),
}

impl Parcel {
    /// What to publish, in order.
    #[must_use]
    pub fn letters(&self) -> &[Letter] {
        match self {
            Parcel::Results(letters)
            | Parcel::DeadLetter(letters, _)
            | Parcel::Parked(letters, _) => letters,
        }
    }

    /// The letters, to be sent. What remains says what their acks mean.
    pub fn take_letters(&mut self) -> Few<Letter> {
        match self {
            Parcel::Results(letters)
            | Parcel::DeadLetter(letters, _)
            | Parcel::Parked(letters, _) => std::mem::take(letters),
        }
    }
}
