//! Dead letters in their stream: read and deleted. `dead_letters/resend.rs` resends them.
//!
//! `process/dead_letter.rs` defines their format; this file reads it. It joins the parts of a large dead
//! letter, which may be anywhere in the stream, because lanes publish at the same time. Anybody may publish
//! on the subject of dead letters, so their content is not trusted. Messages that are not dead letters are
//! returned as such.

mod resend;

pub use resend::{RESENT, Resend};

use super::stored::{self, StoredMessage, Which};
use super::{Connection, by_subject, streams};
use crate::headers::{self, LETTER, PACKED, PART, PREFIX, SERVER_PREFIX, begins_with, block};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::stream::Stream;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};

/// What stands for a message that no host has stored, where letters have the kind of their end.
pub const UNKNOWN: &str = "unknown";

/// The dead letters of one pipeline, read once from the first to what was the last when it was opened.
pub struct DeadLetters {
    connection: Connection,
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
        let letter = DeadLetter {
            whole,
            payload: payload.freeze(),
            ..self.letter
        };
        letter.unpacked()
    }
}

impl Partials {
    /// Takes in what was read; gives out the letter that is whole with it.
    pub fn add(&mut self, letter: DeadLetter) -> Option<DeadLetter> {
        let Some((part, parts)) = part(&letter) else {
            return Some(letter.unpacked());
        };
        let identity = letter.fact(LETTER).to_owned();
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
#[derive(Clone, Debug, Default)]
pub struct DeadLetter {
    /// Sequences in the dead letters' stream: one, or one for each part.
    pub sequences: Vec<u64>,
    /// Whether all of it was there.
    pub whole: bool,
    /// RFC 3339, when it was given up.
    pub time: String,
    /// What the letter says, without `Weir-`: `Reason`, `Kind`, `Operator` and so on.
    pub facts: Vec<(String, String)>,
    /// Of the original message, byte for byte.
    pub subject: Bytes,
    /// Its header block; empty if it had none.
    pub headers: Bytes,
    pub payload: Bytes,
}

impl DeadLetter {
    /// What the letter says under a name, with or without `Weir-`; empty if it says nothing.
    #[must_use]
    pub fn fact(&self, name: &str) -> &str {
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        let found = self.facts.iter().find(|(candidate, _)| candidate == name);
        found.map_or("", |(_, value)| value)
    }

    /// Whether it is something that no host has stored.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.fact("Kind") == UNKNOWN
    }

    /// The sequence by which a person names it.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequences.first().copied().unwrap_or_default()
    }

    /// Takes the message out of a payload that holds all of it.
    fn unpacked(mut self) -> Self {
        let Some((subject, block)) = self.fact(PACKED).split_once(' ') else {
            return self;
        };
        let lengths = subject.parse::<usize>().ok().zip(block.parse().ok());
        let ends = lengths.and_then(|(subject, block): (_, usize)| {
            let end = subject.checked_add(block)?;
            (end <= self.payload.len()).then_some((subject, end))
        });
        let Some((subject, end)) = ends else {
            self.whole = false;
            return self;
        };
        self.subject = self.payload.slice(..subject);
        self.headers = self.payload.slice(subject..end);
        self.payload = self.payload.slice(end..);
        let text = String::from_utf8_lossy(&self.subject).into_owned();
        self.facts
            .retain(|(name, _)| name != "Subject" && !PACKED.ends_with(name));
        self.facts.push(("Subject".to_owned(), text));
        self.facts.sort();
        self
    }
}

