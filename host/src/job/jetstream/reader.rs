//! Reads a stream in order from a given message on, with its own consumer without acks.
//!
//! The reader creates the consumer again when a message is missing or nothing arrives: after a reconnect,
//! after a restart of the server, or when somebody deletes it. So the only gaps are those of the stream.

use super::answer::ApiError;
use crate::job::log::LogError;
use crate::nats::streams;
use crate::nats::wire::{self, Parts, Subscription, Wire};
use crate::threads::locked;
use serde::Deserialize;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Messages and bytes of one request. A larger message comes alone.
const WINDOW: u64 = 512;
const WINDOW_BYTES: usize = 8 << 20;
/// The status of a heartbeat.
const HEARTBEATS: u16 = 100;
/// How a question ends that was answered with as many messages or bytes as it asked for.
const ENDED: [&str; 2] = ["Message Size Exceeds MaxBytes", "Batch Completed"];
/// The time after which the server removes an unused consumer.
const INACTIVE: Duration = Duration::from_secs(30);

/// How often the server says that it has nothing to deliver.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A consumer of which nothing was heard for so long is lost, or was never made: a node that died may have had it.
const SILENCE: Duration = Duration::from_secs(5);

/// Whether a reader has read everything, and when it was last told so.
#[derive(Clone, Default)]
pub(super) struct Level(Arc<Mutex<Option<Instant>>>);

impl Level {
    pub(super) fn get(&self) -> bool {
        self.heard().is_some()
    }

    /// When the server was last heard, while there is nothing to read.
    pub(super) fn heard(&self) -> Option<Instant> {
        *locked(&self.0)
    }

    fn set(&self, is_level: bool) {
        *locked(&self.0) = is_level.then(Instant::now);
    }

    /// Something was heard that is no message.
    fn hear(&self) {
        self.set(self.get());
    }
}

pub(super) struct Reader {
    wire: Wire,
    stream: String,
    /// Which stream of that name it must be; any, if none. See [`streams::incarnation`].
    incarnation: Option<String>,
    /// All subjects, if empty.
    filters: Vec<String>,
    /// The sequence to go on with.
    next: u64,
    patience: Duration,
    open: Option<Open>,
    /// Whether the server has said that there is nothing more to read, and would send what comes.
    level: Level,
}

/// A consumer.
struct Open {
    wire: Wire,
    /// To end it.
    delete: String,
    /// Where to ask for messages.
    ask: String,
    inbox: String,
    subscription: Subscription,
    /// Whether it is made, and of the right stream.
    is_made: bool,
    is_verified: bool,
    /// Messages that have been asked for and have not come.
    asked: u64,
    /// Messages that it has delivered.
    delivered: u64,
    /// Of the connection, as it was made.
    reconnects: u64,
    /// When anything was last heard.
    heard: Instant,
    /// That of its reader.
    level: Level,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.level.set(false);
        // It goes by itself, too.
        let _ = self.wire.publish(&Parts {
            subject: self.delete.as_bytes(),
            ..Parts::default()
        });
    }
}

/// Where a message stands.
pub(super) struct Place {
    /// In its stream.
    pub sequence: u64,
    /// Among those that the consumer has delivered.
    delivery: u64,
    /// When it was stored: nanoseconds since the Unix epoch.
    pub stored: u64,
    /// How many messages the consumer has left.
    pending: u64,
}

impl Place {
    /// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or with a
    /// domain and an account before the stream, and a random token at the end.
    fn parse(reply: &[u8]) -> Option<Self> {
        let rest = reply.strip_prefix(b"$JS.ACK.")?;
        let dots = rest.iter().filter(|byte| **byte == b'.').count();
        let skipped = if dots == 6 { 3 } else { 5 };
        let mut tokens = rest.split(|byte| *byte == b'.').skip(skipped);
        let mut number = || std::str::from_utf8(tokens.next()?).ok()?.parse().ok();
        Some(Self {
            sequence: number()?,
            delivery: number()?,
            stored: number()?,
            pending: number()?,
        })
    }
}

