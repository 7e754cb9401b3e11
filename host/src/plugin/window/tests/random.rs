//! Any messages, in any batches, with restarts between them: what windows emit is what their definition says.

use super::definition::{self, Event};
use super::job::{Job, POISON, Seen, message, windows};
use crate::message::Message;
use crate::state::Clock;
use crate::time::windows::{Early, Kind, Panes, Timing, Windows};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const KEYS: [&str; 3] = ["", "a", "b"];

#[derive(Clone, Debug)]
enum Step {
    /// So many messages in a batch.
    Batch(usize),
    /// So many timers.
    Fire(usize),
    /// So many timers are due, and wait.
    Hold(usize),
    Tick(u64),
    Commit,
    /// Another owner goes on from a commit: from the log, or from snapshots.
    Recover(bool),
    /// The same without a commit: what was not committed is done again.
    Crash,
}

/// A message before it has its place: its key, its time, how late it comes, and whether it is refused.
type Draft = (usize, i64, i64, bool);

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..8_usize).prop_map(Step::Batch),
        3 => (1..5_usize).prop_map(Step::Fire),
        1 => (1..5_usize).prop_map(Step::Hold),
        2 => (1..20_u64).prop_map(Step::Tick),
        2 => Just(Step::Commit),
        1 => any::<bool>().prop_map(Step::Recover),
        1 => Just(Step::Crash),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        (1..30_i64).prop_map(|size| Kind::Tumbling { size }),
        (1..30_i64, 1..40_i64).prop_map(|(size, every)| Kind::Hopping { size, every }),
        (1..15_i64).prop_map(|gap| Kind::Session { gap }),
    ]
}

fn rules() -> impl Strategy<Value = Windows> {
    let lateness = prop_oneof![Just(0), 1..20_i64];
    let count = prop_oneof![Just(None), (1..4_u32).prop_map(Some)];
    let panes = prop_oneof![Just(Panes::Accumulating), Just(Panes::Discarding)];
    (kind(), lateness, count, panes).prop_map(|(kind, allowed_lateness, count, panes)| Windows {
        kind,
        allowed_lateness,
        early: Early {
            count,
            interval: None,
        },
        panes,
    })
}

fn drafts(latest: i64, poison: f64) -> impl Strategy<Value = Vec<Draft>> {
    let is_poison = prop::bool::weighted(poison);
    let draft = (0..KEYS.len(), 0..120_i64, 0..=latest, is_poison);
    prop::collection::vec(draft, 0..50)
}

/// Messages in the order in which they come. Their numbers are those of their drafts.
fn messages(drafts: &[Draft]) -> Vec<Message> {
    let mut numbered: Vec<_> = drafts.iter().enumerate().collect();
    numbered.sort_by_key(|(_, (_, time, delay, _))| time + delay);
    let made = numbered
        .into_iter()
        .map(|(number, (key, time, _, is_poison))| {
            let number = number as u64;
            let payload = if *is_poison { POISON } else { number };
            Message {
                sequence: number,
                ..message(payload, KEYS[*key], *time)
            }
        });
    made.collect()
}

/// The same for the definition, without those that are refused.
fn events(messages: &[Message], bound: i64) -> Vec<Event> {
    let mut watermark = i64::MIN;
    let events = messages.iter().map(|message| {
        let time = message.event_time as i64;
        let is_poison = message.payload == POISON.to_le_bytes()[..];
        let key = message.key.as_deref().unwrap_or_default();
        let event = Event {
            number: message.sequence,
            key: KEYS.into_iter().find(|known| *known == key).unwrap(),
            time,
            watermark,
        };
        watermark = watermark.max(time - bound);
        (!is_poison).then_some(event)
    });
    events.collect::<Vec<_>>().into_iter().flatten().collect()
}

/// Runs all messages in steps, and lets all windows close.
fn run(rules: &Windows, bound: i64, messages: &[Message], steps: &[Step]) -> Job {
    run_on(Job::new(rules.clone(), bound), messages, steps)
}

