//! What is emitted for a message.
//!
//! A field that an [`Output`] leaves out is taken over from the input message by the host: it is
//! not copied, neither into the plugin nor out of it.

use crate::{Error, Header, Message, Output};
use serde::Serialize;

impl Output {
    /// The input as it came.
    #[must_use]
    pub const fn pass() -> Self {
        Self {
            subject: None,
            payload: None,
            headers: None,
            key: None,
        }
    }

    /// A new payload.
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            payload: Some(payload.into()),
            ..Self::pass()
        }
    }

    /// A new payload: `value` as JSON text.
    ///
    /// # Errors
    /// A rejection if the value is not JSON (a map with keys that are not text), for use with `?`.
    pub fn json(value: &impl Serialize) -> Result<Self, Error> {
        serde_json::to_vec(value)
            .map(Self::new)
            .map_err(|cause| Error::reject(format!("cannot write the output as JSON: {cause}")))
    }

    /// Sends it to this subject, before the pipeline's sink template is applied: tokens separated
    /// by dots, without wildcards or white space.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Gives it another key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Adds a header. An output with headers of its own takes over none of the input's, but see
    /// [`headers_of`](Self::headers_of). Names that begin with `Nats-` belong to the host.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let header = Header {
            name: name.into(),
            value: value.into(),
        };
        self.headers.get_or_insert_default().push(header);
        self
    }

    /// Adds the headers of the input, those that the operator's `headers:` asks for.
    #[must_use]
    pub fn headers_of(mut self, message: &Message) -> Self {
        self.headers
            .get_or_insert_default()
            .extend(message.headers.iter().cloned());
        self
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::pass()
    }
}

/// None, one or many [`Output`]s: what becomes of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs(Vec<Output>);

impl Outputs {
    /// The message as it came. No bytes are moved.
    #[must_use]
    pub fn pass() -> Self {
        Self(vec![Output::pass()])
    }

    /// Nothing: the message is dropped, on purpose.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds one.
    pub fn push(&mut self, output: Output) {
        self.0.push(output);
    }

    /// The list that the contract asks for.
    #[must_use]
    pub fn into_inner(self) -> Vec<Output> {
        self.0
    }
}

impl From<Output> for Outputs {
    fn from(output: Output) -> Self {
        Self(vec![output])
    }
}

impl From<Option<Output>> for Outputs {
    fn from(output: Option<Output>) -> Self {
        output.into_iter().collect()
    }
}

impl From<Vec<Output>> for Outputs {
    fn from(outputs: Vec<Output>) -> Self {
        Self(outputs)
    }
}

impl FromIterator<Output> for Outputs {
    fn from_iter<I: IntoIterator<Item = Output>>(outputs: I) -> Self {
        Self(outputs.into_iter().collect())
    }
}
