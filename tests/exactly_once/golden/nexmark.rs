//! The cases of NEXMark whose pipelines are no example, and those with windows. The others are in
//! `tests/examples/nexmark.rs`.

use super::{Case, Job, lines, text};
use crate::harness::replaced;
use serde_json::{Value, json};

/// All in one window, which is the year.
const YEAR: &str = "window: { tumbling: 365d }";
/// The auction that an event is about.
const AUCTION: &str = "key: \"{payload:/user}\"\nevent-time: { payload: /timestamp }";
/// All events have one key.
const ALL: &str = "key: \"{subject[0]}\"\nevent-time: { payload: /timestamp }";
/// The same of the results of a job before.
const NEXT: &str = "key: \"{subject[0]}\"\nevent-time: { payload: /start }";
/// The name of each auction, its bids, and the highest of them.
const AUCTIONS: &str = "window: { tumbling: 365d }, config: { results: { id: { first: /id }, item_name: { first: /item_name }, \
                        bids: { count: /price }, highest: { max: /price }, start: window-start } }";

fn rfc_3339(time: &str) -> String {
    time.replace(' ', "T") + "Z"
}

/// Subjects and payloads of some kinds of events, in the order of their times. `user` is whom or what they are about.
fn events(kinds: &[(&str, &str)]) -> Vec<(String, Value)> {
    let of = |(kind, about): &(&str, &str)| {
        let (subject, about) = (format!("in.{kind}"), (*about).to_owned());
        let events = lines(&format!("nexmark/{kind}.jsonl")).into_iter();
        let event = move |mut event: Value| {
            let time = event["date_time"].as_str().unwrap();
            event["timestamp"] = rfc_3339(time).into();
            event["user"] = event[&about].clone();
            (subject.clone(), event)
        };
        events.map(event).collect::<Vec<_>>()
    };
    let mut events: Vec<(String, Value)> = kinds.iter().flat_map(of).collect();
    events.sort_by_key(|(_, event)| event["timestamp"].as_str().unwrap().to_owned());
    events
}

/// Compares the results of these jobs, which the last operator, `jq`, makes texts of, with the rows of a query.
fn holds(query: &str, messages: Vec<(String, Value)>, jobs: &[Job]) {
    let rows = text(&format!("nexmark/{query}.txt"));
    let row = |row: &str| json!({ "query": query, "row": row });
    let case = Case {
        messages,
        jobs,
        expected: rows.lines().map(row).collect(),
        last_of: (query == "q106").then_some("query"),
    };
    case.holds();
}

/// Writes a row: a program of jq whose values are texts.
fn row(query: &str, program: &str) -> String {
    format!("config: {{ query: '{program} | {{ query: \"{query}\", row: . }}' }}")
}

fn bids() -> Vec<(String, Value)> {
    events(&[("bid", "auction")])
}

fn auctions_and_bids() -> Vec<(String, Value)> {
    events(&[("auction", "id"), ("bid", "auction")])
}

