//! Station 5: publish messages, and await what the server says of each.
//!
//! Publishes over the core client and takes the publish acks on one inbox, told apart by a number
//! in the reply subject. So a window of publishes costs no future each, and nothing can wait for a
//! permit that only its own acknowledgement would free (which `PublishAckFuture` does).
//!
//! A publish that is not acknowledged is neither stored nor lost as far as the host knows. It is
//! reported as a failure; the message id makes the repeat harmless within the duplicate window.

use crate::delivery::in_flight::TaskId;
use crate::delivery::publish_window::Window;
use crate::headers::{DIGEST, MESSAGE_ID};
use crate::nats::Connection;
use crate::outgoing::OutgoingMessage;
use crate::telemetry::metrics::PipelineMetrics;
use anyhow::{Context, Result, anyhow};
use async_nats::client::PublishErrorKind;
use async_nats::{HeaderMap, HeaderName, HeaderValue, Message, Subject, Subscriber};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt};
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a publish ack may take. Elections take 4 to 9 s (measured); a repeat before one has
/// ended would only be ambiguous again.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
/// Publishes that may await their acks at once, over which `publish` waits. One message that
/// becomes a million results is bounded by this.
const WINDOW: usize = 4096;
/// Bytes of the block that reply subjects are cut from, and the most that one takes: an inbox with its
/// prefix, and a number.
const REPLIES: usize = 16 * 1024;
const LONGEST_REPLY: usize = 512;
/// JetStream's code for a message over the stream's `max_msg_size`.
const MESSAGE_TOO_LARGE: u64 = 10054;
/// JetStream's answer to a publish that no stream captures, over the core protocol.
const NO_RESPONDERS: u16 = 503;

/// Proof that one message is stored. Only a publish ack of the server makes one.
pub struct Stored(());

/// Why a letter is not known to be stored.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Not now: no answer, no permission, a full stream. Says nothing about the message.
    Unavailable(String),
    /// No stream captures the subject, or no jetstream server is there to say so.
    NoStream { subject: String, reason: String },
    /// The stream will never take this message.
    Refused(String),
}

impl Failure {
    /// What to do about it, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoStream { subject, .. } => Some(format!(
                "create a stream that captures `{subject}`, or start weir with `--create`"
            )),
            Self::Unavailable(reason) if reason.contains("Permissions Violation") => {
                Some("allow this user to publish there".to_owned())
            }
            Self::Unavailable(_) | Self::Refused(_) => None,
        }
    }
}

/// What the server said of one message.
pub struct Confirmation {
    pub task: TaskId,
    /// Of the message among those of its task.
    pub index: usize,
    pub result: Result<Stored, Failure>,
}

/// The publishing end of one lane.
pub struct Sink {
    connection: Connection,
    acks: Subscriber,
    inbox: String,
    /// Reply subjects are written here, many to an allocation.
    replies: BytesMut,
    waiting: Window<Waiting>,
    /// Taken from the inbox while `publish` waited for room.
    early: Vec<Confirmation>,
    metrics: Arc<PipelineMetrics>,
}

struct Waiting {
    task: TaskId,
    index: usize,
    subject: Subject,
    bytes: u64,
    since: Instant,
}

