//! What a state does with keys, times and bounds. `tests/model.rs` has what holds for any sequence of steps,
//! `tests/records.rs` damaged records, `tests/disk.rs` damaged stores on disk, `tests/waiting.rs` the messages that wait.

use super::*;

mod disk;
mod model;
mod records;
mod steps;
mod waiting;

const SECOND: u64 = 1_000_000_000;

fn all() -> Groups {
    Groups::of_partition(0, 1).unwrap()
}

fn operators() -> [&'static str; 2] {
    ["count", "alert"]
}

/// An empty state that owns all groups, and its first operator.
fn state_with(budget: u64) -> (State, Operator) {
    let state = State::new(all(), operators(), budget).unwrap();
    let operator = state.operator("count").unwrap();
    (state, operator)
}

fn state() -> (State, Operator) {
    state_with(u64::MAX)
}

fn commit(state: &mut State) -> Bytes {
    let delta = state.seal().unwrap();
    state.confirmed();
    delta
}

fn recovered(log: &[&Bytes]) -> State {
    let (mut state, _) = state();
    for delta in log {
        state.replay(delta, &|_| true).unwrap();
    }
    state
}

fn tags(timers: &[Timer]) -> Vec<&[u8]> {
    timers.iter().map(|timer| &*timer.tag).collect()
}

#[test]
fn any_bytes_are_a_key_a_name_and_a_value() {
    let (mut state, operator) = state();
    let long = vec![b'k'; 10_240];
    let keys: [&[u8]; 7] = [b"", b" ", b"a.b", b"*.>", b"a\nb", b"\xff\xfe\x00", &long];
    for (index, key) in keys.iter().enumerate() {
        state.set(operator, key, key, &[index as u8], None).unwrap();
        state
            .set_timer(operator, key, key, Clock::EventTime, 5)
            .unwrap();
    }
    let log = commit(&mut state);
    let mut state = recovered(&[&log]);
    for (index, key) in keys.iter().enumerate() {
        assert_eq!(state.get(operator, key, key), Ok(Some(&[index as u8][..])));
        assert_eq!(state.get(operator, key, b"other"), Ok(None));
    }
    let mut due: Vec<Vec<u8>> = state
        .take_due(Clock::EventTime, 5, 99)
        .into_iter()
        .map(|timer| timer.key)
        .collect();
    due.sort();
    assert_eq!(due, {
        let mut keys = keys.map(<[u8]>::to_vec);
        keys.sort();
        keys
    });
}

#[test]
fn operators_with_the_same_keys_and_names_have_values_of_their_own() {
    let (mut state, count) = state();
    let alert = state.operator("alert").unwrap();
    state.set(count, b"k", b"n", b"1", None).unwrap();
    assert_eq!(state.get(alert, b"k", b"n"), Ok(None));
    assert_eq!(state.operator("other"), None);
}

#[test]
fn a_key_of_another_partition_is_refused() {
    let groups = Groups::of_partition(1, 2).unwrap();
    let mut state = State::new(groups.clone(), operators(), u64::MAX).unwrap();
    let operator = state.operator("count").unwrap();
    for key in [b"a", b"b", b"c", b"d", b"e", b"f"] {
        let is_own = groups.position(Group::of(key)).is_some();
        assert_eq!(state.set(operator, key, b"", b"", None).is_ok(), is_own);
        assert_eq!(state.get(operator, key, b"").is_ok(), is_own);
    }
}

#[test]
fn the_write_that_exceeds_the_budget_is_refused_and_all_else_goes_on() {
    let (mut state, operator) = state_with(1000);
    let mut stored = 0u8;
    let refused = loop {
        match state.set(operator, &[stored], b"", &[0; 100], None) {
            Ok(()) => stored += 1,
            Err(refused) => break refused,
        }
    };
    assert!(
        matches!(refused, Refused::Budget { needed, budget: 1000 } if needed > 1000),
        "{refused}"
    );
    assert!(stored > 3);
    let usage = state.usage();
    assert!(usage.bytes <= 1000 && usage.rows == u64::from(stored));
    // What makes it no larger goes on, and so does a new key once there is room.
    state.set(operator, &[0], b"", &[1; 100], None).unwrap();
    state.set(operator, &[1], b"", &[1; 99], None).unwrap();
    assert!(
        state
            .set(operator, &[stored], b"", &[0; 100], None)
            .is_err()
    );
    state.delete(operator, &[0], b"").unwrap();
    state
        .set(operator, &[stored], b"", &[0; 100], None)
        .unwrap();
    // The bytes of a commit in flight count, too.
    state.seal().unwrap();
    assert!(state.set(operator, &[99], b"", &[0; 100], None).is_err());
    state.confirmed();
    assert!(state.set(operator, &[99], b"", &[0; 100], None).is_err());
}

