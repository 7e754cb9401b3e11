//! Resends dead letters: only to subjects that the pipeline's source reads, unless the user names another
//! one. Anybody may have published a dead letter, and its subject is data.

use super::{DeadLetter, DeadLetters};
use crate::config::resolved::Pipeline;
use crate::config::template::{SubjectFilter, check_free, check_subject, is_under};
use crate::headers::{HOPS, LARGEST_BLOCK, MESSAGE_ID, SERVER_PREFIX, begins_with, block};
use crate::nats::Connection;
use crate::nats::history::History;
use crate::nats::wire::{Parts, Subscription, Wire};
use crate::report::{ResultExt, escape};
use crate::telemetry::metrics::Counter;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// How long a publish ack may take: elections take 4 to 9 s (measured).
const PATIENCE: Duration = Duration::from_secs(10);

/// What the message id of a message begins with that was sent back.
pub const RESENT: &str = "resend/";

/// The way back of a pipeline's dead letters.
pub struct Resend {
    /// What is stored may have any bytes.
    wire: Wire,
    acks: Subscription,
    inbox: String,
    /// Of the last publish.
    number: u64,
    /// The source's stream.
    stream: String,
    /// What it captures; `None` if there is no such stream.
    captured: Option<Vec<SubjectFilter>>,
    /// What the pipeline reads of it; empty for everything.
    read: Vec<SubjectFilter>,
    /// Where all of them go, as a person said.
    to: Option<String>,
    inbox_prefix: String,
}

impl Resend {
    /// Looks at the source.
    ///
    /// # Errors
    /// When the server does not say, or `to` is a subject that nothing may go to.
    pub async fn open(
        connection: &Connection,
        pipeline: &Pipeline,
        to: Option<&str>,
    ) -> Result<Self> {
        let wire = Wire::connect(&pipeline.nats, "resend", Counter::default()).await?;
        let inbox = wire.new_inbox();
        let filters = |subjects: Vec<String>| -> Vec<SubjectFilter> {
            let subjects = subjects.iter();
            subjects
                .filter_map(|subject| SubjectFilter::parse(subject).ok())
                .collect()
        };
        let streams = pipeline.streams();
        let (mut captured, mut read) = (None, Vec::new());
        for stream in streams.iter().filter(|_| to.is_none()) {
            let found = History::find(connection, stream).await?;
            let of_stream = found.map(|history| filters(history.captured));
            let subjects = pipeline.read_of(stream).map(|read| read.subjects);
            let mut subjects = subjects.unwrap_or_default();
            if subjects.is_empty() && streams.len() > 1 {
                subjects = of_stream.clone().unwrap_or_default();
            }
            read.extend(subjects);
            if let Some(of_stream) = of_stream {
                captured.get_or_insert_with(Vec::new).extend(of_stream);
            }
        }
        let resend = Self {
            acks: wire.subscribe(&format!("{inbox}.*")),
            wire,
            inbox,
            number: 0,
            stream: streams.join("`, `"),
            captured,
            read,
            to: to.map(ToOwned::to_owned),
            inbox_prefix: pipeline.nats.inbox_prefix.clone(),
        };
        if let Some(to) = to {
            let checked = check_subject(to).map_err(anyhow::Error::msg);
            checked
                .and_then(|()| resend.check_free(to))
                .with_context(|| format!("cannot resend to `{to}`"))
                .usage()?;
        }
        Ok(resend)
    }

    /// Publishes the original message and awaits the publish ack.
    ///
    /// # Errors
    /// When it may not go back, parts of it are missing, or the server does not store it.
    pub async fn publish(&mut self, letters: &DeadLetters, letter: &DeadLetter) -> Result<()> {
        let subject = self.to.clone().map(Bytes::from);
        let subject = subject.unwrap_or_else(|| letter.subject.clone());
        let text = String::from_utf8_lossy(&subject);
        let (number, shown) = (letter.sequence(), escape::line(&text));
        let what = || format!("cannot resend dead letter {number} to `{shown}`");
        self.check(letter).with_context(what)?;
        self.number += 1;
        let reply = format!("{}.{}", self.inbox, self.number);
        let since = Instant::now();
        let sent = self.wire.publish(&Parts {
            subject: &subject,
            reply: reply.as_bytes(),
            headers: &self.headers(letters, letter),
            payload: &letter.payload,
        });
        sent.map_err(|_| anyhow!("it is not a valid subject to publish to"))
            .with_context(what)?;
        self.stored(&reply, &text, since)
            .await
            .with_context(what)
            .hint(|| format!("make sure that a stream captures `{shown}`"))
    }

