//! The oracle against rows that others have computed: `tests/golden/nexmark`.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use crate::rows::{differences, of_text};
use crate::{Bid, Event, QUERIES, Time, golden};
use std::collections::BTreeMap;

#[test]
fn the_rows_of_each_query_are_those_that_others_have_computed() {
    let events = golden::events().unwrap();
    let mut compared = 0;
    for query in &QUERIES {
        let Some(text) = golden::rows(query) else {
            continue;
        };
        compared += 1;
        let count = |rows: Vec<Vec<String>>| {
            let mut counts = BTreeMap::<_, u64>::new();
            for row in rows {
                *counts.entry(row).or_default() += 1;
            }
            counts
        };
        let expected = of_text(query, &text).unwrap();
        let mut found = (query.rows)(&events);
        for row in &mut found {
            row.truncate(query.columns.len());
        }
        assert_eq!(count(found), count(expected), "{}", query.name);
        assert!(!differences(query, &(query.rows)(&events), &[]).is_empty());
    }
    assert_eq!(compared, 13);
}

/// A bid of this bidder at this time, in milliseconds.
fn bid(bidder: u64, time: u64) -> Event {
    Event::Bid(Bid {
        auction: 1,
        bidder,
        price: 1,
        channel: String::new(),
        url: String::new(),
        date_time: Time(time),
        extra: String::new(),
    })
}

#[test]
fn a_session_ends_ten_seconds_after_its_last_bid_and_one_at_that_time_opens_another() {
    let events = [
        (1, 15_000),
        (1, 5_001),
        (2, 6_000),
        (1, 25_000),
        (1, 34_999),
    ];
    let events = events.map(|(bidder, time)| bid(bidder, time));
    let row = |bidder: &str, bids: &str, start: u64, end: u64| {
        let [start, end] = [Time(start), Time(end)].map(|time| time.to_string());
        vec![bidder.to_owned(), bids.to_owned(), start, end]
    };
    let expected = [
        row("1", "2", 5_001, 25_000),
        row("1", "2", 25_000, 44_999),
        row("2", "1", 6_000, 16_000),
    ];
    assert_eq!(super::q11(&events), expected);
    let windows = [
        row("1", "1", 0, 10_000),
        row("1", "1", 10_000, 20_000),
        row("1", "1", 20_000, 30_000),
        row("1", "1", 30_000, 40_000),
        row("2", "1", 0, 10_000),
    ];
    assert_eq!(super::q12(&events), windows);
}
