//! Messages as lines of JSON: the format of `weir pipe`, `input.jsonl` and `expected.jsonl`.
//!
//! ```json
//! {"subject": "orders.a.paid", "headers": {"Id": "7"}, "payload": {"total": 1000}}
//! ```
//!
//! A JSON payload is under `payload`, as its original text without white space between tokens: numbers are
//! not rounded and keys are not reordered. Other UTF-8 is under `text`, other bytes under `base64`. This
//! module is pure: it reads no file and knows no pipeline.

use crate::headers::Headers;
use crate::message::Message;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt;

#[cfg(test)]
mod tests;

/// A line that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// What is wrong, with the column if the JSON itself is invalid.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for Problem {}

/// One line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A message, in or out.
    Message(Record),
    /// A message that became a dead letter. Only in outputs.
    Dead(Dead),
    /// A message that is to be retried. Only in outputs.
    Retry(Retry),
}

impl Line {
    /// The same of no message in particular.
    #[must_use]
    pub fn without_sequence(mut self) -> Self {
        match &mut self {
            Self::Message(Record { sequence, .. })
            | Self::Dead(Dead { sequence, .. })
            | Self::Retry(Retry { sequence, .. }) => *sequence = None,
        }
        self
    }

    /// Why the plugin failed, if this is the end of a message on which it did: an exception that it has not
    /// caught (the SDKs report its traceback), a trap, or a limit that it exceeded. A rejection on purpose is none.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        let Self::Dead(dead) = self else { return None };
        let is_fault = matches!(dead.kind.as_deref(), Some("trap" | "deadline" | "memory"));
        (is_fault || !dead.traceback.is_empty()).then_some(&*dead.reject)
    }
}

/// A message as a user writes it. The command that runs it replaces `None` by defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub subject: ByteString,
    pub payload: Bytes,
    pub headers: Headers,
    pub key: Option<ByteString>,
    /// Nanoseconds since the Unix epoch.
    pub event_time: Option<u64>,
    pub sequence: Option<u64>,
}

/// Why a message became a dead letter. A field that is `None` is not on the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dead {
    /// The reason.
    pub reject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// `reject`, `trap`, `deadline`, ... as in the header `Weir-Kind`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The plugin's backtrace, line by line, if it reported one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traceback: Vec<String>,
    /// Of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// Why a message is to be retried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The reason.
    pub retry: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// The delay that the plugin asked for, in milliseconds.
    #[serde(default, alias = "after-ms", skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// Of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// The fields of a message's line.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wire {
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(alias = "event-time", skip_serializing_if = "Option::is_none")]
    event_time: Option<u64>,
    #[serde(skip_serializing_if = "HeaderMap::is_empty")]
    headers: HeaderMap,
    // `null` is a payload, so an absent payload must be distinguishable from it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// Headers by name, in the order of their first occurrence.
#[derive(Default)]
struct HeaderMap(Vec<(String, Values)>);

/// The values of one name.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a header is a string or a list of strings")]
enum Values {
    One(String),
    Many(Vec<String>),
}

impl HeaderMap {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(headers: &Headers) -> Self {
        let mut map = Self::default();
        for (name, value) in headers.iter() {
            let value = value.to_string();
            match map.0.iter_mut().find(|(known, _)| **known == **name) {
                None => map.0.push((name.to_string(), Values::One(value))),
                Some((_, Values::Many(values))) => values.push(value),
                Some((_, values)) => {
                    if let Values::One(first) = values {
                        *values = Values::Many(vec![std::mem::take(first), value]);
                    }
                }
            }
        }
        map
    }

    fn into_headers(self) -> Headers {
        let lines = self.0.into_iter().flat_map(|(name, values)| {
            let name = ByteString::from(name);
            let values = match values {
                Values::One(value) => vec![value],
                Values::Many(values) => values,
            };
            values
                .into_iter()
                .map(move |value| (name.clone(), ByteString::from(value)))
        });
        lines.collect()
    }
}

impl Serialize for HeaderMap {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, values) in &self.0 {
            map.serialize_entry(name, values)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for HeaderMap {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = HeaderMap;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("headers by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderMap, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(HeaderMap(entries))
            }
        }
        from.deserialize_map(Entries)
    }
}

