//! The subscription of a source: how it begins, begins again, and ends without losing messages in transit.
//!
//! The server serves pulls as long as somebody subscribes to their inbox. An unsubscribe takes effect at the
//! client first, which then drops messages, and later at the server. A delivery that is dropped in between
//! would come again only after ack-wait, to another client.
//!
//! So a subscription ends after a number of messages that both ends count, which is larger than the number in
//! transit. The host then makes the server send that many, with requests that the server refuses one by one.
//! The server finds no subscriber for later deliveries, and delivers them elsewhere at once.

use super::{Delivery, Ended, Source};
use crate::nats::wire::{Subscription, Wire};

/// Statuses that may be on their way besides messages.
const STATUSES: usize = 64;
/// The most fillers to send: of more deliveries than that some may be dropped.
const MOST_FILLERS: usize = 16 * 1024;
/// What is no request: the server answers it with a status 400.
const NO_REQUEST: &[u8] = b"{";

/// A new inbox with its subscription. Requests that survived the loss of a connection find no subscriber on
/// the old one.
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
    /// When a lane must start again, because results depend on the limits of the server.
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
