//! A timer fires once, and what its call writes and emits is as good as what a message does.

use super::{Job, SECOND, end, stateful};
use crate::harness::lane::{limits, tokio, worker};
use bytestring::ByteString;
use weir::config::resolved::Bounds;
use weir::message::Message;
use weir::process::chain::Verdict;
use weir::process::disposition::Disposition;
use weir::process::{Judged, Processor};
use weir::state::{Clock, SharedState, Timer};

impl Job {
    /// Timers of the first operator with these tags, in the order of their times.
    fn timers(&self, key: &str, tags: &[&str]) -> Vec<Timer> {
        let operator = self.state.lock().operator("first").unwrap();
        let timer = |(at, tag): (usize, &&str)| Timer {
            operator,
            key: key.as_bytes().to_vec(),
            tag: tag.as_bytes().to_vec(),
            clock: Clock::EventTime,
            at: at as u64,
        };
        tags.iter().enumerate().map(timer).collect()
    }
}

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
        "set x 1; say retry",
    ];
    let due = job.timers("k", &due);
    let ends = job.fire_these(0, due);
    let trapped = "trap: trapped: wasm `unreachable` instruction executed";
    let expected = [
        "k:1",
        trapped,
        "retry: told to retry",
        "reject: told to reject",
        "retry: the payload said so",
    ];
    assert_eq!(ends, expected);
    assert_eq!(job.one("k", "@first get x; @first count"), "k:-,2");
}

#[test]
fn a_timer_whose_results_an_operator_behind_refuses_has_fired_and_its_dead_letter_has_them() {
    let mut job = Job::new();
    job.one("k", "@first set row 1");
    let due = [
        "count",
        "set a 1; delete row; say trap",
        "set b 1; say @last reject",
        "get row",
    ];
    let due = job.timers("k", &due);
    let running = job.chain.fire(0, due, None, &mut job.state);
    let verdicts = tokio().block_on(running);
    let ends: Vec<String> = verdicts.iter().map(end).collect();
    assert!(ends[1].starts_with("trap: "), "{ends:?}");
    // They fire in their order: each sees what those before it have written.
    let others = [&*ends[0], &*ends[2], &*ends[3]];
    assert_eq!(others, ["k:1", "reject: told to reject", "k:-"]);
    let emitted = |verdict: &Verdict| match verdict {
        Verdict::Dead(rejection) => {
            let emitted = rejection.emitted.as_deref().unwrap_or_default();
            let text = |message: &Message| {
                let payload = String::from_utf8(message.payload.to_vec()).unwrap();
                (message.state_key().to_vec(), message.event_time, payload)
            };
            emitted.iter().map(text).collect()
        }
        _ => Vec::new(),
    };
    let of = |at, payload: &str| vec![(b"k".to_vec(), at, payload.to_owned())];
    assert_eq!(emitted(&verdicts[1]), of(1, "trap"));
    assert_eq!(emitted(&verdicts[2]), of(2, "@last reject"));
    let written = job.one("k", "@first get a; @first get b; @first count");
    assert_eq!(written, "k:1,1,2");
}

#[test]
fn a_timer_whose_results_are_retried_for_the_last_time_has_fired() {
    let mut job = Job::new();
    let due = job.timers("k", &["set a 1; say retry"]);
    let running = job.chain.fire(0, due, Some(5), &mut job.state);
    let verdicts = tokio().block_on(running);
    assert_eq!(
        end(&verdicts[0]),
        "retries: gave up after 5 attempts: the payload said so"
    );
    assert_eq!(job.one("k", "@first get a"), "k:1");
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
    let verdicts = tokio().block_on(processor.fire(0, timers, 0, &mut state));
    let source_id = ByteString::new();
    let judged = sources.iter().zip(verdicts).map(|(message, verdict)| {
        let source = Judged {
            message,
            source_id: &source_id,
            retries: 0,
            timer: b"",
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
