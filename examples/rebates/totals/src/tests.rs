//! Runs natively, without WebAssembly and without a host: `cargo test`.

use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

const NOVEMBER: u64 = 1_793_491_200_000_000_000;
const DECEMBER: u64 = 1_796_083_200_000_000_000;

fn totals() -> Totals {
    testing::clear_state();
    testing::configured(&json!({ "monthly-cap-cents": 1000 })).unwrap()
}

/// What is credited for a booking of so many cents, and the total after it.
fn book(totals: &mut Totals, user: &str, event_time: u64, cents: i64) -> (i64, i64) {
    let booking = json!({ "id": "a-1/paid", "user": user, "order": "a-1", "cents": cents });
    let mut message = Message::new("rebates.x", booking.to_string());
    (message.key, message.event_time) = (Some(user.to_owned()), event_time);
    let output = totals
        .process(&message)
        .unwrap()
        .into_inner()
        .pop()
        .unwrap();
    let total: Value = serde_json::from_slice(&output.payload.unwrap()).unwrap();
    assert_eq!(
        (&total["id"], &total["user"]),
        (&json!("a-1/paid"), &json!(user))
    );
    let number = |name: &str| total[name].as_i64().unwrap();
    (number("credited_cents"), number("total_cents"))
}

#[test]
fn bookings_add_up_to_the_cap_and_no_further() {
    let totals = &mut totals();
    assert_eq!(book(totals, "ada", NOVEMBER, 600), (600, 600));
    assert_eq!(book(totals, "ada", NOVEMBER, 600), (400, 1000));
    assert_eq!(book(totals, "ada", NOVEMBER, 5), (0, 1000));
}

#[test]
fn a_refund_is_taken_from_what_is_above_the_cap_first() {
    let totals = &mut totals();
    book(totals, "ada", NOVEMBER, 1300);
    assert_eq!(book(totals, "ada", NOVEMBER, -200), (0, 1000));
    assert_eq!(book(totals, "ada", NOVEMBER, -200), (-100, 900));
    assert_eq!(book(totals, "ada", NOVEMBER, -1000), (-1000, -100));
}

#[test]
fn customers_and_months_are_apart() {
    let totals = &mut totals();
    book(totals, "ada", NOVEMBER, 900);
    assert_eq!(book(totals, "ken", NOVEMBER, 900), (900, 900));
    assert_eq!(book(totals, "ada", DECEMBER - 1, 900), (100, 1000));
    assert_eq!(book(totals, "ada", DECEMBER, 900), (900, 900));
}

#[test]
fn what_is_no_booking_or_too_large_is_refused() {
    let process =
        |payload: Value| totals().process(&Message::new("rebates.x", payload.to_string()));
    assert!(process(json!({ "id": "a" })).is_err());
    let totals = &mut totals();
    book(totals, "ada", NOVEMBER, i64::MAX);
    let booking = json!({ "id": "a", "user": "ada", "cents": 1 });
    let mut message = Message::new("rebates.x", booking.to_string());
    (message.key, message.event_time) = (Some("ada".to_owned()), NOVEMBER);
    let refused = Error::reject("the total of the month is too large");
    assert_eq!(totals.process(&message), Err(refused));
}
