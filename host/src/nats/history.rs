//! Reads a range of a stream without any effect on its durable consumers.
//!
//! It requests messages one by one (`stored.rs`), many at the same time, so that it can read any bytes.
//! [`History`] reports messages that the stream no longer has, so that nobody misinterprets their absence.

use super::job_stream::Wanted;
use super::stored::{self, StoredMessage, Which};
use super::streams::{self, base36};
use super::{Connection, permitted};
use crate::config::template::SubjectFilter;
use crate::message::Message;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{RetentionPolicy, StorageType, Stream};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use std::sync::Arc;
use std::time::Duration;

/// The time after which the server removes a consumer that was only asked for a time.
const QUIET: Duration = Duration::from_secs(5);
/// How often to look for messages that are still to come.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes of messages that are asked for ahead, about.
const AHEAD: u64 = 32 << 20;
/// Messages that are asked for ahead, at most.
const MOST: u64 = 128;

/// A stream as it was when it was looked at.
pub struct History {
    connection: Connection,
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
    /// Whether it keeps only the last of each.
    pub last_only: bool,
    /// Messages between the first and the last that are gone.
    pub deleted: u64,
    /// Whether it keeps messages that every consumer has acked.
    pub keeps: bool,
    /// Of a message, in bytes.
    average: u64,
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
    /// By which stream.
    pub stream: Arc<str>,
    /// Its event time is when it was stored.
    pub message: Message,
    /// Nanoseconds since the Unix epoch.
    pub stored: u64,
}

impl History {
    /// Looks at a stream.
    ///
    /// # Errors
    /// `Ok(None)` when there is no savepoint with this name; an error when the server does not say.
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
            last_only: config.max_messages_per_subject == 1,
            deleted: state.deleted_count.unwrap_or_default(),
            keeps: config.retention == RetentionPolicy::Limits,
            average: state.bytes / state.messages.max(1),
            connection: connection.clone(),
            stream,
        }))
    }

    /// What the stream of a job that reads this one is to be like.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let config = &self.stream.cached_info().config;
        Wanted {
            in_memory: config.storage == StorageType::Memory,
            replicas: config.num_replicas,
        }
    }

    /// Whether all messages since this time still exist, apart from single deletions.
    #[must_use]
    pub fn reaches_back_to(&self, time: u64) -> bool {
        let whole = self.first <= 1;
        whole || (self.first <= self.last && self.first_stored <= time)
    }

    /// The sequence of the first message that was stored at this time or later; one behind the last
    /// if there is none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn sequence_at(&self, time: u64) -> Result<u64> {
        let config = pull::Config {
            ack_policy: AckPolicy::None,
            deliver_policy: since(time)?,
            inactive_threshold: QUIET,
            memory_storage: true,
            num_replicas: 1,
            ..Default::default()
        };
        let what = || format!("cannot find a time in stream `{}`", self.name);
        let api = self.connection.api.ephemeral(&self.name);
        let made = permitted(&self.connection, &api, self.stream.create_consumer(config)).await;
        let made = made.and_then(|made| made.map_err(anyhow::Error::msg));
        let made = made.with_context(what)?;
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
    /// When the server does not answer.
    pub async fn latest(&self, filter: Option<&str>) -> Result<u64> {
        let found = self.get(&Which::last(filter.unwrap_or(">"))).await?;
        Ok(found.map_or(0, |message| message.sequence))
    }

    /// When the first message from this sequence on was stored, in nanoseconds since the Unix epoch;
    /// `None` if there is none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn stored_at(&self, sequence: u64) -> Result<Option<u64>> {
        let found = self.get(&Which::next(sequence, ">")).await?;
        Ok(found.map(|message| message.time))
    }

    async fn get(&self, which: &Which) -> Result<Option<StoredMessage>> {
        let context = streams::jetstream(&self.connection);
        let found = stored::get(&self.connection, &context, &self.name, which).await;
        found.with_context(|| format!("cannot read stream `{}`", self.name))
    }

    /// Reads what matches one of the filters, from `begin` up to the message `to`. No filters match
    /// everything.
    ///
    /// # Errors
    /// When the server does not let it.
    pub async fn read(&self, filters: &[String], begin: Begin, to: u64) -> Result<Reader> {
        let first = match begin {
            Begin::Sequence(sequence) => sequence.max(1),
            Begin::Time(time) => self.sequence_at(time).await?,
        };
        // The server takes one filter.
        let (filter, filters) = match filters {
            [one] => (one.clone(), &[][..]),
            several => (">".to_owned(), several),
        };
        let parsed = filters.iter().map(|filter| SubjectFilter::parse(filter));
        let parsed: Result<Vec<_>, _> = parsed.collect();
        let most = (AHEAD / self.average.max(1)).clamp(1, MOST);
        Ok(Reader {
            connection: self.connection.clone(),
            context: streams::jetstream(&self.connection),
            name: self.name.as_str().into(),
            filter,
            filters: parsed.map_err(anyhow::Error::msg)?,
            ahead: FuturesOrdered::new(),
            window: 1,
            most: usize::try_from(most).unwrap_or(1),
            next: first,
            read: first - 1,
            to,
        })
    }
}

