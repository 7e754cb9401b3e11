//! Dead letters as they lie in their stream: read, replayed, removed.
//!
//! What they are made of is settled in `process/dead_letter.rs`; this reads it back. A capsule that
//! went out in parts is one letter here, wherever its parts lie: lanes publish at the same time.

use super::{Connection, streams};
use crate::headers::{LETTER, PART, PREFIX};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::HeaderMap;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};

/// The dead letters of one pipeline, read once from the first to what was the last when it was opened.
pub struct DeadLetters {
    context: streams::Context,
    stream: Stream,
    subject: String,
    /// The sequence to go on at.
    next: u64,
    partial: Partials,
}

/// Letters of which parts have been read and others not, oldest first.
#[derive(Default)]
pub struct Partials(VecDeque<Partial>);

/// A letter in parts, until all of them are read.
struct Partial {
    /// `Weir-Letter`.
    identity: String,
    /// How many there are.
    parts: usize,
    /// Of the first that was read.
    letter: DeadLetter,
    /// Payloads by number of the part, from 1.
    payloads: BTreeMap<usize, Bytes>,
}

impl Partial {
    fn is_whole(&self) -> bool {
        self.payloads.len() == self.parts
    }

    /// The letter, with the parts that were found.
    fn joined(self) -> DeadLetter {
        let whole = self.is_whole();
        let mut payload = BytesMut::new();
        for part in self.payloads.values() {
            payload.extend_from_slice(part);
        }
        DeadLetter {
            whole,
            payload: payload.freeze(),
            ..self.letter
        }
    }
}

impl Partials {
    /// Takes in what was read; gives out the letter that is whole with it.
    pub fn add(&mut self, letter: DeadLetter) -> Option<DeadLetter> {
        let Some((part, parts)) = part(&letter) else {
            return Some(letter);
        };
        let identity = letter.fact(LETTER.strip_prefix(PREFIX)?).to_owned();
        let known = self
            .0
            .iter()
            .position(|other| other.identity == identity && other.parts == parts);
        let place = match known {
            Some(place) => place,
            None => {
                self.0.push_back(Partial {
                    identity,
                    parts,
                    letter: DeadLetter {
                        sequences: Vec::new(),
                        ..letter.clone()
                    },
                    payloads: BTreeMap::new(),
                });
                self.0.len() - 1
            }
        };
        let partial = self.0.get_mut(place)?;
        // One that was stored twice is one part, and both are removed with the letter.
        partial.letter.sequences.extend(letter.sequences);
        partial.payloads.entry(part).or_insert(letter.payload);
        if !partial.is_whole() {
            return None;
        }
        self.0.remove(place).map(Partial::joined)
    }

    /// Gives out a letter of which parts are missing.
    pub fn oldest(&mut self) -> Option<DeadLetter> {
        self.0.pop_front().map(Partial::joined)
    }
}

/// One message that a pipeline gave up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Sequences in the dead letters' stream: one, or one for each part.
    pub sequences: Vec<u64>,
    /// Whether all its parts were there.
    pub whole: bool,
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
            next: 0,
            partial: Partials::default(),
        })
    }

    /// The next letter; one in parts comes when its last part has been read. Letters of which parts
    /// are missing come at the end. What is stored after this was opened is left alone.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>> {
        let last = self.stream.cached_info().state.last_sequence;
        while self.next <= last {
            let Some(message) = self.raw(self.next).await? else {
                break;
            };
            self.next = message.sequence + 1;
            if message.sequence > last {
                break;
            }
            let whole = self.partial.add(read(message));
            if whole.is_some() {
                return Ok(whole);
            }
        }
        self.next = last + 1;
        Ok(self.partial.oldest())
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
        if !letter.whole {
            return Err(anyhow!("parts of it are missing")).with_context(what);
        }
        if subject.is_empty() {
            return Err(anyhow!("its original subject is missing")).with_context(what);
        }
        let mut message = PublishMessage::build()
            .headers(letter.headers.clone())
            .payload(letter.payload.clone());
        if part(letter).is_none() {
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
            .hint(|| format!("make sure that a stream captures `{subject}`"))
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
                .with_context(|| format!("cannot delete dead letter {sequence}"))?;
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

/// `<part>/<parts>`, from 1, of a capsule that went out in parts.
fn part(letter: &DeadLetter) -> Option<(usize, usize)> {
    let (part, parts) = letter.fact(PART.strip_prefix(PREFIX)?).split_once('/')?;
    let (part, parts) = (part.parse().ok()?, parts.parse().ok()?);
    (1..=parts).contains(&part).then_some((part, parts))
}

/// What a stored message is as a dead letter, or as a part of one.
#[must_use]
pub fn read(message: StreamMessage) -> DeadLetter {
    let mut facts = Vec::new();
    let mut headers = HeaderMap::new();
    for (name, values) in message.headers.iter() {
        let text: &str = name.as_ref();
        for value in values {
            match text.strip_prefix(PREFIX) {
                Some(fact) => facts.push((fact.to_owned(), value.as_str().to_owned())),
                None if crate::headers::is_server_header(text) => {}
                None => headers.append(name.clone(), value.clone()),
            }
        }
    }
    facts.sort();
    let stored = jiff::Timestamp::from_nanosecond(message.time.unix_timestamp_nanos());
    DeadLetter {
        sequences: vec![message.sequence],
        whole: true,
        time: stored.map(|time| time.to_string()).unwrap_or_default(),
        facts,
        headers,
        payload: message.payload,
    }
}

#[cfg(test)]
pub(crate) mod tests;
