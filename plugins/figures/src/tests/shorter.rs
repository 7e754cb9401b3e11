//! Where there is a shorter way than the plain one, it leads to the same.

use super::{Groups, aggregate, emitted, message, results};
use crate::groups::Name;
use crate::number::Decimal;
use crate::payload::{Payload, wanted};
use crate::value::compared;
use serde_json::{Number, Value, json};
use weir_sdk::{Aggregator, Error, Message};

/// Numbers that are the same for a seed (SplitMix64).
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number as payloads have it: whole, with decimals, or any.
fn number(seed: &mut u64) -> Number {
    let bits = random(seed);
    let number = match random(seed) % 6 {
        0 => json!(bits % 10),
        1 => json!(-((bits % 1000) as i64)),
        2 => json!(bits),
        3 => json!((bits % 1000) as f64 / 100.0),
        4 => json!((bits as i64) as f64),
        _ => json!(f64::from_bits(bits)),
    };
    match number {
        Value::Number(number) => number,
        _ => 0.into(),
    }
}

#[test]
fn numbers_are_in_the_order_of_their_texts() {
    for round in 0..20_000 {
        let mut seed = round;
        let [one, other] = [number(&mut seed), number(&mut seed)];
        let exact = |number: &Number| {
            number
                .to_string()
                .parse::<bigdecimal::BigDecimal>()
                .unwrap()
        };
        let expected = exact(&one).cmp(&exact(&other));
        let order = compared(&one.to_string(), &other.to_string());
        assert_eq!(order, expected, "seed {round}: {one} and {other}");
    }
}

#[test]
fn a_whole_number_is_kept_as_the_same_text() {
    for round in 0..20_000 {
        let mut seed = round;
        let number = number(&mut seed);
        let exact = number
            .to_string()
            .parse::<bigdecimal::BigDecimal>()
            .unwrap();
        let text = String::from(Decimal::read(&number.to_string()).unwrap());
        assert_eq!(text, exact.to_string(), "seed {round}");
        let again = Decimal::try_from(text.clone()).map(String::from);
        assert_eq!(again, Ok(text), "seed {round}");
    }
}

#[test]
fn names_are_in_the_order_of_their_bytes() {
    for round in 0..20_000 {
        let mut seed = round;
        let mut name = || {
            let length = random(&mut seed) % 20;
            let letters = (0..length).map(|_| char::from(b'a' + (random(&mut seed) % 2) as u8));
            Name(letters.collect())
        };
        let [one, other] = [name(), name()];
        assert_eq!(
            one.cmp(&other),
            one.0.cmp(&other.0),
            "seed {round}: {one:?} {other:?}"
        );
    }
}

#[test]
fn a_pointer_names_the_same_as_in_the_whole_payload() {
    let object = r#"{"a":[{"b":1}],"a/b":{"m~n":2},"":3,"a":{"c":[4]},"n":null,"x":{}}"#;
    let pointers = [
        "/a",
        "/a/c/0",
        "/a/c/00",
        "/a/b",
        "/a~1b/m~0n",
        "/",
        "/n",
        "/n/x",
        "/x",
        "/none",
        "/0",
        "",
    ];
    let wanted = wanted(pointers.into_iter());
    for payload in [object, "[[1],2]", "7", "null"] {
        let whole: Value = serde_json::from_str(payload).unwrap();
        let read = Payload::read(payload.as_bytes(), &wanted).unwrap();
        for pointer in pointers {
            assert_eq!(
                read.pointer(pointer)
                    .map(|json| serde_json::from_str::<Value>(json).unwrap()),
                whole.pointer(pointer).cloned(),
                "{pointer} of {payload}"
            );
        }
    }
}

#[test]
fn the_highest_are_those_of_all_messages_in_order() {
    for round in 0..200 {
        let mut seed = round;
        let payloads: Vec<Value> = (0..random(&mut seed) % 12)
            .map(|id| json!({ "n": random(&mut seed) % 4, "id": id }))
            .collect();
        let most = usize::try_from(random(&mut seed) % 4 + 1).unwrap();
        let mut sorted: Vec<&Value> = payloads.iter().collect();
        sorted.sort_by_key(|payload| std::cmp::Reverse(payload["n"].as_u64()));
        let is_tied = |(place, payload): &(usize, &&Value)| {
            *place < most || payload["n"] == sorted[most - 1]["n"]
        };
        let with_ties: Vec<Value> = sorted
            .iter()
            .enumerate()
            .take_while(is_tied)
            .map(|(_, payload)| (**payload).clone())
            .collect();
        let cut: Vec<Value> = with_ties.iter().take(most).cloned().collect();
        let config = json!({ "results": {
            "cut": { "highest": "/n", "most": most },
            "keep": { "highest": "/n", "most": most, "ties": "keep" },
        }});
        let expected = json!({ "cut": cut, "keep": with_ties });
        assert_eq!(results(config, &payloads), [expected], "seed {round}");
    }
}

#[test]
fn what_was_kept_before_is_read_and_written_as_it_was() {
    let stored = concat!(
        r#"{"{\"shop\":\"a\"}":{"n \"count\"":{"count":2},"sum {\"sum\":\"/n\"}":{"sum":["3.0",2]},"#,
        r#""z {\"max\":\"/n\"}":{"bound":1.5}},"{\"shop\":null}":{"n \"count\"":{"count":1}}}"#
    );
    let mut groups: Groups = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_string(&groups).unwrap(), stored);
    let aggregate = aggregate(json!({ "by": { "shop": "/shop" }, "results": {
        "n": "count", "sum": { "sum": "/n" }, "z": { "max": "/n" },
    }}));
    let payload = json!({ "shop": "a", "n": 2 });
    aggregate.add(&mut groups, &message(0, &payload)).unwrap();
    let after = stored
        .replacen(r#"{"count":2}"#, r#"{"count":3}"#, 1)
        .replace(r#"["3.0",2]"#, r#"["5.0",3]"#)
        .replace(r#"{"bound":1.5}"#, r#"{"bound":2}"#);
    assert_eq!(serde_json::to_string(&groups).unwrap(), after);
    let expected = [
        json!({ "shop": "a", "n": 3, "sum": 5, "z": 2 }),
        json!({ "shop": null, "n": 1, "sum": null, "z": null }),
    ];
    assert_eq!(emitted(&aggregate, groups), expected);
}

#[test]
fn a_payload_that_is_no_json_is_refused_where_no_figure_looks() {
    let aggregate = aggregate(json!({ "results": { "n": "count", "sum": { "sum": "/n" } } }));
    let message = Message::new("orders", r#"{"n":1,"other":[1,]}"#);
    let reason = "cannot read the payload as JSON: trailing comma at line 1 column 19";
    let refused = aggregate.add(&mut Groups::new(), &message);
    assert_eq!(refused, Err(Error::reject(reason)));
}