    /// Waits until the message is stored whose ack goes to `reply`.
    async fn stored(&mut self, reply: &str, subject: &str, since: Instant) -> Result<()> {
        #[derive(serde::Deserialize)]
        struct Ack {
            seq: Option<u64>,
            error: Option<ApiError>,
        }
        #[derive(serde::Deserialize)]
        struct ApiError {
            #[serde(default)]
            description: String,
        }
        let ack = loop {
            let changed = self.wire.health.changed.notified();
            tokio::select! {
                biased;
                ack = self.acks.next() => {
                    let ack = ack.context("the connection to nats is closed")?;
                    if ack.subject == reply.as_bytes() {
                        break ack;
                    }
                }
                () = tokio::time::sleep(PATIENCE) => {
                    bail!("no publish ack within {} s", PATIENCE.as_secs());
                }
                () = changed => if let Some(refused) = self.wire.health.violation(subject, since) {
                    bail!("{refused}");
                },
            }
        };
        if ack.status().is_some() {
            bail!("no stream captures it");
        }
        match serde_json::from_slice(&ack.payload) {
            Ok(Ack {
                seq: Some(_),
                error: None,
            }) => Ok(()),
            Ok(Ack {
                error: Some(error), ..
            }) => bail!("{}", error.description),
            _ => bail!("the responder is not jetstream"),
        }
    }

    /// Whether a letter may go where it is to go.
    fn check(&self, letter: &DeadLetter) -> Result<()> {
        if letter.is_unknown() {
            return Err(anyhow!("it is {}", letter.fact("Reason")))
                .hint(|| "look at it with `weir dlq show`, delete it with `weir dlq purge`");
        }
        if !letter.whole {
            return Err(anyhow!("parts of it are missing"));
        }
        if letter.fact("Sequence") == "0" {
            return Err(anyhow!(
                "it is of a window or a timer, and no message of the source"
            ))
            .hint(|| {
                "correct the plugin, and compute the result from the stored messages: `weir replay FILE --output RESULTS`"
            });
        }
        if !letter.fact("Redacted").is_empty() {
            let (stream, sequence) = (letter.fact("Stream"), letter.fact("Sequence"));
            return Err(anyhow!(
                "it does not hold the whole message (`dead-letter.redact`)"
            ))
            .hint(|| {
                format!("publish the original again: message {sequence} of stream `{stream}`")
            });
        }
        if self.to.is_some() {
            return Ok(());
        }
        // What is not ASCII is compared as text, in which other bytes are replaced: no filter of text but
        // one with a wildcard matches them.
        let subject = String::from_utf8_lossy(&letter.subject);
        let elsewhere = || "name another subject with `--to`";
        self.check_free(&subject).hint(elsewhere)?;
        let Some(captured) = &self.captured else {
            let stream = escape::line(&subject);
            return Err(anyhow!("there is no stream `{}`", self.stream))
                .hint(|| format!("make sure that a stream captures `{stream}`"));
        };
        // A mirror or a stream with sources has none: what may go back is what the pipeline says.
        let takes = |filters: &[SubjectFilter]| filters.iter().any(|one| one.matches(&subject));
        let taken = match (&**captured, &*self.read) {
            ([], read) => takes(read),
            (captured, []) => takes(captured),
            (captured, read) => takes(captured) && takes(read),
        };
        match taken {
            true => Ok(()),
            false => Err(anyhow!("the source of the pipeline does not take it")).hint(elsewhere),
        }
    }

    /// Whether anything may go to a subject.
    fn check_free(&self, subject: &str) -> Result<()> {
        let is_api = is_under(subject, self.wire.api.prefix());
        ensure!(!is_api, "it is one of the jetstream api");
        check_free(subject, &self.inbox_prefix).map_err(anyhow::Error::msg)
    }

    /// The header block of the original as it was, without lines that command the server and without [`HOPS`],
    /// for a person has ended the circle that it counts; and before them a message id, where there is room: a
    /// resend that is interrupted and repeated must not deliver twice.
    /// The time tells the letter from one in a stream of the same name that was deleted.
    fn headers(&self, letters: &DeadLetters, letter: &DeadLetter) -> Bytes {
        let original = &letter.headers;
        // However a server reads lines, none of them commands it.
        let ends = |line| <[u8]>::strip_suffix(line, b"\r").unwrap_or(line);
        let lines = original.split(|byte| *byte == b'\n').map(ends);
        let is_left_out = |line: &[u8]| begins_with(line, SERVER_PREFIX) || begins_with(line, HOPS);
        let block = match lines.clone().any(is_left_out) {
            true => block::join(
                lines
                    .skip(1)
                    .filter(|line| !line.is_empty() && !is_left_out(line)),
            ),
            false => original.clone(),
        };
        let (name, sequence) = (&letters.stream.cached_info().config.name, letter.sequence());
        let id = format!("{MESSAGE_ID}: {RESENT}{name}/{sequence}/{}", letter.time);
        let with_id = block::join([id.as_bytes()]);
        let (Some(start), true) = (
            with_id.strip_suffix(b"\r\n"),
            block.is_empty() || block.starts_with(block::VERSION),
        ) else {
            return block;
        };
        let rest = block.get(block::VERSION.len()..).unwrap_or(b"\r\n");
        let whole = Bytes::from([start, rest].concat());
        let fits = whole.len() <= LARGEST_BLOCK
            && whole.len() + letter.payload.len() <= self.wire.max_payload();
        if fits { whole } else { block }
    }
}