#[test]
fn the_auctions_with_most_bids_in_windows_that_overlap() {
    let hot = "window: { hopping: { size: 10s, every: 2s } }, config: { by: { auction: /auction }, \
               results: { bids: count }, only: { highest: bids, ties: keep } }";
    let jobs = [Job {
        more: ALL,
        operators: &[
            ("aggregate", hot),
            ("jq", &row("q5", r#""\(.auction) \(.bids)""#)),
        ],
    }];
    holds("q5", bids(), &jobs);
}

#[test]
fn the_highest_bids_of_each_window() {
    let highest = "window: { tumbling: 10s }, config: { results: { bids: { highest: /price, most: 1, ties: keep } } }";
    let columns = r#".bids[] | "\(.auction) \(.price) \(.bidder) \(.date_time)""#;
    let jobs = [Job {
        more: ALL,
        operators: &[("aggregate", highest), ("jq", &row("q7", columns))],
    }];
    holds("q7", bids(), &jobs);
}

#[test]
fn persons_who_opened_an_auction_in_the_window_in_which_they_registered() {
    let both = "window: { tumbling: 10s }, config: { results: { id: { first: /seller }, name: { first: /name }, \
                start: window-start } }";
    let joined = "config: { when: payload.id != null && payload.name != null }";
    let columns = r#""\(.id) \(.name) \(.start | sub("T"; " ") | rtrimstr("Z"))""#;
    let jobs = [Job {
        more: AUCTION,
        operators: &[
            ("aggregate", both),
            ("filter", joined),
            ("jq", &row("q8", columns)),
        ],
    }];
    holds(
        "q8",
        events(&[("person", "id"), ("auction", "seller")]),
        &jobs,
    );
}

#[test]
fn each_bid_with_its_day_and_its_hour_of_twelve() {
    let columns =
        r#"select(.user != "end") | ((.date_time[11:13] | tonumber) + 11) % 12 + 1 | tostring"#;
    let columns = format!(
        r#". as $bid | {columns} | (if length < 2 then "0" + . else . end) + $bid.date_time[13:16] as $time
        | $bid | "\(.auction) \(.bidder) \(.price) \(.date_time) \(.date_time[:10]) \($time)""#
    )
    .replace('\n', " ");
    let jobs = [Job {
        more: ALL,
        operators: &[("jq", &row("q10", &columns))],
    }];
    holds("q10", bids(), &jobs);
}

#[test]
fn each_auction_with_its_highest_bid_or_none() {
    let named = "config: { when: payload.item_name != null }";
    let columns = r#""\(.id) \(.item_name) \(.highest // "NULL")""#;
    let jobs = [Job {
        more: AUCTION,
        operators: &[
            ("aggregate", AUCTIONS),
            ("filter", named),
            ("jq", &row("q101", columns)),
        ],
    }];
    holds("q101", auctions_and_bids(), &jobs);
}

#[test]
fn auctions_with_at_least_as_many_bids_as_the_average() {
    let with_bids = "config: { when: payload.item_name != null && payload.bids > 0 }";
    let all = format!(
        "{YEAR}, config: {{ results: {{ mean: {{ average: /bids }}, all: {{ list: \"\", most: 100 }} }} }}"
    );
    let columns = r#"(.mean | floor) as $mean | .all[] | select(.bids >= $mean) | "\(.id) \(.item_name) \(.bids)""#;
    let jobs = [
        Job {
            more: AUCTION,
            operators: &[("aggregate", AUCTIONS)],
        },
        Job {
            more: NEXT,
            operators: &[
                ("filter", with_bids),
                ("aggregate", &all),
                ("jq", &row("q102", columns)),
            ],
        },
    ];
    holds("q102", auctions_and_bids(), &jobs);
}

#[test]
fn auctions_with_at_least_twenty_bids() {
    let many = "config: { when: payload.item_name != null && payload.bids >= 20 }";
    let columns = r#""\(.id) \(.item_name)""#;
    let jobs = [Job {
        more: AUCTION,
        operators: &[
            ("aggregate", AUCTIONS),
            ("filter", many),
            ("jq", &row("q103", columns)),
        ],
    }];
    holds("q103", auctions_and_bids(), &jobs);
}

#[test]
fn the_thousand_auctions_with_most_bids() {
    let with_bids = "config: { when: payload.item_name != null && payload.bids > 0 }";
    let most = format!(
        "{YEAR}, config: {{ by: {{ id: /id, item_name: /item_name }}, results: {{ bids: {{ max: /bids }} }}, \
         only: {{ highest: bids, most: 1000 }} }}"
    );
    let columns = r#""\(.id) \(.item_name) \(.bids)""#;
    let jobs = [
        Job {
            more: AUCTION,
            operators: &[("aggregate", AUCTIONS)],
        },
        Job {
            more: NEXT,
            operators: &[
                ("filter", with_bids),
                ("aggregate", &most),
                ("jq", &row("q105", columns)),
            ],
        },
    ];
    holds("q105", auctions_and_bids(), &jobs);
}

/// The least so far is said again with each auction that ends.
#[test]
fn the_least_of_the_winning_bids() {
    let least = "window: { tumbling: 365d, early: { count: 1 } }, config: { results: { least: { min: /price } } }";
    let jobs = [
        Job {
            more: AUCTION,
            operators: &[("nexmark", "config: { query: winning-bids }")],
        },
        Job {
            more: &replaced(NEXT, &[("/start", "/expires")]),
            operators: &[("aggregate", least), ("jq", &row("q106", r#""\(.least)""#))],
        },
    ];
    let mut events = auctions_and_bids();
    for (_, event) in &mut events {
        // The plugin of the example reads RFC 3339.
        event["date_time"] = event["timestamp"].clone();
        if let Some(expires) = event["expires"].as_str() {
            event["expires"] = rfc_3339(expires).into();
        }
    }
    holds("q106", events, &jobs);
}