#[test]
fn the_length_of_a_delta_is_known_before_it_is_made() {
    let (mut state, operator) = state();
    assert_eq!((state.unsealed(), state.seal()), (0, None));
    for (key, length) in [(1u8, 0), (2, 127), (3, 1 << 20)] {
        state
            .set(operator, &[key], b"", &vec![7; length], None)
            .unwrap();
    }
    state.delete(operator, &[1], b"").unwrap();
    let most = state.unsealed();
    let delta = commit(&mut state);
    assert!(
        (most - 100..=most).contains(&delta.len()),
        "{} of {most}",
        delta.len()
    );
    assert_eq!(
        recovered(&[&delta]).get(operator, &[3], b""),
        Ok(Some(&[7; 1 << 20][..]))
    );
}

#[test]
fn a_value_is_gone_when_its_time_is_over_and_at_once_with_a_time_of_zero() {
    let (mut state, operator) = state();
    state.begin(100 * SECOND);
    for (name, ttl) in [
        (b"a", None),
        (b"b", Some(SECOND)),
        (b"c", Some(0)),
        (b"d", Some(u64::MAX)),
    ] {
        state.set(operator, b"k", name, b"v", None).unwrap();
        state.set(operator, b"k", name, b"v", ttl).unwrap();
    }
    let names = |state: &State| -> Vec<u8> {
        let names = state.scan(operator, b"k", b"", None).unwrap();
        names.map(|value| value.unwrap().0[0]).collect()
    };
    assert_eq!(names(&state), b"abd");
    let log = commit(&mut state);
    state.begin(101 * SECOND - 1);
    assert_eq!(names(&state), b"abd");
    // Recovered, it is as it was at the commit, however late it is.
    let mut next = recovered(&[&log]);
    assert_eq!((next.now(), names(&next)), (100 * SECOND, b"abd".to_vec()));
    // What an outage lets expire is known before it is gone.
    assert_eq!(
        (
            next.expiring(101 * SECOND).rows,
            next.expiring(101 * SECOND - 1).rows
        ),
        (1, 0)
    );
    for state in [&mut state, &mut next] {
        state.begin(101 * SECOND);
        assert_eq!(names(state), b"ad");
        // Time does not go back.
        state.begin(7);
        assert_eq!(names(state), b"ad");
        state.set(operator, b"other", b"", b"", None).unwrap();
        commit(state);
        assert_eq!(
            (state.take_gone().values, state.usage().rows),
            (1, 3),
            "what has expired is removed"
        );
    }
}

#[test]
fn a_value_that_is_set_for_good_stays_whatever_the_pipeline_says() {
    let (state, operator) = state();
    let mut state = state.with_ttl(Some(SECOND));
    state.set(operator, b"k", b"a", b"v", None).unwrap();
    state.set_for_good(operator, b"k", b"b", b"v").unwrap();
    commit(&mut state);
    state.begin(u64::MAX);
    assert_eq!(state.get(operator, b"k", b"a"), Ok(None));
    assert_eq!(state.get(operator, b"k", b"b"), Ok(Some(&b"v"[..])));
}

#[test]
fn everything_that_has_expired_is_removed_in_turn_and_nothing_else() {
    let (mut state, operator) = state();
    state.begin(SECOND);
    for index in 0..5000u32 {
        let ttl = (index % 5 > 0).then_some(SECOND);
        state
            .set(operator, &index.to_be_bytes(), b"", b"v", ttl)
            .unwrap();
    }
    commit(&mut state);
    state.begin(2 * SECOND);
    let mut removed = 0;
    for _ in 0..200 {
        state.set(operator, b"k", b"", b"v", None).unwrap();
        commit(&mut state);
        removed += state.take_gone().values;
    }
    assert_eq!((removed, state.usage().rows), (4000, 1001));
}

