//! The lane's intake: which deliveries it pulls, how many, and when.
//!
//! Owns both consumers, and measures the rate of the plugins. It requests only messages for which the lane
//! has room, and which the plugins can process well within ack-wait.

use super::consumers::{Consumers, Room};
use super::in_flight::InFlight;
use super::source::Delivery;
use anyhow::Result;
use std::convert::Infallible;
use std::time::Duration;

/// The first part of a lane.
pub struct Intake {
    consumers: Consumers,
    pace: Pace,
    /// Messages of a batch: what is taken at once.
    most: usize,
    /// Nothing more comes, because the lane stops.
    drained: bool,
}

impl Intake {
    /// `most` is how many messages a batch has.
    #[must_use]
    pub fn new(consumers: Consumers, ack_wait: Duration, most: usize) -> Self {
        Self {
            consumers,
            pace: Pace::new(ack_wait, most),
            most,
            drained: false,
        }
    }

    /// Waits for deliveries, of which there is room for as many as `room` says. None of them when
    /// the last have come after [`drain`](Self::drain). Safe to drop while it waits.
    ///
    /// # Errors
    /// When a consumer is gone, or the permission to pull from the source's consumer is missing.
    pub async fn pull(&mut self, room: Room) -> Result<Vec<Delivery>> {
        if self.drained {
            return std::future::pending().await;
        }
        let pulled = self.consumers.pull(room, self.most).await?;
        self.drained = pulled.is_none();
        Ok(pulled.unwrap_or_default())
    }

    /// Takes what arrives for the next `pull`, and asks for nothing. Safe to drop while it waits.
    pub async fn attend(&mut self) -> Infallible {
        self.consumers.attend(self.most).await
    }

    /// What may be fetched besides what is in hand.
    #[must_use]
    pub fn room<P>(&self, in_flight: &InFlight<P>) -> Room {
        let Room {
            mut source,
            mut parking,
        } = in_flight.room();
        if in_flight.is_empty() {
            // One message is always taken, however large.
            let least = self.consumers.least_bytes();
            source.bytes = source.bytes.max(least);
            parking.bytes = parking.bytes.max(least);
        }
        let paced = self.pace.most.saturating_sub(in_flight.len());
        source.messages = source.messages.min(paced);
        parking.messages = parking.messages.min(paced);
        Room { source, parking }
    }

    /// Plugins took so long for so many messages.
    pub fn observe(&mut self, messages: usize, took: Duration) {
        self.pace.observe(messages, took);
    }

    /// Asks for no more. What the servers have already sent is still handed out by `pull`.
    pub fn drain(&mut self) {
        self.consumers.drain();
    }

    /// Whether nothing more comes.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// What is still here that no `pull` has handed out, for a lane that stops.
    #[must_use]
    pub fn give_up(&mut self) -> Vec<Delivery> {
        self.consumers.unread()
    }

    /// How the server ended the last pull of the source, if not as it should.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        self.consumers.said()
    }

    /// Whether what is parked can come back to this lane.
    #[must_use]
    pub fn unparks(&self) -> bool {
        self.consumers.unparks()
    }
}

/// The rate of the plugins, so that a lane pulls only as many messages as they can process well within
/// ack-wait.
struct Pace {
    /// How many messages may be in flight at the present rate.
    most: usize,
    /// The time in which all of it must be done.
    within: Duration,
    seconds_per_message: f64,
}

impl Pace {
    fn new(ack_wait: Duration, first: usize) -> Self {
        Self {
            most: first,
            within: ack_wait / 4,
            seconds_per_message: 0.0,
        }
    }

    fn observe(&mut self, messages: usize, took: Duration) {
        let latest = took.as_secs_f64() / messages.max(1) as f64;
        // A slower batch counts at once, faster ones bit by bit.
        let weight = if latest > self.seconds_per_message {
            0.5
        } else {
            0.1
        };
        self.seconds_per_message += (latest - self.seconds_per_message) * weight;
        let fitting = self.within.as_secs_f64() / self.seconds_per_message.max(1e-9);
        self.most = (fitting as usize).max(1);
    }
}
