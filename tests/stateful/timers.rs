//! A timer fires once, and what its call writes and emits is as good as what a message does.

use super::{Job, SECOND, stateful};
use crate::harness::lane::{limits, tokio, worker};
use bytestring::ByteString;
use weir::config::resolved::Bounds;
use weir::message::Message;
use weir::process::disposition::Disposition;
use weir::process::{Judged, Processor};
use weir::state::{Clock, SharedState, Timer};

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
    let ends = job.fire_these(0, due);
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

#[test]
fn what_stands_for_a_timer_is_judged_like_a_message() {
    let bounds = Bounds {
        messages: 256,
        bytes: 1 << 20,
    };
    let worker = worker("work", stateful(), limits(), "{}");
    let mut processor = Processor::of_plugin(worker, bounds);
    assert!(processor.is_stateful());
    let mut state = SharedState::scratch(["work"], u64::MAX).unwrap();
    let timer = |tag: &str| Timer {
        operator: state.lock().operator("work").unwrap(),
        key: b"k".to_vec(),
        tag: tag.into(),
        clock: Clock::EventTime,
        at: 5,
    };
    let timers = vec![timer("say done"), timer("reject"), timer("")];
    let sources: Vec<Message> = timers
        .iter()
        .map(|timer| Message::of_timer(&timer.key, timer.at))
        .collect();
    let verdicts = tokio().block_on(processor.fire(0, timers, &mut state));
    let source_id = ByteString::new();
    let judged = sources.iter().zip(verdicts).map(|(message, verdict)| {
        let source = Judged {
            message,
            source_id: &source_id,
            retries: 0,
        };
        match processor.judge(source, verdict) {
            Disposition::Publish(messages) => {
                let message = &messages[0];
                format!(
                    "{:?} {:?} {:?}",
                    message.subject, message.key, message.payload
                )
            }
            other => format!("{other:?}"),
        }
    });
    let judged: Vec<String> = judged.collect();
    assert_eq!(judged[0], r#""" Some("k") b"done""#);
    assert!(judged[1].starts_with("Dead("), "{judged:?}");
    assert_eq!(
        judged[2], r#""" Some("k") b"""#,
        "what it leaves out is empty"
    );
}
