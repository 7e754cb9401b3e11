//! The figures against plain arithmetic.

mod digits;
mod kept;
mod refused;
mod shorter;

use super::{Aggregate, Groups};
use serde_json::{Value, json};
use weir_sdk::{Accumulator, Aggregator, Error, Message, Pane, testing};

fn aggregate(config: Value) -> Aggregate {
    testing::aggregator(&config).unwrap()
}

fn refusal(config: Value) -> String {
    testing::aggregator::<Aggregate>(&config).err().unwrap()
}

fn message(number: usize, payload: &Value) -> Message {
    let mut message = Message::new("orders", payload.to_string());
    message.sequence = number as u64 + 1;
    message.event_time = 1_000 + number as u64;
    message
}

/// The accumulator as the host keeps it between two calls.
fn kept(groups: Groups) -> Groups {
    Groups::read(groups.write().unwrap()).unwrap()
}

/// Numbers that are the same for a seed (SplitMix64).
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn emitted(aggregate: &Aggregate, groups: Groups) -> Vec<Value> {
    let pane = Pane::new("k", 0..60);
    let outputs = aggregate.emit(&pane, groups).unwrap().into_inner();
    let payload =
        |output: weir_sdk::Output| serde_json::from_slice(&output.payload.unwrap()).unwrap();
    outputs.into_iter().map(payload).collect()
}

/// What comes of messages that are added one by one; and divided in all ways in two, and merged.
fn results(config: Value, payloads: &[Value]) -> Vec<Value> {
    let aggregate = aggregate(config);
    let added = |range: std::ops::Range<usize>| {
        let mut groups = Groups::default();
        for number in range {
            groups = kept(groups);
            aggregate
                .add(&mut groups, &message(number, &payloads[number]))
                .unwrap();
        }
        groups
    };
    let whole = emitted(&aggregate, added(0..payloads.len()));
    for cut in 0..=payloads.len() {
        let [left, right] = [added(0..cut), added(cut..payloads.len())];
        let merged = aggregate.merge(kept(left), kept(right)).unwrap();
        assert_eq!(emitted(&aggregate, merged), whole, "cut at {cut}");
    }
    whole
}

#[test]
fn every_figure_is_that_of_plain_arithmetic_however_the_messages_are_divided() {
    let payloads: Vec<Value> = [(5, "a"), (1, "b"), (4, "a"), (2, "c"), (8, "a")]
        .map(|(number, text)| json!({ "n": number, "t": text }))
        .into();
    let config = json!({ "results": {
        "count": "count", "sum": { "sum": "/n" }, "average": { "average": "/n" },
        "min": { "min": "/n" }, "max": { "max": "/n" }, "least": { "min": "/t" }, "most": { "max": "/t" },
        "variance": { "variance": "/n" }, "stddev": { "stddev": "/n" },
        "all": { "population-variance": "/n" }, "root": { "population-stddev": "/n" },
        "first": { "first": "/t" }, "last": { "last": "/n" },
        "texts": { "distinct": "/t" }, "about": { "distinct-estimated": "/t" },
        "top": { "top": "/t", "most": 2 }, "quantiles": { "quantiles": "/n", "ranks": [0.0, 0.5, 1.0] },
    }});
    assert_eq!(
        results(config, &payloads),
        [json!({
            "count": 5, "sum": 20, "average": 4, "min": 1, "max": 8, "least": "a", "most": "c",
            // 110 / 5 - 16 = 6, times 5 / 4.
            "variance": 7.5, "stddev": 7.5_f64.sqrt(), "all": 6, "root": 6.0_f64.sqrt(),
            "first": "a", "last": 8, "texts": 3, "about": 3,
            "top": [{ "value": "a", "count": 3 }, { "value": "b", "count": 1 }],
            "quantiles": { "0": 1.0, "0.5": 4.0, "1": 8.0 },
        })]
    );
}

