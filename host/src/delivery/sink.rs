//! Station 5: publish messages, and await what the server says of each.
//!
//! Takes the publish acks on one inbox, told apart by a number in the reply subject. So a window of
//! publishes costs no future each, and all that a batch publishes is written together.
//!
//! A publish that is not acknowledged is neither stored nor lost as far as the host knows. It is
//! reported as a failure; the message id makes the repeat harmless within the duplicate window.

use crate::delivery::in_flight::TaskId;
use crate::delivery::publish_window::Window;
pub use crate::delivery::refusal::Failure;
use crate::delivery::refusal::judge;
use crate::nats::Connection;
use crate::nats::wire::{Message, Parts, Subscription, Wire};
use crate::outgoing::OutgoingMessage;
use crate::telemetry::metrics::PipelineMetrics;
use anyhow::{Context, Result};
use bytestring::ByteString;
use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a publish ack may take. Elections take 4 to 9 s (measured); a repeat before one has
/// ended would only be ambiguous again.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
/// Publishes that may await their acks at once, over which `publish` waits. One message that
/// becomes a million results is bounded by this.
const WINDOW: usize = 4096;
/// How long the server may take to say what it knows of a subject, and how long it is not asked again where
/// it has not said.
const PATIENCE: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_secs(10);

/// Proof that one message is stored. Only a publish ack of the server makes one.
pub struct Stored(());

/// What the server said of one message.
pub struct Confirmation {
    pub task: TaskId,
    /// Of the message among those of its task.
    pub index: usize,
    pub result: Result<Stored, Failure>,
}

/// The publishing end of one lane.
pub struct Sink {
    wire: Wire,
    /// For questions about streams.
    connection: Connection,
    acks: Subscription,
    inbox: String,
    /// The reply subject and the header block of the message that is being published.
    reply: Vec<u8>,
    headers: Vec<u8>,
    waiting: Window<Waiting>,
    /// Taken from the inbox while `publish` waited for room.
    early: Vec<Confirmation>,
    /// When the server was asked last what it knows of a subject, if it has not said.
    unsaid: Option<Instant>,
    metrics: Arc<PipelineMetrics>,
}

struct Waiting {
    task: TaskId,
    index: usize,
    subject: ByteString,
    bytes: u64,
    since: Instant,
}

impl Sink {
    /// Subscribes to the inbox of acks.
    #[must_use]
    pub fn open(wire: Wire, connection: Connection, metrics: Arc<PipelineMetrics>) -> Self {
        let inbox = wire.new_inbox();
        Self {
            acks: wire.subscribe(&format!("{inbox}.*")),
            wire,
            connection,
            inbox,
            reply: Vec::new(),
            headers: Vec::new(),
            waiting: Window::new(WINDOW),
            early: Vec::new(),
            unsaid: None,
            metrics,
        }
    }

