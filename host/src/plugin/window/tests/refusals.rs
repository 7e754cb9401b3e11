//! What a plugin refuses, and what there is no room for.

use super::job::{Job, POISON, message, windows};
use crate::state::Clock;
use crate::time::windows::{Kind, Panes};

/// Values of all panes.
fn values(job: &Job) -> Vec<Vec<u64>> {
    job.panes.iter().map(|pane| pane.values.clone()).collect()
}

#[test]
fn one_message_of_a_group_is_rejected_and_the_others_count() {
    let mut job = Job::new(windows(Kind::Tumbling { size: 10 }), 0);
    let mut batch = [1, 2, 3, 4].map(|number| message(number, "k", 1));
    batch[2].payload = POISON.to_le_bytes().to_vec().into();
    job.batch(&batch);
    job.watermark(10);
    assert_eq!(
        (&*job.rejected, values(&job)),
        (&[3][..], vec![vec![1, 2, 4]])
    );
}

#[test]
fn a_pane_that_is_refused_is_the_dead_letter_of_its_timer_and_of_no_message() {
    for kind in [
        Kind::Tumbling { size: 10 },
        Kind::Hopping { size: 10, every: 5 },
        Kind::Session { gap: 3 },
    ] {
        let mut job = Job::new(windows(kind.clone()), 0);
        job.arithmetic.refused = Some(1);
        job.times(&[1, 6, 11, 20]);
        // Before these, the windows before have closed.
        job.times(&[21, 33]);
        assert!(job.rejected.is_empty());
        job.watermark(100);
        assert!(job.rejected.is_empty() && job.late.is_empty());
        assert!(job.dead_timers > 0);
        let seen: Vec<u64> = values(&job).concat();
        assert!(!seen.contains(&1), "{kind:?}: {seen:?}");
        for number in [11, 20, 21, 33] {
            assert!(seen.contains(&number), "{kind:?}: {seen:?}");
        }
        assert_eq!(job.rows(), 0, "{kind:?}");
    }
}

#[test]
fn an_early_or_late_pane_that_is_refused_rejects_the_message_that_it_is_for() {
    let mut rules = windows(Kind::Tumbling { size: 10 });
    (rules.early.count, rules.allowed_lateness) = (Some(2), 100);
    rules.panes = Panes::Discarding;
    let mut job = Job::new(rules, 0);
    job.arithmetic.refused = Some(3);
    job.times(&[1, 3, 4]);
    assert_eq!(job.rejected, [3]);
    job.watermark(10);
    job.times(&[3]);
    assert_eq!(job.rejected, [3, 3]);
    job.watermark(1_000);
    assert_eq!(values(&job), [vec![1, 4], vec![]]);
}

#[test]
fn a_merge_of_sessions_that_is_refused_rejects_the_message_between_them() {
    let mut job = Job::new(windows(Kind::Session { gap: 10 }), 100);
    job.times(&[0, 16]);
    job.arithmetic.refused = Some(16);
    job.times(&[8]);
    assert_eq!(job.rejected, [8]);
    job.arithmetic.refused = None;
    job.watermark(100);
    assert_eq!(values(&job), [vec![0], vec![16]]);
}

#[test]
fn a_message_without_room_in_the_state_is_rejected_and_others_go_on() {
    let mut job = Job::with_budget(windows(Kind::Tumbling { size: 10 }), 0, 2_000);
    let keys: Vec<String> = (0..20).map(|key| format!("key-{key}")).collect();
    let batch = keys.iter().enumerate();
    let batch: Vec<_> = batch
        .map(|(number, key)| message(number as u64, key, 1))
        .collect();
    job.batch(&batch);
    let kept = 20 - job.rejected.len();
    assert!((1..20).contains(&kept), "{kept}");
    assert!(job.state.lock().usage().bytes <= 2_000);
    job.watermark(10);
    assert_eq!(job.panes.len(), kept);
    // There is room again.
    job.batch(&[message(1, "key-19", 11)]);
    job.watermark(20);
    assert_eq!(job.panes.len(), kept + 1);
    assert!(!job.fire(Clock::EventTime, 9));
}
