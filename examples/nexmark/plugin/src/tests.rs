//! Runs natively, without WebAssembly and without a host: `cargo test`.

use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

fn nexmark(query: &str) -> Nexmark {
    testing::clear_state();
    testing::configured(&json!({ "query": query })).unwrap()
}

/// With the event time that its pipeline takes from the payload.
fn message(kind: &str, key: &str, payload: Value) -> Message {
    let mut message = Message::new(format!("nexmark.{kind}"), payload.to_string());
    message.key = Some(key.to_owned());
    let field = match kind {
        "winning-bids" => "expires",
        _ => "date_time",
    };
    if let Some(text) = payload[field].as_str() {
        let time: jiff::Timestamp = text.parse().unwrap();
        message.event_time = time.as_nanosecond().try_into().unwrap();
    }
    message
}

fn at(second: u64) -> String {
    format!("2015-07-15T00:00:{second:02}.000Z")
}

/// What comes of a message.
fn results(nexmark: &mut Nexmark, message: &Message) -> Vec<Value> {
    values(nexmark.process(message).unwrap())
}

fn values(outputs: Outputs) -> Vec<Value> {
    let outputs = outputs.into_inner().into_iter();
    outputs
        .map(|output| serde_json::from_slice(&output.payload.unwrap()).unwrap())
        .collect()
}

fn person(state: &str) -> Message {
    let payload = json!({ "id": 1000, "name": "kate jones", "city": "kent", "state": state });
    message("person", "1000", payload)
}

fn auction(id: u64, key: &str, category: u64) -> Message {
    let payload = json!({
        "id": id, "date_time": at(10), "expires": at(20), "seller": 1000, "category": category,
    });
    message("auction", key, payload)
}

fn bid(second: u64, bidder: u64, price: u64) -> Message {
    let payload =
        json!({ "auction": 1, "bidder": bidder, "price": price, "date_time": at(second) });
    message("bid", "1", payload)
}

fn won(auction: u64, second: u64, price: u64) -> Message {
    let payload = json!({
        "auction": auction, "category": 10, "seller": 1000, "bidder": 1001, "price": price,
        "date_time": at(1), "expires": at(second),
    });
    message("winning-bids", "1000", payload)
}

#[test]
fn an_auction_and_its_seller_meet_in_any_order() {
    let mut q3 = nexmark("q3");
    let (first, other, last) = (
        auction(1, "1000", 10),
        auction(2, "1000", 11),
        auction(3, "1000", 10),
    );
    assert!(results(&mut q3, &first).is_empty());
    assert!(results(&mut q3, &other).is_empty());
    let sells = |auction| json!({ "name": "kate jones", "city": "kent", "state": "id", "auction": auction });
    assert_eq!(results(&mut q3, &person("id")), [sells(1)]);
    assert_eq!(results(&mut q3, &last), [sells(3)]);
}

#[test]
fn auctions_of_a_seller_in_another_state_do_not_count() {
    let mut q3 = nexmark("q3");
    assert!(results(&mut q3, &auction(1, "1000", 10)).is_empty());
    assert!(results(&mut q3, &person("wa")).is_empty());
    assert!(results(&mut q3, &auction(2, "1000", 10)).is_empty());
}

/// The one timer that is set, and what it publishes.
fn end(nexmark: &mut Nexmark) -> (u64, Vec<Value>) {
    let mut timers = testing::take_timers();
    let timer = timers.pop().unwrap();
    assert!(timers.is_empty());
    let results = values(nexmark.on_timer(&timer).unwrap());
    (timer.at % 60_000_000_000, results)
}

#[test]
fn the_highest_bid_between_begin_and_end_wins_and_the_first_of_equal_ones() {
    let mut winning = nexmark("winning-bids");
    let messages = [
        bid(9, 1, 900),
        bid(12, 2, 500),
        auction(1, "1", 10),
        bid(20, 5, 700),
        bid(11, 4, 600),
        bid(15, 3, 700),
        bid(15, 6, 700),
        bid(21, 7, 900),
    ];
    for message in &messages {
        assert!(results(&mut winning, message).is_empty());
    }
    let (at_end, results) = end(&mut winning);
    assert_eq!(at_end, 20_000_000_001);
    let [won] = results.as_slice() else {
        panic!("{results:?}")
    };
    let expected = json!({
        "auction": 1, "category": 10, "seller": 1000, "bidder": 3, "price": 700,
        "date_time": "2015-07-15T00:00:15Z", "expires": "2015-07-15T00:00:20Z",
    });
    assert_eq!(won, &expected);
}

#[test]
fn bids_wait_for_their_auction_until_the_watermark_has_passed_them() {
    let mut winning = nexmark("winning-bids");
    assert!(results(&mut winning, &bid(15, 1, 900)).is_empty());
    assert!(results(&mut winning, &bid(12, 1, 900)).is_empty());
    let (at_end, forgotten) = end(&mut winning);
    assert_eq!(at_end, 15_000_000_001);
    assert!(forgotten.is_empty());
    assert!(results(&mut winning, &auction(1, "1", 10)).is_empty());
    let (_, without_bids) = end(&mut winning);
    assert!(without_bids.is_empty());
}

#[test]
fn the_average_of_a_category_is_that_of_all_its_winning_bids() {
    let mut q4 = nexmark("q4");
    results(&mut q4, &won(1, 1, 10));
    let average = results(&mut q4, &won(2, 2, 15));
    let expected = json!({ "category": 10, "average": 12.5, "auctions": 2 });
    assert_eq!(average, [expected]);
}

#[test]
fn the_average_of_a_seller_is_that_of_the_ten_auctions_that_ended_last() {
    let mut q6 = nexmark("q6");
    for auction in 1..=10 {
        results(&mut q6, &won(auction, auction + 20, 10));
    }
    let average = |results: Vec<Value>| results[0]["average"].as_f64().unwrap();
    // It ended before all others, and comes last.
    assert_eq!(average(results(&mut q6, &won(11, 1, 1000))), 10.0);
    assert_eq!(average(results(&mut q6, &won(12, 40, 110))), 20.0);
}

#[test]
fn the_bids_of_a_day_are_counted_by_their_price() {
    let mut q17 = nexmark("q17");
    for price in [9_999, 10_000, 999_999] {
        results(&mut q17, &bid(1, 1, price));
    }
    let last = results(&mut q17, &bid(2, 1, 1_000_000));
    let expected = json!({
        "auction": 1, "day": "2015-07-15", "bids": 4, "low": 1, "middle": 2, "high": 1,
        "min": 9_999, "max": 1_000_000, "sum": 2_019_998, "average": 504_999.5,
    });
    assert_eq!(last, [expected]);
    let mut next = bid(2, 1, 5);
    next.event_time += 24 * 60 * 60 * 1_000_000_000;
    assert_eq!(results(&mut q17, &next)[0]["bids"], 1);
}

#[test]
fn another_event_and_another_query_are_refused() {
    let mut q3 = nexmark("q3");
    let error = q3.process(&message("offer", "1", json!({}))).unwrap_err();
    let reason = "`nexmark.offer` is no event of NEXMark";
    assert_eq!(error, Error::reject(reason));
    assert!(testing::configured::<Nexmark>(&json!({ "query": "q5" })).is_err());
}