#[test]
fn cents_add_up_exactly_and_whole_numbers_of_64_bits_stay_whole() {
    let payloads: Vec<Value> = (0..10)
        .map(|_| json!({ "price": 0.1, "large": u64::MAX / 20 }))
        .collect();
    let config =
        json!({ "results": { "price": { "sum": "/price" }, "large": { "sum": "/large" } } });
    let expected = json!({ "price": 1, "large": u64::MAX / 20 * 10 });
    assert_eq!(results(config, &payloads), [expected]);
    let exact = [json!({ "n": 0.036205589035568364 })];
    let config =
        json!({ "results": { "first": { "first": "/n" }, "average": { "average": "/n" } } });
    let expected = json!({ "first": 0.036205589035568364, "average": 0.036205589035568364 });
    assert_eq!(results(config, &exact), [expected]);
    let far = [
        json!({ "n": 1e300 }),
        json!({ "n": 1 }),
        json!({ "n": -1e300 }),
    ];
    assert_eq!(
        results(json!({ "results": { "n": { "sum": "/n" } } }), &far),
        [json!({ "n": 1 })]
    );
}

#[test]
fn an_average_is_the_double_that_is_nearest_to_the_quotient() {
    for count in [3_u32, 7, 9, 11, 13] {
        for sum in 1000..1100_u32 {
            let mut payloads = vec![json!({ "n": 0 }); count as usize - 1];
            payloads.push(json!({ "n": sum }));
            let config = json!({ "results": { "average": { "average": "/n" } } });
            let average = results(config, &payloads)[0]["average"].as_f64();
            // The division of two doubles is rounded once.
            assert_eq!(
                average,
                Some(f64::from(sum) / f64::from(count)),
                "{sum} / {count}"
            );
        }
    }
}

#[test]
fn what_is_missing_counts_for_nothing_and_nothing_at_all_is_null() {
    let payloads = [
        json!({ "n": 3 }),
        json!({ "n": null }),
        json!({ "other": 1 }),
    ];
    let config = json!({ "results": {
        "all": "count", "with": { "count": "/n" }, "sum": { "sum": "/n" }, "none": { "sum": "/x" },
        "average": { "average": "/x" }, "min": { "min": "/x" }, "last": { "last": "/x" },
        "variance": { "variance": "/n" }, "distinct": { "distinct": "/x" },
        "quantiles": { "quantiles": "/x", "ranks": [0.5] }, "top": { "top": "/x", "most": 3 },
    }});
    assert_eq!(
        results(config, &payloads),
        [json!({
            "all": 3, "with": 1, "sum": 3, "none": null, "average": null, "min": null, "last": null,
            "variance": null, "distinct": 0, "quantiles": { "0.5": null }, "top": [],
        })]
    );
}

#[test]
fn a_window_without_anything_new_has_figures_of_nothing() {
    let aggregate = aggregate(json!({ "results": { "n": "count", "sum": { "sum": "/n" } } }));
    let expected = json!({ "n": 0, "sum": null });
    assert_eq!(emitted(&aggregate, Groups::default()), [expected]);
}

#[test]
fn messages_are_told_apart_by_the_fields_under_by() {
    let payloads = [("de", 1), ("fr", 2), ("de", 4)]
        .map(|(country, n)| json!({ "at": { "country": country }, "n": n }));
    let config = json!({ "by": { "country": "/at/country" }, "results": { "n": { "sum": "/n" } } });
    let expected = [
        json!({ "country": "de", "n": 5 }),
        json!({ "country": "fr", "n": 2 }),
    ];
    assert_eq!(results(config, &payloads), expected);
}

#[test]
fn messages_are_listed_in_the_order_of_event_time_and_ranked_by_a_number() {
    let payloads =
        [(5, "a"), (1, "b"), (5, "c"), (2, "d")].map(|(n, id)| json!({ "n": n, "id": id }));
    let config = json!({ "results": {
        "ids": { "list": "/id", "most": 3 },
        "best": { "highest": "/n", "show": "/id", "most": 3 },
        "least": { "lowest": "/n", "most": 1 },
        "named": { "list": "/n", "show": { "who": "/id", "none": "/x" }, "most": 1 },
        "ranked": { "lowest": "/n", "show": "/id", "most": 2, "rank": "place" },
    }});
    assert_eq!(
        results(config, &payloads),
        [json!({
            "ids": ["a", "b", "c"], "best": ["a", "c", "d"], "least": [{ "n": 1, "id": "b" }],
            "named": [{ "who": "a", "none": null }],
            "ranked": [{ "value": "b", "place": 1 }, { "value": "d", "place": 2 }],
        })]
    );
}