impl DeadLetters {
    /// Finds the stream that captures `subject`.
    ///
    /// # Errors
    /// When there is none, or the server does not answer.
    pub async fn open(connection: &Connection, subject: &str) -> Result<Self> {
        let context = streams::jetstream(connection);
        let what = || format!("cannot read the dead letters on `{subject}`");
        let name = by_subject::find_by_subject(&context, subject)
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
            connection: connection.clone(),
            context,
            stream,
            subject: subject.to_owned(),
            next: 0,
            partial: Partials::default(),
        })
    }

    /// Whether letters may be removed from the stream at all.
    ///
    /// # Errors
    /// When its configuration forbids it.
    pub fn check_removable(&self) -> Result<()> {
        let config = &self.stream.cached_info().config;
        let reason = match (config.deny_delete, config.sealed) {
            (true, _) => "has `deny_delete`",
            (_, true) => "is sealed",
            _ => return Ok(()),
        };
        let name = &config.name;
        Err(anyhow!("stream `{name}` {reason}"))
            .context("cannot delete dead letters")
            .hint(|| "let dead letters go to another stream: `dead-letter.subject`")
    }

    /// The next letter; one in parts comes when its last part has been read. Letters of which parts
    /// are missing come at the end. What is stored after this was opened is left alone.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>> {
        let last = self.stream.cached_info().state.last_sequence;
        let name = &self.stream.cached_info().config.name;
        while self.next <= last {
            let which = Which::next(self.next, &self.subject);
            let found = stored::get(&self.connection, &self.context, name, &which);
            let found = found
                .await
                .with_context(|| format!("cannot read the dead letters on `{}`", self.subject))?;
            let Some(message) = found else {
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
}

/// `<part>/<parts>`, from 1, of a letter that went out in parts.
fn part(letter: &DeadLetter) -> Option<(usize, usize)> {
    let (part, parts) = letter.fact(PART).split_once('/')?;
    let (part, parts) = (part.parse().ok()?, parts.parse().ok()?);
    (1..=parts).contains(&part).then_some((part, parts))
}

/// What a stored message is as a dead letter, or as a part of one.
#[must_use]
pub fn read(message: StoredMessage) -> DeadLetter {
    let time = jiff::Timestamp::from_nanosecond(message.time.into());
    let letter = DeadLetter {
        sequences: vec![message.sequence],
        whole: true,
        time: time.map(|time| time.to_string()).unwrap_or_default(),
        ..DeadLetter::default()
    };
    let (mut facts, mut lines) = (BTreeMap::new(), Vec::new());
    for line in block::lines(&message.headers) {
        match (headers::kept(line), fact(line)) {
            (Some(kept), _) => lines.push(kept),
            (None, Some((name, value))) => {
                facts.entry(name).or_insert(value);
            }
            (None, None) if begins_with(line, SERVER_PREFIX) => {}
            (None, None) => lines.push(line),
        }
    }
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let subject = facts.get("Subject").copied();
    let is_letter = facts.contains_key("Pipeline") && facts.contains_key("Sequence");
    let Some(subject) = subject.filter(|_| is_letter) else {
        // Another pipeline may share the subject.
        let pipeline = facts.get("Pipeline").map(|value| text(value));
        let says = [
            ("Pipeline", pipeline.unwrap_or_default()),
            ("Kind", UNKNOWN.to_owned()),
            ("Reason", "not a dead letter".to_owned()),
            ("Subject", message.subject.clone()),
        ];
        let says = says.map(|(name, value)| (name.to_owned(), value));
        return DeadLetter {
            facts: says
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .collect(),
            subject: message.subject.into(),
            headers: message.headers,
            payload: message.payload,
            ..letter
        };
    };
    let says = facts.iter();
    DeadLetter {
        subject: Bytes::copy_from_slice(subject),
        headers: block::join(lines),
        payload: message.payload,
        facts: says
            .map(|(name, value)| ((*name).to_owned(), text(value)))
            .collect(),
        ..letter
    }
}

/// What a line of weir says: the name without `Weir-`, and the value.
fn fact(line: &[u8]) -> Option<(&str, &[u8])> {
    let rest = line.strip_prefix(PREFIX.as_bytes())?;
    let colon = memchr::memchr(b':', rest)?;
    let (name, value) = rest.split_at_checked(colon)?;
    let value = value.strip_prefix(b":")?;
    let value = value.strip_prefix(b" ").unwrap_or(value);
    Some((std::str::from_utf8(name).ok()?, value))
}

#[cfg(test)]
pub(crate) mod tests;
