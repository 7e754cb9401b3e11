//! Messages as JSON lines, the form that `weir dev` and `weir pipe` read and write.
//!
//! `{"subject": "...", "payload": <JSON>}`, or `"text"` in place of `"payload"` for what is not
//! JSON, or `"base64"` for what is not text. A line with `"reject"` is a dead letter that was not
//! published, and is known by the sequence of its input.

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;
use std::io::{BufRead, Write};

/// One line, as far as the comparison needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Message(Message),
    /// A message that was refused; `sequence` is its position in the input, from 1.
    Rejected {
        sequence: u64,
    },
}

/// A published message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// For a dead letter, the subject it had before it became one, from the header `Weir-Subject`.
    pub subject: String,
    pub payload: Vec<u8>,
}

#[derive(Deserialize)]
struct Raw {
    subject: Option<String>,
    payload: Option<Value>,
    text: Option<String>,
    base64: Option<String>,
    reject: Option<String>,
    sequence: Option<u64>,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
}

/// Reads one line.
///
/// # Errors
/// When it is not of the form above.
pub fn parse(line: &str) -> Result<Line> {
    let raw: Raw = serde_json::from_str(line).context("cannot read a message from the line")?;
    if raw.reject.is_some() {
        let sequence = raw
            .sequence
            .context("a line with `reject` must have a `sequence`")?;
        return Ok(Line::Rejected { sequence });
    }
    let payload = match (raw.payload, raw.text, raw.base64) {
        (Some(json), None, None) => json.to_string().into_bytes(),
        (None, Some(text), None) => text.into_bytes(),
        (None, None, Some(base64)) => STANDARD
            .decode(base64)
            .context("cannot decode the field `base64`")?,
        (None, None, None) => Vec::new(),
        _ => bail!("a message has only one of `payload`, `text` and `base64`"),
    };
    let original = raw
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("Weir-Subject"));
    let original = original.and_then(|(_, value)| match value {
        Value::Array(values) => values.first()?.as_str(),
        value => value.as_str(),
    });
    let subject = original.map(str::to_owned).or(raw.subject);
    Ok(Line::Message(Message {
        subject: subject.context("a message has a `subject`")?,
        payload,
    }))
}

/// Reads all lines. Those that are no JSON object are passed over: the log of `weir pipe` may stand
/// between its dead letters.
///
/// # Errors
/// The items carry the number of the line that could not be read.
pub fn read(input: impl BufRead) -> impl Iterator<Item = Result<Line>> {
    let numbered = input
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line));
    numbered.filter_map(|(number, line)| match line {
        Ok(line) if !line.starts_with('{') => None,
        Ok(line) => Some(parse(&line).with_context(|| format!("cannot use line {number}"))),
        Err(error) => Some(Err(error).with_context(|| format!("cannot read line {number}"))),
    })
}

/// Writes one message as a line.
///
/// # Errors
/// Those of `output`.
pub fn write(mut output: impl Write, subject: &str, payload: &[u8]) -> std::io::Result<()> {
    write!(output, "{{\"subject\":{},", Value::from(subject))?;
    match std::str::from_utf8(payload) {
        // Only what survives the reader's compact writing byte for byte goes as JSON.
        Ok(text) if is_compact_json(text) => writeln!(output, "\"payload\":{text}}}"),
        Ok(text) => writeln!(output, "\"text\":{}}}", Value::from(text)),
        Err(_) => writeln!(output, "\"base64\":\"{}\"}}", STANDARD.encode(payload)),
    }
}

fn is_compact_json(text: &str) -> bool {
    let written = serde_json::from_str(text).map(|value: Value| value.to_string());
    written.is_ok_and(|written| written == text)
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    reason = "a panic fails the test, which is what it is for"
)]
mod tests {
    use super::*;

    #[test]
    fn every_payload_comes_back_byte_for_byte() {
        for payload in [
            &b"{\"a\":12.50}"[..],
            b"{\"a\":12.5}",
            b"{ \"a\": 1}",
            b"",
            b"\xE9",
            b"nul",
        ] {
            let mut line = Vec::new();
            write(&mut line, "orders.\"lisbon\".paid", payload).unwrap();
            let read = parse(std::str::from_utf8(&line).unwrap()).unwrap();
            let subject = "orders.\"lisbon\".paid".to_owned();
            assert_eq!(
                read,
                Line::Message(Message {
                    subject,
                    payload: payload.to_vec()
                })
            );
        }
    }

    #[test]
    fn a_dead_letter_is_known_by_its_first_subject_or_its_sequence() {
        let line =
            r#"{"subject":"dead.rebates","headers":{"Weir-Subject":"orders.a.paid"},"text":""}"#;
        let message = Message {
            subject: "orders.a.paid".into(),
            payload: vec![],
        };
        assert_eq!(parse(line).unwrap(), Line::Message(message));
        let line = r#"{"reject":"no user","operator":"rebate","kind":"reject","sequence":7}"#;
        assert_eq!(parse(line).unwrap(), Line::Rejected { sequence: 7 });
    }
}