#[test]
fn those_that_are_equal_to_the_last_are_shown_too_where_ties_are_kept() {
    let payloads = [(5, "a"), (1, "b"), (5, "c"), (2, "d"), (5, "e")]
        .map(|(n, id)| json!({ "n": n, "id": id }));
    let best = |more: Value| {
        let mut best = json!({ "highest": "/n", "show": "/id" });
        best.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let found = results(json!({ "results": { "best": best } }), &payloads);
        found[0]["best"].clone()
    };
    assert_eq!(
        best(json!({ "most": 1, "ties": "keep" })),
        json!(["a", "c", "e"])
    );
    assert_eq!(
        best(json!({ "most": 4, "ties": "keep" })),
        json!(["a", "c", "e", "d"])
    );
    assert_eq!(best(json!({ "most": 2, "ties": "cut" })), json!(["a", "c"]));
}

#[test]
fn only_the_groups_with_the_greatest_figures_have_a_result() {
    let payloads = [("a", 1), ("b", 1), ("a", 1), ("c", 1), ("b", 1), ("d", 0)]
        .map(|(shop, n)| json!({ "shop": shop, "n": (n > 0).then_some(n) }));
    let shops = |only: Value| {
        let config = json!({
            "by": { "shop": "/shop" }, "results": { "n": "count", "sum": { "sum": "/n" } }, "only": only,
        });
        let found = results(config, &payloads).into_iter();
        let shops = found.map(|result| result["shop"].as_str().unwrap().to_owned());
        shops.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shops(json!({ "highest": "n" })), "a");
    assert_eq!(shops(json!({ "highest": "n", "ties": "keep" })), "a b");
    assert_eq!(
        shops(json!({ "highest": "n", "most": 3, "ties": "keep" })),
        "a b c d"
    );
    assert_eq!(
        shops(json!({ "highest": ["n", "shop"], "most": 3 })),
        "b a d"
    );
    assert_eq!(shops(json!({ "lowest": ["n", "shop"], "most": 1 })), "c");
    let ranked = |only: Value| {
        let config =
            json!({ "by": { "shop": "/shop" }, "results": { "n": "count" }, "only": only });
        let found = results(config, &payloads).into_iter();
        let ranked = found.map(|it| format!("{}{}", it["shop"].as_str().unwrap(), it["place"]));
        ranked.collect::<Vec<_>>().join(" ")
    };
    let place = |ties| json!({ "highest": "n", "most": 4, "rank": "place", "ties": ties });
    assert_eq!(ranked(place("keep")), "a1 b1 c3 d3");
    assert_eq!(ranked(place("cut")), "a1 b2 c3 d4");
    // What is null is neither high nor low.
    assert_eq!(shops(json!({ "highest": "sum", "most": 3 })), "a b c");
    assert_eq!(shops(json!({ "lowest": "sum" })), "c");
}

#[test]
fn a_result_says_when_its_window_begins_and_ends() {
    let config = json!({ "results": { "n": "count", "from": "window-start", "to": "window-end" } });
    let aggregate = aggregate(config);
    let pane = Pane::new("k", -1_500_000_000..60_000_000_000);
    let outputs = aggregate
        .emit(&pane, Groups::default())
        .unwrap()
        .into_inner();
    let result: Value = serde_json::from_slice(outputs[0].payload.as_ref().unwrap()).unwrap();
    let expected =
        json!({ "n": 0, "from": "1969-12-31T23:59:58.5Z", "to": "1970-01-01T00:01:00Z" });
    assert_eq!(result, expected);
}

