//! Header lines of a message, and the names that have a meaning for the server or for weir.

pub mod block;

use bytes::Bytes;
use bytestring::ByteString;
use std::sync::Arc;

/// Headers of this prefix command the server: a message id, a rollup, a time to live.
pub const SERVER_PREFIX: &str = "nats-";
/// The header by which the server drops repeats.
pub const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The header that says which plugins a result comes from: the beginnings of their digests, in the
/// order of the chain, with commas between them. The input is in the message id.
pub const DIGEST: &str = "Weir-Digest";
/// In place of [`MESSAGE_ID`] in what a job has committed: a batch that is sent again would be refused for that.
pub const ORIGIN: &str = "Weir-Origin";
/// Of a value in a view: the partition and the number of the commit that it is of, with a dot between.
pub const COMMIT: &str = "Weir-Commit";
/// After how long the server removes a message: seconds, with an `s`.
pub const TTL: &str = "Nats-TTL";
/// Of a value in a bucket: what became of the key, if it was not set.
pub const KV_OPERATION: &str = "KV-Operation";
/// Headers that say that a key of a bucket was removed: by somebody, or by the server, for its age.
pub const REMOVALS: [&str; 2] = [KV_OPERATION, "Nats-Marker-Reason"];
/// Through how many pipelines a message has come that is the result or the dead letter of another pipeline;
/// without it, one with [`DIGEST`] has come through one. Written by hosts alone.
pub const HOPS: &str = "Weir-Hops";
/// Prefix of the headers that weir adds.
pub const PREFIX: &str = "Weir-";
/// Before the name of an input's header that would mean something to the server or to weir, where weir
/// stores the input in a message of its own: a dead letter or a parked retry.
const KEPT: &str = "Weir-Kept-";
/// The largest header block that a stream stores, in bytes (`math.MaxUint16` in nats-server's `stream.go`).
pub const LARGEST_BLOCK: usize = u16::MAX as usize;
/// `<part>/<parts>`, from 1, on each part of a dead letter that is in parts.
pub const PART: &str = "Weir-Part";
/// Says which dead letter a part belongs to: parts of several may lie between each other.
pub const LETTER: &str = "Weir-Letter";
/// `<bytes of the subject> <bytes of the header block>` at the beginning of a dead letter's payload, where
/// that holds all of the message.
pub const PACKED: &str = "Weir-Packed";
/// Of a pane: the start and the end of its window, RFC 3339 in UTC.
pub const WINDOW_START: &str = "Weir-Window-Start";
pub const WINDOW_END: &str = "Weir-Window-End";
/// Whether a pane is `early`, `on-time` or `late`, and how many its window emitted before it.
pub const PANE: &str = "Weir-Pane";
pub const PANE_INDEX: &str = "Weir-Pane-Index";
/// The header of a message that a stream has from another: `<stream> <sequence>`, and more.
pub const SOURCED: &str = "Nats-Stream-Source";

/// Stream and sequence in that header.
#[must_use]
pub fn sourced_from(header: &str) -> Option<(&str, u64)> {
    let mut words = header.split(' ');
    // A hash of the account may follow the name.
    let stream = words.next()?.split(':').next()?;
    Some((stream, words.next()?.parse().ok()?))
}

/// Where a message stood in the stream of a job before another stream sourced it, or its owner forwarded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromJob {
    pub stream: String,
    pub place: u64,
    /// Which has committed it; the id of a forwarded message does not say so.
    pub partition: Option<u16>,
}

impl FromJob {
    /// From the headers of the message; `None` for one of another origin.
    #[must_use]
    pub fn of(headers: &Headers) -> Option<Self> {
        let sourced = || {
            let sourced = headers.get(SOURCED)?;
            let (stream, place) = sourced_from(sourced)?;
            // The filter, its destination and the subject that it had follow, and with some servers one word more.
            let partition = |word: &str| {
                let own = word.strip_prefix("weir.job.")?;
                own.split('.').nth(2)?.parse().ok()
            };
            let partition = sourced.split(' ').find_map(partition);
            Some((stream, place, partition))
        };
        let forwarded = || {
            let (stream, place) = headers.get(MESSAGE_ID)?.split_once('@')?;
            Some((stream, place.split_once('/')?.1.parse().ok()?, None))
        };
        let (stream, place, partition) = sourced().or_else(forwarded)?;
        Some(Self {
            stream: stream.to_owned(),
            place,
            partition,
        })
    }
}

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

/// Whether a header says of which window a result is.
#[must_use]
pub fn is_window_header(name: &str) -> bool {
    let names = [WINDOW_START, WINDOW_END, PANE, PANE_INDEX];
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a header is one that weir adds, and not data of others that [`keep`] has hidden.
#[must_use]
pub fn is_weir_header(name: &str) -> bool {
    begins_with(name.as_bytes(), PREFIX) && !begins_with(name.as_bytes(), KEPT)
}

/// A header of an input as it is stored in a message of weir, where it must mean nothing.
#[must_use]
pub fn keep(line: &(ByteString, ByteString)) -> (ByteString, ByteString) {
    let (name, value) = line;
    match must_hide(name.as_bytes()) {
        true => (ByteString::from(format!("{KEPT}{name}")), value.clone()),
        false => line.clone(),
    }
}

/// The same for a line that is no text.
#[must_use]
pub fn keep_foreign(line: &Bytes) -> Bytes {
    match must_hide(line) {
        true => [KEPT.as_bytes(), line].concat().into(),
        false => line.clone(),
    }
}

fn must_hide(name: &[u8]) -> bool {
    begins_with(name, SERVER_PREFIX) || begins_with(name, PREFIX)
}

/// What [`keep`] has hidden: the name, or the line that begins with it.
#[must_use]
pub fn kept(line: &[u8]) -> Option<&[u8]> {
    begins_with(line, KEPT).then(|| line.get(KEPT.len()..))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn where_a_message_was_sourced_from_is_read_whatever_else_the_header_says() {
        assert_eq!(sourced_from("Q 7 > > a.b x"), Some(("Q", 7)));
        assert_eq!(sourced_from("Q:hash 7 > >"), Some(("Q", 7)));
        for other in ["", "Q", "Q x", "Q -1", "$JS.ACK.Q.c.1.7.1.0.0"] {
            assert_eq!(sourced_from(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_line_that_is_hidden_means_nothing_and_comes_back(
            name in "(Weir-|weir-|nats-|Nats-|Weir-Kept-)?[!-9;-~]{1,9}",
            value in "[ -~]{0,9}",
        ) {
            let line = (ByteString::from(name), ByteString::from(value));
            let hidden = keep(&line);
            prop_assert!(!is_server_header(&hidden.0) && !is_weir_header(&hidden.0));
            let name: &[u8] = hidden.0.as_bytes();
            let back = kept(name).unwrap_or(name);
            prop_assert_eq!(back, &**line.0.as_bytes());
            prop_assert_eq!(&hidden.1, &line.1);
            let whole = Bytes::from(format!("{}: {}", line.0, line.1));
            let hidden = keep_foreign(&whole);
            prop_assert_eq!(kept(&hidden).unwrap_or(&hidden), &*whole);
        }
    }
}
