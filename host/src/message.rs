//! A message: what a delivery becomes after step 1.
//!
//! A message owns nothing of the broker: no ack and no connection. Its payload and subject are
//! reference-counted views, so a clone for a chain of operators copies no bytes. This file is pure;
//! `source.rs` and the JSON lines of `weir pipe` both make messages.

use crate::headers::Headers;
use crate::headers::block::{self, ForeignLines};
use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;
use std::sync::Arc;

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
    /// The name of the source that it is of, or the message that it was made from; none where sources have no names.
    pub source: Option<ByteString>,
    /// Nanoseconds since the Unix epoch.
    pub event_time: u64,
    /// Sequence in the source stream, from 1.
    pub sequence: u64,
    /// 1 on first delivery.
    pub attempt: u32,
    /// The watermark of its partition before this message: nanoseconds since the Unix epoch. A job sets it; none
    /// before there is one, and in a pipeline that is no job.
    pub watermark: Option<i64>,
    /// It came too late for every window of a windowed operator, which passes it on: it goes to the subject of
    /// late messages.
    pub is_late: bool,
    /// What of it is no text; `None` for nearly all messages. Set where it is received.
    pub foreign: Option<Arc<Foreign>>,
}

/// Parts of a stored message that are no text. A plugin is shown text alone, so a message is not passed to
/// one that would see such a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// The subject, if it is not UTF-8. The message has a readable replacement then.
    pub subject: Option<Bytes>,
    /// Lines of the header block without their ends.
    pub lines: ForeignLines,
    /// The header block, if clients write another for the lines that were read from it. No plugin misses
    /// anything; a dead letter keeps it.
    pub block: Option<Bytes>,
}

impl Foreign {
    /// Those parts of a message; `None` if all of it is text.
    #[must_use]
    pub fn of(
        subject: Option<Bytes>,
        lines: ForeignLines,
        block: Option<Bytes>,
    ) -> Option<Arc<Self>> {
        let any = subject.is_some() || !lines.is_empty() || block.is_some();
        any.then(|| {
            Arc::new(Self {
                subject,
                lines,
                block,
            })
        })
    }

    /// The headers of a block, and what is foreign in it and a subject that is not UTF-8.
    #[must_use]
    pub fn read(subject: Option<Bytes>, block: &Bytes) -> (Headers, Option<Arc<Self>>) {
        if block.is_empty() {
            return (
                Headers::default(),
                Self::of(subject, ForeignLines::new(), None),
            );
        }
        let (headers, lines) = block::read(block);
        let is_exact = block::is_exact(block, &headers, &lines);
        let block = (!is_exact).then(|| block.clone());
        (headers, Self::of(subject, lines, block))
    }

    /// What is wrong with it, for people.
    #[must_use]
    pub fn words(&self) -> String {
        match (&self.subject, self.lines.first()) {
            (Some(subject), _) => {
                format!("the subject `{}` is not UTF-8", subject.escape_ascii())
            }
            (None, Some(line)) => {
                let start = line.get(..line.len().min(128)).unwrap_or_default();
                format!("`{}` is not a header line in UTF-8", start.escape_ascii())
            }
            (None, None) => String::new(),
        }
    }
}

impl Message {
    /// As it comes from a stream: with a subject and a header block of any bytes, at its first attempt and with
    /// the time at which it was stored (nanoseconds since the Unix epoch).
    #[must_use]
    pub fn received(
        subject: Bytes,
        block: &Bytes,
        payload: Bytes,
        sequence: u64,
        stored: u64,
    ) -> Self {
        let (subject, foreign) = match ByteString::try_from(subject.clone()) {
            Ok(text) => (text, None),
            Err(_) => {
                let text = String::from_utf8_lossy(&subject).into_owned();
                (ByteString::from(text), Some(subject))
            }
        };
        let (headers, foreign) = Foreign::read(foreign, block);
        Self {
            subject,
            payload,
            headers,
            key: None,
            source: None,
            event_time: stored,
            sequence,
            attempt: 1,
            watermark: None,
            is_late: false,
            foreign,
        }
    }

    /// The key that its values have in the state: its own, or the empty one.
    pub fn state_key(&self) -> &[u8] {
        self.key.as_deref().unwrap_or_default().as_bytes()
    }

    /// What stands for a timer: what an operator emits for it takes the key from here, and finds the rest
    /// empty. The sequence is 0, the event time that of the timer (nanoseconds since the Unix epoch). The key
    /// "" is that of messages without one.
    #[must_use]
    pub fn of_timer(key: &[u8], at: u64) -> Self {
        Self {
            subject: ByteString::new(),
            payload: Bytes::new(),
            headers: Headers::default(),
            key: (!key.is_empty()).then(|| String::from_utf8_lossy(key).into_owned().into()),
            source: None,
            event_time: at,
            sequence: 0,
            attempt: 1,
            watermark: None,
            is_late: false,
            foreign: None,
        }
    }

    /// Bytes of payload and headers: what counts against every bound by bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let lines = self.headers.iter();
        let lines = lines.map(|(name, value)| name.len() + value.len());
        let foreign = self.foreign.as_ref().map_or(0, |foreign| {
            let lines = foreign.lines.iter();
            lines.map(Bytes::len).sum()
        });
        self.payload.len() + lines.sum::<usize>() + foreign
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
    /// A new event time, nanoseconds since the Unix epoch. The host sets it for panes of windows; plugins do not.
    pub event_time: Option<u64>,
    /// See [`Message::is_late`]. The host sets it.
    pub late: bool,
}

impl Output {
    /// The message this output stands for: its own fields, and the input's where it has none.
    #[must_use]
    pub fn onto(self, input: &Message) -> Message {
        let foreign = input.foreign.as_ref().and_then(|foreign| {
            let subject = foreign.subject.clone().filter(|_| self.subject.is_none());
            let lines = foreign.lines.iter().filter(|_| self.headers.is_none());
            Foreign::of(subject, lines.cloned().collect(), None)
        });
        Message {
            foreign,
            subject: self.subject.unwrap_or_else(|| input.subject.clone()),
            payload: self.payload.unwrap_or_else(|| input.payload.clone()),
            headers: self.headers.unwrap_or_else(|| input.headers.clone()),
            key: self.key.or_else(|| input.key.clone()),
            source: input.source.clone(),
            event_time: self.event_time.unwrap_or(input.event_time),
            sequence: input.sequence,
            attempt: input.attempt,
            watermark: input.watermark,
            is_late: self.late || input.is_late,
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
