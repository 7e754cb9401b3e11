//! A version with `migrate` takes over the values of a key before it is called for it, together with what the call
//! writes; a version that does not know their format reads none of them.

use super::{Job, OPERATORS, SECOND, load, state, stateful};
use crate::harness::guests::guest;
use crate::harness::lane::limits;
use weir::state::Clock;

/// The job with other plugins, on the same state.
fn with(job: Job, plugin: &str) -> Job {
    let next = Job::on(&load(&guest(plugin)), state(u64::MAX), limits());
    Job {
        state: job.state,
        ..next
    }
}

/// Counts with the first operator, which the others pass on.
fn counted(job: &mut Job, key: &str) -> String {
    job.one(key, "@first count")
}

#[test]
fn values_of_a_key_are_migrated_before_the_first_call_that_is_about_it() {
    let mut job = Job::new();
    for key in ["a", "a", "b"] {
        counted(&mut job, key);
    }
    job.one("a", "@first set other x 5000");
    let rows = job.state.lock().usage().rows;
    let mut job = with(job, "migrating");
    // Each of the operators counts; only the first had a value before.
    assert_eq!(counted(&mut job, "a"), "a:1");
    let first = job.state.lock().operator("first").unwrap();
    let mut state = job.state.lock();
    state.set_format(1);
    let value =
        |key: &[u8], name: &[u8]| state.get(first, key, name).map(|it| it.map(<[u8]>::to_vec));
    assert_eq!(
        value(b"a", b"count"),
        Ok(Some(br#"{"messages":3}"#.to_vec()))
    );
    assert_eq!(value(b"a", b"other"), Ok(None), "`migrate` deletes it");
    assert!(value(b"b", b"count").is_err(), "nobody has asked for it");
    // The count of the last operator is new, and `other` is gone.
    assert_eq!(state.usage().rows, rows);
}

#[test]
fn a_value_that_is_migrated_expires_when_it_would_have() {
    let mut job = Job::new();
    job.state.lock().begin(SECOND);
    job.one("a", "@first set count 7 5000");
    let mut job = with(job, "migrating");
    assert_eq!(counted(&mut job, "a"), "a:1");
    let written = |job: &Job, now: u64| {
        let mut state = job.state.lock();
        let first = state.operator("first").unwrap();
        state.set_format(1);
        state.begin(now);
        state
            .get(first, b"a", b"count")
            .unwrap()
            .map(<[u8]>::to_vec)
    };
    // The plugin has set it again, without a time to live.
    assert_eq!(
        written(&job, 7 * SECOND),
        Some(br#"{"messages":8}"#.to_vec())
    );

    let mut job = Job::new();
    job.state.lock().begin(SECOND);
    job.one("a", "@first set count 7 5000");
    let first = job.state.lock().operator("first").unwrap();
    {
        let mut state = job.state.lock();
        state.set_format(1);
        let old = state.outdated(first, b"a", 1).unwrap().remove(0);
        assert_eq!((old.format, &*old.value), (0, &b"7"[..]));
        state.migrate(first, &old, Some(b"new")).unwrap();
        assert_eq!(state.outdated(first, b"a", 1).unwrap(), []);
    }
    assert_eq!(written(&job, 6 * SECOND - 1), Some(b"new".to_vec()));
    assert_eq!(written(&job, 6 * SECOND), None);
}

#[test]
fn a_value_that_cannot_be_migrated_ends_the_messages_of_its_key_alone_and_stays() {
    let mut job = Job::new();
    counted(&mut job, "good");
    job.one("bad", "@first set count many");
    let mut job = with(job, "migrating");
    let ends = job.run(&[("good", ""), ("bad", ""), ("good", "")]);
    assert!(
        ends[1].contains("cannot migrate a value of format 0"),
        "{ends:?}"
    );
    assert_eq!((&*ends[0], &*ends[2]), ("good:1", "good:2"));
    let mut state = job.state.lock();
    let first = state.operator("first").unwrap();
    state.set_format(0);
    assert_eq!(state.get(first, b"bad", b"count"), Ok(Some(&b"many"[..])));
}

#[test]
fn timers_find_values_that_are_migrated() {
    let mut job = Job::new();
    job.one("a", "@first count; timer processing 0 count");
    let mut job = with(job, "migrating");
    assert_eq!(job.fire(0, Clock::ProcessingTime, 0), ["a:1"]);
    let mut state = job.state.lock();
    let first = state.operator(OPERATORS[0]).unwrap();
    state.set_format(1);
    assert_eq!(
        state.get(first, b"a", b"count"),
        Ok(Some(&br#"{"messages":2}"#[..]))
    );
}

#[test]
fn a_version_that_does_not_know_the_format_of_a_value_reads_none_of_it() {
    let mut job = Job::of(load(&guest("migrating")));
    job.one("a", "");
    let next = Job::of(stateful());
    let mut job = Job {
        state: job.state,
        ..next
    };
    for script in [
        "@first get count",
        "@first scan c 10",
        "@first get-counts a",
    ] {
        let end = job.one("a", script);
        let expected = "the value is of format 1, and this version of the plugin reads format 0";
        assert!(end.contains(expected), "{script}: {end}");
    }
    // It may write what it does not read.
    assert_eq!(job.one("a", "@first set count 5; get count"), "a:5");
}
