//! Which swap a rollback undoes if no receipt is given. Pure.

use crate::nats::deployments::ROLLED_BACK;
use crate::nats::receipts::{REJECTED, Receipt};

/// What receipts of swaps to an earlier version begin with; a canary has changed nothing for the others.
const BACK: [&str; 2] = [ROLLED_BACK, REJECTED];
const BESIDE: &str = "canary";

/// The latest swap that has not been undone and whose old version is `fine`. `receipts` are sorted by time; a
/// swap has one for each lane of each host.
pub(super) fn latest(receipts: &[Receipt], fine: impl Fn(&str) -> bool) -> Option<&Receipt> {
    let mut swaps: Vec<&Receipt> = Vec::new();
    let mut before: Option<&Receipt> = None;
    for receipt in receipts {
        if receipt.what.starts_with(BESIDE) {
            continue;
        }
        let is_same = |other: &Receipt| {
            other.what == receipt.what
                && other.old.digest == receipt.old.digest
                && other.new.digest == receipt.new.digest
        };
        let another_lane = before.replace(receipt).is_some_and(is_same);
        if another_lane {
            continue;
        }
        match BACK.iter().any(|back| receipt.what.starts_with(back)) {
            true => {
                let target = &receipt.new.digest;
                let over = swaps.iter().rposition(|swap| swap.old.digest == *target);
                swaps.truncate(over.unwrap_or(swaps.len()));
            }
            false => swaps.push(receipt),
        }
    }
    swaps
        .into_iter()
        .rev()
        .find(|receipt| fine(&receipt.old.digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::receipts::Version;

    fn history(all: &[(&str, &str, &str)]) -> Vec<Receipt> {
        let version = |digest: &str| Version {
            digest: digest.to_owned(),
            sequence: None,
        };
        let receipt = |(number, (what, old, new)): (usize, &(&str, &str, &str))| Receipt {
            id: number.to_string(),
            pipeline: "p".to_owned(),
            operator: "op".to_owned(),
            host: "host".to_owned(),
            lane: 0,
            what: (*what).to_owned(),
            old: version(old),
            new: version(new),
            origin: String::new(),
            began: String::new(),
            taken: None,
        };
        all.iter().enumerate().map(receipt).collect()
    }

    /// What a rollback would lead to while this runs.
    fn target(all: &[(&str, &str, &str)], runs: &str, bad: &str) -> Option<String> {
        let history = history(all);
        let found = latest(&history, |digest| digest != runs && digest != bad);
        found.map(|receipt| receipt.old.digest.clone())
    }

    #[test]
    fn each_rollback_goes_one_swap_further_and_none_goes_forward_again() {
        let mut all = vec![
            ("deployed", "v0", "v1"),
            ("deployed", "v0", "v1"),
            ("canary 10 %", "v1", "v2"),
            ("promoted", "v1", "v2"),
            ("promoted", "v1", "v2"),
        ];
        assert_eq!(target(&all, "v2", ""), Some("v1".to_owned()));
        all.extend([("rolled back", "v2", "v1"); 2]);
        assert_eq!(target(&all, "v1", ""), Some("v0".to_owned()));
        all.extend([("rolled back", "v1", "v0"); 2]);
        assert_eq!(target(&all, "v0", ""), None);
        all.push(("swapped", "v0", "v3"));
        assert_eq!(target(&all, "v3", ""), Some("v0".to_owned()));
    }

    #[test]
    fn what_was_taken_back_by_itself_is_not_gone_back_to() {
        let mut all = vec![("swapped", "v0", "v1"), ("deployed", "v1", "bad")];
        all.push(("rolled back", "bad", "v1"));
        assert_eq!(target(&all, "v1", "bad"), Some("v0".to_owned()));
        // A host that ran it before has rolled it back later.
        all.extend([("deployed", "v1", "bad"), (REJECTED, "bad", "v1")]);
        assert_eq!(target(&all, "v1", "bad"), Some("v0".to_owned()));
        // It had run for long before it was found bad.
        let all = [("deployed", "v0", "bad"), ("deployed", "bad", "v2")];
        assert_eq!(target(&all, "v2", "bad"), Some("v0".to_owned()));
        assert_eq!(target(&all, "v2", "v0"), Some("bad".to_owned()));
        assert_eq!(target(&[], "v2", ""), None);
    }
}
