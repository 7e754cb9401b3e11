//! Everything that is published for one message of the source, and what its publish acks mean. Plain data.
//!
//! Only this file makes [`Settled`]: from a publication of which everything is stored. Only the lane makes
//! publications, and only a publish ack removes a message from one.

use super::sink::Stored;
use crate::outgoing::OutgoingMessage;
use crate::process::chain::Rejection;
use smallvec::SmallVec;
use std::time::Instant;

/// Everything that is published for one message of the source.
#[derive(Debug)]
pub struct Publication {
    /// In order.
    messages: SmallVec<[OutgoingMessage; 1]>,
    /// How many of them are not known to be stored.
    left: usize,
    pub then: Then,
    /// Those that the server has not stored when they were last published; `None` before the first time.
    failed: Option<Vec<usize>>,
}

/// Proof that everything that had to be stored for an input is stored.
pub struct Settled(());

/// What happens to the input when all of it is stored.
#[derive(Clone, Debug)]
pub enum Then {
    /// Results, none if the plugins dropped it: the input is acked.
    Ack,
    /// A dead letter, in parts if it is too large for one message, none if dead letters are off: the
    /// input is termed, for this reason.
    Term(Box<Rejection>),
    /// The input itself, for the parking stream, until this time. The input is acked.
    Parked(Instant),
}

impl Publication {
    /// Of all that a disposition has to store: one without messages says that nothing has to be.
    #[must_use]
    pub fn new(messages: SmallVec<[OutgoingMessage; 1]>, then: Then) -> Self {
        Self {
            left: messages.len(),
            messages,
            then,
            failed: None,
        }
    }

    /// Whether all of it is published for the first time.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.failed.is_none()
    }

    /// How many messages there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// What is not known to be stored, with its index.
    pub fn unstored(&self) -> impl Iterator<Item = (usize, &OutgoingMessage)> {
        let failed = self.failed.as_ref();
        let messages = self.messages.iter().enumerate();
        messages.filter(move |(index, _)| failed.is_none_or(|failed| failed.contains(index)))
    }

    /// The size of its largest message, in bytes.
    #[must_use]
    pub fn largest(&self) -> usize {
        let sizes = self.messages.iter().map(OutgoingMessage::size);
        sizes.max().unwrap_or_default()
    }

    /// Everything that was not stored has been published, for the first time or again.
    pub fn published(&mut self) {
        self.failed = Some(Vec::new());
    }

    /// The server has not stored the message at `index`.
    pub fn not_stored(&mut self, index: usize) {
        self.failed.get_or_insert_default().push(index);
    }

    /// The server has stored one of the messages.
    pub fn stored(&mut self, _proof: Stored) {
        self.left = self.left.saturating_sub(1);
    }

    /// The proof, if all of it is stored or there is nothing to store.
    #[must_use]
    pub fn settled(&self) -> Option<Settled> {
        (self.left == 0).then_some(Settled(()))
    }
}
