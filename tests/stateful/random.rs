//! Whatever lies together in a batch, each message ends and leaves in the state what it would have one by one.

use super::{Job, OPERATORS};
use proptest::prelude::*;
use weir::state::Clock;

const KEYS: [&str; 3] = ["a", "b", ""];

/// What one operator does.
const COMMANDS: [&str; 12] = [
    "count",
    "count",
    "set x 1",
    "set y 2 1000",
    "delete x",
    "delete count",
    "scan  9",
    "timer event 5 count",
    "timer event 6 set x 3; reject",
    "cancel count",
    "key b; set x 4",
    "say trap",
];

/// How a message may end badly, in the middle of what it writes.
const ENDS: [&str; 6] = ["say on", "say on", "say on", "trap", "reject", "retry"];

fn input() -> impl Strategy<Value = (&'static str, String)> {
    let command = (
        prop::sample::select(vec!["@first", "@last"]),
        prop_oneof![5 => prop::sample::select(&COMMANDS[..]), 1 => prop::sample::select(&ENDS[..])],
    );
    let commands = prop::collection::vec(command, 1..5);
    (prop::sample::select(&KEYS[..]), commands).prop_map(|(key, commands)| {
        let commands = commands.into_iter();
        let commands = commands.map(|(operator, command)| format!("{operator} {command}"));
        (key, commands.collect::<Vec<_>>().join("; "))
    })
}

/// All values of all keys, and what the timers do.
fn rest(job: &mut Job) -> Vec<String> {
    let mut rest = Vec::new();
    let due = job.state.lock().take_due(Clock::EventTime, 9, 100);
    for (place, name) in OPERATORS.into_iter().enumerate() {
        let operator = job.state.lock().operator(name).unwrap();
        let due = due.iter().filter(|timer| timer.operator == operator);
        let due = due.cloned().collect();
        rest.extend(job.fire_these(place, due));
    }
    for key in KEYS {
        rest.push(job.one(key, "@first scan  99"));
        rest.push(job.one(key, "@last scan  99"));
    }
    rest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_batch_leaves_what_its_messages_would_have_left_one_by_one(
        batch in prop::collection::vec(input(), 0..12),
    ) {
        let batch: Vec<(&str, &str)> = batch.iter().map(|(key, script)| (*key, &**script)).collect();
        let (mut together, mut apart) = (Job::new(), Job::new());
        let ends = together.run(&batch);
        let alone: Vec<String> = batch.iter().map(|(key, script)| apart.one(key, script)).collect();
        prop_assert_eq!(ends, alone);
        prop_assert_eq!(rest(&mut together), rest(&mut apart));
    }
}