impl Sink {
    /// Subscribes to the inbox of acks.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn open(connection: Connection, metrics: Arc<PipelineMetrics>) -> Result<Self> {
        let inbox = connection.client.new_inbox();
        let acks = connection
            .client
            .subscribe(format!("{inbox}.*"))
            .await
            .map_err(|error| anyhow!("{error}"))
            .context("cannot subscribe to the inbox of publish acks")?;
        Ok(Self {
            connection,
            acks,
            inbox,
            replies: BytesMut::new(),
            waiting: Window::new(WINDOW),
            early: Vec::new(),
            metrics,
        })
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
        let since = Instant::now();
        let (headers, bytes) = (header_map(message), message.payload.len());
        let subject = subject(message.subject.as_bytes().clone());
        let reply = self.reply();
        let client = &self.connection.client;
        let sent = client
            .publish_with_reply_and_headers(
                subject.clone(),
                reply,
                headers,
                message.payload.clone(),
            )
            .await;
        match sent {
            Ok(()) => self.waiting.push(Waiting {
                task,
                index,
                subject,
                bytes: bytes as u64,
                since,
            }),
            Err(error) => {
                self.metrics.publish_failures.inc();
                let reason = format!("cannot publish to `{subject}`: {}", error.kind());
                let result = Err(match error.kind() {
                    PublishErrorKind::MaxPayloadExceeded => Failure::Refused(reason),
                    _ => Failure::Unavailable(reason),
                });
                self.early.push(Confirmation {
                    task,
                    index,
                    result,
                });
            }
        }
    }

    /// Where the server answers the next publish.
    fn reply(&mut self) -> Subject {
        if self.replies.capacity() < LONGEST_REPLY {
            self.replies.reserve(REPLIES);
        }
        // Writing to a buffer does not fail.
        let _ = write!(self.replies, "{}.{}", self.inbox, self.waiting.next());
        subject(self.replies.split().freeze())
    }

    /// The publish that has been without an ack for longest: its subject, and since when.
    #[must_use]
    pub fn oldest(&self) -> Option<(&str, Instant)> {
        let oldest = self.waiting.oldest()?;
        Some((&oldest.subject, oldest.since))
    }

    /// Whether a server that knows its streams says that none captures `subject`.
    pub async fn nobody_captures(&self, subject: &str) -> bool {
        let context = crate::nats::streams::jetstream(&self.connection);
        matches!(
            crate::nats::streams::find_by_subject(&context, subject).await,
            Ok(None)
        )
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
            let changed = self.connection.health.changed.notified();
            tokio::select! {
                biased;
                ack = self.acks.next() => {
                    let mut confirmed = Vec::from_iter(self.take(&ack?));
                    while let Some(Some(ack)) = self.acks.next().now_or_never() {
                        confirmed.extend(self.take(&ack));
                    }
                    if !confirmed.is_empty() {
                        return Some(confirmed);
                    }
                }
                () = tokio::time::sleep_until(deadline) => return Some(self.give_up(|waiting| {
                    (waiting.since.elapsed() >= ACK_TIMEOUT)
                        .then(|| format!("no publish ack within {} s", ACK_TIMEOUT.as_secs()))
                })),
                () = changed => {
                    let health = Arc::clone(&self.connection.health);
                    let refused = self.give_up(|waiting| health.violation(&waiting.subject, waiting.since));
                    if !refused.is_empty() {
                        return Some(refused);
                    }
                }
            }
        }
    }

    /// Fails the publishes for which `why` has a reason.
    fn give_up(&mut self, why: impl Fn(&Waiting) -> Option<String>) -> Vec<Confirmation> {
        let failed: Vec<_> = self
            .waiting
            .iter()
            .filter_map(|(number, waiting)| Some((number, why(waiting)?)))
            .collect();
        let failed = failed.into_iter().filter_map(|(number, reason)| {
            let waiting = self.waiting.remove(number)?;
            self.metrics.publish_failures.inc();
            let reason = format!("cannot publish to `{}`: {reason}", waiting.subject);
            Some(Confirmation {
                task: waiting.task,
                index: waiting.index,
                result: Err(Failure::Unavailable(reason)),
            })
        });
        failed.collect()
    }

    fn take(&mut self, ack: &Message) -> Option<Confirmation> {
        let number = ack.subject.get(self.inbox.len() + 1..)?.parse().ok()?;
        let waiting = self.waiting.remove(number)?;
        let result = judge(ack, &waiting.subject);
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

/// Whether the letter was stored, and whether it had been before.
fn judge(ack: &Message, subject: &str) -> Result<bool, Failure> {
    #[derive(serde::Deserialize)]
    struct Ack {
        seq: Option<u64>,
        #[serde(default)]
        duplicate: bool,
        error: Option<ApiError>,
    }
    #[derive(serde::Deserialize)]
    struct ApiError {
        #[serde(default)]
        err_code: u64,
        #[serde(default)]
        description: String,
    }
    if ack
        .status
        .is_some_and(|status| status.as_u16() == NO_RESPONDERS)
    {
        let reason = format!("no stream captures `{subject}`");
        return Err(Failure::NoStream {
            subject: subject.to_owned(),
            reason,
        });
    }
    match serde_json::from_slice::<Ack>(&ack.payload) {
        Ok(Ack {
            error: Some(error), ..
        }) if error.err_code == MESSAGE_TOO_LARGE => Err(Failure::Refused(format!(
            "the stream of `{subject}` refuses it: {}",
            error.description
        ))),
        Ok(Ack {
            error: Some(error), ..
        }) => Err(Failure::Unavailable(format!(
            "the stream of `{subject}` did not store it: {}",
            error.description
        ))),
        Ok(Ack {
            seq: Some(_),
            duplicate,
            ..
        }) => Ok(duplicate),
        _ => Err(Failure::Unavailable(format!(
            "the responder on `{subject}` is not jetstream"
        ))),
    }
}

/// The bytes are text: they come from one.
fn subject(text: Bytes) -> Subject {
    Subject::from_utf8(text).unwrap_or_else(|_| Subject::from_static(""))
}

/// The headers of a message on the wire.
#[must_use]
pub fn header_map(message: &OutgoingMessage) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in &message.headers {
        // Both were checked when the message was made.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            map.append(name, value);
        }
    }
    if let Some(id) = &message.id {
        let value = HeaderValue::from(id.as_str());
        map.insert(HeaderName::from_static(MESSAGE_ID), value);
    }
    if let Some(digest) = &message.digest {
        let value = HeaderValue::from(&**digest);
        map.insert(HeaderName::from_static(DIGEST), value);
    }
    map
}
