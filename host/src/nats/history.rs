//! Streams read from one message to another, without anything of it showing at any durable consumer.
//!
//! Reading is done by an ephemeral consumer without acks, which the server forgets half a minute after
//! it was last asked. What a stream does not hold any more is told by [`History`], so that its absence
//! is not taken for something else.

use super::streams::{self, base36};
use super::{Api, Connection, headers, permitted};
use crate::message::Message;
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RetentionPolicy, Stream};
use async_nats::jetstream::{self, ErrorCode};
use bytestring::ByteString;
use futures_util::StreamExt;
use std::time::Duration;

/// Silence after which it is asked whether anything is still to come.
const QUIET: Duration = Duration::from_secs(5);
/// Bytes of messages that are asked for ahead, about.
const AHEAD: u64 = 32 << 20;
/// Messages that are asked for ahead, at most.
const MOST: u64 = 500;

/// A stream as it was when it was looked at.
pub struct History {
    stream: Stream,
    pub name: String,
    /// `<stream>@<incarnation>`, as in message ids.
    pub source_id: String,
    /// What it captures.
    pub captured: Vec<String>,
    /// The first message that it holds.
    pub first: u64,
    /// When that was stored, in nanoseconds since the Unix epoch.
    pub first_stored: u64,
    /// The last message that it has ever held; 0 where there was none.
    pub last: u64,
    /// Whether it keeps only so many messages of each subject, wherever they lie.
    pub per_subject: bool,
    /// Messages between the first and the last that are gone.
    pub deleted: u64,
    /// Whether it keeps messages that every consumer has acked.
    pub keeps: bool,
    /// Of a message, in bytes.
    average: u64,
    api: Api,
}

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    Sequence(u64),
    /// Nanoseconds since the Unix epoch.
    Time(u64),
}

/// A stored message.
pub struct Stored {
    /// Its event time is when it was stored.
    pub message: Message,
    /// Nanoseconds since the Unix epoch.
    pub stored: u64,
    /// Messages that match and come after it.
    pending: u64,
}

impl History {
    /// Looks at a stream.
    ///
    /// # Errors
    /// `Ok(None)` when there is none of this name; an error when the server does not say.
    pub async fn find(connection: &Connection, name: &str) -> Result<Option<Self>> {
        let context = streams::jetstream(connection);
        let what = || format!("cannot read stream `{name}`");
        let api = connection.api.stream_info(name);
        let asked = permitted(connection, &api, context.get_stream(name)).await;
        let stream = match asked.with_context(what)? {
            Ok(stream) => stream,
            Err(error)
                if matches!(error.kind(), GetStreamErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(anyhow!("{}", error.kind())).with_context(what),
        };
        let info = stream.cached_info();
        let (config, state) = (&info.config, &info.state);
        let created = info.created.unix_timestamp_nanos() / 1_000_000;
        let incarnation = base36(u64::try_from(created).unwrap_or_default());
        Ok(Some(Self {
            name: name.to_owned(),
            source_id: format!("{name}@{incarnation}"),
            captured: config.subjects.clone(),
            first: state.first_sequence,
            first_stored: nanoseconds(state.first_timestamp.unix_timestamp_nanos()),
            last: state.last_sequence,
            per_subject: config.max_messages_per_subject > 0,
            deleted: state.deleted_count.unwrap_or_default(),
            keeps: config.retention == RetentionPolicy::Limits,
            average: state.bytes / state.messages.max(1),
            api: connection.api.clone(),
            stream,
        }))
    }

    /// Whether all that was stored since this time is still there, unless it was deleted one by one.
    #[must_use]
    pub fn reaches_back_to(&self, time: u64) -> bool {
        let whole = self.first <= 1;
        whole || (self.first <= self.last && self.first_stored <= time)
    }

    /// The sequence of the first message that was stored at this time or later; one behind the last
    /// if there is none.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn sequence_at(&self, time: u64) -> Result<u64> {
        let config = pull::Config {
            ack_policy: AckPolicy::None,
            deliver_policy: Begin::Time(time).policy()?,
            inactive_threshold: QUIET,
            memory_storage: true,
            num_replicas: 1,
            ..Default::default()
        };
        let what = || format!("cannot find a time in stream `{}`", self.name);
        let made = self.stream.create_consumer(config).await;
        let made = made.map_err(anyhow::Error::msg).with_context(what)?;
        let info = made.cached_info();
        // A new consumer says that it has delivered what lies before its beginning.
        let before = info.delivered.stream_sequence;
        // It goes by itself if it cannot be deleted.
        let _ = self.stream.delete_consumer(&info.name).await;
        Ok(before + 1)
    }

