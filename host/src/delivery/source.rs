//! Station 1: pull deliveries from the durable consumer.
//!
//! Pulls over the core client, on one inbox for the life of the lane, so that a batch costs one
//! publish and no subscription. Deliveries come on that inbox under their own subject, statuses
//! under the inbox of the request they end, which is how the two are told apart.
//!
//! Backpressure: nothing is asked for without room to work on it, by count and by bytes.

mod status;

pub use status::{Ended, NotPermitted};

use crate::config::resolved::{Bounds, Order};
use crate::delivery::ticket::Ticket;
use crate::message::Message;
use crate::nats::consumers::GROUP;
use crate::nats::streams::Durable;
use crate::nats::{self, Connection};
use crate::parked::Origin;
use crate::telemetry::metrics::PipelineMetrics;
use anyhow::{Context, Result, anyhow};
use async_nats::Subscriber;
use bytestring::ByteString;
use futures_util::{FutureExt, StreamExt};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a pull waits at the server for messages before it is asked again.
const EXPIRES: Duration = Duration::from_secs(10);
/// How often the server says that it is still there while a pull waits.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Silence after which a pull is taken for lost: two heartbeats and some.
const SILENCE: Duration = Duration::from_millis(4500);
/// Silence after which nothing is taken to be on its way, when nothing more is asked for.
const QUIET: Duration = Duration::from_millis(100);
/// How long deliveries are waited for then, however they trickle.
const LONGEST_DRAIN: Duration = Duration::from_secs(1);
/// Pulls under way at once: one being filled while the next already waits.
const PULLS: usize = 2;
/// Added to the largest payload for subject, reply and headers in the server's count of bytes.
const OVERHEAD: usize = 64 * 1024;

/// One delivery: what to work on, and what is owed for it.
pub struct Delivery {
    pub message: Message,
    pub ticket: Ticket,
    /// Where the message came from, if it was parked since.
    pub origin: Option<Box<Origin>>,
}

/// The pulling end of one lane.
pub struct Source {
    connection: Connection,
    subscription: Subscriber,
    /// The lane's inbox; requests reply to `<inbox>.<number>`.
    inbox: String,
    request: String,
    pulls: VecDeque<Pull>,
    number: u64,
    heard: Instant,
    /// Of the message before.
    subject: ByteString,
    /// The least a request asks for in bytes: less than one message would never be answered.
    least_bytes: usize,
    /// Ordered pipelines: the group, and the pin the server gave to this lane.
    pinned: bool,
    pin: Option<String>,
    metrics: Arc<PipelineMetrics>,
    reconnects: u64,
    /// Whether the consumer may be gone, or another: after a reconnect, and when nobody answers.
    doubtful: bool,
    /// Since when nothing more is asked for, and whether the server has been told.
    draining: Option<Instant>,
    unsubscribed: bool,
    /// What the next pull returns, because the last one had deliveries to hand out first.
    ended: Option<Ended>,
    /// Not before this, after the server refused a pull.
    pause: Option<Instant>,
}

/// One request under way and what of it has not been answered.
struct Pull {
    subject: String,
    messages: usize,
    bytes: usize,
    /// Whether it has brought a message.
    answered: bool,
}

