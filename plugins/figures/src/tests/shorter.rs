//! Where there is a shorter way than the plain one, it leads to the same.

use super::{Groups, aggregate, random, results};
use crate::groups::Name;
use crate::number::Decimal;
use crate::payload::{Payload, wanted};
use crate::value::compared;
use serde_json::{Number, Value, json};
use weir_sdk::{Aggregator, Error, Message};

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
fn sums_squares_and_what_is_kept_of_them_are_those_of_any_number_of_digits() {
    for round in 0..20_000 {
        let mut seed = round;
        let (mut sum, mut exact) = (Decimal::default(), bigdecimal::BigDecimal::default());
        for _ in 0..4 {
            let text = number(&mut seed).to_string();
            let read = Decimal::read(&text).unwrap();
            let (digits, scale) = read.times(&read).parts();
            let squared = Decimal::of(&digits, scale).unwrap();
            if sum.add(&squared).is_ok() {
                let one: bigdecimal::BigDecimal = text.parse().unwrap();
                exact += &one * &one;
            }
            let (digits, scale) = sum.parts();
            let expected = Decimal::from(exact.clone());
            assert_eq!(sum, expected, "seed {round}: {text}");
            assert_eq!(Decimal::of(&digits, scale), Ok(sum.clone()), "seed {round}");
        }
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
fn a_payload_that_is_no_json_is_refused_where_no_figure_looks() {
    let aggregate = aggregate(json!({ "results": { "n": "count", "sum": { "sum": "/n" } } }));
    let message = Message::new("orders", r#"{"n":1,"other":[1,]}"#);
    let reason = "cannot read the payload as JSON: trailing comma at line 1 column 19";
    let refused = aggregate.add(&mut Groups::default(), &message);
    assert_eq!(refused, Err(Error::reject(reason)));
}
