//! Event time in a partition: messages without one, and how the watermark advances.

use super::Processing;
use crate::config::resolved::{OnInvalid, OnMissingKey};
use crate::job::log::{Input, Progress};
use crate::job::watermarks::Watermarks;
use crate::job::work::Effects;
use crate::process::chain::Kind;
use crate::state::Clock;
use crate::time::parse::Unit;
use std::borrow::Cow;

/// An event time before this, 1973 in nanoseconds, is probably a number of another unit.
const EARLY: u64 = 94_694_400_000_000_000;

impl Processing {
    /// The partition goes on where these inputs are.
    pub(in crate::job) fn resume(&mut self, inputs: &[Progress]) {
        self.watermarks = Watermarks::of(inputs, |id| self.shared.has_time(id));
        self.state.lock().set_watermark(self.watermarks.least());
    }

    /// A message without a valid event time. Whether that is its end: a dead letter.
    pub(super) async fn refuses(&mut self, input: &Input, effects: &mut Effects) -> bool {
        self.gathered.untimed += 1;
        let message = &input.message;
        let decoder = self.reads(input).map(|reads| &reads.decoder);
        let Some(rule) = decoder.and_then(|decoder| decoder.event_time(message)) else {
            return false;
        };
        if rule.on_invalid == OnInvalid::StreamTime {
            return false;
        }
        let found = rule.extract(&message.headers, &message.payload);
        let reason = found.err().unwrap_or_default();
        self.give_up_as(Kind::EventTime, input, reason, effects)
            .await;
        true
    }

    /// The messages of a batch, each with the watermark before it where there are windows.
    pub(super) fn with_watermarks<'a>(&self, batch: &'a [Input]) -> Cow<'a, [Input]> {
        if !self.shared.settings.has_windows() {
            return batch.into();
        }
        let (rules, now) = (&self.shared.watermark, self.state.lock().now());
        let before = self.watermarks.before(rules, batch, now);
        let mut batch = batch.to_vec();
        for (input, watermark) in batch.iter_mut().zip(before) {
            input.message.watermark = watermark;
        }
        batch.into()
    }

    /// Messages were processed: event time has come as far as theirs. Not before: what they see of the watermark does
    /// not depend on those behind them.
    pub(super) fn pass(&mut self, batch: &[Input]) {
        self.warn_of_early(batch);
        self.note_keyless(batch);
        let mut state = self.state.lock();
        let rules = &self.shared.watermark;
        self.gathered.ahead += self.watermarks.pass(rules, batch, state.now());
        state.set_watermark(self.watermarks.least());
    }

    /// Says once of a pipeline that event times may have another unit than the file says.
    fn warn_of_early(&self, batch: &[Input]) {
        let mut early = batch.iter().filter(|input| {
            input.timed && input.message.event_time < EARLY && {
                let decoder = self.reads(input).map(|reads| &reads.decoder);
                let rule = decoder.and_then(|decoder| decoder.event_time(&input.message));
                rule.is_some_and(|rule| rule.unit != Unit::Seconds)
            }
        });
        let Some(input) = early.next() else {
            return;
        };
        if self.shared.progress.is_first_to_say_early() {
            tracing::warn!(
                pipeline = self.shared.settings.name,
                sequence = self.shown_sequence(input),
                "an event time is before 1973; if it counts seconds, set `event-time.unit: s`"
            );
        }
    }

    /// Counts messages without a key, and says once of a pipeline that there are some, and what becomes of them.
    fn note_keyless(&mut self, batch: &[Input]) {
        let mut keyless = batch.iter().filter_map(|input| {
            let reads = self.reads(input)?;
            let (_, then) = reads.decoder.missing_key(&input.message)?;
            Some((input, then))
        });
        let Some((first, then)) = keyless.next() else {
            return;
        };
        let then = match then {
            OnMissingKey::Share => "all that do have one key in common, in one partition",
            OnMissingKey::DeadLetter => "all that do become dead letters",
            OnMissingKey::Drop => "all that do are dropped",
        };
        let count = 1 + keyless.count() as u64;
        if self.shared.progress.is_first_to_say_keyless() {
            tracing::warn!(
                pipeline = self.shared.settings.name,
                sequence = self.shown_sequence(first),
                subject = &*first.message.subject,
                "a message lacks a part of its `key`: {then}"
            );
        }
        self.gathered.keyless += count;
    }

    /// What a commit says besides of a batch: event time, and the values of views.
    pub(super) fn conclude(&mut self, effects: &mut Effects) {
        effects.watermarks = self.watermarks.marks();
        effects.watermark = Some(self.watermarks.least());
        self.view(effects);
    }

    /// The time of the next timer that waits for the watermark. While a message waits for a retry, none does.
    fn awaited(&self) -> Option<u64> {
        let state = self.state.lock();
        let next = state.next_due(Clock::EventTime);
        next.filter(|_| !state.has_held())
    }

    /// The inputs that hold that timer back.
    pub(super) fn held_back_by(&self, inputs: &[Progress]) -> Vec<Progress> {
        let awaited = self.awaited().unwrap_or_default();
        let behind = self.watermarks.behind(awaited);
        behind
            .filter_map(|input| inputs.get(input).cloned())
            .collect()
    }

    /// When it is due, if those have nothing pending until then.
    pub(super) fn due_when_quiet(&self) -> Option<u64> {
        let next = i64::try_from(self.awaited()?).ok()?;
        let due = self.shared.watermark.idle_reaches(next)?;
        u64::try_from(due).ok()
    }

    /// Nothing is pending in the inputs that hold the next timer back, so their event time follows the clock.
    /// The next commit, which the due timer causes, stores it.
    pub(super) fn follow_clock(&mut self) {
        let awaited = self.awaited().unwrap_or_default();
        let mut state = self.state.lock();
        let now = self.clock.now_after(state.now());
        self.watermarks.idle(&self.shared.watermark, awaited, now);
        let watermark = self.watermarks.least();
        state.set_watermark(watermark);
        let progress = &self.shared.progress;
        progress.update(self.partition(), |state| state.watermark = watermark);
    }
}