fn run_on(mut job: Job, messages: &[Message], steps: &[Step]) -> Job {
    let mut held = Vec::new();
    let mut position = 0;
    let mut committed = (0, None, 0, 0, 0);
    for step in steps {
        match step {
            Step::Batch(most) => {
                let end = messages.len().min(position + most);
                job.batch(&messages[position..end]);
                position = end;
            }
            Step::Fire(most) => {
                job.fire(Clock::EventTime, *most);
                job.fire(Clock::ProcessingTime, *most);
            }
            Step::Hold(most) => {
                let mut state = job.state.lock();
                let upto = state.watermark();
                held.extend(state.take_due(Clock::EventTime, upto, *most));
            }
            Step::Tick(time) => {
                let mut state = job.state.lock();
                let now = state.now() + time;
                state.begin(now);
            }
            Step::Commit | Step::Recover(_) => {
                // Those that wait are in the state of a job; here there are none in a commit.
                job.call(&mut std::mem::take(&mut held));
                job.commit();
                committed = (
                    position,
                    job.mark,
                    job.panes.len(),
                    job.late.len(),
                    job.rejected.len(),
                );
                if let Step::Recover(snapshots) = step {
                    job.recover(snapshots.then_some(&KEYS));
                }
            }
            Step::Crash => {
                held.clear();
                job.recover(None);
                (position, job.mark) = (committed.0, committed.1);
                let watermark = job.mark.unwrap_or_default().max(0) as u64;
                job.state.lock().set_watermark(watermark);
                job.panes.truncate(committed.2);
                job.late.truncate(committed.3);
                job.rejected.truncate(committed.4);
            }
        }
    }
    job.batch(&messages[position..]);
    job.call(&mut held);
    job.watermark(1 << 40);
    job
}

fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort();
    numbers
}

