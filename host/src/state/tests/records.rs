//! Records that are damaged or not of this partition are refused, and cost no more than their size.

use super::super::*;
use super::{commit, operators, state};
use proptest::prelude::*;

#[test]
fn a_record_of_another_kind_group_or_partition_is_refused() {
    let (mut live, operator) = state();
    for key in 0..=255u8 {
        live.set(operator, &[key], b"", &[key], None).unwrap();
    }
    let delta = commit(&mut live);
    let group = Group::of(&[7]);
    let snapshot = live.snapshot(group);
    let any = &|_: u16| true;
    assert!(state().0.replay(&snapshot, any).is_err());
    assert!(state().0.restore(group.number(), &delta).is_err());
    assert!(state().0.restore(group.number() + 1, &snapshot).is_err());
    // A group that was read before is replaced.
    let (mut twice, _) = state();
    twice.restore(group.number(), &snapshot).unwrap();
    let once = twice.usage();
    twice.restore(group.number(), &snapshot).unwrap();
    assert_eq!(twice.usage(), once, "a later one takes its place");
    let other = |partition| {
        let groups = Groups::of_partition(partition, 1024).unwrap();
        State::new(groups, operators(), u64::MAX).unwrap()
    };
    assert!(
        other(group.number())
            .restore(group.number(), &snapshot)
            .is_ok()
    );
    assert!(
        other(group.number() - 1)
            .restore(group.number(), &snapshot)
            .is_err()
    );
    assert!(other(group.number()).replay(&delta, any).is_err());
}

#[test]
fn a_delta_changes_only_the_groups_in_which_it_applies_and_is_refused_for_any_other_partition() {
    let (mut live, operator) = state();
    live.set(operator, b"k", b"", b"v", None).unwrap();
    let delta = commit(&mut live);
    let (mut next, _) = state();
    next.replay(&delta, &|group| group != Group::of(b"k").number())
        .unwrap();
    assert_eq!(next.usage(), Usage::default());
    next.replay(&delta, &|group| group == Group::of(b"k").number())
        .unwrap();
    assert_eq!(next.usage(), live.usage());
    let other = Groups::of_partition(Group::of(b"k").number() ^ 1, 1024).unwrap();
    let mut other = State::new(other, operators(), u64::MAX).unwrap();
    assert!(other.replay(&delta, &|_| false).is_err());
}

#[test]
fn a_snapshot_has_neither_what_was_deleted_nor_what_has_expired() {
    let (mut live, operator) = state();
    let group = Group::of(b"k");
    for name in [&b"expires"[..], b"goes", b"stays"] {
        let ttl = (name == b"expires").then_some(5);
        live.set(operator, b"k", name, b"v", ttl).unwrap();
    }
    commit(&mut live);
    live.begin(5);
    live.delete(operator, b"k", b"goes").unwrap();
    let delta = live.seal().unwrap();
    // With the commit in flight, and without what comes later.
    live.set(operator, b"k", b"later", b"v", None).unwrap();
    let (mut next, _) = state();
    next.restore(group.number(), &live.snapshot(group)).unwrap();
    let names = next.scan(operator, b"k", b"", None).unwrap();
    let names = names.map(|value| value.unwrap().0);
    assert_eq!(names.collect::<Vec<_>>(), [b"stays"]);
    assert_eq!((next.usage().rows, next.now()), (1, 5));
    // One that was made of a delta has a row that says that there is none.
    let mut body = vec![1];
    codec::put_varint(&mut body, u64::from(group.number()));
    body.extend_from_slice(&delta[codec::ENVELOPE + 1..]);
    assert!(
        state()
            .0
            .restore(group.number(), &codec::seal(&body))
            .is_err()
    );
}

#[test]
fn a_savepoint_is_restored_with_another_number_of_partitions() {
    let (mut state, operator) = state();
    for key in 0..=255u8 {
        state.set(operator, &[key], b"", &[key], None).unwrap();
        state
            .set_timer(operator, &[key], b"", Clock::EventTime, u64::from(key))
            .unwrap();
    }
    commit(&mut state);
    let (mut usage, mut due) = (Usage::default(), 0);
    for partition in 0..3 {
        let groups = Groups::of_partition(partition, 3).unwrap();
        let mut part = State::new(groups.clone(), operators(), u64::MAX).unwrap();
        for group in groups.iter() {
            part.restore(group.number(), &state.snapshot(group))
                .unwrap();
        }
        usage.rows += part.usage().rows;
        usage.keys += part.usage().keys;
        usage.bytes += part.usage().bytes;
        due += part.take_due(Clock::EventTime, 255, 999).len();
    }
    assert_eq!((usage, due), (state.usage(), 256));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn reading_what_anybody_wrote_ends_and_takes_no_more_room_than_it(
        numbers in prop::collection::vec(prop_oneof![0..4u64, any::<u64>()], 0..8),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut body = Vec::new();
        numbers.iter().for_each(|number| codec::put_varint(&mut body, *number));
        body.extend_from_slice(&bytes);
        let record = codec::seal(&body);
        let group = numbers.get(1).map_or(0, |group| (*group % 1024) as u16);
        for read in [
            State::replay(&mut state().0, &record, &|_| true),
            State::restore(&mut state().0, group, &record),
        ] {
            prop_assert!(read.is_ok() || read.is_err());
        }
        let (mut state, _) = state();
        if state.replay(&record, &|_| true).is_ok() {
            prop_assert!(state.usage().bytes <= 64 * record.len() as u64);
        }
        prop_assert!(state.replay(&bytes, &|_| true).is_err());
    }
}
