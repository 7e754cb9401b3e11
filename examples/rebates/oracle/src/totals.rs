//! The running totals that `pipeline-exactly-once.yaml` must publish, and the comparison with those that it did.
//!
//! The plugin adds booking to booking in its state. This is a batch: the bookings of each customer in a row,
//! in the order in which shops told them first, and the sum of the first, the first two, and so on.

use crate::generate::generate;
use crate::ledger::{Expected, Ledger};
use crate::money::decimal;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The most that a customer is credited in a month, in cents.
pub const MONTHLY_CAP_CENTS: i64 = 10_000;
/// The whole evening is in one month.
const MONTH: &str = "2026-11";

/// One message on `totals.<user>`, read strictly.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Total {
    pub id: String,
    pub user: String,
    pub month: String,
    pub credited_cents: i64,
    pub total_cents: i64,
}

/// The totals of each user, in order.
#[must_use]
pub fn expected(bookings: &Expected) -> BTreeMap<String, Vec<Total>> {
    let mut rows: BTreeMap<String, Vec<(&str, i64)>> = BTreeMap::new();
    for id in &bookings.ids {
        if let Some(entry) = bookings.entries.get(id) {
            let row = rows.entry(entry.user.clone()).or_default();
            row.push((id, entry.cents));
        }
    }
    let totals = rows.into_iter().map(|(user, row)| {
        let upto = |length: usize| {
            let sum: i64 = row.iter().take(length).map(|(_, cents)| cents).sum();
            sum.min(MONTHLY_CAP_CENTS)
        };
        let total = |(at, (id, _)): (usize, &(&str, i64))| Total {
            id: (*id).to_owned(),
            user: user.clone(),
            month: MONTH.to_owned(),
            credited_cents: upto(at + 1) - upto(at),
            total_cents: upto(at + 1),
        };
        let totals = row.iter().enumerate().map(total).collect();
        (user.clone(), totals)
    });
    totals.collect()
}

/// What differs between the totals of these events and those that were published, with subject and payload in
/// the order of the stream; one sentence for each customer. Exactly once: a repeat is a difference.
#[must_use]
pub fn differences(seed: u64, count: u64, published: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut expected = expected(&Ledger::of(generate(seed, count)));
    let mut found: BTreeMap<String, Vec<Total>> = BTreeMap::new();
    let mut differences = Vec::new();
    for (subject, payload) in published {
        match serde_json::from_slice::<Total>(payload) {
            Ok(total) if *subject == format!("totals.{}", total.user) => {
                found.entry(total.user.clone()).or_default().push(total);
            }
            Ok(total) => differences.push(format!("`{}` was published on `{subject}`", total.id)),
            Err(error) => differences.push(format!("unreadable total on `{subject}`: {error}")),
        }
    }
    for (user, found) in found {
        let expected = expected.remove(&user).unwrap_or_default();
        if found != expected {
            differences.push(difference(&user, &expected, &found));
        }
    }
    let missing = expected.into_iter();
    differences.extend(missing.map(|(user, totals)| difference(&user, &totals, &[])));
    differences
}

fn difference(user: &str, expected: &[Total], found: &[Total]) -> String {
    let shown = |totals: &[Total]| {
        let last = totals.last().map_or(0, |total| total.total_cents);
        format!("{} in {} bookings", decimal(last), totals.len())
    };
    let (wanted, got) = (shown(expected), shown(found));
    let same = expected
        .iter()
        .zip(found)
        .take_while(|(wanted, got)| wanted == got);
    let at = same.count() + 1;
    format!("`{user}` has {got}, expected {wanted}; they differ from booking {at} on")
}

#[cfg(test)]
#[expect(
    clippy::indexing_slicing,
    reason = "an index out of bounds fails the test"
)]
mod tests {
    use super::*;
    use serde_json::json;

    const SEED: u64 = 5;
    const COUNT: u64 = 20_000;

    fn right() -> Vec<(String, Vec<u8>)> {
        let totals = expected(&Ledger::of(generate(SEED, COUNT)));
        let messages = totals.into_values().flatten().map(|total| {
            let payload = json!({
                "id": total.id, "user": total.user, "month": total.month,
                "credited_cents": total.credited_cents, "total_cents": total.total_cents,
            });
            (
                format!("totals.{}", total.user),
                payload.to_string().into_bytes(),
            )
        });
        messages.collect()
    }

    #[test]
    fn totals_are_capped_and_what_is_credited_adds_up_to_them() {
        let totals = expected(&Ledger::of(generate(SEED, COUNT)));
        let last = |of: &Vec<Total>| of[of.len() - 1].total_cents;
        for of in totals.values() {
            let credited: i64 = of.iter().map(|total| total.credited_cents).sum();
            assert_eq!(credited, last(of));
        }
        assert!(totals.values().any(|of| last(of) == MONTHLY_CAP_CENTS));
        assert!(totals.values().any(|of| last(of) < MONTHLY_CAP_CENTS));
    }

    #[test]
    fn a_total_that_is_missing_repeated_or_wrong_by_a_cent_is_a_difference() {
        let differences = |published: &[_]| differences(SEED, COUNT, published);
        let right = right();
        assert_eq!(differences(&right), Vec::<String>::new());
        assert_eq!(differences(&right[1..]).len(), 1);
        let repeated = [&right[..], &right[..1]].concat();
        assert_eq!(differences(&repeated).len(), 1);
        let mut wrong = right;
        let text = String::from_utf8_lossy(&wrong[0].1).replace("2026-11", "2026-12");
        wrong[0].1 = text.into_bytes();
        let differences = differences(&wrong);
        assert!(
            differences[0].ends_with("they differ from booking 1 on"),
            "{differences:?}"
        );
    }
}
