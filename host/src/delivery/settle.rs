//! Step 6: the only file that acks, naks, terms or dead-letters.
//!
//! # The order invariant
//!
//! **Publish, await the publish ack, then ack the input. For a dead letter: publish it, await its ack, then
//! term the input. For a parked retry: publish it to the parking stream, await its ack, then ack the input.**
//! So a crash at any point repeats work and never loses it. The functions here require a [`Settled`], which
//! exists only for a publication of which everything is stored.
//!
//! One place each counts every way out of the host: acked, termed, retried, parked. The ticket counts
//! messages that are dropped without any of these.

use crate::delivery::publication::Settled;
use crate::delivery::ticket::{ReplyTo, Ticket};
use crate::nats::shadows::ShadowConsumer;
use crate::nats::wire::{Parts, Unwritable, Wire};
use crate::process::retry::LONGEST;
use crate::telemetry::metrics::PipelineMetrics;
use std::sync::Arc;
use std::time::Duration;

/// Redeems tickets over one connection.
pub struct Settle {
    wire: Wire,
    metrics: Arc<PipelineMetrics>,
}

impl Settle {
    pub fn new(wire: Wire, metrics: Arc<PipelineMetrics>) -> Self {
        Self { wire, metrics }
    }

    /// The outputs are stored (or there were none): the input is done.
    pub fn ack(&self, ticket: Ticket, _proof: Settled) {
        self.metrics.acked.inc();
        self.answer(ticket, b"+ACK");
    }

    /// The message is stored in the parking stream: it comes back from there.
    pub fn parked(&self, ticket: Ticket, _proof: Settled) {
        self.metrics.parked.inc();
        self.answer(ticket, b"+ACK");
    }

    /// The dead letter is stored: the input is never delivered again. The reason shows in the
    /// server's advisory.
    pub fn term(&self, ticket: Ticket, reason: &str, _proof: Settled) {
        self.metrics.termed.inc();
        // One line, short: it travels in an advisory's JSON.
        let reason: String = reason
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(256)
            .collect();
        self.answer(ticket, format!("+TERM {reason}").as_bytes());
    }

    /// Nothing of it was stored, or not all: deliver it again, not before `delay`.
    pub fn nak(&self, ticket: Ticket, delay: Duration) {
        let body = format!("-NAK {{\"delay\": {}}}", delay.min(LONGEST).as_nanos());
        self.answer(ticket, body.as_bytes());
    }

    /// Waits until every answer so far is written to the socket and the server has read it, but no
    /// longer than this.
    pub async fn flush(&self, longest: Duration) {
        // A closed or lost connection: what was not written is delivered again after ack-wait.
        if tokio::time::timeout(longest, self.wire.flush())
            .await
            .is_err()
        {
            tracing::debug!("the last acks may not have reached the server");
        }
    }

    fn answer(&self, ticket: Ticket, body: &[u8]) {
        let sequence = ticket.facts.sequence;
        let Some(reply) = ticket.redeem() else { return };
        if answer(&self.wire, &reply, body).is_err() {
            // The delivery comes again after ack-wait.
            self.metrics.unsettled_dropped.inc();
            tracing::warn!(
                sequence,
                "cannot settle a delivery: its reply subject is invalid"
            );
        }
    }
}

/// Settles what nothing has to be stored for: the deliveries of a shadow's consumer. It leaves those of any
/// other consumer alone.
pub struct Observer {
    settle: Settle,
    consumer: String,
}

impl Observer {
    pub fn new(wire: Wire, metrics: Arc<PipelineMetrics>, consumer: &ShadowConsumer) -> Self {
        Self {
            settle: Settle::new(wire, metrics),
            consumer: consumer.durable().consumer.clone(),
        }
    }

    /// The delivery has been looked at.
    pub fn done(&self, ticket: Ticket) {
        if ticket.is_of(&self.consumer) {
            self.settle.metrics.acked.inc();
            self.settle.answer(ticket, b"+ACK");
        }
    }
}

/// In-progress: the delivery is being processed, and its ack-wait starts again. It settles nothing. It is
/// sent over a separate connection, because a plugin may keep the lane busy.
///
/// # Errors
/// When the reply subject is none.
pub fn in_progress(wire: &Wire, reply: &ReplyTo) -> Result<(), Unwritable> {
    answer(wire, reply, b"+WPI")
}

fn answer(wire: &Wire, reply: &ReplyTo, body: &[u8]) -> Result<(), Unwritable> {
    let written = wire.publish(&Parts {
        subject: reply,
        payload: body,
        ..Parts::default()
    });
    written.map(drop)
}