/// Nothing is left of any window, nor of its timers.
fn is_empty(job: &mut Job) -> bool {
    job.rows() == 0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn panes_are_those_of_the_definition_whatever_the_batches_restarts_and_refusals(
        rules in rules(),
        bound in 0..20_i64,
        drafts in drafts(60, 0.04),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let messages = messages(&drafts);
        let (panes, late) = definition::panes(&rules, &events(&messages, bound));
        let mut job = run(&rules, bound, &messages, &steps);
        prop_assert_eq!(job.sorted(), panes);
        let is_poison = |number: &u64| drafts[*number as usize].3;
        let found = job.late.iter().copied().filter(|number| !is_poison(number)).collect();
        prop_assert_eq!(sorted(found), late);
        prop_assert!(job.rejected.iter().all(is_poison), "{:?}", job.rejected);
        prop_assert!(is_empty(&mut job));
    }

    #[test]
    fn within_the_bound_no_message_is_late_and_their_order_does_not_matter(
        kind in kind(),
        bound in 0..20_i64,
        drafts in drafts(19, 0.0),
        again in any::<u64>(),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let rules = windows(kind);
        let within = |turn: u64| {
            let drafts = drafts.iter().enumerate().map(|(at, (key, time, delay, is_poison))| {
                let other = (again.wrapping_mul(at as u64 | 1) >> 9) as i64;
                let delay = if turn == 0 { *delay } else { other };
                (*key, *time, delay.rem_euclid(bound + 1), *is_poison)
            });
            messages(&drafts.collect::<Vec<_>>())
        };
        let one = run(&rules, bound, &within(0), &[]);
        let mut other = run(&rules, bound, &within(1), &steps);
        prop_assert_eq!(&one.sorted(), &other.sorted());
        prop_assert!(one.late.is_empty() && other.late.is_empty());
        // Every message is in each of its windows: once, unless they overlap.
        let values = other.panes.iter().flat_map(|pane| &pane.values);
        let values: BTreeSet<u64> = values.copied().collect();
        let is_in_any = |(_, time, ..): &&Draft| !rules.of(*time).is_empty();
        prop_assert_eq!(values.len(), drafts.iter().filter(is_in_any).count());
        prop_assert!(is_empty(&mut other));
    }

    #[test]
    fn sessions_within_the_bound_are_the_runs_of_sorted_times(
        gap in 1..15_i64,
        bound in 0..20_i64,
        drafts in drafts(0, 0.0),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let mut expected: Vec<Seen> = Vec::new();
        for (key, name) in KEYS.iter().enumerate() {
            let times = drafts.iter().enumerate().filter(|(_, draft)| draft.0 == key);
            let mut times: Vec<_> = times.map(|(number, draft)| (draft.1, number as u64)).collect();
            times.sort();
            for run in times.chunk_by(|(one, _), (next, _)| next - one < gap) {
                let window = crate::time::windows::Window {
                    start: run[0].0,
                    end: run[run.len() - 1].0 + gap,
                };
                expected.push(Seen {
                    key: (*name).to_owned(),
                    window,
                    index: 0,
                    timing: Timing::OnTime,
                    values: sorted(run.iter().map(|(_, number)| *number).collect()),
                });
            }
        }
        expected.sort();
        let job = run(&windows(Kind::Session { gap }), bound, &messages(&drafts), &steps);
        prop_assert_eq!(job.sorted(), expected);
    }

    #[test]
    fn slices_emit_what_whole_windows_do(
        size in 1..30_i64,
        every in 1..30_i64,
        bound in 0..20_i64,
        drafts in drafts(60, 0.04),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let slices = windows(Kind::Hopping { size, every });
        let mut whole = slices.clone();
        // It is never reached, and makes each window keep an accumulator of its own.
        whole.early.count = Some(u32::MAX);
        prop_assert!(!whole.has_slices());
        prop_assert_eq!(slices.has_slices(), every < size);
        let messages = messages(&drafts);
        let (slices, whole) = (run(&slices, bound, &messages, &steps), run(&whole, bound, &messages, &[]));
        prop_assert_eq!(slices.sorted(), whole.sorted());
        prop_assert_eq!(sorted(slices.late), sorted(whole.late));
    }

    #[test]
    fn panes_that_are_refused_are_missing_and_nothing_else_is(
        kind in prop_oneof![
            (1..30_i64).prop_map(|size| Kind::Tumbling { size }),
            (1..30_i64, 1..40_i64).prop_map(|(size, every)| Kind::Hopping { size, every }),
        ],
        bound in 0..20_i64,
        drafts in drafts(60, 0.0),
        refused in 0..20_u64,
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let (rules, messages) = (windows(kind), messages(&drafts));
        let (mut panes, late) = definition::panes(&rules, &events(&messages, bound));
        panes.retain(|pane| !pane.values.contains(&refused));
        let mut job = Job::new(rules, bound);
        job.arithmetic.refused = Some(refused);
        let mut job = run_on(job, &messages, &steps);
        prop_assert_eq!(job.sorted(), panes);
        prop_assert_eq!(sorted(job.late.clone()), late);
        prop_assert!(job.rejected.is_empty());
        prop_assert!(is_empty(&mut job));
    }

    #[test]
    fn discarding_panes_add_up_to_the_whole_and_indexes_have_no_gaps(
        mut rules in rules(),
        interval in prop::option::of(1..30_u64),
        bound in 0..20_i64,
        drafts in drafts(60, 0.0),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let messages = messages(&drafts);
        rules.panes = Panes::Discarding;
        rules.early.interval = interval;
        let mut job = run(&rules, bound, &messages, &steps);
        let (_, late) = definition::panes(&rules, &events(&messages, bound));
        prop_assert_eq!(sorted(job.late.clone()), late);
        let is_session = matches!(rules.kind, Kind::Session { .. });
        let mut all: BTreeMap<_, Vec<&Seen>> = BTreeMap::new();
        for pane in &job.panes {
            // A session grows from pane to pane.
            let window = (!is_session).then_some(pane.window);
            all.entry((&pane.key, window)).or_default().push(pane);
        }
        let mut whole = rules.clone();
        (whole.panes, whole.early) = (Panes::Discarding, Early::default());
        let mut expected: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        let (panes, _) = definition::panes(&whole, &events(&messages, bound));
        for pane in &panes {
            let window = (!is_session).then_some(pane.window);
            expected.entry((&pane.key, window)).or_default().extend(&pane.values);
        }
        let added = all.iter().map(|(key, panes)| {
            let values = panes.iter().flat_map(|pane| &pane.values);
            (*key, sorted(values.copied().collect()))
        });
        let expected: BTreeMap<_, _> = expected.into_iter().map(|(key, all)| (key, sorted(all))).collect();
        prop_assert_eq!(added.collect::<BTreeMap<_, _>>(), expected);
        if !is_session {
            for panes in all.values() {
                let indexes: Vec<u32> = panes.iter().map(|pane| pane.index).collect();
                prop_assert_eq!(indexes, (0..panes.len() as u32).collect::<Vec<_>>());
            }
        }
        prop_assert!(is_empty(&mut job));
    }
}