/// Parses one line of an output: a message, a dead letter or a retry.
///
/// # Errors
///
/// Says what is wrong with the line, whose number is `line`.
pub fn parse(text: &str, line: usize) -> Result<Line, Problem> {
    let object: serde_json::Value = from_json(text, line)?;
    if object.get("reject").is_some() {
        from_json(text, line).map(Line::Dead)
    } else if object.get("retry").is_some() {
        from_json(text, line).map(Line::Retry)
    } else {
        parse_message(text, line).map(Line::Message)
    }
}

/// Parses one line of an input, which is a message.
///
/// # Errors
///
/// Says what is wrong with the line, whose number is `line`.
pub fn parse_message(text: &str, line: usize) -> Result<Record, Problem> {
    let wire: Wire = from_json(text, line)?;
    let problem = |message: String| Problem { line, message };
    let payload = match (wire.payload, wire.text, wire.base64) {
        (None, None, None) => Bytes::new(),
        (Some(json), None, None) => Bytes::from(without_space(json.get())),
        (None, Some(text), None) => Bytes::from(text),
        (None, None, Some(base64)) => STANDARD
            .decode(base64)
            .map(Bytes::from)
            .map_err(|error| problem(format!("`base64` cannot be decoded: {error}")))?,
        _ => {
            return Err(problem(
                "only one of `payload`, `text` and `base64` may be given".to_owned(),
            ));
        }
    };
    Ok(Record {
        subject: wire
            .subject
            .ok_or_else(|| problem("`subject` is missing".to_owned()))?
            .into(),
        payload,
        headers: wire.headers.into_headers(),
        key: wire.key.map(ByteString::from),
        event_time: wire.event_time,
        sequence: wire.sequence,
    })
}

/// The non-empty lines of a file, numbered from 1.
pub fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines())
        .filter(|(_, text)| !text.trim().is_empty())
}

fn from_json<'de, T: Deserialize<'de>>(text: &'de str, line: usize) -> Result<T, Problem> {
    // Serde accepts an array as a struct, field by field.
    if !text.trim_start().starts_with('{') {
        let message = "a JSON object is expected".to_owned();
        return Err(Problem { line, message });
    }
    serde_json::from_str(text).map_err(|error| {
        let column = error.column();
        let whole = error.to_string();
        // The library counts lines within its input, which is always a single line.
        let (message, _) = whole.rsplit_once(" at line ").unwrap_or((&whole, ""));
        Problem {
            line,
            message: format!("column {column}: {message}"),
        }
    })
}

/// JSON text with the white space between its tokens removed.
fn without_space(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in json.chars() {
        if in_string || !character.is_ascii_whitespace() {
            text.push(character);
        }
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    text
}

impl Record {
    /// The message of a first delivery, with these values where the line has none.
    #[must_use]
    pub fn into_message(self, sequence: u64, event_time: u64) -> Message {
        Message {
            watermark: None,
            is_late: false,
            foreign: None,
            subject: self.subject,
            payload: self.payload,
            headers: self.headers,
            key: self.key,
            source: None,
            event_time: self.event_time.unwrap_or(event_time),
            sequence: self.sequence.unwrap_or(sequence),
            attempt: 1,
        }
    }

    fn wire(&self) -> Wire {
        let mut wire = Wire {
            sequence: self.sequence,
            subject: Some(self.subject.to_string()),
            key: self.key.as_ref().map(ToString::to_string),
            event_time: self.event_time,
            headers: HeaderMap::of(&self.headers),
            ..Wire::default()
        };
        match std::str::from_utf8(&self.payload) {
            Err(_) => wire.base64 = Some(STANDARD.encode(&self.payload)),
            Ok(text) => match serde_json::from_str::<&RawValue>(text) {
                Ok(json) => wire.payload = RawValue::from_string(without_space(json.get())).ok(),
                Err(_) => wire.text = Some(text.to_owned()),
            },
        }
        wire
    }
}

impl From<&Message> for Record {
    fn from(message: &Message) -> Self {
        Self {
            subject: message.subject.clone(),
            payload: message.payload.clone(),
            headers: message.headers.clone(),
            key: message.key.clone(),
            event_time: Some(message.event_time),
            sequence: Some(message.sequence),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        to_json(&self.wire(), formatter)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(record) => record.fmt(formatter),
            Self::Dead(dead) => to_json(dead, formatter),
            Self::Retry(retry) => to_json(retry, formatter),
        }
    }
}

fn to_json(value: &impl Serialize, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = serde_json::to_string(value).map_err(|_| fmt::Error)?;
    formatter.write_str(&text)
}
