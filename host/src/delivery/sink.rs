//! Step 5: publishes messages, and awaits the server's answer to each.
//!
//! All publish acks arrive on one inbox, distinguished by a number in the reply subject. So a publish needs
//! no future, and all publishes of a batch are written together. If the stream accepts batches,
//! `fast_ingest.rs` decides their content: the sink holds a message back until it knows whether another
//! follows.
//!
//! If a publish is not acknowledged, the host does not know whether it is stored. It reports a failure;
//! within the duplicate window the message id makes the repeat harmless.

mod waiting;

use crate::config::resolved;
use crate::delivery::fast_ingest::{Bursts, Ingest, Part, Place, Said, Trouble};
use crate::delivery::in_flight::TaskId;
use crate::delivery::publish_window::Window;
use crate::nats::Connection;
pub use crate::nats::refusal::Failure;
use crate::nats::refusal::judge;
use crate::nats::wire::{Message, Parts, Subscription, Wire, is_subject};
use crate::outgoing::OutgoingMessage;
use crate::telemetry::metrics::PipelineMetrics;
use anyhow::{Context, Result};
use bytes::Bytes;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use waiting::Waiting;
pub use waiting::{Confirmation, Stored};

/// How long a publish ack may take. Elections take 4 to 9 s (measured); a repeat before one has
/// ended would only be ambiguous again.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
/// The greatest number of publishes without an ack; beyond it `publish` waits. This bounds a message that
/// becomes a million results.
const WINDOW: usize = 4096;
/// How long to wait for the server's answer about a subject, and how long not to ask again after a failure.
const PATIENCE: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_secs(10);

/// The publishing end of one lane.
pub struct Sink {
    wire: Wire,
    /// For questions about streams.
    connection: Connection,
    acks: Subscription,
    inbox: String,
    /// Of this sink alone: the beginning of the names of its batches.
    name: String,
    /// The reply subject and the header block of the message that is published next. The first begins with
    /// `inbox` and a dot, whatever it is.
    reply: Vec<u8>,
    headers: Vec<u8>,
    /// The message to which the header block belongs. None between two bursts.
    held: Option<Held>,
    waiting: Window<Waiting>,
    bursts: Bursts,
    ingest: Ingest,
    /// Taken from the inbox while `publish` waited for room.
    early: Vec<Confirmation>,
    /// When the server was asked last what it knows of a subject, if it has not said.
    unsaid: Option<Instant>,
    pipeline: String,
    metrics: Arc<PipelineMetrics>,
}

/// A message that is not written yet.
struct Held {
    /// In the window.
    number: u64,
    payload: Bytes,
}

impl Sink {
    /// Subscribes to the inbox of acks. `has_fast_ingest` is whether the stream of the results takes batches.
    #[must_use]
    pub fn open(
        wire: Wire,
        connection: Connection,
        metrics: Arc<PipelineMetrics>,
        settings: &resolved::Pipeline,
        has_fast_ingest: bool,
    ) -> Self {
        let inbox = wire.new_inbox();
        Self {
            acks: wire.subscribe(&format!("{inbox}.>")),
            name: wire.new_id(),
            wire,
            connection,
            reply: format!("{inbox}.").into_bytes(),
            inbox,
            headers: Vec::new(),
            held: None,
            waiting: Window::new(WINDOW),
            bursts: Bursts::default(),
            ingest: Ingest::new(has_fast_ingest),
            early: Vec::new(),
            unsaid: None,
            pipeline: settings.name.clone(),
            metrics,
        }
    }