impl Reader {
    pub(super) fn new(wire: Wire, stream: &str, filters: Vec<String>, patience: Duration) -> Self {
        Self {
            wire,
            stream: stream.to_owned(),
            incarnation: None,
            filters,
            next: 1,
            patience,
            open: None,
            level: Level::default(),
        }
    }

    /// Whether it has read everything, and would hear at once of what comes.
    pub(super) fn level(&self) -> Level {
        self.level.clone()
    }

    /// The same, of no stream that was created again: it has other messages under the same sequences.
    pub(super) fn of(self, incarnation: &str) -> Self {
        let incarnation = Some(incarnation.to_owned());
        Self {
            incarnation,
            ..self
        }
    }

    /// Reads from here on; a new reader begins with the first message.
    pub(super) fn begin_at(&mut self, sequence: u64) {
        if sequence != self.next {
            self.next = sequence;
            self.open = None;
        }
    }

    /// Waits for the next message and its place. Safe to drop while it waits.
    ///
    /// # Errors
    /// When the server gives an unexpected answer; the next call starts again.
    pub(super) async fn next(&mut self) -> Result<(wire::Message, Place), LogError> {
        loop {
            let reconnects = self.wire.health.reconnects();
            self.open = self
                .open
                .take()
                .filter(|open| open.reconnects == reconnects);
            let open = match &mut self.open {
                Some(open) => open,
                None => self.open.insert(Self::open(
                    &self.wire,
                    &self.stream,
                    &self.filters,
                    self.next,
                    self.incarnation.is_none(),
                    self.level(),
                )?),
            };
            open.ask(self.patience);
            let heard = open.heard + SILENCE.min(self.patience * 2);
            let arrived = tokio::select! {
                biased;
                arrived = open.subscription.next() => arrived,
                () = self.wire.health.down() => {
                    self.open = None;
                    return Err(LogError::Busy("the connection was lost".to_owned()));
                }
                () = tokio::time::sleep_until(heard.into()) => {
                    self.open = None;
                    let why = format!("nothing is heard of stream `{}`", self.stream);
                    return Err(LogError::Busy(why));
                }
            };
            let Some(message) = arrived else {
                return Err(LogError::Busy("the connection is closed".to_owned()));
            };
            open.heard = Instant::now();
            match self.take(message) {
                Ok(Some(read)) => return Ok(read),
                Ok(None) => {}
                Err(error) => {
                    self.open = None;
                    return Err(error);
                }
            }
        }
    }

    /// A message that has come already.
    pub(super) fn has_come(&mut self) -> Option<(wire::Message, Place)> {
        let message = self.open.as_mut()?.subscription.has_come()?;
        match self.take(message) {
            Ok(read) => read,
            Err(_) => {
                self.open = None;
                None
            }
        }
    }

    fn open(
        wire: &Wire,
        stream: &str,
        filters: &[String],
        next: u64,
        is_verified: bool,
        level: Level,
    ) -> Result<Open, LogError> {
        let consumer = wire.new_id();
        let inbox = wire.new_inbox();
        let subscription = wire.subscribe_once(&inbox);
        let config = json!({
            "stream_name": stream,
            "config": {
                "name": consumer,
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": next,
                "ack_policy": "none",
                "filter_subjects": filters,
                "mem_storage": true,
                "num_replicas": 1,
                "inactive_threshold": INACTIVE.as_nanos() as u64,
            },
            "action": "create",
        });
        if !is_verified {
            let info = wire.api.stream_info(stream);
            // What is wrong with the name is told by the next request.
            let _ = wire.publish(&Parts {
                subject: info.as_bytes(),
                reply: inbox.as_bytes(),
                ..Parts::default()
            });
        }
        let create = wire.api.consumer_create(stream, &consumer);
        let sent = wire.publish(&Parts {
            subject: create.as_bytes(),
            reply: inbox.as_bytes(),
            payload: config.to_string().as_bytes(),
            ..Parts::default()
        });
        sent.map_err(|_| LogError::Permanent(format!("`{stream}` is not a valid stream name")))?;
        Ok(Open {
            delete: wire.api.consumer_delete(stream, &consumer),
            ask: wire.api.next(stream, &consumer),
            wire: wire.clone(),
            inbox,
            subscription,
            is_made: false,
            is_verified,
            asked: 0,
            delivered: 0,
            reconnects: wire.health.reconnects(),
            heard: Instant::now(),
            level,
        })
    }

