//! The steps that the model takes, and the keys that they are about.

use super::super::{Group, Groups};
use proptest::prelude::*;
use std::sync::LazyLock;

/// How many keys there are; with them, every group of the partition has one.
pub(super) const KEYS: usize = 6;
/// Names that are prefixes of each other.
pub(super) const NAMES: [&[u8]; 5] = [b"", b"n", b"na", b"nb", b"\xff"];

#[derive(Clone, Debug)]
pub(super) enum Step {
    Begin(u64),
    Set(usize, usize, usize, Vec<u8>, Option<u64>),
    Delete(usize, usize, usize),
    SetTimer(usize, usize, usize, bool, u64),
    DeleteTimer(usize, usize, usize),
    TakeDue(bool, u64, usize),
    Savepoint,
    RollBack(prop::sample::Index),
    Keep,
    Seal,
    Confirm,
    Discard,
    Snapshot(usize),
    /// The owner dies; a commit in flight is stored or not; the next owner reads some of the snapshots.
    Crash(bool, Vec<prop::sample::Index>),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let cell = || (1..3usize, 0..KEYS, 0..NAMES.len());
    let value = prop::collection::vec(any::<u8>(), 0..40);
    let ttl = prop::option::weighted(0.4, 0..20u64);
    prop_oneof![
        3 => (0..8u64).prop_map(Step::Begin),
        9 => (cell(), value, ttl).prop_map(|((o, k, n), v, ttl)| Step::Set(o, k, n, v, ttl)),
        3 => cell().prop_map(|(o, k, n)| Step::Delete(o, k, n)),
        4 => (cell(), any::<bool>(), 0..60u64).prop_map(|((o, k, n), c, at)| Step::SetTimer(o, k, n, c, at)),
        1 => cell().prop_map(|(o, k, n)| Step::DeleteTimer(o, k, n)),
        2 => (any::<bool>(), 0..60u64, 1..4usize).prop_map(|(c, at, most)| Step::TakeDue(c, at, most)),
        3 => Just(Step::Savepoint),
        2 => any::<prop::sample::Index>().prop_map(Step::RollBack),
        1 => Just(Step::Keep),
        4 => Just(Step::Seal),
        3 => Just(Step::Confirm),
        1 => Just(Step::Discard),
        4 => (0..GROUPS).prop_map(Step::Snapshot),
        1 => (any::<bool>(), prop::collection::vec(any::<prop::sample::Index>(), 0..12))
            .prop_map(|(stored, snapshots)| Step::Crash(stored, snapshots)),
    ]
}

/// Four groups: so few that each has a snapshot now and then, and the log can be purged.
const GROUPS: usize = 4;

pub(super) fn few() -> Groups {
    Groups::of_partition(7, 256).unwrap()
}

/// A key of the partition with this number: any bytes, until they belong to the group that is its turn.
pub(super) fn key(number: usize) -> Vec<u8> {
    static ALL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let starts: [&[u8]; KEYS] = [b"", b"a", b"a.*.> \n", b"\xff\x00", b"b", &[b'k'; 300]];
        let turns = starts.iter().zip(few().iter().cycle());
        let keys = turns.map(|(start, group)| {
            let mut numbers = (0u32..).map(|number| [*start, &number.to_be_bytes()].concat());
            numbers.find(|key| Group::of(key) == group).unwrap()
        });
        keys.collect()
    });
    ALL[number].clone()
}