/// Reads messages in the order of their stream.
pub struct Reader {
    connection: Connection,
    context: streams::Context,
    name: Arc<str>,
    /// What the server is asked for.
    filter: String,
    /// What is left out of that; empty for nothing.
    filters: Vec<SubjectFilter>,
    /// Answers that are to come, each with the sequence from which on the next message was asked for.
    ahead: FuturesOrdered<BoxFuture<'static, (u64, Result<Option<StoredMessage>>)>>,
    /// How many of them there may be: many where messages lie side by side.
    window: usize,
    most: usize,
    /// The sequence to ask for next.
    next: u64,
    /// The last that was read.
    read: u64,
    to: u64,
}

impl Reader {
    /// The next message; `None` behind the last one.
    ///
    /// # Errors
    /// When the stream is gone, or the server does not say; with the message up to which all was read.
    pub async fn next(&mut self) -> Result<Option<Stored>> {
        while self.read < self.to {
            while self.ahead.len() < self.window && self.next <= self.to {
                let asked = self.next;
                self.next += 1;
                let which = Which::next(asked, &self.filter);
                let (connection, context) = (self.connection.clone(), self.context.clone());
                let name = self.name.clone();
                self.ahead.push_back(Box::pin(async move {
                    let found = stored::get(&connection, &context, &name, &which).await;
                    (asked, found)
                }));
            }
            let Some((asked, found)) = self.ahead.next().await else {
                break;
            };
            if asked <= self.read {
                // The answer before has passed it.
                continue;
            }
            let found = found.with_context(|| {
                let read = self.read;
                format!("cannot read stream `{}` after message {read}", self.name)
            });
            let Some(message) = found?.filter(|message| message.sequence <= self.to) else {
                self.ahead.clear();
                (self.next, self.window) = (self.read + 1, 1);
                break;
            };
            self.read = message.sequence;
            self.next = self.next.max(self.read + 1);
            self.window = match self.read == asked {
                true => (self.window * 2).min(self.most),
                false => (self.window / 2).max(1),
            };
            let matches = |filter: &SubjectFilter| filter.matches(&message.subject);
            if self.filters.is_empty() || self.filters.iter().any(matches) {
                return Ok(Some(Stored {
                    stream: Arc::clone(&self.name),
                    stored: message.time,
                    message: message.message(),
                }));
            }
        }
        Ok(None)
    }

    /// Waits for the next message, however long it takes and whatever the end was to be. Safe to drop
    /// while it waits.
    ///
    /// # Errors
    /// When the stream is gone.
    pub async fn arrives(&mut self) -> Result<Stored> {
        self.to = u64::MAX;
        loop {
            if let Some(stored) = self.next().await? {
                return Ok(stored);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The last message that was read, or what lies before the first.
    #[must_use]
    pub fn read_up_to(&self) -> u64 {
        self.read
    }
}

fn since(time: u64) -> Result<DeliverPolicy> {
    let time = jiff::Timestamp::from_nanosecond(time.into());
    let time = time.context("there is no such time")?.to_string();
    let parsed = async_nats::datetime::parse_rfc3339(&time);
    Ok(DeliverPolicy::ByStartTime {
        start_time: parsed.map_err(anyhow::Error::msg)?,
    })
}

fn nanoseconds(time: i128) -> u64 {
    u64::try_from(time).unwrap_or_default()
}
