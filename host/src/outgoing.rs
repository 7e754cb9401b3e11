//! A message as it leaves the host, made ready before any of it is sent. Plain data.

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
        self.payload.len() + HEADER_FRAME + id + digest + lines.sum::<usize>()
    }
}