    /// Whether acks are still to come.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.early.is_empty()
    }

    /// Publishes one message on behalf of a task; `in_batch` is whether it may go out in a batch. It is written
    /// with the next one, or with the end of the burst. Waits while the window is full.
    pub async fn publish(
        &mut self,
        task: TaskId,
        index: usize,
        message: &OutgoingMessage,
        in_batch: bool,
    ) {
        while self.waiting.is_full() {
            self.end_burst();
            match self.next_acks().await {
                Some(confirmed) => self.early.extend(confirmed),
                // This publish fails as well.
                None => break,
            }
        }
        self.wire.room().await;
        match self.check(message) {
            Ok(()) => {
                let in_batch = in_batch && self.ingest.is_on();
                self.write_held(!in_batch);
                self.headers.clear();
                message.write_headers(&mut self.headers);
                self.held = Some(Held {
                    number: self.waiting.next(),
                    payload: message.payload.clone(),
                });
                self.waiting.push(Waiting {
                    task,
                    index,
                    subject: message.subject.clone(),
                    bytes: message.payload.len() as u64,
                    since: Instant::now(),
                    place: u64::MAX,
                });
                if !in_batch {
                    self.end_burst();
                }
            }
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

    /// No further message follows for now: writes the message that is held back.
    pub fn end_burst(&mut self) {
        self.write_held(true);
    }

    fn check(&self, message: &OutgoingMessage) -> Result<(), String> {
        let (size, most) = (message.size(), self.wire.max_payload());
        if size > most {
            return Err(format!(
                "{size} bytes are over the server's limit of {most}"
            ));
        }
        match is_subject(message.subject.as_bytes()) {
            true => Ok(()),
            false => Err("it is not a valid subject to publish to".to_owned()),
        }
    }

    /// Writes the message that is held back, if there is one: as the last of its burst, or as one that others
    /// follow.
    fn write_held(&mut self, last: bool) {
        let Some(held) = self.held.take() else {
            return;
        };
        self.reply.truncate(self.inbox.len() + 1);
        match self.bursts.write(held.number, last) {
            Some((place, part)) => place.write(&self.name, part, &mut self.reply),
            None => {
                let mut number = itoa::Buffer::new();
                let number = number.format(held.number);
                self.reply.extend_from_slice(number.as_bytes());
            }
        }
        let Some(waiting) = self.waiting.get_mut(held.number) else {
            return;
        };
        let written = self.wire.publish(&Parts {
            subject: waiting.subject.as_bytes(),
            reply: &self.reply,
            headers: &self.headers,
            payload: &held.payload,
        });
        // Its subject was checked.
        waiting.place = written.unwrap_or(waiting.place);
    }

    /// Ends the batches of which the server would not hear otherwise that they are over.
    fn end_batches(&mut self) {
        while let Some((place, number)) = self.bursts.unended(&self.waiting)
            && let Some(waiting) = self.waiting.get(number)
        {
            self.reply.truncate(self.inbox.len() + 1);
            place.write(&self.name, Part::End, &mut self.reply);
            let _ = self.wire.publish(&Parts {
                subject: waiting.subject.as_bytes(),
                reply: &self.reply,
                ..Parts::default()
            });
        }
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
        let asked = crate::nats::by_subject::never_acks(&self.connection, subject);
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
            let Some(oldest) = self.waiting.oldest() else {
                return std::future::pending().await;
            };
            let (since, place) = (oldest.since, oldest.place);
            let health = Arc::clone(&self.wire.health);
            let changed = health.changed.notified();
            let is_connected = health.is_connected();
            let (lost, began) = self.wire.lost();
            if is_connected && place <= lost {
                return Some(self.give_up(|waiting| {
                    let why = "the connection was lost before a publish ack came";
                    let reason = || format!("cannot publish to `{}`: {why}", waiting.subject);
                    (waiting.place <= lost).then(|| Failure::Unavailable(reason()))
                }));
            }
            // What was published while there was no connection is under way since there is one.
            let began = began.unwrap_or(since);
            let deadline = tokio::time::Instant::from_std(since.max(began) + ACK_TIMEOUT);
            tokio::select! {
                biased;
                ack = self.acks.next() => {
                    let mut confirmed = Vec::new();
                    self.take(&ack?, &mut confirmed);
                    while let Some(ack) = self.acks.has_come() {
                        self.take(&ack, &mut confirmed);
                    }
                    if !confirmed.is_empty() {
                        return Some(confirmed);
                    }
                }
                () = tokio::time::sleep_until(deadline), if is_connected => return Some(self.give_up(|waiting| {
                    let (subject, seconds) = (waiting.subject.to_string(), ACK_TIMEOUT.as_secs());
                    let reason = format!("cannot publish to `{subject}`: no publish ack within {seconds} s");
                    (waiting.since.max(began).elapsed() >= ACK_TIMEOUT)
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
            self.bursts.gave_up(number);
            Some(waiting.confirmation(Err(failure), &self.metrics))
        });
        let failed = failed.collect();
        self.end_batches();
        failed
    }

    /// What an answer says of which messages.
    fn take(&mut self, ack: &Message, confirmed: &mut Vec<Confirmation>) {
        let reply = ack.subject.get(self.inbox.len() + 1..).unwrap_or_default();
        let Ok(reply) = std::str::from_utf8(reply) else {
            return;
        };
        let status = ack.status().map(|(status, _)| status);
        if let Ok(number) = reply.parse() {
            if let Some(waiting) = self.waiting.remove(number) {
                let result = judge(status, &ack.payload, &waiting.subject);
                confirmed.push(waiting.confirmation(result, &self.metrics));
            }
            return;
        }
        let Some(place) = Place::read(reply) else {
            return;
        };
        let number = place.first.saturating_add(place.number.saturating_sub(1));
        let asked = self.waiting.get(number);
        let subject = asked.map_or("", |waiting| &waiting.subject);
        let said = Said::of(status, &ack.payload, subject);
        let is_end = matches!(said, Said::End(_));
        let metrics = Arc::clone(&self.metrics);
        let each = |waiting: Waiting, result: Result<bool, Failure>| {
            if result.is_ok() {
                metrics.fast_ingest_published.inc();
            }
            confirmed.push(waiting.confirmation(result, &metrics));
        };
        match self.bursts.hear(&mut self.waiting, place, said, each) {
            Some(trouble) => self.fall_back(trouble),
            None if is_end => self.ingest.works(),
            None => {}
        }
        self.end_batches();
    }

    /// Publishes one by one for a while.
    fn fall_back(&mut self, why: Trouble) {
        self.metrics.fast_ingest_fell_back(why.as_str());
        if self.ingest.fails() {
            let pipeline = &self.pipeline;
            tracing::info!(pipeline, "results are published one by one for now: {why}");
        }
    }
}
