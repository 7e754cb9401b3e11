//! The limits of a commit. Pure.

use crate::config::resolved;

/// Messages of a commit besides its results, and how many of them are kept free for snapshots; the others are for
/// deltas and the checkpoint. The server takes 1,000 in all, and a pipeline may have 900 results in a commit.
const BESIDES: usize = 100;
const RESERVE: usize = 90;
/// Bytes of a record's message, at most; half of what the server takes, if that is less.
const PART: usize = 256 << 10;

/// Bytes of a record's message, where the server takes messages of this size.
pub(super) fn part(max_payload: usize) -> usize {
    (max_payload / 2).clamp(1, PART)
}

/// What one commit may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Messages, the checkpoint among them.
    pub messages: usize,
    /// Messages of these that are kept free for snapshots.
    pub reserve: usize,
    /// Bytes of results and deltas. Snapshots come on top.
    pub bytes: usize,
    /// Bytes of a message's payload: what is longer takes several messages.
    pub part: usize,
}

impl Bounds {
    /// Those of a job that may have these results in a commit, and records of `part` bytes.
    #[must_use]
    pub fn of_commit(results: resolved::Bounds, part: usize) -> Self {
        Self {
            messages: results.messages + BESIDES,
            reserve: RESERVE,
            bytes: results.bytes,
            part,
        }
    }

    /// Messages for so many bytes.
    pub(super) fn parts(&self, bytes: usize) -> usize {
        bytes.div_ceil(self.part.max(1))
    }

    /// Half of it, while that is worth trying.
    #[must_use]
    pub fn halved(self) -> Option<Self> {
        let [messages, reserve, bytes] = [self.messages, self.reserve, self.bytes].map(|n| n / 2);
        let enough = messages > reserve + 2;
        enough.then_some(Self {
            messages,
            reserve,
            bytes,
            ..self
        })
    }
}
