//! Reading a message.

use crate::{Error, Header, Message};
use serde::Deserialize;

impl Message {
    /// The payload as JSON.
    ///
    /// # Errors
    /// A rejection that says what does not fit and where, for use with `?`.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        serde_json::from_slice(&self.payload)
            .map_err(|cause| Error::reject(format!("cannot read the payload as JSON: {cause}")))
    }

    /// The payload as text.
    ///
    /// # Errors
    /// A rejection if it is not UTF-8, for use with `?`.
    pub fn text(&self) -> Result<&str, Error> {
        str::from_utf8(&self.payload).map_err(|cause| {
            Error::reject(format!("cannot read the payload as UTF-8 text: {cause}"))
        })
    }

    /// The first value of a header; names are compared without regard to case. Only the headers
    /// that the operator's `headers:` in the pipeline file asks for are here.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value.as_str())
    }

    /// Whether it says that its key was removed from a key-value bucket: deleted, purged, or too old. Its payload is no
    /// value then. The headers that say so are here in every pipeline that reads a bucket or a table.
    #[must_use]
    pub fn is_removal(&self) -> bool {
        matches!(self.header("KV-Operation"), Some("DEL" | "PURGE"))
            || self.header("Nats-Marker-Reason").is_some()
    }

    /// One token of the subject, from 0: of `orders.berlin.paid`, token 1 is `berlin`.
    #[must_use]
    pub fn token(&self, index: usize) -> Option<&str> {
        self.subject.split('.').nth(index)
    }

    /// The key that [`state`](crate::state) and [`timers`](crate::timers) of this message belong to: its
    /// key, and "" if it has none.
    #[must_use]
    pub fn state_key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// A message for tests: sequence 1, first attempt, event time 0, neither headers nor key.
    pub fn new(subject: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            subject: subject.into(),
            payload: payload.into(),
            headers: Vec::new(),
            key: None,
            event_time: 0,
            sequence: 1,
            attempt: 1,
        }
    }

    /// Adds a header, for tests.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(Header {
            name: name.into(),
            value: value.into(),
        });
        self
    }
}
