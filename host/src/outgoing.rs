//! A message that is ready to leave the host. Plain data.

use crate::headers::block::ForeignLines;
use crate::headers::{DIGEST, MESSAGE_ID};
use bytes::Bytes;
use bytestring::ByteString;

/// `NATS/1.0` with its line ends, and the empty line behind the headers.
const HEADER_FRAME: usize = 12;

/// What a message is called, so that a repeat of it is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageId {
    /// Of a result, in the parts that it is made of: it is written where it goes, and has no text of its own.
    Result {
        /// `<pipeline>~<hash>/<operator>/`
        prefix: ByteString,
        /// `<stream>@<incarnation>`
        source_id: ByteString,
        /// Of the input.
        sequence: u64,
        /// Of the result among those of its input.
        index: u64,
    },
    /// Of anything else.
    Whole(String),
}

impl MessageId {
    /// Adds it to a header block.
    pub fn write(&self, into: &mut Vec<u8>) {
        match self {
            Self::Result {
                prefix,
                source_id,
                sequence,
                index,
            } => {
                into.extend_from_slice(prefix.as_bytes());
                into.extend_from_slice(source_id.as_bytes());
                for number in [*sequence, *index] {
                    into.push(b'/');
                    into.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
                }
            }
            Self::Whole(text) => into.extend_from_slice(text.as_bytes()),
        }
    }

    /// In bytes.
    fn len(&self) -> usize {
        let digits = |number: u64| number.checked_ilog10().unwrap_or_default() as usize + 1;
        match self {
            Self::Result {
                prefix,
                source_id,
                sequence,
                index,
            } => prefix.len() + source_id.len() + digits(*sequence) + digits(*index) + 2,
            Self::Whole(text) => text.len(),
        }
    }

    fn has_line_break(&self) -> bool {
        let breaks = |text: &str| text.contains(['\r', '\n']);
        match self {
            Self::Result {
                prefix, source_id, ..
            } => breaks(prefix) || breaks(source_id),
            Self::Whole(text) => breaks(text),
        }
    }
}

/// One message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMessage {
    pub subject: ByteString,
    /// By which the server drops repeats: the header [`MESSAGE_ID`], or [`ORIGIN`](crate::headers::ORIGIN), which
    /// is as long.
    pub id: Option<MessageId>,
    /// The plugins that it comes from: the header [`DIGEST`]. Shared by all messages of a chain.
    pub digest: Option<ByteString>,
    /// All others.
    pub headers: Vec<(ByteString, ByteString)>,
    /// Lines behind them that are no text: whole, without their ends.
    pub foreign: ForeignLines,
    pub payload: Bytes,
    /// Of the result that it was made of; not sent.
    pub key: Option<ByteString>,
    /// It came too late for every window, so that it is no result. Its subject is that of late messages; if the
    /// pipeline has none it is empty, and the message goes nowhere. Not sent.
    pub is_late: bool,
}

impl OutgoingMessage {
    /// Bytes that count against the server's `max_payload`: headers and payload.
    #[must_use]
    pub fn size(&self) -> usize {
        let line = |name: &str, value: usize| name.len() + value + 4;
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| line(name, value.len()));
        let id = self.id.iter().map(|id| line(MESSAGE_ID, id.len()));
        let digest = self.digest.iter().map(|digest| line(DIGEST, digest.len()));
        let foreign = self.foreign.iter().map(|line| line.len() + 2);
        let lines = headers.chain(id).chain(digest).chain(foreign);
        self.payload.len() + HEADER_FRAME + lines.sum::<usize>()
    }

    /// Writes the header block as it is sent into an empty vector: whole, or nothing if there are no
    /// headers. What would make other lines of itself is left out; whoever made the message has seen to
    /// it that there is none.
    pub fn write_headers(&self, into: &mut Vec<u8>) {
        self.write_headers_as(MESSAGE_ID, into);
    }

    /// The same, with the id under another name.
    pub fn write_headers_as(&self, id_name: &str, into: &mut Vec<u8>) {
        fn add(into: &mut Vec<u8>, parts: &[&[u8]]) {
            parts.iter().for_each(|part| into.extend_from_slice(part));
            into.extend_from_slice(b"\r\n");
        }
        into.extend_from_slice(b"NATS/1.0\r\n");
        let nothing = into.len();
        for (name, value) in &self.headers {
            if !name.contains([':', '\r', '\n']) && !value.contains(['\r', '\n']) {
                add(into, &[name.as_bytes(), b": ", value.as_bytes()]);
            }
        }
        if let Some(id) = self.id.as_ref().filter(|id| !id.has_line_break()) {
            into.extend_from_slice(id_name.as_bytes());
            into.extend_from_slice(b": ");
            id.write(into);
            into.extend_from_slice(b"\r\n");
        }
        if let Some(digest) = &self.digest {
            add(into, &[DIGEST.as_bytes(), b": ", digest.as_bytes()]);
        }
        for line in self.foreign.iter().filter(|line| !line.contains(&b'\n')) {
            add(into, &[line]);
        }
        match into.len() == nothing {
            true => into.clear(),
            false => into.extend_from_slice(b"\r\n"),
        }
    }
}
