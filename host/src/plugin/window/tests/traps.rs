//! Known faults of windows in other engines.

use super::job::{Job, Seen, message, windows};
use crate::state::Clock;
use crate::time::windows::{Early, Kind, Panes, Timing, Window, Windows};

fn tumbling(size: i64) -> Windows {
    windows(Kind::Tumbling { size })
}

fn sessions(gap: i64) -> Windows {
    windows(Kind::Session { gap })
}

/// Window, timing and values of each pane.
fn shown(job: &Job) -> Vec<(i64, i64, Timing, Vec<u64>)> {
    let panes = job.panes.iter();
    let shown = panes.map(|pane| {
        let Seen {
            window: Window { start, end },
            timing,
            values,
            ..
        } = pane.clone();
        (start, end, timing, values)
    });
    shown.collect()
}

#[test]
fn a_message_behind_the_watermark_counts_while_its_window_is_open() {
    let mut job = Job::new(tumbling(10), 0);
    job.times(&[8, 1]);
    job.times(&[9]);
    job.times(&[2]);
    assert!(job.late.is_empty());
    job.watermark(10);
    assert_eq!(shown(&job), [(0, 10, Timing::OnTime, vec![1, 2, 8, 9])]);
}

#[test]
fn lateness_is_judged_by_the_watermark_before_the_message_whatever_the_batches() {
    for cut in 0..4 {
        let mut job = Job::new(tumbling(10), 0);
        let times = [3, 10, 4, 12];
        job.times(&times[..cut]);
        job.times(&times[cut..]);
        // 4 comes behind 10, which closes the first window.
        assert_eq!(job.late, [4], "{cut}");
        job.watermark(20);
        let expected = [
            (0, 10, Timing::OnTime, vec![3]),
            (10, 20, Timing::OnTime, vec![10, 12]),
        ];
        assert_eq!(shown(&job), expected, "{cut}");
    }
}

#[test]
fn equal_times_in_several_batches_are_not_late() {
    let mut job = Job::new(tumbling(5), 0);
    for number in 0..3 {
        job.batch(&[message(number, "k", 5)]);
        while job.fire(Clock::EventTime, 9) {}
    }
    job.watermark(10);
    assert!(job.late.is_empty());
    assert_eq!(shown(&job), [(5, 10, Timing::OnTime, vec![0, 1, 2])]);
}

#[test]
fn a_late_message_has_no_other_outcome_and_closes_nothing() {
    let mut job = Job::new(tumbling(10), 0);
    job.times(&[15, 40, 3]);
    assert_eq!((&*job.late, job.panes.len()), (&[3][..], 0));
    // What is not late does.
    job.times(&[41]);
    assert_eq!(shown(&job), [(10, 20, Timing::OnTime, vec![15])]);
}

#[test]
fn a_message_exactly_a_gap_behind_opens_a_session_whatever_the_batches() {
    for cut in 0..3 {
        let mut job = Job::new(sessions(10), 100);
        let times = [0, 9, 19];
        job.times(&times[..cut]);
        job.times(&times[cut..]);
        job.watermark(100);
        let expected = [
            (0, 19, Timing::OnTime, vec![0, 9]),
            (19, 29, Timing::OnTime, vec![19]),
        ];
        assert_eq!(shown(&job), expected, "{cut}");
    }
}

#[test]
fn a_session_is_not_closed_a_gap_early() {
    let mut job = Job::new(sessions(10), 0);
    job.times(&[5]);
    job.watermark(14);
    assert_eq!(shown(&job), []);
    job.watermark(15);
    assert_eq!(shown(&job), [(5, 15, Timing::OnTime, vec![5])]);
}

#[test]
fn a_message_between_two_sessions_makes_one_of_them() {
    let mut job = Job::new(sessions(10), 100);
    job.times(&[0, 15]);
    job.commit();
    job.times(&[8]);
    job.watermark(100);
    assert_eq!(shown(&job), [(0, 25, Timing::OnTime, vec![0, 8, 15])]);
    assert_eq!(job.arithmetic.calls[1], 1);
}