    /// Whether acks are still to come.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.early.is_empty()
    }

    /// Publishes one message on behalf of a task. Waits while the window is full.
    pub async fn publish(&mut self, task: TaskId, index: usize, message: &OutgoingMessage) {
        while self.waiting.is_full() {
            match self.next_acks().await {
                Some(confirmed) => self.early.extend(confirmed),
                // This publish fails as well.
                None => break,
            }
        }
        self.wire.room().await;
        match self.send(message) {
            Ok(()) => self.waiting.push(Waiting {
                task,
                index,
                subject: message.subject.clone(),
                bytes: message.payload.len() as u64,
                since: Instant::now(),
            }),
            Err(why) => {
                self.metrics.publish_failures.inc();
                let reason = format!("cannot publish to `{}`: {why}", message.subject);
                let failure = match message.size() > self.wire.max_payload() {
                    true => Failure::TooLarge(reason),
                    false => Failure::Refused(reason),
                };
                self.early.push(Confirmation {
                    task,
                    index,
                    result: Err(failure),
                });
            }
        }
    }

    /// Writes a message, to be answered under the number of the next entry of the window.
    fn send(&mut self, message: &OutgoingMessage) -> Result<(), String> {
        let (size, most) = (message.size(), self.wire.max_payload());
        if size > most {
            return Err(format!(
                "{size} bytes are over the server's limit of {most}"
            ));
        }
        self.reply.clear();
        // Writing to a vector does not fail.
        let _ = write!(self.reply, "{}.{}", self.inbox, self.waiting.next());
        self.headers.clear();
        message.write_headers(&mut self.headers);
        let parts = Parts {
            subject: message.subject.as_bytes(),
            reply: &self.reply,
            headers: &self.headers,
            payload: &message.payload,
        };
        let written = self.wire.publish(&parts);
        written.map_err(|_| "it is no subject to publish to".to_owned())
    }

    /// The publish that has been without an ack for longest: its subject, and since when.
    #[must_use]
    pub fn oldest(&self) -> Option<(&str, Instant)> {
        let oldest = self.waiting.oldest()?;
        Some((&oldest.subject, oldest.since))
    }

    /// Why no publish ack will ever come for `subject`, as a server says that knows its streams.
    pub async fn never_acks(&mut self, subject: &str) -> Option<String> {
        if self.unsaid.is_some_and(|since| since.elapsed() < REST) {
            return None;
        }
        let asked = crate::nats::streams::never_acks(&self.connection, subject);
        let said = tokio::time::timeout(PATIENCE, asked).await;
        self.unsaid = (!matches!(said, Ok(Ok(_)))).then(Instant::now);
        said.ok()?.ok()?
    }

    /// Waits for at least one publish to be confirmed or to fail. Safe to drop while it waits.
    ///
    /// # Errors
    /// When no acks will come any more.
    pub async fn confirmed(&mut self) -> Result<Vec<Confirmation>> {
        if !self.early.is_empty() {
            return Ok(std::mem::take(&mut self.early));
        }
        let confirmed = self.next_acks().await;
        confirmed
            .context("the connection to nats is closed")
            .context("cannot receive publish acks")
    }

    /// Hears acks, and keeps what they say for [`Sink::confirmed`]. Safe to drop while it waits.
    pub async fn attend(&mut self) -> Infallible {
        while let Some(confirmed) = self.next_acks().await {
            self.early.extend(confirmed);
        }
        std::future::pending().await
    }

    /// At least one. `None` when the connection is closed for good.
    async fn next_acks(&mut self) -> Option<Vec<Confirmation>> {
        loop {
            let Some(oldest) = self.waiting.oldest().map(|waiting| waiting.since) else {
                return std::future::pending().await;
            };
            let deadline = tokio::time::Instant::from_std(oldest + ACK_TIMEOUT);
            let health = Arc::clone(&self.wire.health);
            let changed = health.changed.notified();
            if let Some(lost) = health.lost_before().filter(|at| oldest < *at) {
                return Some(self.give_up(|waiting| {
                    let why = "the connection was lost before a publish ack came";
                    let reason = format!("cannot publish to `{}`: {why}", waiting.subject);
                    (waiting.since < lost).then_some(Failure::Unavailable(reason))
                }));
            }
            tokio::select! {
                biased;
                ack = self.acks.next() => {
                    let mut confirmed = Vec::from_iter(self.take(&ack?));
                    while let Some(ack) = self.acks.has_come() {
                        confirmed.extend(self.take(&ack));
                    }
                    if !confirmed.is_empty() {
                        return Some(confirmed);
                    }
                }
                () = tokio::time::sleep_until(deadline) => return Some(self.give_up(|waiting| {
                    let (subject, seconds) = (waiting.subject.to_string(), ACK_TIMEOUT.as_secs());
                    let reason = format!("cannot publish to `{subject}`: no publish ack within {seconds} s");
                    (waiting.since.elapsed() >= ACK_TIMEOUT)
                        .then_some(Failure::NoAck { subject, reason })
                })),
                () = changed => {
                    let refused = self.give_up(|waiting| {
                        let reason = health.violation(&waiting.subject, waiting.since)?;
                        let subject = &waiting.subject;
                        Some(Failure::Unavailable(format!("cannot publish to `{subject}`: {reason}")))
                    });
                    if !refused.is_empty() {
                        return Some(refused);
                    }
                }
            }
        }
    }

    /// Fails the publishes for which `why` has a reason.
    fn give_up(&mut self, why: impl Fn(&Waiting) -> Option<Failure>) -> Vec<Confirmation> {
        let failed: Vec<_> = self
            .waiting
            .iter()
            .filter_map(|(number, waiting)| Some((number, why(waiting)?)))
            .collect();
        let failed = failed.into_iter().filter_map(|(number, failure)| {
            let waiting = self.waiting.remove(number)?;
            self.metrics.publish_failures.inc();
            Some(Confirmation {
                task: waiting.task,
                index: waiting.index,
                result: Err(failure),
            })
        });
        failed.collect()
    }

    fn take(&mut self, ack: &Message) -> Option<Confirmation> {
        let number = ack.subject.get(self.inbox.len() + 1..)?;
        let number = std::str::from_utf8(number).ok()?.parse().ok()?;
        let waiting = self.waiting.remove(number)?;
        let status = ack.status().map(|(status, _)| status);
        let result = judge(status, &ack.payload, &waiting.subject);
        match &result {
            Ok(duplicate) => {
                self.metrics.published.inc();
                self.metrics.published_bytes.inc_by(waiting.bytes);
                if *duplicate {
                    self.metrics.publish_duplicates.inc();
                }
            }
            Err(_) => {
                self.metrics.publish_failures.inc();
            }
        }
        Some(Confirmation {
            task: waiting.task,
            index: waiting.index,
            result: result.map(|_| Stored(())),
        })
    }
}
