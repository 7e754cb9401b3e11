//! The obligation to settle one delivery.
//!
//! The holder of a [`Ticket`] owes the server an ack, a nak or a term. Only `settle.rs` redeems tickets. A
//! ticket that is dropped without that is counted, and the server redelivers its message after ack-wait:
//! late, but not lost.

use crate::telemetry::metrics::PipelineMetrics;
use bytes::Bytes;
use std::sync::Arc;

/// Where the server awaits what becomes of a delivery.
pub type ReplyTo = Bytes;

/// The right and the duty to settle one delivery.
#[must_use = "a ticket that is not redeemed is delivered again after ack-wait"]
pub struct Ticket {
    /// Where acks of this delivery go; empty once redeemed.
    reply: Option<ReplyTo>,
    pub facts: Facts,
    metrics: Arc<PipelineMetrics>,
}

/// What JetStream says about a delivery, in its reply subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Sequence in the stream, from 1.
    pub sequence: u64,
    /// 1 on first delivery.
    pub attempt: u32,
    /// When JetStream stored the message: nanoseconds since the Unix epoch.
    pub stored: u64,
    /// Messages of the consumer that were not yet delivered at that time.
    pub pending: u64,
}

impl Ticket {
    /// Claims a delivery. `None` if the reply subject is not that of a JetStream delivery.
    pub fn claim(reply: ReplyTo, metrics: &Arc<PipelineMetrics>) -> Option<Self> {
        let facts = Facts::parse(&reply)?;
        Some(Self {
            reply: Some(reply),
            facts,
            metrics: Arc::clone(metrics),
        })
    }

    /// The reply subject, for in-progress acks, which redeem nothing.
    #[must_use]
    pub fn reply(&self) -> Option<&ReplyTo> {
        self.reply.as_ref()
    }

    /// Whether it is for a delivery of this consumer.
    #[must_use]
    pub fn is_of(&self, consumer: &str) -> bool {
        let reply = self.reply.as_deref().unwrap_or_default();
        let tokens = reply.split(|byte| *byte == b'.').collect::<Vec<_>>();
        // `$JS.ACK.<stream>.<consumer>`, or with a domain and an account before the stream.
        let place = if tokens.len() == 9 { 3 } else { 5 };
        tokens
            .get(place)
            .is_some_and(|token| *token == consumer.as_bytes())
    }

    /// Gives up the claim for the subject that settles it. For `settle.rs` alone.
    pub(crate) fn redeem(mut self) -> Option<ReplyTo> {
        self.reply.take()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.reply.is_some() {
            self.metrics.unsettled_dropped.inc();
            tracing::debug!(
                sequence = self.facts.sequence,
                "left a delivery for redelivery"
            );
        }
    }
}

impl Facts {
    /// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or,
    /// since nats-server 2.2 with domains, `$JS.ACK.<domain>.<account>.` and the same, with a random
    /// token behind it (architecture decision record 15 of NATS). Of anything else there are none.
    #[must_use]
    pub fn parse(reply: &[u8]) -> Option<Self> {
        let rest = reply.strip_prefix(b"$JS.ACK.")?;
        let dots = rest.iter().filter(|byte| **byte == b'.').count();
        let skipped = if dots == 6 { 2 } else { 4 };
        let mut numbers = rest.split(|byte| *byte == b'.').skip(skipped);
        let mut number = || {
            std::str::from_utf8(numbers.next()?)
                .ok()?
                .parse::<u64>()
                .ok()
        };
        let attempt = u32::try_from(number()?).ok()?;
        let sequence = number()?;
        let _consumer_sequence = number()?;
        Some(Self {
            attempt,
            sequence,
            stored: number()?,
            pending: number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Facts;

    #[test]
    fn both_forms_of_the_reply_subject_are_read() {
        let facts = Facts {
            attempt: 3,
            sequence: 17,
            stored: 1_700_000_000_000_000_000,
            pending: 5,
        };
        let short = "$JS.ACK.ORDERS.weir.3.17.40.1700000000000000000.5";
        let long = "$JS.ACK.hub.ACCHASH.ORDERS.weir.3.17.40.1700000000000000000.5.r4nd0m";
        assert_eq!(Facts::parse(short.as_bytes()), Some(facts));
        assert_eq!(Facts::parse(long.as_bytes()), Some(facts));
    }

    #[test]
    fn a_ticket_knows_the_consumer_of_its_delivery() {
        let metrics = crate::telemetry::metrics::Metrics::new().pipeline("p");
        let short = "$JS.ACK.ORDERS.weir.3.17.40.1700000000000000000.5";
        let long = "$JS.ACK.hub.ACCHASH.ORDERS.weir.3.17.40.1700000000000000000.5.r4nd0m";
        for reply in [short, long] {
            let is_of = |consumer| {
                let ticket = super::Ticket::claim(reply.into(), &metrics);
                ticket.is_some_and(|ticket| ticket.is_of(consumer))
            };
            assert!(
                is_of("weir") && !is_of("ORDERS") && !is_of("other"),
                "{reply}"
            );
        }
    }

    #[test]
    fn other_replies_are_no_deliveries() {
        assert_eq!(Facts::parse(b"_INBOX.abc.1"), None);
        assert_eq!(Facts::parse(b"$JS.ACK.ORDERS.weir.x.17.40.1.5"), None);
    }
}
