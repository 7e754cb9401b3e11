//! The subscription of a source: how it begins, begins anew, and ends without losing what is on its way.
//!
//! The server goes on answering pulls for as long as somebody subscribes to their inbox. Unsubscribing
//! takes effect at the client first, which from then on drops what comes, and later at the server. A
//! delivery that is dropped in between would come again only after ack-wait, to somebody else.
//!
//! So a subscription ends at a number of messages that both ends count: more than can be on their way.
//! The server is then made to send as many as it takes, with requests that it answers with a refusal
//! each. What it wants to deliver afterwards it finds nobody for, and delivers elsewhere at once.

use super::{Delivery, Ended, Source};
use crate::nats::wire::{Subscription, Wire};

/// Statuses that may be on their way besides messages.
const STATUSES: usize = 64;
/// The most fillers to send: of more deliveries than that some may be dropped.
const MOST_FILLERS: usize = 16 * 1024;
/// What is no request: the server answers it with a status 400.
const NO_REQUEST: &[u8] = b"{";

/// A new inbox, and what comes on it. Requests that were kept over the loss of a connection find nobody
/// at the one before.
pub(super) fn open(wire: &Wire) -> (String, Subscription) {
    let inbox = wire.new_inbox();
    let subscription = wire.subscribe_once(&format!("{inbox}.*"));
    (inbox, subscription)
}

impl Source {
    /// The server forgets pulls with the connection they came on. On a new one it counts anew what it
    /// sends to a subscription, so that the two ends count differently; a new one takes its place.
    /// Returns what the one before had received.
    ///
    /// # Errors
    /// When a lane must begin anew, because results are made for what a server takes.
    pub(super) fn subscribe_after_reconnect(&mut self) -> Result<Vec<Delivery>, Ended> {
        let mut left = Vec::new();
        let health = &self.wire.health;
        let reconnects = health.reconnects();
        if self.ending || !health.is_connected() {
            return Ok(left);
        }
        if self.wire.max_payload() != self.max_payload {
            return Err(Ended::Gone(
                "the server's `max_payload` has changed".to_owned(),
            ));
        }
        if reconnects == self.reconnects {
            return Ok(left);
        }
        let (inbox, subscription) = open(&self.wire);
        self.pulls.clear();
        while let Some(message) = self.subscription.has_come() {
            // What a status says is about a pull that is forgotten.
            let _ = self.take(message, &mut left);
        }
        self.inbox = inbox;
        self.subscription = subscription;
        self.reconnects = reconnects;
        self.doubtful = true;
        Ok(left)
    }

    /// Asks for no more. What the server has already sent is still handed out by `pull`, which ends
    /// with [`Ended::Drained`].
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// While draining, ends the subscription.
    pub(super) fn unsubscribe(&mut self) {
        if !self.draining || self.ending || !self.wire.health.is_connected() {
            return;
        }
        let coming = (self.expected() + STATUSES).min(MOST_FILLERS);
        self.subscription.end_after(coming);
        for _ in 0..coming {
            self.request(&self.filler(), NO_REQUEST);
        }
        self.ending = true;
    }

    /// Where fillers are answered.
    pub(super) fn filler(&self) -> String {
        format!("{}.0", self.inbox)
    }
}
