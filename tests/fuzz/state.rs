//! The records of a job's state: whatever stands in its stream, reading it ends, takes no more room than its
//! size allows, and what is read is written and read again as the same.

use crate::engine::Target;
use weir::state::{Clock, Group, Groups, State, Usage, codec};

const TOKENS: &[&str] = &[
    "\0",
    "\x01",
    "\x02",
    "\x03",
    "\x04",
    "\x05",
    "\x06",
    "\x07",
    "\x08",
    "\x7f",
    "\u{80}",
    "\u{7ff}",
    "\0\0\0\0\0\0\0\0",
    "count",
    "key",
    "name",
];

#[test]
fn a_record_of_state_is_read_as_what_it_is_or_refused() {
    let mut state = empty();
    let count = state.operator("count").unwrap();
    let mut seeds = Vec::new();
    state.begin(5);
    for key in [&b"key"[..], b"", b"\xff"] {
        state.set(count, key, b"name", b"value", None).unwrap();
        state.set(count, key, b"n", b"", Some(9)).unwrap();
        state
            .set_timer(count, key, b"tag", Clock::EventTime, 7)
            .unwrap();
        state.hold(key, b"", b"message", 1, 8).unwrap();
    }
    seeds.extend(state.seal());
    state.confirmed();
    state.delete(count, b"key", b"name").unwrap();
    seeds.extend(state.seal());
    seeds.push(state.snapshot(Group::of(b"key")));
    // A seed has no envelope: edits would only break its checksum.
    let seeds = seeds.iter().map(|record| record[ENVELOPE..].to_vec());
    Target {
        name: "state",
        seeds: seeds.collect(),
        tokens: TOKENS,
        runs: 20_000,
        check,
    }
    .run();
}

/// Version and checksum.
const ENVELOPE: usize = 9;

fn all() -> Groups {
    Groups::of_partition(0, 1).unwrap()
}

fn empty() -> State {
    State::new(all(), ["count"], u64::MAX).unwrap()
}

fn check(bytes: &[u8]) -> String {
    let record = codec::seal(bytes);
    let is_record = bytes.starts_with(&record[..ENVELOPE]);
    assert!(is_record || empty().replay(bytes, &|_| true).is_err());
    let mut state = empty();
    let delta = state.replay(&record, &|_| true);
    if delta.is_ok() {
        return format!("delta {}", again(&state, bytes.len()));
    }
    let mut state = empty();
    let group = Group::of(b"key").number();
    match state.restore(group, &record) {
        Ok(()) => format!("snapshot {}", again(&state, bytes.len())),
        Err(error) => format!("{delta:?} {error}"),
    }
}

/// A state that was read is read again from its snapshots; returns what kind of state it is.
fn again(state: &State, size: usize) -> String {
    let Usage { rows, bytes, .. } = state.usage();
    assert!(bytes <= 64 * size as u64, "{bytes} bytes of {size}");
    let mut again = empty();
    for group in all().iter() {
        if state.group_usage(group).rows > 0 {
            let snapshot = state.snapshot(group);
            again.restore(group.number(), &snapshot).unwrap();
        }
    }
    for clock in [Clock::EventTime, Clock::ProcessingTime] {
        assert_eq!(again.next_due(clock), state.next_due(clock));
    }
    // What has expired is in no snapshot.
    assert!(again.usage().rows <= rows);
    let operators = state.occupied().count();
    format!("{} {}", rows.min(9), operators.min(3))
}
