//! The report of a host as a member of a job: plain data, as stored in the bucket.

use crate::nats::receipts;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of what a host says of itself, at most: twice what it takes to own half of
/// 1024 partitions and to stand by for the others, with the largest numbers.
pub(super) const LONGEST: usize = 48 << 10;

/// What a host says of itself as a member of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub job: String,
    /// Of one start of one process: no other host ever has the same.
    pub host: String,
    /// Name and process id of the host, for people.
    pub name: String,
    /// Partitions of the job. Hosts that do not agree on it know nothing of each other.
    pub partitions: u16,
    /// The partitions that it owns, as far as it knows.
    pub owned: BTreeSet<u16>,
    /// A partition that it asks the owner for, or is just taking.
    #[serde(default)]
    pub wants: Option<u16>,
    /// Whose logs it follows, and the number of the last record that it had when it said this.
    #[serde(default)]
    pub standby: BTreeMap<u16, u64>,
    /// Whether it has left the job: this is the last that it says.
    #[serde(default)]
    pub left: bool,
    /// Grows with everything that it says.
    pub beat: u64,
    /// When it said this, RFC 3339, by its own clock. For people; set when it is said.
    pub at: String,
}

impl Member {
    /// This process, which owns nothing yet.
    #[must_use]
    pub fn new(job: &str, partitions: u16) -> Self {
        Self {
            job: job.to_owned(),
            host: nuid::next().to_string(),
            name: receipts::host(),
            partitions,
            owned: BTreeSet::new(),
            wants: None,
            standby: BTreeMap::new(),
            left: false,
            beat: 0,
            at: String::new(),
        }
    }

    /// What somebody has written, if it is a member of this job.
    #[must_use]
    pub fn read(bytes: &[u8], job: &str) -> Option<Self> {
        if bytes.len() > LONGEST {
            return None;
        }
        let member: Self = serde_json::from_slice(bytes).ok()?;
        let is_sound = member.job == job
            && !member.host.is_empty()
            && member
                .owned
                .iter()
                .chain(member.standby.keys())
                .all(|it| *it < member.partitions);
        is_sound.then_some(member)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member() -> Member {
        let mut member = Member::new("job", 1024);
        member.owned = (0..1024).collect();
        member.standby = (512..1024).map(|partition| (partition, u64::MAX)).collect();
        (member.wants, member.beat) = (Some(1023), u64::MAX);
        "2026-11-26T10:00:00.123456789Z".clone_into(&mut member.at);
        member
    }

    #[test]
    fn a_host_that_owns_all_of_the_most_partitions_fits_into_the_bucket() {
        let written = serde_json::to_vec(&member()).unwrap();
        assert!(written.len() * 2 < LONGEST, "{}", written.len());
        assert_eq!(Member::read(&written, "job"), Some(member_of(&written)));
        assert_eq!(Member::read(&written, "another"), None);
    }

    fn member_of(written: &[u8]) -> Member {
        serde_json::from_slice(written).unwrap()
    }

    #[test]
    fn partitions_that_the_job_does_not_have_and_too_many_bytes_are_no_member() {
        let mut beyond = member();
        beyond.partitions = 1023;
        assert_eq!(
            Member::read(&serde_json::to_vec(&beyond).unwrap(), "job"),
            None
        );
        let mut padded = serde_json::to_vec(&member()).unwrap();
        padded.resize(LONGEST + 1, b' ');
        assert_eq!(Member::read(&padded, "job"), None);
    }

    proptest! {
        #[test]
        fn whatever_a_record_holds_it_is_read_or_passed_over(
            at in 0_usize..6000, bytes in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let mut damaged = serde_json::to_vec(&member()).unwrap();
            let at = at.min(damaged.len());
            damaged.splice(at..(at + bytes.len()).min(damaged.len()), bytes.iter().copied());
            if let Some(read) = Member::read(&damaged, "job") {
                prop_assert!(read.owned.iter().all(|owned| *owned < read.partitions));
            }
            prop_assert_eq!(Member::read(&bytes, "job"), None);
        }
    }
}
