//! Header lines of a message, and the names that mean something to the server or to weir.

pub mod block;

use bytestring::ByteString;
use std::sync::Arc;

/// Headers of this prefix command the server: a message id, a rollup, a time to live.
pub const SERVER_PREFIX: &str = "nats-";
/// The header by which the server drops repeats.
pub const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The header that says which plugins a result comes from: the beginnings of their digests, in the
/// order of the chain, with commas between them. The input is in the message id.
pub const DIGEST: &str = "Weir-Digest";
/// Through how many pipelines a message has come that is the result of another pipeline; without it, one
/// with [`DIGEST`] has come through one. Written by hosts alone.
pub const HOPS: &str = "Weir-Hops";
/// Prefix of the headers that a dead letter adds; those of the input with it are replaced.
pub const PREFIX: &str = "Weir-";
/// `<part>/<parts>`, from 1, on each part of a dead letter that is in parts.
pub const PART: &str = "Weir-Part";
/// Says which dead letter a part belongs to: parts of several may lie between each other.
pub const LETTER: &str = "Weir-Letter";
/// Header lines in their order; a name may occur more than once.
///
/// Cheap to clone. Names are compared without regard to case, as NATS clients do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Option<Arc<[(ByteString, ByteString)]>>);

impl Headers {
    /// The lines, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(ByteString, ByteString)> {
        self.0.as_deref().unwrap_or_default().iter()
    }

    /// The first value under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }
}

impl FromIterator<(ByteString, ByteString)> for Headers {
    fn from_iter<I: IntoIterator<Item = (ByteString, ByteString)>>(lines: I) -> Self {
        let lines: Vec<_> = lines.into_iter().collect();
        Self((!lines.is_empty()).then(|| lines.into()))
    }
}

/// Whether a header commands the server.
#[must_use]
pub fn is_server_header(name: &str) -> bool {
    begins_with(name.as_bytes(), SERVER_PREFIX)
}

/// Whether the name of a header begins with a prefix.
#[must_use]
pub fn begins_with(name: &[u8], prefix: &str) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}
