//! Dead letters as they lie in their stream: read, replayed, removed.
//!
//! What they are made of is settled in `pipeline/dead_letter.rs`; this reads it back. A capsule that
//! went out in parts is one letter here.

use super::{Connection, streams};
use crate::pipeline::dead_letter::{PART, PREFIX};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::HeaderMap;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use bytes::{Bytes, BytesMut};

/// The dead letters of one pipeline.
pub struct DeadLetters {
    context: streams::Context,
    stream: Stream,
    subject: String,
}

/// One message that a pipeline gave up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Sequences in the dead letters' stream: one, or one for each part.
    pub sequences: Vec<u64>,
    /// RFC 3339, when it was given up.
    pub time: String,
    /// Of the capsule, without `Weir-`; `Reason`, `Kind`, `Operator` and so on.
    pub facts: Vec<(String, String)>,
    /// Those of the original message.
    pub headers: HeaderMap,
    pub payload: Bytes,
}

impl DeadLetter {
    /// What the capsule says under `Weir-<name>`; empty if it says nothing.
    #[must_use]
    pub fn fact(&self, name: &str) -> &str {
        let found = self.facts.iter().find(|(candidate, _)| candidate == name);
        found.map_or("", |(_, value)| value)
    }

    /// The sequence by which a person names it.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequences.first().copied().unwrap_or_default()
    }
}

impl DeadLetters {
    /// Finds the stream that captures `subject`.
    ///
    /// # Errors
    /// When there is none, or the server does not say.
    pub async fn open(connection: &Connection, subject: &str) -> Result<Self> {
        let context = streams::jetstream(connection);
        let what = || format!("cannot read the dead letters on `{subject}`");
        let name = streams::find_by_subject(&context, subject)
            .await
            .with_context(what)?;
        let name = name
            .ok_or_else(|| anyhow!("no stream captures them"))
            .with_context(what)
            .hint(|| "run the pipeline with `--create`, or set `dead-letter.create: true`")?;
        let stream = context
            .get_stream(&name)
            .await
            .map_err(|error| anyhow!("{}", error.kind()));
        let stream = stream.with_context(what)?;
        Ok(Self {
            context,
            stream,
            subject: subject.to_owned(),
        })
    }

    /// The last sequence of the stream when it was opened.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.stream.cached_info().state.last_sequence
    }

    /// The first letter at or behind `sequence`, if there is one.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn next(&self, sequence: u64) -> Result<Option<DeadLetter>> {
        let Some(first) = self.raw(sequence).await? else {
            return Ok(None);
        };
        let mut letter = read(first);
        let mut payload = BytesMut::from(&*letter.payload);
        while parts(&letter).is_some_and(|(_, parts)| letter.sequences.len() < parts) {
            let last = letter.sequences.last().copied().unwrap_or_default();
            let Some(part) = self.raw(last + 1).await?.map(read) else {
                break;
            };
            let same = |name| part.fact(name) == letter.fact(name);
            if !same("Stream") || !same("Sequence") {
                // Its other parts are gone, or another letter came between; show what there is.
                break;
            }
            payload.extend_from_slice(&part.payload);
            letter.sequences.extend(part.sequences);
        }
        letter.payload = payload.freeze();
        Ok(Some(letter))
    }

    /// Publishes the original message where it came from and awaits the publish ack.
    ///
    /// # Errors
    /// When parts of it are missing, or the server does not store it.
    pub async fn replay(&self, letter: &DeadLetter) -> Result<()> {
        let subject = letter.fact("Subject").to_owned();
        let what = || {
            format!(
                "cannot replay dead letter {} to `{subject}`",
                letter.sequence()
            )
        };
        if parts(letter).is_some_and(|(_, parts)| letter.sequences.len() != parts) {
            return Err(anyhow!("parts of it are missing")).with_context(what);
        }
        if subject.is_empty() {
            return Err(anyhow!("it does not say where it came from")).with_context(what);
        }
        let mut message = PublishMessage::build()
            .headers(letter.headers.clone())
            .payload(letter.payload.clone());
        if letter.sequences.len() == 1 {
            // A replay that is interrupted and repeated must not deliver twice. The time tells the
            // letter from one in a stream of the same name that was deleted. A message whose dead
            // letter is in parts has no room for an id.
            let (name, sequence) = (&self.stream.cached_info().config.name, letter.sequence());
            message = message.message_id(format!("replay/{name}/{sequence}/{}", letter.time));
        }
        let sent = self.context.send_publish(subject.clone(), message).await;
        let acked = match sent {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        acked
            .map(|_| ())
            .map_err(|error| anyhow!("{}", error.kind()))
            .with_context(what)
            .hint(|| format!("see that a stream captures `{subject}`"))
    }

    /// Removes a letter from the stream.
    ///
    /// # Errors
    /// When the server does not answer or does not allow it.
    pub async fn remove(&self, letter: &DeadLetter) -> Result<()> {
        for sequence in &letter.sequences {
            let removed = self.stream.delete_message(*sequence).await;
            removed
                .map_err(|error| anyhow!("{}", error.kind()))
                .with_context(|| format!("cannot remove dead letter {sequence}"))?;
        }
        Ok(())
    }

    async fn raw(&self, sequence: u64) -> Result<Option<StreamMessage>> {
        let request = self.stream.raw_message_builder().sequence(sequence);
        match request.next_by_subject(&self.subject).send().await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(anyhow!("{}", error.kind()))
                .with_context(|| format!("cannot read the dead letters on `{}`", self.subject)),
        }
    }
}

/// `<part>/<parts>` of a capsule that went out in parts.
fn parts(letter: &DeadLetter) -> Option<(usize, usize)> {
    let (part, parts) = letter.fact(PART.strip_prefix(PREFIX)?).split_once('/')?;
    Some((part.parse().ok()?, parts.parse().ok()?))
}

fn read(message: StreamMessage) -> DeadLetter {
    let mut facts = Vec::new();
    let mut headers = HeaderMap::new();
    for (name, values) in message.headers.iter() {
        let text: &str = name.as_ref();
        for value in values {
            match text.strip_prefix(PREFIX) {
                Some(fact) => facts.push((fact.to_owned(), value.as_str().to_owned())),
                None if crate::pipeline::parcel::is_server_header(text) => {}
                None => headers.append(name.clone(), value.clone()),
            }
        }
    }
    facts.sort();
    let stored = jiff::Timestamp::from_nanosecond(message.time.unix_timestamp_nanos());
    DeadLetter {
        sequences: vec![message.sequence],
        time: stored.map(|time| time.to_string()).unwrap_or_default(),
        facts,
        headers,
        payload: message.payload,
    }
}
