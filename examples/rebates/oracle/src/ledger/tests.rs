//! Hand-computed orders, and what must hold for every run.

use super::*;
use crate::generate::generate;
use crate::shop::Line;
use std::sync::Arc;

fn order(lines: &[(&'static str, u64, u64)]) -> Arc<Order> {
    let line = |&(category, quantity, unit_cents): &_| Line {
        category,
        quantity,
        unit_cents,
    };
    Arc::new(Order {
        id: "lisbon-1".into(),
        shop: "lisbon",
        user: "ada-1".into(),
        lines: lines.iter().map(line).collect(),
    })
}

fn event(order: &Arc<Order>, fact: Fact) -> Event {
    Event {
        subject: format!("orders.lisbon.{}", fact.name()),
        payload: b"never looked at".to_vec(),
        order: Arc::clone(order),
        fact,
        malformed: None,
    }
}

fn refund(number: u32, pieces: &[u64]) -> Fact {
    Fact::Refunded {
        number,
        pieces: pieces.to_vec(),
    }
}

fn cents(expected: &Expected) -> Vec<(&str, i64)> {
    expected
        .entries
        .iter()
        .map(|(id, entry)| (id.as_str(), entry.cents))
        .collect()
}

#[test]
fn the_sum_of_the_lines_is_rounded_once_half_a_cent_up() {
    // 2 x 12.99 at 5 % = 129.9 cents; 1 x 0.99 at 1 % = 0.99 cents; together 130.89.
    let mixed = order(&[("books", 2, 1299), ("grocery", 1, 99)]);
    assert_eq!(
        cents(&Ledger::of([event(&mixed, Fact::Paid)])),
        [("lisbon-1/paid", 131)]
    );
    // 0.10 at 5 % is exactly half a cent.
    let half = order(&[("books", 1, 10)]);
    assert_eq!(
        cents(&Ledger::of([event(&half, Fact::Paid)])),
        [("lisbon-1/paid", 1)]
    );
    // 0.09 at 5 % is 0.45 cents: nothing, so nothing is published.
    let less = order(&[("books", 1, 9)]);
    let expected = Ledger::of([event(&less, Fact::Paid)]);
    assert_eq!((expected.outputs, expected.drops), (0, 1));
}

#[test]
fn an_order_earns_at_most_the_cap_and_unlisted_categories_nothing() {
    let large = order(&[("games", 60, 6999), ("electronics", 1, 149_999)]);
    assert_eq!(
        cents(&Ledger::of([event(&large, Fact::Paid)])),
        [("lisbon-1/paid", 2500)]
    );
    let unlisted = order(&[("vouchers", 3, 10_000)]);
    assert_eq!(Ledger::of([event(&unlisted, Fact::Paid)]).drops, 1);
}

#[test]
fn refunds_in_parts_take_back_what_was_given_and_no_cent_more() {
    // Three pieces of 0.33 at 5 %: 4.95 -> 5, two 3.3 -> 3, one 1.65 -> 2, none 0.
    let order = order(&[("books", 3, 33)]);
    let expected = Ledger::of([
        event(&order, Fact::Placed),
        event(&order, Fact::Paid),
        event(&order, refund(1, &[1])),
        event(&order, refund(2, &[1])),
        event(&order, refund(3, &[1])),
    ]);
    let wanted = [
        ("lisbon-1/paid", 5),
        ("lisbon-1/refund-1", -2),
        ("lisbon-1/refund-2", -1),
        ("lisbon-1/refund-3", -2),
    ];
    assert_eq!(cents(&expected), wanted);
    assert_eq!(expected.users().get("ada-1"), Some(&0));
    assert_eq!(
        (expected.events, expected.outputs, expected.drops),
        (5, 4, 1)
    );
}

#[test]
fn a_refund_above_the_cap_costs_nothing() {
    // Two pieces deserve 100.00, capped to 25.00; one still deserves 50.00, capped as well.
    let order = order(&[("games", 2, 50_000)]);
    let expected = Ledger::of([event(&order, Fact::Paid), event(&order, refund(1, &[1]))]);
    assert_eq!(cents(&expected), [("lisbon-1/paid", 2500)]);
    assert_eq!(expected.drops, 1);
}

#[test]
fn a_repeated_event_is_counted_once_in_money_and_twice_in_messages() {
    let order = order(&[("books", 1, 2000)]);
    let expected = Ledger::of([event(&order, Fact::Paid), event(&order, Fact::Paid)]);
    assert_eq!(cents(&expected), [("lisbon-1/paid", 100)]);
    assert_eq!(expected.outputs, 2);
    assert_eq!(expected.users().get("ada-1"), Some(&100));
}

#[test]
fn a_malformed_refund_changes_the_order_but_publishes_nothing() {
    let order = order(&[("books", 2, 2000)]);
    let mut broken = event(&order, refund(1, &[1]));
    broken.malformed = Some(Malformed::Truncated);
    let expected = Ledger::of([
        event(&order, Fact::Paid),
        broken,
        event(&order, refund(2, &[1])),
    ]);
    assert_eq!(
        cents(&expected),
        [("lisbon-1/paid", 200), ("lisbon-1/refund-2", -100)]
    );
    assert_eq!(expected.dead.len(), 1);
}

#[test]
fn every_event_is_an_output_a_drop_or_a_dead_letter() {
    for seed in 0..5 {
        let expected = Ledger::of(generate(seed, 20_000));
        let settled = expected.outputs + expected.drops + expected.dead.len() as u64;
        assert_eq!((expected.events, settled), (20_000, 20_000), "seed {seed}");
    }
}

#[test]
fn an_evening_has_everything_that_an_evening_has() {
    let events: Vec<Event> = generate(42, 100_000).collect();
    let broken = |kind| {
        events
            .iter()
            .filter(|event| event.malformed == Some(kind))
            .count()
    };
    for kind in crate::malformed::ALL {
        assert!(broken(kind) > 5, "{kind:?} occurs {} times", broken(kind));
    }
    let expected = Ledger::of(events);
    let dead = expected.dead.len();
    assert!(
        (1_000..2_000).contains(&dead),
        "{dead} of 100,000 are malformed"
    );
    let entries = || expected.entries.values();
    assert!(
        entries()
            .filter(|entry| entry.cents == CAP_CENTS as i64)
            .count()
            > 500
    );
    assert!(entries().filter(|entry| entry.cents < 0).count() > 1_000);
    assert!(entries().filter(|entry| entry.copies > 1).count() > 100);
    let most = entries().filter(|entry| entry.user == "ada-0").count();
    assert!(
        most > 200,
        "the first of 5,000 users has {most} of {}",
        expected.entries.len()
    );
}
