//! What is published for one message of the source, and what its publish acks then mean. Plain data.

use crate::outgoing::OutgoingMessage;
use smallvec::SmallVec;
use std::time::Instant;

/// Everything that is published for one message of the source.
#[derive(Debug)]
pub struct Publication {
    /// In order; `None` once it is known to be stored. What is not is published again.
    pub messages: SmallVec<[Option<OutgoingMessage>; 1]>,
    pub then: Then,
}

/// What happens to the input when all of it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Results, none if the plugins dropped it: the input is acked.
    Ack,
    /// A dead letter, in parts if it is too large for one message, none if dead letters are off: the
    /// input is termed, with this reason.
    Term(String),
    /// The input itself, for the parking stream, until then: the input is acked.
    Parked(Instant),
}

impl Publication {
    #[must_use]
    pub fn new(messages: impl IntoIterator<Item = OutgoingMessage>, then: Then) -> Self {
        Self {
            messages: messages.into_iter().map(Some).collect(),
            then,
        }
    }

    /// What is not known to be stored, with its index.
    pub fn unstored(&self) -> impl Iterator<Item = (usize, &OutgoingMessage)> {
        let messages = self.messages.iter().enumerate();
        messages.filter_map(|(index, message)| Some((index, message.as_ref()?)))
    }

    /// The server has stored the message at `index`.
    pub fn stored(&mut self, index: usize) {
        if let Some(message) = self.messages.get_mut(index) {
            *message = None;
        }
    }
}
