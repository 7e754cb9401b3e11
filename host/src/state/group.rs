//! Key groups: the permanent group of a key, and the groups of a partition.
//!
//! FNV-1a (32 bits) of a key's bytes assigns it to one of 1024 groups. State, timers and snapshots are stored
//! by group, so the number of partitions can change without another hash. The server computes the same number
//! for `{{partition(1024,...)}}` in a subject transform (nats-server, `server/subject_transform.go`), so
//! either side may do the shuffle.

use std::ops::Range;

/// How many groups there are. It can never change: stored state is named by group.
pub const GROUPS: u16 = 1024;

/// FNV-1a with 32 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(super) fn hash(key: &[u8]) -> u32 {
    key.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// A key group: less than [`GROUPS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(u16);

impl Group {
    /// The group of a key; any bytes are a key, none as well.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        Self::of_hash(hash(key))
    }

    pub(super) fn of_hash(hash: u32) -> Self {
        Self((hash % u32::from(GROUPS)) as u16)
    }

    /// The group of a number of ten bits.
    pub(super) fn of_bits(bits: u64) -> Self {
        Self((bits % u64::from(GROUPS)) as u16)
    }

    /// The group with this number, if there is one.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        let number = u16::try_from(number).ok()?;
        (number < GROUPS).then_some(Self(number))
    }

    /// The name in subjects.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// Which of `partitions` partitions owns it: the inverse of [`Groups::of_partition`].
    #[must_use]
    pub fn partition(self, partitions: u16) -> u16 {
        let partitions = u32::from(partitions.clamp(1, GROUPS));
        (((u32::from(self.0) + 1) * partitions - 1) / u32::from(GROUPS)) as u16
    }
}

/// The groups that a partition owns: neighbours, and never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups(Range<u16>);

impl Groups {
    /// What partition `partition` of `partitions` owns. Of the partitions `0..partitions`, each group has
    /// one. `None` if there is no such partition, or if there are more partitions than groups.
    #[must_use]
    pub fn of_partition(partition: u16, partitions: u16) -> Option<Self> {
        if partition >= partitions || partitions > GROUPS {
            return None;
        }
        let bound = |index: u32| (index * u32::from(GROUPS) / u32::from(partitions)) as u16;
        let partition = u32::from(partition);
        Some(Self(bound(partition)..bound(partition + 1)))
    }

    /// All of them: there is one partition.
    #[must_use]
    pub fn all() -> Self {
        Self(0..GROUPS)
    }

    /// Their numbers.
    #[must_use]
    pub fn numbers(&self) -> Range<u16> {
        self.0.clone()
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Group> + Clone + use<> {
        self.0.clone().map(Group)
    }

    /// Which of them `group` is, counted from 0; `None` if it belongs to another partition.
    #[must_use]
    pub fn position(&self, group: Group) -> Option<usize> {
        let position = group.0.checked_sub(self.0.start)?;
        (group.0 < self.0.end).then_some(usize::from(position))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_the_group_that_the_server_computes() {
        // Of FNV's own test suite, and of nats-server's `TestSubjectTransforms`: `partition(10)` of these.
        for (key, expected) in [
            ("", 0x811c_9dc5),
            ("a", 0xe40c_292c),
            ("foobar", 0xbf9c_f968),
        ] {
            assert_eq!(hash(key.as_bytes()), expected, "{key}");
        }
        for (key, of_ten) in [("foo", 3), ("baz", 0), ("qux", 9), ("foo.bar", 6)] {
            assert_eq!(hash(key.as_bytes()) % 10, of_ten, "{key}");
        }
        // These are forever: a change would lose the state of every job.
        let long = [b'k'; 10_000];
        let keys: [(&[u8], u16); 9] = [
            (b"", 453),
            (b"a", 300),
            (b"foo", 727),
            (b"user-42", 939),
            (b"a b", 498),
            (b"a.*.>", 320),
            (b"a\nb", 784),
            (b"\xff\xfe\x00", 560),
            (&long, 533),
        ];
        let groups: Vec<u16> = keys
            .iter()
            .map(|(key, _)| Group::of(key).number())
            .collect();
        let expected: Vec<u16> = keys.iter().map(|(_, group)| *group).collect();
        assert_eq!(groups, expected);
    }

    #[test]
    fn every_group_has_one_partition_for_each_number_of_partitions() {
        for partitions in 1..=GROUPS {
            let mut next = 0;
            for partition in 0..partitions {
                for group in Groups::of_partition(partition, partitions).unwrap().iter() {
                    assert_eq!(group.number(), next);
                    assert_eq!(group.partition(partitions), partition);
                    next += 1;
                }
            }
            assert_eq!(next, GROUPS);
        }
        assert_eq!(Groups::of_partition(0, 0), None);
        assert_eq!(Groups::of_partition(8, 8), None);
        assert_eq!(Groups::of_partition(0, GROUPS + 1), None);
        assert_eq!(Group::new(1024), None);
    }

    #[test]
    fn a_partition_has_no_place_for_groups_of_others() {
        let groups = Groups::of_partition(1, 4).unwrap();
        let place = |number| groups.position(Group::new(number).unwrap());
        assert_eq!(
            [place(255), place(256), place(511), place(512)],
            [None, Some(0), Some(255), None]
        );
    }
}