#[test]
fn no_message_makes_a_session_that_overlaps_a_final_one() {
    for allowed_lateness in [0, 3] {
        let mut rules = sessions(10);
        rules.allowed_lateness = allowed_lateness;
        let mut job = Job::new(rules, 0);
        job.times(&[5]);
        job.watermark(15 + allowed_lateness);
        // Its own session would end at 24, and be open; it begins within [5, 15).
        job.times(&[14]);
        assert_eq!(job.late, [14]);
        // Behind the final one there is room.
        job.times(&[15]);
        assert_eq!(job.late, [14]);
        job.watermark(100);
        let expected = [
            (5, 15, Timing::OnTime, vec![5]),
            (15, 25, Timing::OnTime, vec![15]),
        ];
        assert_eq!(shown(&job), expected);
        assert_eq!(job.rows(), 0);
    }
}

#[test]
fn a_session_keeps_its_identity_through_early_panes_and_merges() {
    let mut rules = sessions(10);
    rules.early.count = Some(2);
    let mut job = Job::new(rules, 100);
    job.times(&[20, 21]);
    job.times(&[0, 1]);
    job.times(&[2, 3]);
    // It begins earlier than when it was made.
    job.times(&[19]);
    job.times(&[11]);
    job.watermark(100);
    let indexes: Vec<_> = job
        .panes
        .iter()
        .map(|pane| (pane.window.start, pane.window.end, pane.index))
        .collect();
    // [0, 13) has had two panes and [19, 31) one: 11 joins them, and with 19 is the second since.
    let expected = [(20, 31, 0), (0, 11, 0), (0, 13, 1), (0, 31, 2), (0, 31, 3)];
    assert_eq!(indexes, expected);
    assert_eq!(job.panes[3].values, [0, 1, 2, 3, 11, 19, 20, 21]);
    assert_eq!(job.panes[4].timing, Timing::OnTime);
}

#[test]
fn hopping_windows_begin_before_the_first_message() {
    let mut job = Job::new(windows(Kind::Hopping { size: 10, every: 4 }), 0);
    job.times(&[1]);
    job.watermark(100);
    let expected = [
        (-8, 2, Timing::OnTime, vec![1]),
        (-4, 6, Timing::OnTime, vec![1]),
        (0, 10, Timing::OnTime, vec![1]),
    ];
    assert_eq!(shown(&job), expected);
    assert_eq!(job.panes[0].window.start, -8);
    assert_eq!(job.rows(), 0);
}

#[test]
fn a_message_between_hopping_windows_is_in_none_and_not_late() {
    let mut job = Job::new(windows(Kind::Hopping { size: 3, every: 10 }), 0);
    job.times(&[3, 9, 10]);
    job.watermark(100);
    assert_eq!(shown(&job), [(10, 13, Timing::OnTime, vec![10])]);
    assert!(job.late.is_empty());
}

#[test]
fn the_first_and_the_last_times_there_are_panic_nowhere() {
    let most = i64::MAX;
    for kind in [
        Kind::Tumbling { size: most },
        Kind::Hopping {
            size: most,
            every: most / 2,
        },
        Kind::Session { gap: most },
    ] {
        let mut rules = windows(kind);
        rules.allowed_lateness = most;
        for allowed_lateness in [0, most] {
            rules.allowed_lateness = allowed_lateness;
            let mut job = Job::new(rules.clone(), 0);
            job.batch(&[
                message(1, "k", 0),
                message(2, "k", most),
                message(3, "k", most),
            ]);
            job.batch(&[message(4, "k", -1)]);
            job.watermark(most);
            assert!(!job.panes.is_empty(), "{rules:?}");
        }
    }
}

#[test]
fn a_window_that_closes_while_nobody_owns_it_emits_once() {
    let mut job = Job::new(tumbling(10), 0);
    job.times(&[1, 25]);
    job.commit();
    job.recover(None);
    job.recover(Some(&["k"]));
    let watermark = job.mark.unwrap();
    job.watermark(watermark);
    job.recover(Some(&["k"]));
    job.commit();
    assert_eq!(shown(&job), [(0, 10, Timing::OnTime, vec![1])]);
}

