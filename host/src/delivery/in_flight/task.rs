//! One message between pull and settlement, and its progress. Plain data.

use crate::delivery::in_progress::Key;
use crate::delivery::sink::Failure;
use crate::delivery::ticket::Ticket;
use crate::message::Message;
use crate::parked::Origin;
use crate::process::Judged;
use bytestring::ByteString;
use std::time::Instant;

/// Names a task for as long as it is held.
pub type TaskId = usize;

/// One message in flight, until it is settled.
pub struct Task<P> {
    pub ticket: Ticket,
    pub message: Message,
    /// Where the message came from, if it was parked since.
    pub origin: Option<Box<Origin>>,
    /// How often a plugin has asked for it again; counts against `retry.max-attempts`.
    pub retries: u32,
    /// How often publishing it has failed since plugins last answered.
    pub publish_failures: u32,
    pub state: State<P>,
}

impl<P> Task<P> {
    /// The stream that the message is from: `usual`, unless it was parked since.
    pub fn source_id<'a>(&'a self, usual: &'a ByteString) -> &'a ByteString {
        self.origin
            .as_ref()
            .map_or(usual, |origin| &origin.source_id)
    }

    /// Names its delivery.
    pub fn key(&self) -> Key {
        (self.origin.is_some(), self.ticket.facts.sequence)
    }

    /// For a verdict on it; `usual` is the stream that the lane pulls from.
    pub fn judged<'a>(&'a self, usual: &'a ByteString) -> Judged<'a> {
        Judged {
            message: &self.message,
            source_id: self.source_id(usual),
            retries: self.retries,
            timer: b"",
        }
    }

    /// When that stream stored the message, in nanoseconds since 1970.
    pub fn stored(&self) -> u64 {
        let origin = self.origin.as_ref();
        origin.map_or(self.ticket.facts.stored, |origin| origin.stored)
    }
}

/// Where a task stands.
pub enum State<P> {
    /// To be called.
    Fresh,
    /// Out in a plugin call.
    Called,
    /// To be called again, not before this.
    Waiting(Instant),
    /// To be published again, not before this.
    Unpublished(P, Instant),
    /// To be published.
    Ready(P),
    /// Published; this many publish acks are still to come, and the first that was a failure.
    Publishing(P, usize, Option<Failure>),
}
