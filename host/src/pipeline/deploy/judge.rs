//! Whether a new version is worse than the one before. Pure.

use crate::config::resolved::Rollout;
use crate::pipeline::tally::Counts;
use std::time::Duration;

/// Faults that are enough to judge by, before a version has seen `min-messages`: one that gives no
/// answers is not to go through a hundred messages first.
const FAULTS: u64 = 10;
/// Differences of call time a message that are noise, in nanoseconds.
const NOISE: f64 = 1_000_000.0;

/// Why the new version is worse, if it is. `old` is what the one before did.
#[must_use]
pub(super) fn worse(rollout: &Rollout, old: Counts, new: Counts) -> Option<String> {
    let enough = new.messages >= rollout.min_messages;
    let known = old.messages >= rollout.min_messages;
    if enough || new.faults >= FAULTS {
        let (before, now) = (percent(old.faults, old), percent(new.faults, new));
        if now > before + rollout.max_errors {
            return Some(format!(
                "the plugin gave no answer to {} of {} messages, {now:.2} %; the version before: \
                 {before:.2} %",
                new.faults, new.messages
            ));
        }
    }
    // What the one before rejects is not known when it has seen little.
    if !(enough && known) {
        return None;
    }
    let (before, now) = (percent(old.errors, old), percent(new.errors, new));
    if now > before + rollout.max_errors {
        return Some(format!(
            "{} of {} messages failed, {now:.2} %; in the version before {before:.2} %",
            new.errors, new.messages
        ));
    }
    let (before, now) = (call_time(old), call_time(new));
    if now > before * rollout.max_call_time / 100.0 && now > before + NOISE {
        let took = |nanoseconds: f64| Duration::from_nanos(nanoseconds as u64);
        return Some(format!(
            "a message takes {:.1?} in the plugin; in the version before {:.1?}",
            took(now),
            took(before)
        ));
    }
    None
}

fn percent(count: u64, of: Counts) -> f64 {
    100.0 * count as f64 / of.messages.max(1) as f64
}

/// Nanoseconds a message.
fn call_time(counts: Counts) -> f64 {
    counts.nanoseconds as f64 / counts.messages.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout() -> Rollout {
        Rollout {
            probation: Duration::from_secs(60),
            canary: Duration::from_secs(60),
            min_messages: 100,
            max_errors: 1.0,
            max_call_time: 300.0,
        }
    }

    fn counts(messages: u64, faults: u64, errors: u64, micros: u64) -> Counts {
        Counts {
            messages,
            faults,
            errors,
            nanoseconds: messages * micros * 1000,
        }
    }

    fn verdict(old: Counts, new: Counts) -> Option<String> {
        worse(&rollout(), old, new)
    }

    #[test]
    fn a_version_that_fails_no_more_than_the_one_before_is_not_worse() {
        let rejecting = counts(1000, 0, 470, 5);
        assert_eq!(verdict(rejecting, counts(1000, 0, 480, 5)), None);
        assert_eq!(verdict(rejecting, counts(1000, 0, 100, 5)), None);
        let why = verdict(rejecting, counts(1000, 0, 481, 5)).unwrap_or_default();
        assert_eq!(
            why,
            "481 of 1000 messages failed, 48.10 %; in the version before 47.00 %"
        );
    }

    #[test]
    fn few_messages_say_nothing_unless_the_plugin_gives_no_answers() {
        let old = counts(1000, 0, 0, 5);
        assert_eq!(verdict(old, counts(99, 0, 99, 5)), None);
        assert_eq!(verdict(old, counts(9, 9, 9, 5)), None);
        assert!(verdict(old, counts(10, 10, 10, 5)).is_some());
        assert_eq!(verdict(old, counts(1000, 10, 10, 5)), None);
        assert!(verdict(old, counts(1000, 11, 11, 5)).is_some());
    }

    #[test]
    fn what_the_version_before_rejects_must_be_known() {
        let fresh = counts(3, 0, 0, 5);
        assert_eq!(verdict(fresh, counts(1000, 0, 470, 5000)), None);
        assert!(verdict(fresh, counts(1000, 470, 470, 5)).is_some());
    }

    #[test]
    fn calls_that_take_much_longer_are_worse_and_noise_is_not() {
        let old = counts(1000, 0, 0, 2000);
        assert_eq!(verdict(old, counts(1000, 0, 0, 5990)), None);
        let why = verdict(old, counts(1000, 0, 0, 7000)).unwrap_or_default();
        assert_eq!(
            why,
            "a message takes 7.0ms in the plugin; in the version before 2.0ms"
        );
        assert_eq!(
            verdict(counts(1000, 0, 0, 1), counts(1000, 0, 0, 900)),
            None
        );
    }
}