#[test]
fn a_timer_is_moved_by_setting_it_again_and_one_in_the_past_fires_once_at_the_next_batch() {
    let (mut state, operator) = state();
    let set = |state: &mut State, tag: &[u8], clock, at| {
        state.set_timer(operator, b"k", tag, clock, at).unwrap()
    };
    set(&mut state, b"moved", Clock::EventTime, 5);
    set(&mut state, b"late", Clock::EventTime, 40);
    set(&mut state, b"other clock", Clock::EventTime, 6);
    commit(&mut state);
    set(&mut state, b"moved", Clock::EventTime, 50);
    set(&mut state, b"other clock", Clock::ProcessingTime, 1);
    set(&mut state, b"past", Clock::EventTime, 0);
    assert_eq!(state.next_due(Clock::EventTime), Some(0));
    assert_eq!(
        tags(&state.take_due(Clock::EventTime, 49, 9)),
        [&b"past"[..], b"late"]
    );
    assert_eq!(
        tags(&state.take_due(Clock::EventTime, 49, 9)),
        [&b""[..]; 0]
    );
    assert_eq!(
        tags(&state.take_due(Clock::ProcessingTime, 49, 9)),
        [b"other clock"]
    );
    let before = state.savepoint();
    assert_eq!(tags(&state.take_due(Clock::EventTime, 50, 9)), [b"moved"]);
    state.roll_back(before);
    assert_eq!(
        tags(&state.take_due(Clock::EventTime, 50, 9)),
        [b"moved"],
        "its batch ran again"
    );
    assert_eq!(state.next_due(Clock::EventTime), None);
}

#[test]
fn a_timer_whose_values_are_gone_is_not_called_and_one_that_had_none_is() {
    let (mut state, operator) = state();
    for key in [&b"gone"[..], b"expired", b"kept", b"none"] {
        state
            .set_timer(operator, key, b"t", Clock::ProcessingTime, 10)
            .unwrap();
    }
    state.set(operator, b"gone", b"n", b"v", None).unwrap();
    state
        .set(operator, b"expired", b"n", b"v", Some(9))
        .unwrap();
    state.set(operator, b"kept", b"n", b"v", None).unwrap();
    let first = commit(&mut state);
    state.delete(operator, b"gone", b"n").unwrap();
    let second = commit(&mut state);
    for mut state in [state, recovered(&[&first, &second])] {
        state.begin(10);
        let mut due = state.take_due(Clock::ProcessingTime, 10, 9);
        due.sort_by(|one, other| one.key.cmp(&other.key));
        let keys: Vec<_> = due.iter().map(|timer| &*timer.key).collect();
        assert_eq!(
            (keys, state.take_gone().timers),
            (vec![&b"kept"[..], b"none"], 2)
        );
        assert_eq!(state.next_due(Clock::ProcessingTime), None);
    }
}

#[test]
fn operators_that_have_state_are_known_until_it_is_deleted() {
    let (mut state, operator) = state();
    state.set(operator, b"k", b"", b"", None).unwrap();
    state.hold(b"k", b"", b"m", 1, 0).unwrap();
    let log = commit(&mut state);
    // The pipeline has another operator now, and has renamed this one.
    let mut next = State::new(all(), ["alert", "sum"], u64::MAX).unwrap();
    next.replay(&log, &|_| true).unwrap();
    assert_eq!(next.occupied().collect::<Vec<_>>(), ["count"]);
    let renamed = next.operator("count").unwrap();
    assert_eq!(next.get(renamed, b"k", b""), Ok(Some(&b""[..])));
    state.delete(operator, b"k", b"").unwrap();
    commit(&mut state);
    assert_eq!(state.occupied().count(), 0);
}

#[test]
fn a_second_commit_has_to_wait_and_what_is_discarded_leaves_nothing() {
    let (mut state, operator) = state();
    state.set(operator, b"k", b"", b"1", None).unwrap();
    commit(&mut state);
    state.set(operator, b"k", b"", b"2", None).unwrap();
    state.seal().unwrap();
    state.set(operator, b"k", b"", b"3", None).unwrap();
    assert_eq!(state.seal(), None);
    assert_eq!(state.get(operator, b"k", b""), Ok(Some(&b"3"[..])));
    state.discard();
    assert_eq!(state.get(operator, b"k", b""), Ok(Some(&b"1"[..])));
    assert_eq!(state.usage().rows, 1);
    state.set(operator, b"l", b"", b"1", None).unwrap();
    state.delete(operator, b"l", b"").unwrap();
    state.delete(operator, b"m", b"").unwrap();
    assert_eq!(state.seal(), None, "nothing was written");
}