    /// A message of the stream, or what the server says.
    fn take(&mut self, message: wire::Message) -> Result<Option<(wire::Message, Place)>, LogError> {
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        if message.subject == open.inbox.as_bytes() {
            let incarnation = self.incarnation.as_deref();
            match open.on_status(&message, incarnation)? {
                Some(pending) => self.level.set(pending == 0),
                None => self.level.hear(),
            }
            return Ok(None);
        }
        let Some(place) = Place::parse(&message.reply) else {
            return Ok(None);
        };
        open.asked = open.asked.saturating_sub(1);
        if place.delivery != open.delivered + 1 {
            // One is missing before this one: read on from there.
            self.open = None;
            return Ok(None);
        }
        open.delivered = place.delivery;
        self.level.set(place.pending == 0);
        self.next = place.sequence + 1;
        Ok(Some((message, place)))
    }
}

impl Open {
    /// Asks for more messages, before those that were asked for have all come.
    fn ask(&mut self, patience: Duration) {
        if !self.is_made || !self.is_verified || self.asked > WINDOW / 2 {
            return;
        }
        // Besides its payload and headers, the server counts a message's subject and reply.
        let largest = self.wire.max_payload() + (64 << 10);
        let question = json!({
            "batch": WINDOW,
            "max_bytes": WINDOW_BYTES.max(largest),
            "expires": patience.as_nanos() as u64,
            "idle_heartbeat": HEARTBEAT.min(patience / 4).as_nanos() as u64,
        });
        let sent = self.wire.publish(&Parts {
            subject: self.ask.as_bytes(),
            reply: self.inbox.as_bytes(),
            payload: question.to_string().as_bytes(),
            ..Parts::default()
        });
        if sent.is_ok() {
            self.asked += WINDOW;
        }
    }

    /// The answer to its making or to the question for its stream, or the end of what was asked for. How many
    /// messages it has to deliver, where that is said.
    fn on_status(
        &mut self,
        message: &wire::Message,
        incarnation: Option<&str>,
    ) -> Result<Option<u64>, LogError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            r#type: String,
            created: Option<String>,
            num_pending: Option<u64>,
            error: Option<ApiError>,
        }
        let Some((status, words)) = message.status() else {
            return match serde_json::from_slice(&message.payload) {
                Ok(Answer {
                    error: Some(error), ..
                }) => Err(error.into()),
                Ok(answer) if answer.r#type.contains("stream_info") => {
                    let created: Option<jiff::Timestamp> =
                        answer.created.and_then(|time| time.parse().ok());
                    let found = created.map(|time| streams::incarnation(time.as_millisecond()));
                    self.is_verified = found.as_deref() == incarnation;
                    match self.is_verified {
                        true => Ok(None),
                        false => Err(LogError::Permanent(
                            "the stream was deleted and created again".to_owned(),
                        )),
                    }
                }
                answer => {
                    self.is_made = true;
                    Ok(answer.ok().and_then(|answer| answer.num_pending))
                }
            };
        };
        if status == HEARTBEATS {
            return Ok(None);
        }
        // The time of a question is over, or the bytes that it asked for.
        let is_over = status == 408 || status == 409 && ENDED.contains(&words);
        if !is_over {
            return Err(LogError::Busy(format!(
                "the server says: {words} ({status})"
            )));
        }
        let left = message.header("Nats-Pending-Messages");
        let left = left.and_then(|left| left.parse().ok()).unwrap_or(WINDOW);
        self.asked = self.asked.saturating_sub(left);
        Ok(None)
    }
}
