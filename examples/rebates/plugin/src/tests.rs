//! Runs natively, without WebAssembly and without a host: `cargo test`.

use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

fn rebates() -> Rebates {
    let categories = json!({ "books": "5%", "games": "10%", "grocery": "1%", "music": "7.25%" });
    let config = json!({ "currency": "EUR", "cap": "25.00", "categories": categories });
    testing::configured(&config).unwrap()
}

/// The id and the cents that are published, if anything is.
fn booked(event: &str, payload: &Value) -> Result<Option<(String, i64)>, String> {
    let message = Message::new(format!("orders.lisbon.{event}"), payload.to_string());
    let outputs = rebates().process(&message).map_err(|error| match error {
        Error::Reject(reason) => reason,
        Error::Retry { .. } => panic!("nothing here passes by itself"),
    })?;
    Ok(outputs.into_inner().pop().map(|output| {
        assert_eq!(output.subject.as_deref(), Some("rebates.ada"));
        assert_eq!(output.key.as_deref(), Some("ada"));
        let payload: Value = serde_json::from_slice(&output.payload.unwrap()).unwrap();
        (
            payload["id"].as_str().unwrap().to_owned(),
            payload["cents"].as_i64().unwrap(),
        )
    }))
}

fn order(lines: Value) -> Value {
    json!({ "order": "lisbon-7", "user": "ada", "currency": "EUR", "lines": lines })
}

fn refund(number: u32, quantity: u64, before: u64, now: u64, cents: u64) -> Value {
    let line = json!({
        "category": "books", "quantity": quantity, "unit_cents": cents,
        "refunded_before": before, "refunded": now,
    });
    let mut event = order(json!([line]));
    event["refund"] = number.into();
    event
}

#[test]
fn a_paid_order_earns_its_rebate_rounded_once() {
    // 129.9 + 0.99 cents
    let lines = json!([
        { "category": "books", "quantity": 2, "unit_cents": 1299 },
        { "category": "grocery", "quantity": 1, "unit_cents": 99 },
    ]);
    assert_eq!(
        booked("paid", &order(lines)),
        Ok(Some(("lisbon-7/paid".into(), 131)))
    );
}

#[test]
fn an_order_earns_at_most_the_cap() {
    let lines = json!([{ "category": "games", "quantity": 9, "unit_cents": 50_000 }]);
    assert_eq!(
        booked("paid", &order(lines)),
        Ok(Some(("lisbon-7/paid".into(), 2500)))
    );
}

#[test]
fn nothing_is_published_where_no_money_moves() {
    let lines = json!([{ "category": "vouchers", "quantity": 1, "unit_cents": 5000 }]);
    assert_eq!(booked("paid", &order(lines.clone())), Ok(None));
    assert_eq!(booked("placed", &order(lines)), Ok(None));
    assert_eq!(
        booked("cancelled", &json!({ "order": "lisbon-7", "user": "ada" })),
        Ok(None)
    );
    assert_eq!(
        booked("shipped", &json!({ "order": "lisbon-7", "user": "ada" })),
        Ok(None)
    );
}

#[test]
fn refunds_in_parts_add_up_to_the_rebate() {
    // Three pieces of 0.33 at 5 %: 5, then 3, then 2, then 0 cents.
    let took = |number, before| {
        booked("refunded", &refund(number, 3, before, 1, 33))
            .unwrap()
            .map(|(_, cents)| cents)
    };
    assert_eq!(
        (took(1, 0), took(2, 1), took(3, 2)),
        (Some(-2), Some(-1), Some(-2))
    );
}

#[test]
fn a_malformed_event_is_refused_with_a_reason() {
    let lines = json!([{ "category": "books", "quantity": 1, "unit_cents": 2000 }]);
    let good = order(lines);
    let reason = |event: &str, pointer: &str, value: Value| {
        let mut payload = good.clone();
        *payload.pointer_mut(pointer).unwrap() = value;
        booked(event, &payload).unwrap_err()
    };
    let refused = [
        (
            reason("paid", "/user", json!("ada.1")),
            "`user` is \"ada.1\"",
        ),
        (
            reason("paid", "/currency", json!("XBT")),
            "`currency` is \"XBT\", not `EUR`",
        ),
        (
            reason("paid", "/lines/0/unit_cents", json!(-1299)),
            "`unit_cents`: invalid type: integer `-1299`",
        ),
        (
            reason("placed", "/lines/0/unit_cents", json!(12.99)),
            "a whole number of cents",
        ),
        (
            reason("paid", "/lines/0/quantity", json!("two")),
            "`quantity`: invalid type: string",
        ),
        (reason("paid", "/lines/0/quantity", json!(0)), "at least 1"),
        (reason("paid", "/lines", json!([])), "`lines` is empty"),
        (
            reason("payed", "/lines", json!([])),
            "there is no event `payed`",
        ),
        (
            reason("placed", "/currency", json!("")),
            "`currency` is \"\", not `EUR`",
        ),
        (
            booked("refunded", &refund(2, 3, 2, 2, 33)).unwrap_err(),
            "2 pieces go back of 3",
        ),
        (
            booked("cancelled", &json!({ "order": "lisbon-7" })).unwrap_err(),
            "missing field `user`",
        ),
    ];
    for (reason, part) in refused {
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn a_configuration_that_would_compute_something_else_is_refused() {
    let refusal = |cap: Value, rate: Value| {
        let config = json!({ "currency": "EUR", "cap": cap, "categories": { "books": rate } });
        testing::configured::<Rebates>(&config)
            .err()
            .unwrap_or_default()
    };
    assert!(refusal(json!("25.00"), json!("5")).contains("`categories.books` must be"));
    assert!(refusal(json!("25.00"), json!("101%")).contains("not `101%`"));
    assert!(refusal(json!("twenty"), json!("5%")).contains("`cap` must be"));
    assert!(refusal(json!(25.5), json!("5%")).contains("invalid type: floating point"));
}
