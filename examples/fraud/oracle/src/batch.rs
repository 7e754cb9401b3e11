//! The oracle: which alerts the payments must lead to.
//!
//! All payments of a card, or of a merchant, stand in an array in the order of their times. Where there was no
//! payment for too long the array is cut, because the card is forgotten there. Each rule is a look back from a
//! place of the array.

use crate::payments::Payment;
use std::collections::BTreeMap;

/// The number of a payment and the rule that it breaks.
pub type Alert = (u64, &'static str);

/// Alerts by key, in the order of the payments.
pub type Alerts = BTreeMap<String, Vec<Alert>>;

const MINUTE: u64 = 60_000;

/// What `pipeline.yaml` must find, if it forgets a card after so many minutes.
#[must_use]
pub fn of_cards(payments: &[Payment], forget_after_minutes: u64) -> Alerts {
    let mut alerts = Alerts::new();
    for history in histories(payments, Payment::card_name, forget_after_minutes) {
        for at in 0..history.len() {
            let (before, rest) = history.split_at(at);
            let Some(payment) = rest.first() else {
                continue;
            };
            let found = [
                (declines(before, payment), "declines"),
                (travel(before, payment), "travel"),
                (device(before, payment), "device"),
            ];
            for (_, rule) in found.into_iter().filter(|(found, _)| *found) {
                let of_card = alerts.entry(payment.card_name()).or_default();
                of_card.push((payment.number, rule));
            }
        }
    }
    alerts
}

/// What `pipeline-merchants.yaml` must find, if it forgets a merchant after so many minutes.
#[must_use]
pub fn of_merchants(payments: &[Payment], forget_after_minutes: u64) -> Alerts {
    let mut alerts = Alerts::new();
    for history in histories(payments, Payment::merchant_name, forget_after_minutes) {
        let mut rest = history.as_slice();
        // Each burst ends with its fifteenth payment; what comes behind is looked at by itself.
        while let Some(end) = rest.windows(15).position(is_burst).map(|begin| begin + 14) {
            let (burst, behind) = rest.split_at(end + 1);
            rest = behind;
            if let Some(payment) = burst.last() {
                let of_merchant = alerts.entry(payment.merchant_name()).or_default();
                of_merchant.push((payment.number, "burst"));
            }
        }
    }
    alerts
}

/// The payments of each key, in order, cut where the key is forgotten.
fn histories(
    payments: &[Payment],
    key: impl Fn(&Payment) -> String,
    forget_after_minutes: u64,
) -> Vec<Vec<Payment>> {
    let mut sorted = payments.to_vec();
    sorted.sort_by_cached_key(|payment| (key(payment), payment.number));
    let is_remembered = |one: &Payment, next: &Payment| {
        key(one) == key(next) && next.time - one.time <= forget_after_minutes * MINUTE
    };
    let histories = sorted.chunk_by(is_remembered);
    histories.map(<[Payment]>::to_vec).collect()
}

/// Three or more declined in the minute before an accepted one.
fn declines(before: &[Payment], payment: &Payment) -> bool {
    let recent = before.iter().filter(|one| payment.time - one.time < MINUTE);
    payment.accepted && recent.filter(|one| !one.accepted).count() >= 3
}

/// Farther from the last one than a plane comes in the time, and more than 50 km.
fn travel(before: &[Payment], payment: &Payment) -> bool {
    let Some(last) = before.last() else {
        return false;
    };
    let ((east, north), (last_east, last_north)) = (payment.place(), last.place());
    let (east, north) = (i64::from(east - last_east), i64::from(north - last_north));
    let squared = (east * east + north * north) as u128;
    // 900 km an hour are a kilometre in 4000 ms.
    let milliseconds = u128::from(payment.time - last.time);
    squared > 2500 && squared * 4000 * 4000 > milliseconds * milliseconds
}

/// A large amount within ten minutes after the first use of a device that is not the card's first.
fn device(before: &[Payment], payment: &Payment) -> bool {
    let is_first = before
        .first()
        .is_some_and(|one| one.device == payment.device);
    let first_use = before.iter().find(|one| one.device == payment.device);
    let is_new = first_use.is_some_and(|first| payment.time - first.time <= 10 * MINUTE);
    payment.accepted && payment.cents >= 50_000 && !is_first && is_new
}

fn is_burst(payments: &[Payment]) -> bool {
    let (first, last) = (payments.first(), payments.last());
    first
        .zip(last)
        .is_some_and(|(first, last)| last.time - first.time < MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::{BLOCK, Planted, payments};

    #[test]
    fn every_planted_fraud_is_found() {
        let all: Vec<Payment> = payments(9, 40_000).collect();
        let (cards, merchants) = (of_cards(&all, 1440), of_merchants(&all, 1440));
        let found: Vec<Alert> = cards
            .values()
            .chain(merchants.values())
            .flatten()
            .copied()
            .collect();
        for block in 0..40_000 / BLOCK {
            let first = block * BLOCK;
            let planted = match Planted::near(first) {
                Planted::Declines => (first + 60, "declines"),
                Planted::Travel => (first + 50, "travel"),
                Planted::Device => (first + 90, "device"),
                // Others at the merchant may bring the fifteenth payment forward.
                Planted::Burst => {
                    let burst = |(number, rule): &Alert| {
                        *rule == "burst" && (first + 20..first + 60).contains(number)
                    };
                    assert!(found.iter().any(burst), "block {block}");
                    continue;
                }
            };
            assert!(found.contains(&planted), "{planted:?}");
        }
    }

    #[test]
    fn a_card_that_is_forgotten_earlier_leads_to_fewer_alerts() {
        let all: Vec<Payment> = payments(9, 40_000).collect();
        let count = |minutes| of_cards(&all, minutes).values().flatten().count();
        assert!(count(10) < count(1440), "{} {}", count(10), count(1440));
    }
}
