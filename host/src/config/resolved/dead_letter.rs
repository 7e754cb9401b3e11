//! `dead-letter:`, checked.

use super::StreamSettings;
use crate::config::pointer::Pointer;
use std::sync::Arc;

/// Where dead letters go.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// A literal subject.
    pub subject: String,
    /// The stream that is expected to capture them; found by subject if `None`.
    pub stream: Option<String>,
    /// How to create the stream if it is missing.
    pub create: Option<StreamSettings>,
    /// As [`Sink::forward`](super::Sink::forward).
    pub forward: bool,
    /// What they do not keep.
    pub redact: Arc<Redact>,
}

/// What dead letters do not keep of their messages; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Redact {
    /// Values in the payload; a token `*` is every member and every element.
    pub fields: Vec<Pointer>,
    /// Names of headers, in any case.
    pub headers: Vec<String>,
}

impl Redact {
    /// Whether the whole message is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.headers.is_empty()
    }
}
