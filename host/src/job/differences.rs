//! How the state of a candidate differs from that of a job at the same positions. Pure.
//!
//! It compares values and timers of plugins, with their keys and names. It ignores when a value expires or a
//! timer of processing time is due, because a candidate works a little later than the job. It also ignores
//! waiting messages, which the host keeps.

use crate::compare::report::{Row, States};
use crate::state::entries::{Entry, What};
use crate::state::{Clock, Groups, State};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Characters of a text that is shown.
const SHORT: usize = 64;
/// How far the clocks of the two may be apart, in nanoseconds: what ends within that may be gone on one side alone.
const APART: u64 = 5_000_000_000;

/// Operator, whether it is a timer, key and name.
type Place<'a> = (&'a str, bool, &'a [u8], &'a [u8]);

/// What is there.
struct Kept<'a> {
    value: Cow<'a, [u8]>,
    /// When it expires.
    ends: Option<u64>,
}

/// Compares all rows of these groups; keeps at most `most` samples.
#[must_use]
pub fn between(live: &State, candidate: &State, groups: &Groups, most: usize) -> States {
    let mut found = States {
        partitions: 1,
        comparisons: 1,
        ..States::default()
    };
    let soon = live.now().max(candidate.now()).saturating_add(APART);
    let is_ending = |kept: &Kept<'_>| kept.ends.is_some_and(|ends| ends <= soon);
    for group in groups.iter() {
        let others = candidate.entries(group).filter_map(kept);
        let mut others: BTreeMap<Place<'_>, Kept<'_>> = others.collect();
        for (place, kept) in live.entries(group).filter_map(kept) {
            match others.remove(&place) {
                Some(other) if other.value == kept.value => found.same += 1,
                None if is_ending(&kept) => {}
                other => found.differs(most, || row(place, Some(kept), other)),
            }
        }
        for (place, kept) in others {
            if !is_ending(&kept) {
                found.differs(most, || row(place, None, Some(kept)));
            }
        }
    }
    found
}

/// What a plugin keeps, and where.
fn kept(entry: Entry<'_>) -> Option<(Place<'_>, Kept<'_>)> {
    let (is_timer, value, ends) = match entry.what {
        What::Value => (false, Cow::Borrowed(entry.value), entry.expiry),
        What::Timer {
            clock: Clock::EventTime,
            at,
        } => (true, format!("event time {at}").into_bytes().into(), None),
        What::Timer { at, .. } => (true, Cow::Borrowed(&b"processing time"[..]), Some(at)),
        What::Waiting | What::Queue => return None,
    };
    let place = (entry.operator, is_timer, entry.key, entry.name);
    (!entry.operator.is_empty()).then_some((place, Kept { value, ends }))
}

/// What differs, for people.
fn row(
    (operator, is_timer, key, name): Place<'_>,
    live: Option<Kept<'_>>,
    candidate: Option<Kept<'_>>,
) -> Row {
    let text = |kept: Option<Kept<'_>>| kept.map(|kept| short(&kept.value));
    Row {
        operator: operator.to_owned(),
        kind: if is_timer { "timer" } else { "value" }.to_owned(),
        key: short(key),
        name: short(name),
        live: text(live),
        candidate: text(candidate),
    }
}

/// The beginning of a text, with what is none replaced.
fn short(bytes: &[u8]) -> String {
    let beginning = bytes.get(..4 * SHORT).unwrap_or(bytes);
    let text = String::from_utf8_lossy(beginning);
    let mut short: String = text.chars().take(SHORT).collect();
    if text.chars().count() > SHORT {
        short.push('\u{2026}');
    }
    short
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const NOW: u64 = 1_000 * SECOND;

    /// A state that has these values, and a timer.
    fn state(values: &[(&[u8], &[u8])], timer: Option<(Clock, u64)>) -> State {
        let mut state = State::new(Groups::all(), ["op"], u64::MAX).unwrap();
        state.begin(NOW);
        let op = state.operator("op").unwrap();
        for (key, value) in values {
            state.set(op, key, b"n", value, None).unwrap();
        }
        if let Some((clock, at)) = timer {
            state.set_timer(op, b"t", b"tag", clock, at).unwrap();
        }
        stored(state)
    }

    fn stored(mut state: State) -> State {
        state.hold(b"h", b"", b"message", 1, NOW).unwrap();
        state.seal();
        state.confirmed();
        state
    }

    fn found(live: &State, candidate: &State) -> (u64, u64) {
        let found = between(live, candidate, &Groups::all(), 9);
        (found.same, found.different)
    }

    #[test]
    fn values_and_timers_are_compared_and_not_when_one_is_due_by_processing_time() {
        let due = |at| Some((Clock::ProcessingTime, NOW + at * SECOND));
        let values: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"b", b"1"), (b"\xff", b"1")];
        let live = state(&values, due(60));
        assert_eq!(found(&live, &live), (4, 0));
        let long = [b'x'; 500];
        let other = state(&[(b"a", b"1"), (b"b", b"\x1b2"), (b"c", &long)], due(61));
        let all = between(&live, &other, &Groups::all(), 9);
        assert_eq!((all.same, all.different), (2, 3), "{all:?}");
        let of = |key: &str| all.samples.iter().find(|row| row.key == key).unwrap();
        let sides = |key| (of(key).live.as_deref(), of(key).candidate.as_deref());
        assert_eq!(sides("b"), (Some("1"), Some("\x1b2")));
        assert_eq!(sides("\u{fffd}"), (Some("1"), None));
        let shown = of("c").candidate.as_ref().unwrap();
        assert_eq!(shown.chars().count(), SHORT + 1);
        assert_eq!(between(&live, &other, &Groups::all(), 1).samples.len(), 1);
        let event = |at| state(&[], Some((Clock::EventTime, at)));
        assert_eq!(found(&event(5), &event(6)), (0, 1));
    }

    #[test]
    fn what_is_about_to_go_by_itself_may_be_gone_on_one_side() {
        let none = state(&[], None);
        for (left, expected) in [(1, (0, 0)), (60, (0, 1))] {
            let timer = state(&[], Some((Clock::ProcessingTime, NOW + left * SECOND)));
            assert_eq!(found(&timer, &none), expected);
            assert_eq!(found(&none, &timer), expected);
            let mut expiring = State::new(Groups::all(), ["op"], u64::MAX).unwrap();
            expiring.begin(NOW);
            let op = expiring.operator("op").unwrap();
            let set = expiring.set(op, b"a", b"n", b"1", Some(left * SECOND));
            set.unwrap();
            assert_eq!(found(&stored(expiring), &none), expected);
        }
    }
}
