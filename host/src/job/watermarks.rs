//! How far event time has come in the inputs of a partition. Pure.

use super::log::{Input, Progress};

/// The latest event time of each input, nanoseconds since the Unix epoch; none before its first message.
#[derive(Clone, Debug, Default)]
pub(super) struct Watermarks(Vec<Option<u64>>);

impl Watermarks {
    /// As a checkpoint has them.
    pub(super) fn of(inputs: &[Progress]) -> Self {
        let marks = inputs.iter().map(|input| input.watermark);
        let mark = |mark: Option<i64>| mark.map(|mark| u64::try_from(mark).unwrap_or_default());
        Self(marks.map(mark).collect())
    }

    /// Messages move them on.
    pub(super) fn watch(&mut self, batch: &[Input]) {
        for Input { input, message, .. } in batch {
            if let Some(mark) = self.0.get_mut(*input) {
                *mark = (*mark).max(Some(message.event_time));
            }
        }
    }

    /// That of the partition: the least of the inputs that have had messages; 0 if none has.
    pub(super) fn least(&self) -> u64 {
        self.0.iter().copied().flatten().min().unwrap_or_default()
    }

    /// As a checkpoint has them.
    pub(super) fn marks(&self) -> Vec<Option<i64>> {
        let mark = |mark: &Option<u64>| mark.map(|mark| i64::try_from(mark).unwrap_or(i64::MAX));
        self.0.iter().map(mark).collect()
    }
}
