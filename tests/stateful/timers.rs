//! A timer fires once, and what its call writes and emits is as good as what a message does.

use super::{Job, SECOND, end};
use crate::harness::lane::tokio;
use weir::state::{Clock, Timer};

#[test]
fn timers_of_both_clocks_fire_once_and_what_they_emit_passes_the_operators_behind() {
    let mut job = Job::new();
    {
        let mut state = job.state.lock();
        state.begin(7 * SECOND);
        state.set_watermark(3);
    }
    assert_eq!(
        job.one("a", "@first now event; @first now processing"),
        "a:3,7000000000"
    );
    job.run(&[
        ("a", "@first timer event 20 count"),
        ("b", "@first timer event 10 say @last count"),
        ("b", "@first timer processing 9000000000 say late"),
        ("", "@first timer event 15 say keyless"),
        ("c", "@first timer event 12 say never"),
        ("c", "@first cancel say never"),
        ("d", "@first timer event 30 drop"),
    ]);
    assert_eq!(job.fire(0, Clock::EventTime, 9), [""; 0]);
    // In the order of their times; the last operator counts for a timer as for a message.
    assert_eq!(
        job.fire(0, Clock::EventTime, 25),
        ["b:1", ":keyless", "a:1"]
    );
    assert_eq!(job.fire(0, Clock::EventTime, 25), [""; 0]);
    assert_eq!(job.fire(0, Clock::EventTime, 30), [""], "it drops");
    assert_eq!(job.fire(0, Clock::ProcessingTime, 9 * SECOND), ["b:late"]);
    assert_eq!(
        job.one("a", "@first count"),
        "a:2",
        "it was that key's value"
    );
}

#[test]
fn what_a_timer_writes_that_does_not_end_well_is_undone() {
    let mut job = Job::new();
    let due = [
        "count",
        "set x 1; trap",
        "set x 1; retry",
        "set x 1; reject",
        "set x 1; say trap",
    ];
    let operator = job.state.lock().operator("first").unwrap();
    let timer = |(at, tag): (usize, &&str)| Timer {
        operator,
        key: b"k".to_vec(),
        tag: tag.as_bytes().to_vec(),
        clock: Clock::EventTime,
        at: at as u64,
    };
    let due: Vec<Timer> = due.iter().enumerate().map(timer).collect();
    let ends = tokio().block_on(job.chain.fire(0, due, &mut job.state));
    let ends: Vec<String> = ends.iter().map(end).collect();
    let trapped = "trap: trapped: wasm `unreachable` instruction executed";
    assert_eq!(
        ends[..4],
        [
            "k:1",
            trapped,
            "retry: told to retry",
            "reject: told to reject"
        ]
    );
    assert!(
        ends[4].starts_with("trap: "),
        "the operator in the middle: {ends:?}"
    );
    assert_eq!(job.one("k", "@first get x; @first count"), "k:-,2");
}

#[test]
fn a_version_without_timers_fails_those_that_are_due_one_by_one() {
    let mut job = Job::new();
    job.run(&[
        ("a", "@first timer event 1 count"),
        ("b", "@first timer event 1 count"),
    ]);
    let ends = job.fire(1, Clock::EventTime, 9);
    assert_eq!(ends, ["trap: trapped: it exports no `on-timer`"; 2]);
}
