//! Step 1: pulls deliveries from the durable consumer.
//!
//! One inbox serves all pulls of a lane, so a batch costs one publish and no subscription. Deliveries arrive
//! on that inbox with their own subject, statuses with the inbox of the request that they end.
//!
//! Backpressure: the lane requests nothing without room for it, by number and by bytes.

mod pulls;
mod status;
mod subscription;
mod timing;

pub use status::{Ended, NotPermitted};

use crate::config::resolved::Bounds;
use crate::delivery::ticket::Ticket;
use crate::message::Message;
use crate::nats::limits::PullLimits;
use crate::nats::streams::Durable;
use crate::nats::wire::{self, Parts, Subscription, Wire};
use crate::parked::Origin;
use crate::telemetry::metrics::PipelineMetrics;
use anyhow::Result;
use pulls::{Amount, Pulls};
use std::sync::Arc;
use std::time::{Duration, Instant};
use timing::Timing;

/// Added to the largest payload for subject, reply and headers in the server's count of bytes.
const OVERHEAD: usize = 64 * 1024;

/// One delivery: its message, and the obligation to settle it.
pub struct Delivery {
    pub message: Message,
    pub ticket: Ticket,
    /// Where the message came from, if it was parked since.
    pub origin: Option<Box<Origin>>,
}

/// The pulling end of one lane.
pub struct Source {
    wire: Wire,
    subscription: Subscription,
    /// The inbox of the subscription; requests reply to `<inbox>.<number>`.
    inbox: String,
    /// The subject of requests.
    request: String,
    pulls: Pulls,
    number: u64,
    /// When anything came last, or the first of the pulls was sent.
    heard: Instant,
    /// Whether the server has ever answered a pull.
    answered: bool,
    /// Whether it has not permitted the latest.
    refused: bool,
    /// That of the connection when it was opened.
    max_payload: usize,
    /// The least a request asks for in bytes: less than one message would never be answered.
    least_bytes: usize,
    metrics: Arc<PipelineMetrics>,
    /// Those that the subscription has been through.
    reconnects: u64,
    /// Whether the consumer may be gone or replaced: after a reconnect, and without an answer.
    doubtful: bool,
    /// Set by `drain` for good: nothing more is asked for.
    draining: bool,
    /// Set with the end of the subscription, and for good.
    ending: bool,
    /// What the next pull returns, because the last one had deliveries to hand out first.
    ended: Option<Ended>,
    /// Not before this, after the server refused a pull.
    pause: Option<Instant>,
    /// What a pull may ask for at most.
    limits: PullLimits,
    /// Whether the latest pull to end has brought nothing.
    idle: bool,
    /// After which silence the pulls under way are lost.
    silence: Duration,
    /// How it ended the last pull, if not as it should; until a message comes.
    said: Option<String>,
}

impl Source {
    /// Subscribes; asks for nothing yet.
    #[must_use]
    pub fn open(wire: Wire, durable: &Durable, metrics: Arc<PipelineMetrics>) -> Self {
        let (inbox, subscription) = subscription::open(&wire);
        let max_payload = wire.max_payload();
        Self {
            request: wire.api.next(&durable.stream, &durable.consumer),
            reconnects: wire.health.reconnects(),
            wire,
            subscription,
            inbox,
            pulls: Pulls::new(timing::LONGEST),
            idle: false,
            silence: timing::SILENCE,
            number: 0,
            heard: Instant::now(),
            answered: false,
            refused: false,
            max_payload,
            least_bytes: max_payload + OVERHEAD,
            metrics,
            doubtful: false,
            draining: false,
            ending: false,
            ended: None,
            pause: None,
            limits: durable.limits,
            said: None,
        }
    }

    /// Waits for at least one delivery, then takes those that have already arrived, up to `most`.
    ///
    /// Safe to drop while it waits. `room` is what the lane could hold besides what it holds now.
    /// Returns nothing when the consumer [is doubtful](Self::is_doubtful), and asks for no more.
    ///
    /// # Errors
    /// [`Ended`] when nothing will come any more.
    pub async fn pull(&mut self, room: Bounds, most: usize) -> Result<Vec<Delivery>, Ended> {
        loop {
            if let Some(ended) = self.ended.take() {
                return Err(ended);
            }
            let left = self.subscribe_after_reconnect()?;
            if !left.is_empty() {
                return Ok(left);
            }
            if self.is_doubtful() {
                return Ok(Vec::new());
            }
            self.ask(room);
            self.unsubscribe();
            let mut deliveries = Vec::new();
            let mut next = self.arrives().await;
            while let Some(message) = next {
                if let Err(ended) = self.take(message, &mut deliveries) {
                    self.ended = Some(ended);
                    break;
                }
                let more = deliveries.len() < most;
                next = more.then(|| self.has_arrived()).flatten();
            }
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
        }
    }

