//! What a partition reports to its lane and its host: uncommitted effects, waiting messages, the size of the
//! state.

use super::Processing;
use crate::state::Usage;

impl Processing {
    /// The partition is not owned any more: nothing of it will be committed.
    pub fn forget(&mut self) {
        self.stored.0.clear();
        let counts = [&mut self.gathered, &mut self.in_flight].map(std::mem::take);
        let taken = counts.iter().map(|counts| counts.taken).sum::<i64>();
        self.shared.in_hand(-taken);
        self.note_waiting(false);
        self.note_usage(Usage::default());
        self.shared.progress.forget(self.partition());
        self.mark((false, false));
    }

    pub(super) fn partition(&self) -> u16 {
        let partitions = self
            .shared
            .settings
            .job
            .as_ref()
            .map_or(1, |job| job.partitions);
        let first = self.groups.iter().next();
        first.map_or(0, |first| first.partition(partitions))
    }

    /// A commit is stored.
    pub(super) fn note_commit(&mut self, usage: Usage) {
        self.note_usage(usage);
        let latency = self
            .sealed
            .take()
            .map(|sealed| sealed.elapsed().as_secs_f64());
        let commit_seconds = latency.unwrap_or_default();
        self.shared
            .metrics
            .job_commit_latency
            .observe(commit_seconds);
        let watermark = self.watermarks.least();
        self.shared.progress.update(self.partition(), |state| {
            (state.watermark, state.commit_seconds) = (watermark, commit_seconds);
        });
    }

    /// The size of the state now.
    pub(super) fn note_usage(&mut self, usage: Usage) {
        let before = std::mem::replace(&mut self.usage, usage);
        let change = |before: u64, now: u64| {
            let number = |number| i64::try_from(number).unwrap_or(i64::MAX);
            number(now) - number(before)
        };
        let metrics = &self.shared.metrics;
        metrics
            .job_state_rows
            .inc_by(change(before.rows, usage.rows));
        metrics
            .job_state_keys
            .inc_by(change(before.keys, usage.keys));
        metrics
            .job_state_bytes
            .inc_by(change(before.bytes, usage.bytes));
        self.shared.progress.update(self.partition(), |state| {
            (state.rows, state.keys, state.bytes) = (usage.rows, usage.keys, usage.bytes);
        });
    }

    /// Whether messages wait in the state now.
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
