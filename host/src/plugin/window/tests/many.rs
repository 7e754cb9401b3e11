//! Many windows of one key: what a message or a timer takes does not depend on how many there are.

use super::job::{Job, Seen, message, windows};
use super::*;
use crate::message::Message;
use crate::state::Clock;
use crate::time::windows::{Kind, Window};

/// Sessions that are open at once.
const MANY: i64 = 100_000;
/// The same, where all of them end.
const ENDING: i64 = 20_000;
const GAP: i64 = 10;
/// From one session to the next.
const STEP: i64 = 3 * GAP;
/// Timers of one commit.
const MOST: usize = 400;

/// All sessions of the key `k`, committed now and then; each has one message, whose time is its number.
fn job(many: i64) -> Job {
    let mut job = Job::new(windows(Kind::Session { gap: GAP }), many * STEP);
    let times: Vec<i64> = (0..many).map(|number| number * STEP).collect();
    for times in times.chunks(1_000) {
        job.times(times);
        job.commit();
    }
    job
}

/// How many windows a batch of this message reads.
fn read(job: &Job, time: i64, watermark: i64) -> usize {
    let left = HashSet::new();
    let message = Message {
        watermark: Some(watermark),
        ..message(0, "k", time)
    };
    let mut plan = Plan::new(&job.rules, job.operator, &left);
    plan.message(&lent(&job.state), 0, &message).unwrap();
    plan.keys.iter().map(|key| key.windows.len()).sum()
}

#[test]
fn a_message_reads_no_more_than_the_sessions_next_to_it() {
    let job = job(MANY);
    let middle = MANY / 2 * STEP;
    for time in [
        0,
        middle,
        middle + GAP / 2,
        // Between two of them.
        middle + GAP + 1,
        (MANY - 1) * STEP,
        MANY * STEP,
    ] {
        let count = read(&job, time, 0);
        assert!(count <= 4, "{count} at {time}");
    }
    // The watermark has passed half of them, and their timers have not been called yet: a few are looked at.
    let count = read(&job, MANY * STEP, middle);
    assert!(count <= 300, "{count}");
}

#[test]
fn twenty_thousand_sessions_of_one_key_end_once_each_and_one_commit_has_no_more_than_it_holds() {
    let mut job = job(ENDING);
    let first = |number: i64| number * STEP;
    // The last of three messages bridges two sessions. Then all up to the hundredth become one.
    let (left, right) = (first(2_000), first(2_001));
    job.times(&[left + GAP - 1, left + 2 * (GAP - 1), right - 3]);
    let bridges = (0..first(100)).step_by(GAP as usize / 2);
    job.times(&bridges.filter(|time| time % STEP != 0).collect::<Vec<_>>());
    job.commit();
    // The watermark passes all of them at once, and the next message of the key comes before their timers.
    let end = first(ENDING) + 2 * ENDING * STEP;
    job.times(&[end, end + 1]);
    assert!(job.panes.len() <= 256, "{}", job.panes.len());
    let mut last = job.panes.len();
    while job.fire(Clock::EventTime, MOST) {
        assert!(job.panes.len() - last <= MOST);
        last = job.panes.len();
        job.commit();
    }
    let panes = job.sorted();
    // Of a hundred and one of them there is one, and of two of them one.
    assert_eq!(panes.len() as i64, ENDING - 100 - 1);
    let window = |start, end| Window { start, end };
    let is_of = |seen: &&Seen, of: Window| seen.window == of;
    let all = panes
        .iter()
        .find(|seen| is_of(seen, window(0, first(100) + GAP)));
    assert_eq!(all.unwrap().values.len() as i64, first(100) / (GAP / 2) + 1);
    let both = panes
        .iter()
        .find(|seen| is_of(seen, window(left, right + GAP)));
    assert_eq!(both.unwrap().values.len(), 5);
    let mut ends: Vec<i64> = panes.iter().map(|seen| seen.window.start).collect();
    ends.dedup();
    assert_eq!(ends.len(), panes.len());
    assert!(panes.iter().all(|seen| seen.index == 0));
    // What is far behind is late, and nothing but the last session is left.
    job.times(&[first(5_000)]);
    assert_eq!(job.late, [first(5_000) as u64]);
    assert_eq!(job.rows(), 2);
}
