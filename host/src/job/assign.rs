//! Which host is assigned which partition of a job: rendezvous hashing with bounded load. Pure.
//!
//! Every host computes the assignment from the hosts that are alive, and all get the same result. A pair of a
//! partition and a host has a score, and pairs are taken from the highest score down: a partition goes to the
//! host of its first pair that still has room. P partitions fill H hosts evenly: each has P/H, rounded down
//! or up.
//!
//! The assignment decides only which host tries; the fence (`log.rs`) decides which host may write.

use std::cmp::Reverse;

/// No job has so many partitions: where hosts are scored for the shares that are left over.
const LEFT_OVER: u16 = u16::MAX;

/// How well a partition and a host go together. The same in all versions of weir, or hosts would not agree.
#[must_use]
pub fn score(partition: u16, host: &str) -> u64 {
    let mut hash = blake3::Hasher::new();
    hash.update(&partition.to_le_bytes());
    hash.update(host.as_bytes());
    let mut first = [0; 8];
    hash.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

/// The host of each partition, by its place among `hosts`, which are sorted; empty if there are none.
#[must_use]
pub fn assign(hosts: &[String], partitions: u16) -> Vec<usize> {
    assign_without(hosts, partitions, None, &pairs(hosts, partitions))
}

/// For each partition, the host that would be assigned it if the first host were gone: its standby. Empty if
/// there is no other host.
#[must_use]
pub fn successors(hosts: &[String], partitions: u16, assigned: &[usize]) -> Vec<usize> {
    let pairs = pairs(hosts, partitions);
    let mut successors = vec![0; assigned.len()];
    for gone in 0..hosts.len() {
        let others = assign_without(hosts, partitions, Some(gone), &pairs);
        if others.is_empty() {
            return others;
        }
        let all = successors.iter_mut().zip(others).zip(assigned);
        all.filter(|(_, first)| **first == gone)
            .for_each(|((successor, other), _)| *successor = other);
    }
    successors
}

/// All pairs of a partition and a host with their scores, the highest first.
fn pairs(hosts: &[String], partitions: u16) -> Vec<(u64, u16, usize)> {
    let of =
        |partition| scores(hosts, partition).map(move |(score, host)| (score, partition, host));
    let mut pairs: Vec<_> = (0..partitions).flat_map(of).collect();
    pairs.sort_unstable_by_key(|pair| Reverse(*pair));
    pairs
}

fn assign_without(
    hosts: &[String],
    partitions: u16,
    gone: Option<usize>,
    pairs: &[(u64, u16, usize)],
) -> Vec<usize> {
    let count = hosts.len() - usize::from(gone.is_some());
    if count == 0 {
        return Vec::new();
    }
    let (shares, over) = (
        usize::from(partitions) / count,
        usize::from(partitions) % count,
    );
    let is_there = |host: usize| Some(host) != gone;
    let mut lucky: Vec<(u64, usize)> = scores(hosts, LEFT_OVER).collect();
    lucky.retain(|(_, host)| is_there(*host));
    lucky.sort_unstable_by_key(|score| Reverse(*score));
    let mut room = vec![shares; hosts.len()];
    for (_, host) in lucky.into_iter().take(over) {
        room.get_mut(host).into_iter().for_each(|room| *room += 1);
    }
    let mut owners = vec![None; usize::from(partitions)];
    for &(_, partition, host) in pairs.iter().filter(|(.., host)| is_there(*host)) {
        let owner = owners.get_mut(usize::from(partition));
        if let (Some(owner @ None), Some(room @ 1..)) = (owner, room.get_mut(host)) {
            *owner = Some(host);
            *room -= 1;
        }
    }
    // As many shares as partitions, and every pair is among the pairs: none is left.
    owners.into_iter().map(Option::unwrap_or_default).collect()
}

/// The hosts that take a partition if the host before them does not: `first`, to which it is assigned, then
/// the others by their scores. The place of `host` in that order.
#[must_use]
pub fn rank(hosts: &[String], partition: u16, first: &str, host: &str) -> usize {
    if host == first {
        return 0;
    }
    let own = (score(partition, host), host);
    let is_before =
        |other: &&String| **other != first && (score(partition, other), other.as_str()) > own;
    1 + hosts.iter().filter(is_before).count()
}

fn scores(hosts: &[String], partition: u16) -> impl Iterator<Item = (u64, usize)> + '_ {
    let places = hosts.iter().enumerate();
    places.map(move |(place, host)| (score(partition, host), place))
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn hosts(names: impl IntoIterator<Item = u16>) -> Vec<String> {
        let names: BTreeSet<String> = names.into_iter().map(|name| format!("h{name}")).collect();
        names.into_iter().collect()
    }

    /// The name of the host of each partition.
    fn named(hosts: &[String], partitions: u16) -> Vec<&str> {
        let owners = assign(hosts, partitions).into_iter();
        owners.map(|place| hosts[place].as_str()).collect()
    }

    /// Partitions that move when `one` becomes `other`.
    fn moved(one: &[String], other: &[String], partitions: u16) -> usize {
        let (before, after) = (named(one, partitions), named(other, partitions));
        before.iter().zip(&after).filter(|(a, b)| a != b).count()
    }

    proptest! {
        #[test]
        fn every_partition_has_a_host_and_no_host_more_or_less_than_its_share(
            names in prop::collection::btree_set(any::<u16>(), 1..40), partitions in 1_u16..200,
        ) {
            let hosts = hosts(names);
            let owners = assign(&hosts, partitions);
            prop_assert_eq!(owners.len(), usize::from(partitions));
            let least = usize::from(partitions) / hosts.len();
            let most = usize::from(partitions).div_ceil(hosts.len());
            for host in 0..hosts.len() {
                let share = owners.iter().filter(|owner| **owner == host).count();
                prop_assert!((least..=most).contains(&share), "{share} of {partitions}");
            }
        }

        #[test]
        fn the_host_that_stands_by_is_the_one_that_is_to_own_the_partition_when_its_owner_is_gone(
            names in prop::collection::btree_set(any::<u16>(), 2..12), partitions in 1_u16..50,
        ) {
            let hosts = hosts(names);
            let owners = assign(&hosts, partitions);
            let successors = successors(&hosts, partitions, &owners);
            for (gone, host) in hosts.iter().enumerate() {
                let mut left = hosts.clone();
                left.retain(|other| other != host);
                for (partition, next) in assign(&left, partitions).into_iter().enumerate() {
                    if owners[partition] == gone {
                        prop_assert_eq!(&hosts[successors[partition]], &left[next]);
                    }
                }
            }
        }

        #[test]
        fn the_order_of_those_who_take_a_partition_has_each_host_once(
            names in prop::collection::btree_set(any::<u16>(), 1..20), partition in 0_u16..1024,
        ) {
            let hosts = hosts(names);
            let first = hosts[0].clone();
            let ranks: BTreeSet<usize> =
                hosts.iter().map(|host| rank(&hosts, partition, &first, host)).collect();
            prop_assert_eq!(ranks, (0..hosts.len()).collect());
        }
    }

    #[test]
    fn a_join_or_a_leave_moves_about_the_share_of_one_host() {
        // The mean of many; half of what moves is displaced by the bound where hosts have few partitions each.
        for (count, partitions, most) in [(1, 8, 1.0), (3, 8, 1.5), (3, 64, 1.25), (8, 64, 1.75)] {
            let mut all = 0;
            let worlds = 50;
            for world in 0..worlds {
                let before = hosts((0..count).map(|host| world * 100 + host));
                let after = hosts((0..=count).map(|host| world * 100 + host));
                all += moved(&before, &after, partitions);
                // None moves that need not: each host that loses some has more than its share otherwise.
                assert_eq!(moved(&before, &before, partitions), 0);
            }
            let share = f64::from(partitions) / f64::from(count + 1);
            let mean = f64::from(u32::try_from(all).unwrap_or(u32::MAX)) / f64::from(worlds);
            assert!(
                mean <= share * most,
                "{count} hosts, {partitions} partitions: {mean} moved, a share is {share}"
            );
        }
    }

    #[test]
    fn what_hosts_compute_is_the_same_in_all_versions() {
        assert_eq!(score(0, "a"), 16_362_421_126_927_017_907);
        let hosts = hosts(0..3);
        assert_eq!(
            named(&hosts, 8),
            ["h0", "h2", "h2", "h1", "h1", "h0", "h2", "h0"]
        );
    }
}
