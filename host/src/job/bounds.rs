//! The limits of a commit. Pure.

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