#[test]
fn a_timer_that_comes_after_its_window_was_closed_emits_nothing() {
    for kind in [
        Kind::Tumbling { size: 10 },
        Kind::Hopping { size: 10, every: 5 },
        Kind::Session { gap: 10 },
    ] {
        let mut job = Job::new(windows(kind), 0);
        job.times(&[1, 7, 12, 18]);
        // They wait, behind messages of their key that are tried again.
        let mut taken = job.state.lock().take_due(Clock::EventTime, 18, 9);
        job.times(&[19]);
        let emitted = job.panes.clone();
        job.call(&mut taken);
        assert_eq!(job.panes, emitted);
        job.watermark(100);
        let windows: Vec<_> = job.panes.iter().map(|pane| pane.window).collect();
        let mut once = windows.clone();
        once.sort();
        once.dedup();
        assert_eq!(windows.len(), once.len());
        assert_eq!(job.rows(), 0);
    }
}

#[test]
fn a_message_for_many_windows_is_added_once() {
    let mut job = Job::new(windows(Kind::Hopping { size: 60, every: 1 }), 0);
    job.times(&[100, 100, 100]);
    assert_eq!(job.arithmetic.calls, [1, 0, 0]);
    job.watermark(1_000);
    assert_eq!(job.panes.len(), 60);
}

#[test]
fn a_batch_is_added_in_one_call_and_timers_emit_in_one() {
    let mut job = Job::new(tumbling(10), 5);
    let keys: Vec<String> = (0..20).map(|key| key.to_string()).collect();
    let messages = keys
        .iter()
        .flat_map(|key| [1, 2, 11].map(|time| message(1, key, time)));
    job.batch(&messages.collect::<Vec<_>>());
    assert_eq!(job.arithmetic.calls, [1, 0, 0]);
    job.state.lock().set_watermark(50);
    job.fire(Clock::EventTime, 100);
    assert_eq!(job.arithmetic.calls, [1, 0, 1]);
    assert_eq!(job.panes.len(), 40);
}

#[test]
fn each_message_within_the_allowed_lateness_has_a_pane_and_then_all_is_gone() {
    for (panes, expected) in [
        (Panes::Accumulating, [vec![1, 2], vec![1, 2, 3]]),
        (Panes::Discarding, [vec![2], vec![3]]),
    ] {
        let mut rules = tumbling(10);
        (rules.allowed_lateness, rules.panes) = (5, panes);
        let mut job = Job::new(rules, 0);
        job.times(&[1]);
        job.watermark(14);
        job.times(&[2, 3]);
        job.watermark(15);
        job.times(&[4]);
        assert_eq!(job.late, [4]);
        let [two, three] = expected;
        let expected = [
            (0, 10, Timing::OnTime, vec![1]),
            (0, 10, Timing::Late, two),
            (0, 10, Timing::Late, three),
        ];
        assert_eq!(shown(&job), expected);
        let calls = job.arithmetic.calls;
        assert_eq!(job.rows(), 0);
        assert_eq!(job.arithmetic.calls, calls);
    }
}

#[test]
fn an_early_pane_comes_an_interval_after_the_first_message_since_the_last_pane() {
    let mut rules = tumbling(10);
    rules.early = Early {
        count: Some(3),
        interval: Some(50),
    };
    let mut job = Job::new(rules, 100);
    let at = |job: &mut Job, now| {
        job.state.lock().begin(now);
        while job.fire(Clock::ProcessingTime, 9) {}
        job.panes.len()
    };
    job.state.lock().begin(1_000);
    job.times(&[1]);
    assert_eq!(at(&mut job, 1_049), 0);
    assert_eq!(at(&mut job, 1_050), 1);
    // Nothing new.
    assert_eq!(at(&mut job, 2_000), 1);
    // Three are enough; the fourth starts again.
    job.times(&[2, 3, 4]);
    assert_eq!(at(&mut job, 2_040), 2);
    job.times(&[5]);
    assert_eq!(at(&mut job, 2_089), 2);
    assert_eq!(at(&mut job, 2_090), 3);
    job.watermark(10);
    let indexes: Vec<_> = job
        .panes
        .iter()
        .map(|pane| (pane.index, pane.timing))
        .collect();
    let early = Timing::Early;
    assert_eq!(
        indexes,
        [(0, early), (1, early), (2, early), (3, Timing::OnTime)]
    );
    assert_eq!(job.rows(), 0);
}
