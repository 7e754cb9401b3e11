//! Reads one stored message at a time, with any bytes.
//!
//! `STREAM.MSG.GET` answers in JSON, with headers and payload in base64, so the client can read the answer
//! whatever is stored. A delivery of the same message could end its connection. There is one loss: JSON
//! cannot contain bytes that are not UTF-8, so such a byte of a subject arrives as U+FFFD.

use super::streams::Context;
use super::{Connection, failed, permitted};
use crate::message::{Foreign, Message};
use anyhow::{Context as _, Result};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Filters of all subjects, to ask for the last message. Of `>` the server has none while the one with the last
/// sequence is removed (`LoadLastMsg` in its `filestore.go`).
pub const ALL: [&str; 2] = ["*", "*.>"];

/// Which message of a stream.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Which {
    #[serde(rename = "seq", skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(rename = "next_by_subj", skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(rename = "last_by_subj", skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    /// RFC 3339. It takes the place of a sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
}

impl Which {
    /// The one with this sequence.
    #[must_use]
    pub fn at(sequence: u64) -> Self {
        Self {
            sequence: Some(sequence),
            ..Self::default()
        }
    }

    /// The first with this sequence or a later one whose subject matches.
    #[must_use]
    pub fn next(sequence: u64, filter: &str) -> Self {
        Self {
            sequence: Some(sequence),
            next: Some(filter.to_owned()),
            ..Self::default()
        }
    }

    /// The first that was stored at this time or later and whose subject matches.
    #[must_use]
    pub fn since(time: jiff::Timestamp, filter: &str) -> Self {
        Self {
            next: Some(filter.to_owned()),
            start_time: Some(time.to_string()),
            ..Self::default()
        }
    }

    /// The last whose subject matches.
    #[must_use]
    pub fn last(filter: &str) -> Self {
        Self {
            last: Some(filter.to_owned()),
            ..Self::default()
        }
    }
}

/// A message as its stream holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    pub subject: String,
    pub sequence: u64,
    /// The header block; empty if there is none.
    pub headers: Bytes,
    pub payload: Bytes,
    /// When it was stored: nanoseconds since the Unix epoch.
    pub time: u64,
}

impl StoredMessage {
    /// The message, as it would be delivered for the first time.
    #[must_use]
    pub fn message(&self) -> Message {
        let lossy = self.subject.contains(char::REPLACEMENT_CHARACTER);
        let subject = lossy.then(|| Bytes::copy_from_slice(self.subject.as_bytes()));
        let (headers, foreign) = Foreign::read(subject, &self.headers);
        Message {
            subject: self.subject.as_str().into(),
            payload: self.payload.clone(),
            headers,
            key: None,
            source: None,
            event_time: self.time,
            sequence: self.sequence,
            attempt: 1,
            watermark: None,
            is_late: false,
            foreign,
        }
    }
}

/// Reads a message of a stream.
///
/// # Errors
/// `Ok(None)` when there is none like it; an error when the server does not say.
pub async fn get(
    connection: &Connection,
    context: &Context,
    stream: &str,
    which: &Which,
) -> Result<Option<StoredMessage>> {
    #[derive(Deserialize)]
    struct Answer {
        message: Raw,
    }
    #[derive(Deserialize)]
    struct Raw {
        subject: String,
        #[serde(rename = "seq")]
        sequence: u64,
        #[serde(default, rename = "hdrs")]
        headers: String,
        #[serde(default, rename = "data")]
        payload: String,
        /// RFC 3339.
        time: String,
    }
    let asked = context.request(format!("STREAM.MSG.GET.{stream}"), which);
    let asked = permitted(connection, &connection.api.message(stream), asked).await?;
    let raw = match asked.map_err(|error| failed(&error))? {
        Response::Ok(Answer { message }) => message,
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
            return Ok(None);
        }
        Response::Err { error } => return Err(error.into()),
    };
    let bytes = |text: &str| STANDARD.decode(text).map(Bytes::from);
    let time: jiff::Timestamp = raw.time.parse().context("the server sent no time")?;
    Ok(Some(StoredMessage {
        headers: bytes(&raw.headers).context("the server sent headers that are not base64")?,
        payload: bytes(&raw.payload).context("the server sent a payload that is not base64")?,
        subject: raw.subject,
        sequence: raw.sequence,
        time: u64::try_from(time.as_nanosecond()).unwrap_or_default(),
    }))
}
