//! What is ranked, and what a configuration refuses.

use super::*;
use serde_json::{Value, json};
use weir_sdk::{Accumulator, testing};

fn message(number: u64, payload: &Value) -> Message {
    let mut message = Message::new("bids", payload.to_string());
    message.sequence = number + 1;
    message.event_time = 1_000 + number;
    message
}

/// The accumulator as the host keeps it between two calls.
fn kept(groups: &Groups) -> Groups {
    Groups::read(groups.clone().write().unwrap()).unwrap()
}

fn emitted(top: &Top, groups: Groups) -> Vec<Value> {
    let outputs = top.emit(&Pane::new("k", 0..60), groups).unwrap();
    let payload = |output: Output| serde_json::from_slice(&output.payload.unwrap()).unwrap();
    outputs.into_inner().into_iter().map(payload).collect()
}

/// The results of these messages, which do not depend on how they are divided.
fn results(config: Value, payloads: &[Value]) -> Vec<Value> {
    let top: Top = testing::aggregator(&config).unwrap();
    let added = |range: std::ops::Range<usize>| {
        let mut groups = Groups::default();
        for number in range {
            groups = kept(&groups);
            let message = message(number as u64, &payloads[number]);
            top.add(&mut groups, &message).unwrap();
        }
        groups
    };
    let whole = emitted(&top, added(0..payloads.len()));
    for cut in 0..=payloads.len() {
        let (left, right) = (added(0..cut), added(cut..payloads.len()));
        let merged = top.merge(kept(&left), kept(&right)).unwrap();
        assert_eq!(emitted(&top, merged), whole, "cut at {cut}");
    }
    whole
}

fn bids() -> Vec<Value> {
    let bids = [("a", 5), ("b", 9), ("c", 5), ("d", 1), ("e", 9), ("f", 5)];
    let bids = bids.map(|(id, price)| json!({ "id": id, "price": price }));
    bids.into()
}

/// The ids and ranks of the results, in their order.
fn places(config: Value) -> String {
    let results = results(config, &bids());
    let place = |it: &Value| format!("{}{}", it["id"].as_str().unwrap(), it["rank"]);
    results.iter().map(place).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_result_is_the_message_with_its_rank_and_of_equal_ones_the_earlier_is_first() {
    let expected = [
        json!({ "id": "b", "price": 9, "rank": 1 }),
        json!({ "id": "e", "price": 9, "rank": 2 }),
        json!({ "id": "a", "price": 5, "rank": 3 }),
    ];
    assert_eq!(
        results(json!({ "by": "/price", "n": 3 }), &bids()),
        expected
    );
    let lowest = json!({ "by": "/price", "n": 3, "order": "lowest", "ties": "cut" });
    assert_eq!(places(lowest), "d1 a2 c3");
}

#[test]
fn where_ties_are_kept_equal_ones_have_one_rank_and_all_of_the_last_are_there() {
    let keep = |n: u64| json!({ "by": "/price", "n": n, "ties": "keep" });
    assert_eq!(places(keep(1)), "b1 e1");
    assert_eq!(places(keep(3)), "b1 e1 a3 c3 f3");
    assert_eq!(places(keep(6)), "b1 e1 a3 c3 f3 d6");
}

#[test]
fn there_is_a_ranking_of_each_group() {
    let payloads = [("x", 1), ("y", 7), ("x", 3), ("y", 2)];
    let payloads = payloads.map(|(shop, n)| json!({ "at": { "shop": shop }, "n": n }));
    let config =
        json!({ "by": "/n", "n": 1, "of": { "shop": "/at/shop" }, "show": { "amount": "/n" } });
    let expected = [
        json!({ "shop": "x", "amount": 3, "rank": 1 }),
        json!({ "shop": "y", "amount": 7, "rank": 1 }),
    ];
    assert_eq!(results(config, &payloads), expected);
}

#[test]
fn a_result_shows_what_is_asked_for_and_its_rank_has_any_name_or_none() {
    let one = |more: Value| {
        let mut config = json!({ "by": "/price", "n": 1 });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        results(config, &bids()).remove(0)
    };
    assert_eq!(
        one(json!({ "show": "/id" })),
        json!({ "value": "b", "rank": 1 })
    );
    let plain = json!({ "show": "/id", "rank": false });
    assert_eq!(one(plain), json!({ "value": "b" }));
    let named = json!({ "show": { "who": "/id", "what": "/none" }, "rank": "place" });
    assert_eq!(one(named), json!({ "who": "b", "what": null, "place": 1 }));
    assert_eq!(
        one(json!({ "rank": false })),
        json!({ "id": "b", "price": 9 })
    );
}

#[test]
fn what_has_no_number_counts_for_nothing_and_what_is_none_is_refused() {
    let top: Top = testing::aggregator(&json!({ "by": "/price", "n": 1 })).unwrap();
    let mut groups = Groups::default();
    top.add(&mut groups, &message(0, &json!({ "price": null })))
        .unwrap();
    assert_eq!(emitted(&top, kept(&groups)), Vec::<Value>::new());
    let refused = top.add(&mut groups, &message(1, &json!({ "price": "9" })));
    let reason = "`by`: /price is not a number";
    assert_eq!(refused, Err(Error::reject(reason)));
    assert_eq!(emitted(&top, Groups::default()), Vec::<Value>::new());
}

#[test]
fn a_configuration_that_says_too_little_or_too_much_is_refused_with_what_there_is() {
    for (more, expected) in [
        (
            json!({ "by": "price" }),
            "/by: `price` is no JSON pointer: write `/price`",
        ),
        (json!({ "by": null }), "no JSON pointer"),
        (json!({ "n": 0 }), "/n: 0 is no whole number"),
        (json!({ "order": "most" }), "expected `highest` or `lowest`"),
        (json!({ "ties": "all" }), "expected `keep` or `cut`"),
        (
            json!({ "show": { "a": "b" } }),
            "/show/a: `b` is no JSON pointer: write `/b`",
        ),
        (
            json!({ "show": "b" }),
            "/show: `b` is no JSON pointer: write `/b`",
        ),
        (json!({ "show": 1 }), "/show: 1 is no JSON pointer"),
        (
            json!({ "of": { "a": "b" } }),
            "/of/a: `b` is no JSON pointer: write `/b`",
        ),
        (
            json!({ "of": { "rank": "/b" } }),
            "two things in a result are called `rank`",
        ),
        (
            json!({ "show": { "rank": "/b" } }),
            "two things in a result are called `rank`",
        ),
        (
            json!({ "of": { "a": "/b" }, "show": { "a": "/b" } }),
            "called `a`",
        ),
        (
            json!({ "rank": 1 }),
            "/rank: it is true, false or a name, not 1",
        ),
        (
            json!({ "max-groups": 0 }),
            "/max-groups: 0 is no whole number",
        ),
        (json!({ "most": 1 }), "unknown field `most`"),
    ] {
        let mut config = json!({ "by": "/price", "n": 3 });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let refused = testing::aggregator::<Top>(&config).err().unwrap();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<super::Config>(folder), Ok(()));
}
