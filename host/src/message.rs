//! Station 2: a delivery becomes a [`Message`].
//!
//! A message owns nothing of the broker: no acker, no connection. Its payload and subject are
//! reference-counted views, so that cloning one for a chain of operators copies no bytes. This file
//! is pure; `source.rs` and the JSON lines of `weir pipe` both make messages.

use crate::headers::Headers;
use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;

/// One message on its way through a pipeline. The fields are those of the contract's `message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The subject it was published on, or that an operator gave it.
    pub subject: ByteString,
    /// The bytes as published; not necessarily text.
    pub payload: Bytes,
    /// All headers. What of them crosses the border is the operator's `headers:` choice.
    pub headers: Headers,
    /// What the pipeline's `key:` rule found, or an operator set.
    pub key: Option<ByteString>,
    /// Nanoseconds since the Unix epoch.
    pub event_time: u64,
    /// Sequence in the source stream, from 1.
    pub sequence: u64,
    /// 1 on first delivery.
    pub attempt: u32,
}

impl Message {
    /// Bytes of payload and headers: what counts against every bound by bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let lines = self.headers.iter();
        let lines = lines.map(|(name, value)| name.len() + value.len());
        self.payload.len() + lines.sum::<usize>()
    }
}

/// What an operator emits for one message. `None` is taken over from the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// A new subject.
    pub subject: Option<ByteString>,
    /// A new payload.
    pub payload: Option<Bytes>,
    /// A new set of headers, in place of all those of the input.
    pub headers: Option<Headers>,
    /// A new key.
    pub key: Option<ByteString>,
}

impl Output {
    /// The message this output stands for: its own fields, and the input's where it has none.
    #[must_use]
    pub fn onto(self, input: &Message) -> Message {
        Message {
            subject: self.subject.unwrap_or_else(|| input.subject.clone()),
            payload: self.payload.unwrap_or_else(|| input.payload.clone()),
            headers: self.headers.unwrap_or_else(|| input.headers.clone()),
            key: self.key.or_else(|| input.key.clone()),
            event_time: input.event_time,
            sequence: input.sequence,
            attempt: input.attempt,
        }
    }
}

/// What becomes of one message, as the plugin said. The contract's `outcome`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Zero (a drop, on purpose), one or many outputs.
    Emit(SmallVec<[Output; 1]>),
    /// A passing fault: deliver it again.
    Retry {
        /// Not before this long from now; `None` leaves it to the pipeline's backoff.
        after: Option<std::time::Duration>,
        /// In the plugin's words.
        reason: String,
    },
    /// It is never going to work: dead letter.
    Reject(String),
}
