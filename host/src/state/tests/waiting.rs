//! Messages that wait for a retry keep the order of their key, hold up no other, and survive everything.

use super::super::*;
use super::{commit, recovered, state, state_with};

/// Attempts and messages that wait with a key.
fn waiting(state: &State, key: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let held = state.held(key, b"").unwrap();
    held.map(|held| (held.attempts, held.message.to_vec()))
        .collect()
}

fn due(state: &mut State) -> Vec<Vec<u8>> {
    let timers = state.take_due(Clock::ProcessingTime, state.now(), 99);
    assert!(timers.iter().all(|timer| timer.operator == Operator::HOST));
    timers.into_iter().map(|timer| timer.key).collect()
}

#[test]
fn messages_of_a_key_wait_behind_the_first_and_other_keys_go_on() {
    let (mut state, _) = state();
    state.begin(100);
    state.hold(b"k", b"", b"first", 1, 150).unwrap();
    state.hold(b"k", b"", b"second", 0, 0).unwrap();
    state.hold(b"k", b"", b"third", 0, 0).unwrap();
    assert_eq!(
        (state.is_held(b"k", b""), state.is_held(b"l", b"")),
        (Ok(true), Ok(false))
    );
    let log = commit(&mut state);
    let mut state = recovered(&[&log]);
    state.begin(149);
    assert!(due(&mut state).is_empty());
    state.begin(150);
    assert_eq!(due(&mut state), [b"k"]);
    let second = (0, b"second".to_vec());
    let third = (0, b"third".to_vec());
    let all = [(1, b"first".to_vec()), second.clone(), third.clone()];
    assert_eq!(waiting(&state, b"k"), all);
    // It failed once more.
    state.put_off(b"k", b"", 2, 300).unwrap();
    assert_eq!(state.next_due(Clock::ProcessingTime), Some(300));
    let log = [log, commit(&mut state)];
    let mut state = recovered(&[&log[0], &log[1]]);
    state.begin(300);
    assert_eq!(due(&mut state), [b"k"]);
    assert_eq!(waiting(&state, b"k")[0], (2, b"first".to_vec()));
    // The first ends, and those behind it are due at once, with attempts of their own.
    state.release(b"k", b"").unwrap();
    assert_eq!(due(&mut state), [b"k"]);
    assert_eq!(waiting(&state, b"k"), [second, third.clone()]);
    state.release(b"k", b"").unwrap();
    // One that comes now still waits behind the third.
    state.hold(b"k", b"", b"fourth", 7, 999).unwrap();
    assert_eq!(waiting(&state, b"k"), [third, (0, b"fourth".to_vec())]);
    state.release(b"k", b"").unwrap();
    state.release(b"k", b"").unwrap();
    assert_eq!(state.is_held(b"k", b""), Ok(false));
    assert_eq!(
        (state.next_due(Clock::ProcessingTime), state.usage()),
        (None, Usage::default())
    );
    state.release(b"k", b"").unwrap();
    state.put_off(b"k", b"", 1, 5).unwrap();
    assert_eq!(
        state.usage(),
        Usage::default(),
        "there is nothing to release or to put off"
    );
}

#[test]
fn a_batch_that_is_undone_leaves_its_messages_waiting_and_due() {
    let (mut state, _) = state();
    state.hold(b"k", b"", b"m", 1, 5).unwrap();
    commit(&mut state);
    state.begin(5);
    let before = state.savepoint();
    assert_eq!(due(&mut state), [b"k"]);
    state.release(b"k", b"").unwrap();
    state.roll_back(before);
    assert_eq!(due(&mut state), [b"k"]);
    state.discard();
    assert_eq!(
        (due(&mut state), waiting(&state, b"k").len()),
        (vec![b"k".to_vec()], 1)
    );
}

#[test]
fn a_message_for_which_there_is_no_room_is_refused_and_one_that_waits_can_always_go_on() {
    let (mut state, operator) = state_with(500);
    assert!(state.hold(b"k", b"", &[0; 500], 1, 5).is_err());
    assert_eq!(
        (state.is_held(b"k", b""), state.usage()),
        (Ok(false), Usage::default())
    );
    state.hold(b"k", b"", b"a", 1, 5).unwrap();
    state.hold(b"k", b"", b"b", 1, 5).unwrap();
    state.begin(5);
    // Others take all the room that there is, and that the timer leaves.
    for key in 0..9u8 {
        let _ = state.set(operator, &[key], b"", b"", None);
    }
    assert_eq!(due(&mut state), [b"k"]);
    for key in 9..99u8 {
        let _ = state.set(operator, &[key], b"", b"", None);
    }
    assert!(state.set(operator, b"k", b"", b"", None).is_err());
    state.put_off(b"k", b"", 2, 5).unwrap();
    assert_eq!(due(&mut state), [b"k"]);
    state.release(b"k", b"").unwrap();
    assert_eq!(
        (due(&mut state), waiting(&state, b"k").len()),
        (vec![b"k".to_vec()], 1)
    );
}

#[test]
fn messages_without_a_key_hold_back_nothing() {
    let (mut state, _) = state();
    state.hold(b"", b"", b"of the empty key", 1, 9).unwrap();
    for (tag, until) in [(&b"s.7"[..], 5), (b"s.70", 3), (b"s", 4)] {
        state.hold(b"", tag, tag, 1, until).unwrap();
    }
    assert_eq!(waiting(&state, b""), [(1, b"of the empty key".to_vec())]);
    let log = commit(&mut state);
    let mut state = recovered(&[&log]);
    state.begin(9);
    let timers = state.take_due(Clock::ProcessingTime, 9, 9);
    let tags: Vec<&[u8]> = timers.iter().map(|timer| &*timer.tag).collect();
    assert_eq!(tags, [&b"s.70"[..], b"s", b"s.7", b""]);
    for timer in &timers {
        assert_eq!(state.held(&timer.key, &timer.tag).unwrap().count(), 1);
        state.release(&timer.key, &timer.tag).unwrap();
    }
    assert_eq!(state.usage(), Usage::default());
}