#[test]
fn a_result_says_when_its_first_and_last_message_were_and_how_far_apart() {
    let config =
        json!({ "results": { "from": "first-time", "to": "last-time", "seconds": "duration" } });
    let payloads: Vec<Value> = (0..4).map(|_| json!({})).collect();
    // A nanosecond apart: see `message`.
    let expected = json!({
        "from": "1970-01-01T00:00:00.000001Z", "to": "1970-01-01T00:00:00.000001003Z", "seconds": 3e-9,
    });
    assert_eq!(results(config.clone(), &payloads), [expected]);
    let none = json!({ "from": null, "to": null, "seconds": null });
    assert_eq!(results(config, &[]), [none]);
}

#[test]
fn a_group_more_than_there_may_be_is_refused_and_those_that_are_there_go_on() {
    let aggregate =
        aggregate(json!({ "by": { "n": "/n" }, "max-groups": 2, "results": { "all": "count" } }));
    let mut groups = Groups::default();
    let mut add = |n| aggregate.add(&mut groups, &message(0, &json!({ "n": n })));
    assert_eq!((add(1), add(2), add(1)), (Ok(()), Ok(()), Ok(())));
    let reason = "the window has 2 groups, which is all that `max-groups` allows";
    assert_eq!(add(3), Err(Error::reject(reason)));
}

#[test]
fn figures_that_were_changed_begin_anew_and_the_others_go_on() {
    let before = aggregate(json!({ "by": { "shop": "/shop" }, "results": {
        "a": { "sum": "/n" }, "b": { "sum": "/m" }, "c": "count",
    }}));
    let mut groups = Groups::default();
    let payload = json!({ "n": 2, "m": 100, "shop": "x" });
    before.add(&mut groups, &message(0, &payload)).unwrap();
    // `a` has another name, `b` another field, `c` is gone, and `d` is new.
    let after = aggregate(json!({ "by": { "shop": "/shop" }, "results": {
        "z": { "sum": "/n" }, "b": { "sum": "/n" }, "d": { "max": "/m" },
    }}));
    let mut groups = kept(groups);
    after.add(&mut groups, &message(1, &payload)).unwrap();
    let expected = json!({ "shop": "x", "z": 2, "b": 2, "d": 100 });
    assert_eq!(emitted(&after, kept(groups)), [expected]);
}

#[test]
fn what_is_no_number_is_refused_with_the_name_of_the_figure_and_the_field() {
    let aggregate =
        aggregate(json!({ "results": { "total": { "sum": "/n" }, "least": { "min": "/m" } } }));
    let refused = |payload| {
        aggregate
            .add(&mut Groups::default(), &message(0, &payload))
            .err()
    };
    let reason = |text: &str| Some(Error::reject(text));
    assert_eq!(
        refused(json!({ "n": "7" })),
        reason("`total`: /n is not a number")
    );
    assert_eq!(
        refused(json!({ "m": [1] })),
        reason("`least`: /m is not a number")
    );
    assert_eq!(refused(json!({ "m": "text", "n": 7 })), None);
}

#[test]
fn estimates_are_within_their_errors() {
    let aggregate = aggregate(json!({ "results": {
        "distinct": { "distinct-estimated": "/n" }, "quantiles": { "quantiles": "/n", "ranks": [0.01, 0.5, 0.99] },
        "top": { "top": "/often", "most": 1 },
    }}));
    let mut halves = [Groups::default(), Groups::default()];
    for number in 0..20_000_usize {
        let often = if number % 10 == 0 { 0 } else { number };
        let payload = json!({ "n": number, "often": often });
        aggregate
            .add(&mut halves[number % 2], &message(number, &payload))
            .unwrap();
    }
    let [left, right] = halves.map(kept);
    let result = emitted(&aggregate, aggregate.merge(left, right).unwrap()).remove(0);
    let distinct = result["distinct"].as_f64().unwrap();
    assert!(
        (distinct - 20_000.0).abs() < 3.0 * 0.016 * 20_000.0,
        "{distinct}"
    );
    for (rank, expected) in [("0.01", 200.0), ("0.5", 10_000.0), ("0.99", 19_800.0)] {
        let found = result["quantiles"][rank].as_f64().unwrap();
        assert!((found - expected).abs() < 200.0, "{rank}: {found}");
    }
    let top = &result["top"][0];
    assert_eq!(top["value"], 0, "{top}");
    assert!(top["count"].as_u64().unwrap() >= 2_000, "{top}");
}
