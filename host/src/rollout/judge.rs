//! Whether a new version is worse than the previous one. Pure.
//!
//! The judgement runs four times a second while a version is watched, so a chance that is small once becomes
//! large. A failure share that is higher by more than `max-errors` counts only if chance cannot explain it:
//! by a likelihood-ratio test of the two shares, at four standard deviations (about 3 in 100,000), and with
//! ten failures more than the old share would give. The test is exact enough for few failures, where the
//! normal approximation is not.

use crate::config::resolved::Rollout;
use crate::report::count;
use crate::telemetry::version_stats::Counts;
use std::time::Duration;

/// The number of faults that is enough for a judgement before `min-messages`: a version without answers must
/// not fail on a hundred messages first.
const FAULTS: u64 = 10;
/// Failures beyond what the share of the version before would give; fewer are chance.
const EXCESS: f64 = 10.0;
/// Standard deviations that the shares must be apart.
const DEVIATIONS: f64 = 4.0;
/// The least number of messages that the previous version is assumed to have answered, when faults are
/// compared: a host that has just started has no data.
const ANSWERED: u64 = 100;
/// Differences of call time a message that are noise, in nanoseconds.
const NOISE: f64 = 1_000_000.0;

/// Why the new version is worse, if it is. `old` is what the one before did.
#[must_use]
pub(crate) fn worse(rollout: &Rollout, old: Counts, new: Counts) -> Option<String> {
    let enough = new.messages >= rollout.min_messages;
    let known = old.messages >= rollout.min_messages;
    if enough || new.faults >= FAULTS {
        let answered = old.messages.max(rollout.min_messages).max(ANSWERED);
        let before = Share::of(old.faults, answered);
        let now = Share::of(new.faults, new.messages);
        if now.is_worse(before, rollout.max_errors) {
            let (now, before) = (now.percent(), Share::of(old.faults, old.messages).percent());
            return Some(format!(
                "the plugin gave no answer to {} of {}, {now:.2} %; the previous version: {before:.2} %",
                new.faults,
                count(new.messages, "message")
            ));
        }
    }
    // What the one before rejects is not known when it has seen little.
    if !(enough && known) {
        return None;
    }
    let before = Share::of(old.errors, old.messages);
    let now = Share::of(new.errors, new.messages);
    if now.is_worse(before, rollout.max_errors) {
        let (now, before) = (now.percent(), before.percent());
        return Some(format!(
            "{} of {} failed, {now:.2} %; in the previous version {before:.2} %",
            new.errors,
            count(new.messages, "message")
        ));
    }
    let (before, now) = (call_time(old), call_time(new));
    if now > before * rollout.max_call_time / 100.0 && now > before + NOISE {
        let took = |nanoseconds: f64| Duration::from_nanos(nanoseconds as u64);
        return Some(format!(
            "a message takes {:.1?} in the plugin; in the previous version {:.1?}",
            took(now),
            took(before)
        ));
    }
    None
}

/// How many of how many failed.
#[derive(Clone, Copy)]
struct Share {
    failed: f64,
    all: f64,
}

impl Share {
    /// A message whose instance did not start was no call, and failed.
    fn of(failed: u64, messages: u64) -> Self {
        Self {
            failed: failed as f64,
            all: messages.max(failed).max(1) as f64,
        }
    }

    fn rate(self) -> f64 {
        self.failed / self.all
    }

    fn percent(self) -> f64 {
        100.0 * self.rate()
    }

    /// Whether it is higher by more than this many percent of all messages, and not by chance.
    fn is_worse(self, before: Self, percent: f64) -> bool {
        self.percent() > before.percent() + percent
            && self.failed >= self.all * before.rate() + EXCESS
            && self.deviations(before) > DEVIATIONS
    }

    /// How many standard deviations this share and another are apart: the root of the likelihood ratio
    /// of two shares against one.
    fn deviations(self, other: Self) -> f64 {
        let pooled = (self.failed + other.failed) / (self.all + other.all);
        let part = |count: f64, of: f64, expected: f64| match count > 0.0 {
            true => count * (count / of / expected).ln(),
            false => 0.0,
        };
        let ratio = |share: Self| {
            part(share.failed, share.all, pooled)
                + part(share.all - share.failed, share.all, 1.0 - pooled)
        };
        (2.0 * (ratio(self) + ratio(other))).max(0.0).sqrt()
    }
}

/// Nanoseconds a message.
fn call_time(counts: Counts) -> f64 {
    counts.nanoseconds as f64 / counts.messages.max(1) as f64
}

#[cfg(test)]
#[expect(clippy::print_stdout, reason = "a test that is random prints its seed")]
mod tests;
