//! A message as it leaves the host, made ready before any of it is sent. Plain data.

use crate::headers::block::ForeignLines;
use crate::headers::{DIGEST, MESSAGE_ID};
use bytes::Bytes;
use bytestring::ByteString;

/// `NATS/1.0` with its line ends, and the empty line behind the headers.
const HEADER_FRAME: usize = 12;

/// One message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMessage {
    pub subject: ByteString,
    /// By which the server drops repeats: the header [`MESSAGE_ID`].
    pub id: Option<String>,
    /// The plugins that it comes from: the header [`DIGEST`]. Shared by all messages of a chain.
    pub digest: Option<ByteString>,
    /// All others.
    pub headers: Vec<(ByteString, ByteString)>,
    /// Lines behind them that are no text: whole, without their ends.
    pub foreign: ForeignLines,
    pub payload: Bytes,
    /// Of the result that it was made of; not sent.
    pub key: Option<ByteString>,
}

impl OutgoingMessage {
    /// Bytes that count against the server's `max_payload`: headers and payload.
    #[must_use]
    pub fn size(&self) -> usize {
        let lines = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        let id = self.id.as_ref();
        let id = id.map_or(0, |id| MESSAGE_ID.len() + id.len() + 4);
        let digest = self.digest.as_ref();
        let digest = digest.map_or(0, |digest| DIGEST.len() + digest.len() + 4);
        let foreign = self.foreign.iter().map(|line| line.len() + 2);
        let lines = lines.sum::<usize>() + foreign.sum::<usize>();
        self.payload.len() + HEADER_FRAME + id + digest + lines
    }

    /// Writes the header block as it is sent into an empty vector: whole, or nothing if there are no
    /// headers. What would make other lines of itself is left out; whoever made the message has seen to
    /// it that there is none.
    pub fn write_headers(&self, into: &mut Vec<u8>) {
        let mut add = |parts: &[&[u8]]| {
            if into.is_empty() {
                into.extend_from_slice(b"NATS/1.0\r\n");
            }
            parts.iter().for_each(|part| into.extend_from_slice(part));
            into.extend_from_slice(b"\r\n");
        };
        let id = self.id.as_deref().map(|id| (MESSAGE_ID, id));
        let digest = self.digest.as_deref().map(|digest| (DIGEST, digest));
        let lines = self.headers.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in lines.chain(id).chain(digest) {
            if !name.contains([':', '\r', '\n']) && !value.contains(['\r', '\n']) {
                add(&[name.as_bytes(), b": ", value.as_bytes()]);
            }
        }
        for line in self.foreign.iter().filter(|line| !line.contains(&b'\n')) {
            add(&[line]);
        }
        if !into.is_empty() {
            into.extend_from_slice(b"\r\n");
        }
    }
}