    /// Waits for a message, but no longer than there is patience. `None` too when there is something
    /// else to do, and when [`Ended`] is set.
    async fn arrives(&mut self) -> Option<wire::Message> {
        let health = Arc::clone(&self.wire.health);
        let changed = health.changed.notified();
        if let Some(refused) = self.refusal() {
            self.ended = Some(refused);
            return None;
        }
        let patience = self.patience();
        tokio::select! {
            biased;
            arrived = self.subscription.next() => self.count(arrived),
            () = changed => None,
            () = tokio::time::sleep(patience) => {
                self.on_silence();
                None
            }
        }
    }

    /// What has arrived already.
    fn has_arrived(&mut self) -> Option<wire::Message> {
        let arrived = self.subscription.has_come()?;
        self.count(Some(arrived))
    }

    fn count(&mut self, arrived: Option<wire::Message>) -> Option<wire::Message> {
        self.heard = Instant::now();
        if arrived.is_none() {
            self.ended = Some(match self.ending {
                true => Ended::Drained,
                false => Ended::Gone("the connection to nats is closed".to_owned()),
            });
        }
        arrived
    }

    /// Whether to make sure that the consumer is still there and the same.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.doubtful && !self.draining
    }

    /// It is.
    pub fn trust(&mut self) {
        self.doubtful = false;
    }

    /// Whether the server permits pulls, as far as is known.
    #[must_use]
    pub fn is_permitted(&self) -> bool {
        !self.refused
    }

    /// The least room in bytes with which anything is asked for.
    #[must_use]
    pub fn least_bytes(&self) -> usize {
        self.least_bytes
    }

    /// Messages asked for that have not come yet.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.pulls.to_come().messages
    }

    fn ask(&mut self, room: Bounds) {
        let paused = self.pause.is_some_and(|until| Instant::now() < until);
        // Requests would be kept until there is a connection again.
        let paused = paused || !self.wire.health.is_connected();
        if self.draining || paused {
            return;
        }
        let wanted = room
            .messages
            .min(self.limits.messages.unwrap_or(usize::MAX));
        let messages = wanted.saturating_sub(self.expected());
        let most = self.limits.bytes.unwrap_or(usize::MAX);
        let least = self.least_bytes.min(most);
        let bytes = room
            .bytes
            .saturating_sub(self.pulls.to_come().bytes)
            .min(most);
        // A second pull for a handful would cost as much as one for many.
        let worthwhile = self.pulls.is_empty() || messages * 2 >= wanted;
        if messages == 0 || bytes < least || !worthwhile {
            return;
        }
        self.number += 1;
        let subject = format!("{}.{}", self.inbox, self.number);
        let Timing {
            expires,
            heartbeat,
            silence,
        } = Timing::of(self.idle, self.limits.expires);
        let request = serde_json::json!({
            "batch": messages,
            "max_bytes": bytes,
            "expires": u64::try_from(expires.as_nanos()).unwrap_or(u64::MAX),
            "idle_heartbeat": u64::try_from(heartbeat.as_nanos()).unwrap_or(u64::MAX),
        });
        let (now, first) = (Instant::now(), self.pulls.is_empty());
        self.request(&subject, request.to_string().as_bytes());
        self.pulls.push(subject, Amount { messages, bytes }, now);
        if first {
            (self.heard, self.silence) = (now, silence);
        }
        self.silence = self.silence.max(silence);
    }

    /// Sends a request that is answered to `reply`.
    fn request(&self, reply: &str, request: &[u8]) {
        let sent = self.wire.publish(&Parts {
            subject: self.request.as_bytes(),
            reply: reply.as_bytes(),
            payload: request,
            ..Parts::default()
        });
        if sent.is_err() {
            // Names of streams and consumers have been checked: the server would have none of these.
            self.metrics.pull_errors.inc();
        }
    }

    fn take(&mut self, message: wire::Message, into: &mut Vec<Delivery>) -> Result<(), Ended> {
        self.answered = true;
        self.refused = false;
        // A stored message may have a status line, too; what comes on the inbox itself is the server's.
        if message.subject.starts_with(self.inbox.as_bytes()) {
            return match message.status() {
                Some((status, words)) => self.on_status(status, words, &message),
                None => Ok(()),
            };
        }
        (self.said, self.idle) = (None, false);
        self.pulls.arrived(message.length());
        let carried = message.headers.len() + message.payload.len();
        let Some(ticket) = Ticket::claim(message.reply.clone(), &self.metrics) else {
            return Ok(());
        };
        self.metrics.received.inc();
        self.metrics.received_bytes.inc_by(carried as u64);
        if ticket.facts.attempt > 1 {
            self.metrics.redelivered.inc();
        }
        let facts = &ticket.facts;
        let (subject, payload) = (message.subject, message.payload);
        let (sequence, stored) = (facts.sequence, facts.stored);
        let decoded = Message {
            attempt: facts.attempt,
            ..Message::received(subject, &message.headers, payload, sequence, stored)
        };
        into.push(Delivery {
            message: decoded,
            ticket,
            origin: None,
        });
        Ok(())
    }
}
