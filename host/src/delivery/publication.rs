//! What is published for one message of the source, and what its publish acks then mean. Plain data.

use crate::outgoing::OutgoingMessage;
use smallvec::SmallVec;
use std::time::Instant;

/// Everything that is published for one message of the source.
#[derive(Debug)]
pub struct Publication {
    /// In order.
    pub messages: SmallVec<[OutgoingMessage; 1]>,
    pub then: Then,
    /// Those that the server has not stored when they were last published; `None` before the first time.
    failed: Option<Vec<usize>>,
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
    pub fn new(messages: SmallVec<[OutgoingMessage; 1]>, then: Then) -> Self {
        Self {
            messages,
            then,
            failed: None,
        }
    }

    /// What is not known to be stored, with its index.
    pub fn unstored(&self) -> impl Iterator<Item = (usize, &OutgoingMessage)> {
        let failed = self.failed.as_ref();
        let messages = self.messages.iter().enumerate();
        messages.filter(move |(index, _)| failed.is_none_or(|failed| failed.contains(index)))
    }

    /// All that was not stored has been published, for the first time or again.
    pub fn published(&mut self) {
        self.failed = Some(Vec::new());
    }

    /// The server has not stored the message at `index`.
    pub fn not_stored(&mut self, index: usize) {
        self.failed.get_or_insert_default().push(index);
    }
}
