//! The lane's intake: which deliveries it takes, how many, and when.
//!
//! Owns both consumers, the pace at which plugins go through messages, and, for ordered pipelines, what
//! is left of a lane before. It never asks for more than there is room for and than can be worked on
//! well within ack-wait.

use super::consumers::{Consumers, Room};
use super::failover::Failover;
use super::in_flight::InFlight;
use super::source::Delivery;
use crate::config::resolved::{self, Order};
use crate::nats::Connection;
use crate::nats::consumers;
use crate::nats::streams::{Durable, jetstream};
use anyhow::Result;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// The first part of a lane.
pub struct Intake {
    consumers: Consumers,
    pace: Pace,
    /// For ordered pipelines: whose turn it is.
    failover: Failover,
    connection: Connection,
    source: Durable,
    ack_wait: Duration,
    ordered: bool,
    /// Messages of a batch: what is taken at once.
    most: usize,
    /// Nothing more comes, because the lane stops.
    drained: bool,
    /// Have come, while the server is asked whose turn it is.
    untaken: Vec<Delivery>,
}

impl Intake {
    #[must_use]
    pub fn new(
        consumers: Consumers,
        connection: Connection,
        source: Durable,
        settings: &resolved::Pipeline,
    ) -> Self {
        let (ack_wait, most) = (source.ack_wait, settings.batch.messages);
        Self {
            consumers,
            pace: Pace::new(ack_wait, most),
            failover: Failover::default(),
            connection,
            source,
            ack_wait,
            ordered: settings.order != Order::None,
            most,
            drained: false,
            untaken: Vec::new(),
        }
    }

    /// Waits for deliveries, of which there is room for as many as `room` says. None of them when
    /// the last have come after [`drain`](Self::drain). Safe to drop while it waits.
    ///
    /// # Errors
    /// When a consumer is gone, or the source's may not be pulled from.
    pub async fn pull(&mut self, room: Room, held: usize) -> Result<Vec<Delivery>> {
        if self.untaken.is_empty() {
            if self.drained {
                return std::future::pending().await;
            }
            match self.consumers.pull(room, self.most).await? {
                Some(deliveries) => self.untaken = deliveries,
                None => {
                    self.drained = true;
                    return Ok(Vec::new());
                }
            }
        }
        self.begin_turn(held).await;
        Ok(self.failover.pass(std::mem::take(&mut self.untaken)))
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
        source.messages = self.failover.room(source.messages.min(paced));
        parking.messages = parking.messages.min(paced);
        Room { source, parking }
    }

    /// Under `order: key` and `order: stream`, what another lane left unsettled comes first.
    async fn begin_turn(&mut self, held: usize) {
        if self.failover.is_new(self.consumers.pin()) {
            // Those of the deliveries that have come again are among the outstanding ones, and are
            // counted off as they pass.
            let fresh = self.untaken.iter();
            let fresh = fresh.filter(|delivery| delivery.message.attempt == 1);
            let fresh = fresh.count();
            let own = held + self.failover.resting() + fresh;
            let others = match consumers::info(&jetstream(&self.connection), &self.source).await {
                Ok(Some(info)) => info.num_ack_pending.saturating_sub(own),
                Ok(None) => 0,
                // Not to know is no reason to break the order.
                Err(error) => {
                    tracing::warn!("cannot determine what another host left unsettled: {error:#}");
                    1
                }
            };
            self.failover
                .begin(self.consumers.pin(), others, self.ack_wait);
        }
    }

    /// When [`due`](Self::due) may have something.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        self.failover.wake()
    }

    /// Deliveries that had to wait for those of another lane, and need not any more.
    #[must_use]
    pub fn due(&mut self) -> Vec<Delivery> {
        self.failover.pass(Vec::new())
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
        let mut left = self.failover.give_up();
        left.append(&mut self.untaken);
        left.extend(self.consumers.unread());
        left
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

    /// Lets another host have its turn at once.
    pub async fn unpin(&self, longest: Duration) {
        if !self.ordered {
            return;
        }
        let context = jetstream(&self.connection);
        let unpinned = consumers::unpin(&context, &self.source);
        if tokio::time::timeout(longest, unpinned).await.is_err() {
            tracing::debug!("the server does not answer; the pin will time out");
        }
    }
}

/// How fast messages go through the plugins, so that no more is fetched than can be worked on well
/// within ack-wait.
struct Pace {
    /// What may be in hand at the present speed.
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