    /// The sequence of the last message that matches, as it is now; 0 if there is none.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn latest(&self, filter: Option<&str>) -> Result<u64> {
        let found = self
            .stream
            .get_last_raw_message_by_subject(filter.unwrap_or(">"));
        match found.await {
            Ok(message) => Ok(message.sequence),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
            Err(error) => Err(anyhow!("{}", error.kind()))
                .with_context(|| format!("cannot read stream `{}`", self.name)),
        }
    }

    /// When the first message from this sequence on was stored, in nanoseconds since the Unix epoch;
    /// `None` if there is none.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn stored_at(&self, sequence: u64) -> Result<Option<u64>> {
        let mut one = self.read(&[], Begin::Sequence(sequence), self.last).await?;
        Ok(one.next().await?.map(|stored| stored.stored))
    }

    /// Reads what matches one of the filters, from `begin` up to the message `to`. No filters match
    /// everything.
    ///
    /// # Errors
    /// When the server does not let it.
    pub async fn read(&self, filters: &[String], begin: Begin, to: u64) -> Result<Reader> {
        let batch = (AHEAD / self.average.max(1)).clamp(8, MOST);
        let config = OrderedConfig {
            description: Some("weir reads history".to_owned()),
            filter_subjects: filters.to_vec(),
            deliver_policy: begin.policy()?,
            max_batch: i64::try_from(batch).unwrap_or_default(),
            ..Default::default()
        };
        let what = || format!("cannot read stream `{}`", self.name);
        let made = self.stream.create_consumer(config).await;
        let made = made
            .map_err(anyhow::Error::msg)
            .with_context(what)
            .hint(|| {
                let request = self.api.consumer_create(&self.name, ">");
                format!("allow this user to publish to `{request}`")
            })?;
        let info = made.cached_info();
        let (pending, before) = (info.num_pending, info.delivered.stream_sequence);
        let messages = made.messages().await;
        let messages = messages.map_err(anyhow::Error::msg).with_context(what)?;
        Ok(Reader {
            stream: self.stream.clone(),
            name: self.name.clone(),
            messages,
            read: before,
            to,
            pending,
            subject: ByteString::new(),
        })
    }
}

/// Reads messages in the order of their stream.
pub struct Reader {
    stream: Stream,
    name: String,
    messages: Ordered,
    /// The last that was read.
    read: u64,
    to: u64,
    /// Messages that match and were not read yet, as the server last said.
    pending: u64,
    /// Of the message before.
    subject: ByteString,
}

impl Reader {
    /// The next message; `None` behind the last one.
    ///
    /// # Errors
    /// When the stream is gone, or its server stays silent.
    pub async fn next(&mut self) -> Result<Option<Stored>> {
        let what = |name: &str| format!("cannot read stream `{name}`");
        while self.pending > 0 && self.read < self.to {
            let arrived = match tokio::time::timeout(QUIET, self.messages.next()).await {
                Ok(Some(arrived)) => arrived,
                Ok(None) => return Ok(None),
                Err(_) => {
                    self.ask().await.with_context(|| what(&self.name))?;
                    continue;
                }
            };
            let message = arrived
                .map_err(anyhow::Error::msg)
                .with_context(|| what(&self.name))?;
            let stored = self.stored(&message)?;
            self.read = stored.message.sequence;
            self.pending = stored.pending;
            if self.read > self.to {
                return Ok(None);
            }
            return Ok(Some(stored));
        }
        Ok(None)
    }

    /// Waits for the next message, however long it takes and whatever the end was to be. Safe to drop
    /// while it waits.
    ///
    /// # Errors
    /// When the stream is gone.
    pub async fn arrives(&mut self) -> Result<Stored> {
        let arrived = self.messages.next().await;
        let what = || format!("cannot read stream `{}`", self.name);
        let message = arrived
            .ok_or_else(|| anyhow!("the subscription has ended"))
            .with_context(what)?
            .map_err(anyhow::Error::msg)
            .with_context(what)?;
        let stored = self.stored(&message)?;
        self.read = stored.message.sequence;
        Ok(stored)
    }

    /// The last message that was read, or what lies before the first.
    #[must_use]
    pub fn read_up_to(&self) -> u64 {
        self.read
    }

    /// What was to come may have been deleted meanwhile.
    async fn ask(&mut self) -> Result<()> {
        let info = self.stream.get_info().await;
        let info = info.map_err(|error| anyhow!("{}", error.kind()))?;
        let state = &info.state;
        if state.messages == 0 || state.first_sequence > self.to {
            self.pending = 0;
        }
        Ok(())
    }

    fn stored(&mut self, message: &jetstream::Message) -> Result<Stored> {
        let info = message.info().map_err(anyhow::Error::msg)?;
        let time = nanoseconds(info.published.unix_timestamp_nanos());
        if *self.subject != *message.subject {
            self.subject = ByteString::from(message.subject.as_str());
        }
        Ok(Stored {
            message: Message {
                foreign: None,
                subject: self.subject.clone(),
                payload: message.payload.clone(),
                headers: message.headers.as_ref().map(headers).unwrap_or_default(),
                key: None,
                event_time: time,
                sequence: info.stream_sequence,
                attempt: 1,
            },
            stored: time,
            pending: info.pending,
        })
    }
}

impl Begin {
    fn policy(self) -> Result<DeliverPolicy> {
        Ok(match self {
            Self::Sequence(sequence) => DeliverPolicy::ByStartSequence {
                start_sequence: sequence.max(1),
            },
            Self::Time(time) => {
                let time = jiff::Timestamp::from_nanosecond(time.into());
                let time = time.context("there is no such time")?.to_string();
                let parsed = async_nats::datetime::parse_rfc3339(&time);
                DeliverPolicy::ByStartTime {
                    start_time: parsed.map_err(anyhow::Error::msg)?,
                }
            }
        })
    }
}

fn nanoseconds(time: i128) -> u64 {
    u64::try_from(time).unwrap_or_default()
}
