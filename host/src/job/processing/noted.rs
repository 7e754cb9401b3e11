//! What a partition says of itself to its lane and its host: what is uncommitted, what waits, how large the state is.

use super::Processing;

impl Processing {
    /// The partition is not owned any more: nothing of it will be committed.
    pub fn forget(&mut self) {
        self.stored.0.clear();
        let counts = [&mut self.gathered, &mut self.in_flight].map(std::mem::take);
        let taken = counts.iter().map(|counts| counts.taken).sum::<i64>();
        self.shared.in_hand(-taken);
        self.note_waiting(false);
        self.note_bytes(0);
        self.mark((false, false));
    }

    /// How large the state is now, for whoever asks.
    pub(super) fn note_bytes(&mut self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let change = bytes - std::mem::replace(&mut self.bytes, bytes);
        self.shared.metrics.job_state_bytes.inc_by(change);
    }

    /// Whether messages wait in the state now, for whoever asks.
    pub(super) fn note_waiting(&mut self, waits: bool) {
        if std::mem::replace(&mut self.waits, waits) != waits {
            self.shared.progress.set_waiting(waits);
        }
    }

    pub(super) fn mark(&mut self, uncommitted: (bool, bool)) {
        let any = |(gathered, in_flight): (bool, bool)| gathered || in_flight;
        let before = std::mem::replace(&mut self.uncommitted, uncommitted);
        if any(before) != any(uncommitted) {
            self.shared.set_uncommitted(any(uncommitted));
        }
    }
}