impl Source {
    /// Subscribes; asks for nothing yet.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn open(
        connection: Connection,
        durable: &Durable,
        order: Order,
        metrics: Arc<PipelineMetrics>,
    ) -> Result<Self> {
        let inbox = connection.client.new_inbox();
        let subscription = connection
            .client
            .subscribe(format!("{inbox}.*"))
            .await
            .map_err(|error| anyhow!("{error}"))
            .context("cannot subscribe to the inbox of pulls")?;
        let least_bytes = connection.client.max_payload() + OVERHEAD;
        Ok(Self {
            request: format!(
                "$JS.API.CONSUMER.MSG.NEXT.{}.{}",
                durable.stream, durable.consumer
            ),
            reconnects: connection.health.reconnects(),
            connection,
            subscription,
            inbox,
            pulls: VecDeque::new(),
            number: 0,
            heard: Instant::now(),
            subject: ByteString::new(),
            least_bytes,
            pinned: order != Order::None,
            pin: None,
            metrics,
            doubtful: false,
            draining: None,
            unsubscribed: false,
            ended: None,
            pause: None,
        })
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
            self.forget_after_reconnect();
            if self.is_doubtful() {
                return Ok(Vec::new());
            }
            self.ask(room).await;
            self.unsubscribe().await;
            let mut deliveries = Vec::new();
            let mut next =
                match tokio::time::timeout(self.patience(), self.subscription.next()).await {
                    Ok(message) => {
                        self.heard = Instant::now();
                        Some(message)
                    }
                    Err(_) => {
                        self.ended = self.on_silence().err();
                        None
                    }
                };
            while let Some(arrived) = next {
                let taken = arrived.ok_or(Ended::Drained);
                if let Err(ended) = taken.and_then(|message| self.take(message, &mut deliveries)) {
                    self.ended = Some(ended);
                    break;
                }
                let more = deliveries.len() < most;
                next = more
                    .then(|| self.subscription.next().now_or_never())
                    .flatten();
            }
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
        }
    }

    /// Asks for no more. What the server has already sent is still handed out by `pull`, which ends
    /// with [`Ended::Drained`].
    pub fn drain(&mut self) {
        self.draining.get_or_insert_with(Instant::now);
    }

    /// Unsubscribes once no more deliveries come: those that the server has on their way would else
    /// go nowhere, and come again only after ack-wait.
    async fn unsubscribe(&mut self) {
        let Some(since) = self.draining.filter(|_| !self.unsubscribed) else {
            return;
        };
        let quiet = self.expected() == 0 || self.heard.elapsed() >= QUIET;
        if quiet || since.elapsed() >= LONGEST_DRAIN {
            self.unsubscribed = true;
            if self.subscription.drain().await.is_err() {
                tracing::debug!("the connection closed before the pulls were drained");
            }
        }
    }

    /// Whether to make sure that the consumer is still there and the same.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.doubtful && self.draining.is_none()
    }

    /// It is.
    pub fn trust(&mut self) {
        self.doubtful = false;
    }

    /// The least room in bytes with which anything is asked for.
    #[must_use]
    pub fn least_bytes(&self) -> usize {
        self.least_bytes
    }

    /// Messages asked for that have not come yet.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.pulls.iter().map(|pull| pull.messages).sum()
    }

    /// The pin of an ordered pipeline, once the server has given it to this lane.
    #[must_use]
    pub fn pin(&self) -> Option<&str> {
        self.pin.as_deref()
    }

    async fn ask(&mut self, room: Bounds) {
        let paused = self.pause.is_some_and(|until| Instant::now() < until);
        // The client would keep requests until it is connected again, and the server then answer all.
        let paused = paused || !self.connection.health.is_connected();
        // Until an ordered lane has its pin, one message shows it, and none is under way unseen.
        let unpinned = self.pinned && self.pin.is_none();
        let most_pulls = if unpinned { 1 } else { PULLS };
        if self.draining.is_some() || paused || self.pulls.len() >= most_pulls {
            return;
        }
        let wanted = if unpinned {
            room.messages.min(1)
        } else {
            room.messages
        };
        let messages = wanted.saturating_sub(self.expected());
        let asked_bytes: usize = self.pulls.iter().map(|pull| pull.bytes).sum();
        let bytes = room.bytes.saturating_sub(asked_bytes);
        // A second pull for a handful would cost as much as one for many.
        let worthwhile = self.pulls.is_empty() || messages * 2 >= wanted;
        if messages == 0 || bytes < self.least_bytes || !worthwhile {
            return;
        }
        self.number += 1;
        let subject = format!("{}.{}", self.inbox, self.number);
        let mut request = serde_json::json!({
            "batch": messages,
            "max_bytes": bytes,
            "expires": u64::try_from(EXPIRES.as_nanos()).unwrap_or(u64::MAX),
            "idle_heartbeat": u64::try_from(HEARTBEAT.as_nanos()).unwrap_or(u64::MAX),
        });
        if self.pinned
            && let Some(fields) = request.as_object_mut()
        {
            fields.insert("group".to_owned(), GROUP.into());
            if let Some(pin) = &self.pin {
                fields.insert("id".to_owned(), pin.as_str().into());
            }
        }
        let sent = self
            .connection
            .client
            .publish_with_reply(
                self.request.clone(),
                subject.clone(),
                request.to_string().into(),
            )
            .await;
        match sent {
            Ok(()) => self.pulls.push_back(Pull {
                subject,
                messages,
                bytes,
                answered: false,
            }),
            Err(error) => {
                self.metrics.pull_errors.inc();
                tracing::debug!("cannot ask for messages: {error}");
                self.pause = Some(Instant::now() + HEARTBEAT);
            }
        }
        if self.pulls.len() == 1 {
            self.heard = Instant::now();
        }
    }

    fn patience(&self) -> Duration {
        let now = Instant::now();
        if self.draining.is_some() && !self.unsubscribed {
            return (self.heard + QUIET).saturating_duration_since(now);
        }
        if !self.connection.health.is_connected() {
            return QUIET;
        }
        match self.pause {
            Some(until) if self.pulls.is_empty() => until.saturating_duration_since(now),
            _ if self.pulls.is_empty() => HEARTBEAT,
            _ => (self.heard + SILENCE).saturating_duration_since(now),
        }
    }

    fn on_silence(&mut self) -> Result<(), Ended> {
        if !self.pulls.is_empty() && self.heard.elapsed() >= SILENCE {
            if let Some(refused) = self.connection.health.violation(&self.request) {
                return Err(Ended::Refused(refused));
            }
            self.metrics.missed_heartbeats.inc();
            self.pulls.clear();
        }
        Ok(())
    }

    /// The server forgets pulls with the connection they came on.
    fn forget_after_reconnect(&mut self) {
        let reconnects = self.connection.health.reconnects();
        if reconnects != self.reconnects && self.connection.health.is_connected() {
            self.reconnects = reconnects;
            self.pulls.clear();
            self.doubtful = true;
        }
    }

    fn take(
        &mut self,
        message: async_nats::Message,
        into: &mut Vec<Delivery>,
    ) -> Result<(), Ended> {
        if let Some(status) = message.status {
            return self.on_status(status.as_u16(), &message);
        }
        if let Some(pull) = self.pulls.front_mut() {
            pull.answered = true;
            pull.messages = pull.messages.saturating_sub(1);
            pull.bytes = pull.bytes.saturating_sub(message.length);
            if pull.messages == 0 {
                self.pulls.pop_front();
            }
        }
        let reply = message.reply.as_ref().map_or(0, |reply| reply.len());
        let carried = message.length - message.subject.len() - reply;
        let Some(ticket) = message
            .reply
            .and_then(|reply| Ticket::claim(reply, &self.metrics))
        else {
            return Ok(());
        };
        if self.pinned
            && let Some(pin) = header(message.headers.as_ref(), "Nats-Pin-Id")
        {
            self.pin = Some(pin.to_owned());
        }
        self.metrics.received.inc();
        self.metrics.received_bytes.inc_by(carried as u64);
        if ticket.facts.attempt > 1 {
            self.metrics.redelivered.inc();
        }
        let decoded = Message {
            subject: self.subject(&message.subject),
            payload: message.payload,
            headers: message
                .headers
                .as_ref()
                .map(nats::headers)
                .unwrap_or_default(),
            key: None,
            event_time: ticket.facts.stored,
            sequence: ticket.facts.sequence,
            attempt: ticket.facts.attempt,
        };
        into.push(Delivery {
            message: decoded,
            ticket,
            origin: None,
        });
        Ok(())
    }

    /// A subject as text of the host's; many messages in a row have the same.
    fn subject(&mut self, subject: &str) -> ByteString {
        if *self.subject != *subject {
            self.subject = ByteString::from(subject);
        }
        self.subject.clone()
    }
}

fn header<'a>(headers: Option<&'a async_nats::HeaderMap>, name: &str) -> Option<&'a str> {
    headers?.get(name).map(async_nats::HeaderValue::as_str)
}
