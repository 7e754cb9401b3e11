//! Which versions are judged worse, how soon, and how rarely by chance.

use super::*;

fn rollout() -> Rollout {
    Rollout {
        probation: Duration::from_secs(60),
        canary: Duration::from_secs(60),
        min_messages: 100,
        max_errors: 1.0,
        max_call_time: 300.0,
        shadow_bytes: 0,
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
    assert_eq!(verdict(rejecting, counts(1000, 0, 540, 5)), None);
    let why = verdict(rejecting, counts(1000, 0, 600, 5)).unwrap_or_default();
    assert_eq!(
        why,
        "600 of 1000 messages failed, 60.00 %; in the previous version 47.00 %"
    );
}

#[test]
fn few_messages_say_nothing_unless_the_plugin_gives_no_answers() {
    let old = counts(1000, 0, 0, 5);
    assert_eq!(verdict(old, counts(99, 0, 99, 5)), None);
    assert_eq!(verdict(old, counts(9, 9, 9, 5)), None);
    assert!(verdict(old, counts(10, 10, 10, 5)).is_some());
    assert_eq!(verdict(old, counts(1000, 10, 10, 5)), None);
    assert!(verdict(old, counts(1000, 14, 14, 5)).is_some());
}

#[test]
fn what_the_version_before_rejects_must_be_known() {
    let fresh = counts(3, 0, 0, 5);
    assert_eq!(verdict(fresh, counts(1000, 0, 470, 5000)), None);
    assert!(verdict(fresh, counts(1000, 470, 470, 5)).is_some());
    // What it gave no answer to is not known either, and one message is no evidence.
    for few in [counts(0, 0, 0, 0), counts(1, 0, 0, 5), fresh] {
        assert!(verdict(few, counts(10, 10, 10, 5)).is_some());
        assert_eq!(verdict(few, counts(500, 12, 12, 5)), None);
    }
}

#[test]
fn a_version_that_is_wrong_for_one_key_in_a_hundred_is_found_after_a_thousand_messages() {
    let strict = Rollout {
        max_errors: 0.4,
        min_messages: 300,
        ..rollout()
    };
    let new = |messages| counts(messages, 0, messages / 100, 5);
    let found = |old, messages| worse(&strict, counts(old, 0, 0, 5), new(messages)).is_some();
    assert!(found(2000, 1000) && found(100_000, 1000));
    assert!(!found(100_000, 900), "nine are chance");
    // Where little is known of the one before it takes longer.
    assert!(!found(1000, 1000) && found(1000, 2500));
}

#[test]
fn calls_that_take_much_longer_are_worse_and_noise_is_not() {
    let old = counts(1000, 0, 0, 2000);
    assert_eq!(verdict(old, counts(1000, 0, 0, 5990)), None);
    let why = verdict(old, counts(1000, 0, 0, 7000)).unwrap_or_default();
    assert_eq!(
        why,
        "a message takes 7.0ms in the plugin; in the previous version 2.0ms"
    );
    assert_eq!(
        verdict(counts(1000, 0, 0, 1), counts(1000, 0, 0, 900)),
        None
    );
}

/// Numbers that are the same for the same seed: xorshift.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// How many of 100 messages fail.
    fn failures(&mut self, rate: f64) -> u64 {
        let limit = (rate * f64::from(u32::MAX)) as u64;
        (0..100).filter(|_| self.next() >> 32 < limit).count() as u64
    }
}

/// Of this many pairs of the same version, those that are judged worse within 20,000 messages. The version
/// before has seen `known` messages, or sees as many as the new one.
fn judged_worse(
    runs: u64,
    rate: f64,
    known: Option<u64>,
    faults: bool,
    numbers: &mut Numbers,
) -> u64 {
    let add = |counts: &mut Counts, failed: u64| {
        counts.messages += 100;
        counts.errors += failed;
        counts.faults += if faults { failed } else { 0 };
    };
    let mut found = 0;
    for _ in 0..runs {
        let (mut old, mut new) = (counts(0, 0, 0, 0), counts(0, 0, 0, 0));
        for _ in 0..known.unwrap_or_default() / 100 {
            add(&mut old, numbers.failures(rate));
        }
        let judged = (0..200).any(|_| {
            add(&mut new, numbers.failures(rate));
            if known.is_none() {
                add(&mut old, numbers.failures(rate));
            }
            verdict(old, new).is_some()
        });
        found += u64::from(judged);
    }
    found
}

#[test]
fn the_same_version_is_hardly_ever_found_worse_than_itself() {
    let seed = 0x5eed_0f5a_3e0d_1ce5;
    println!("seed {seed:#x}");
    let mut numbers = Numbers(seed);
    let (runs, mut all) = (100, 0);
    for rate in [0.005, 0.02, 0.2, 0.5] {
        for known in [Some(200), Some(1000), Some(20_000), None] {
            for faults in [false, true] {
                let found = judged_worse(runs, rate, known, faults, &mut numbers);
                println!("{found} of {runs}: {rate}, {known:?}, faults: {faults}");
                all += found;
            }
        }
    }
    assert!(all <= 6, "{all} of {}", 32 * runs);
}
