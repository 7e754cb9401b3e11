//! Joins against all pairs, whatever the order of arrival; and what the configuration refuses.

use super::config::{Kind, Side};
use super::{Join, kept};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use weir_sdk::{Message, Operator, Stateful, testing, timers};

fn join(kind: &str, after: u64, before: u64) -> Join {
    let mut config = json!({
        "left": { "name": "impression", "subject": "impressions.*" },
        "right": { "name": "click", "subject": "clicks.>" },
        "kind": kind,
    });
    if !["as-of", "table", "table-left"].contains(&kind) {
        config["after"] = json!(format!("{after}ms"));
        config["before"] = json!(format!("{before}ms"));
    }
    testing::configured(&config).unwrap()
}

const MILLISECOND: u64 = 1_000_000;

/// An event: its side, its key, and its time in milliseconds.
type Event = (Side, u8, u64);

fn message((side, key, time): Event, sequence: u64) -> Message {
    let subject = match side {
        Side::Left => "impressions.a",
        Side::Right => "clicks.a.b",
    };
    let mut message = Message::new(subject, json!(sequence).to_string());
    (message.event_time, message.sequence) = (time * MILLISECOND, sequence);
    message.key = Some(key.to_string());
    message
}

/// What comes of events in this order, with a watermark that is behind all that are still to come.
fn joined(mut join: Join, events: &[Event]) -> Vec<(Value, Value)> {
    testing::clear_state();
    let mut results = Vec::new();
    let mut take = |outputs: weir_sdk::Outputs| {
        for output in outputs.into_inner() {
            let result: Value = serde_json::from_slice(&output.payload.unwrap()).unwrap();
            results.push((result["impression"].clone(), result["click"].clone()));
        }
    };
    for (place, event) in events.iter().enumerate() {
        take(join.process(&message(*event, place as u64)).unwrap());
        let rest = events[place + 1..]
            .iter()
            .map(|(.., time)| time * MILLISECOND);
        let watermark = rest.min().unwrap_or(u64::MAX);
        for timer in testing::take_timers() {
            match timer.at <= watermark {
                true => take(join.on_timer(&timer).unwrap()),
                false => timers::set(&timer.key, &timer.tag, timer.clock, timer.at).unwrap(),
            }
        }
    }
    results.sort_by_key(|pair| format!("{pair:?}"));
    results
}

/// By definition: all pairs, and those without one.
fn defined(kind: Kind, after: u64, before: u64, events: &[Event]) -> Vec<(Value, Value)> {
    let of = |side| {
        events
            .iter()
            .enumerate()
            .filter(move |(_, event)| event.0 == side)
    };
    let mut results = Vec::new();
    let mut matched = BTreeSet::new();
    for (left, (_, key, time)) in of(Side::Left) {
        if kind == Kind::AsOf {
            let known = of(Side::Right).filter(|(_, right)| right.1 == *key && right.2 <= *time);
            let latest = known.max_by_key(|(place, right)| (right.2, *place));
            let latest = latest.map_or(Value::Null, |(place, _)| json!(place));
            results.push((json!(left), latest));
            continue;
        }
        for (right, other) in of(Side::Right) {
            let is_near = other.2 <= time + after && other.2 + before >= *time;
            if other.1 == *key && is_near {
                matched.extend([left, right]);
                results.push((json!(left), json!(right)));
            }
        }
    }
    let is_alone = |(place, _): &(usize, &Event)| !matched.contains(place);
    if matches!(kind, Kind::Left | Kind::Full) {
        results.extend(
            of(Side::Left)
                .filter(is_alone)
                .map(|(place, _)| (json!(place), Value::Null)),
        );
    }
    if matches!(kind, Kind::Right | Kind::Full) {
        results.extend(
            of(Side::Right)
                .filter(is_alone)
                .map(|(place, _)| (Value::Null, json!(place))),
        );
    }
    results.sort_by_key(|pair| format!("{pair:?}"));
    results
}

/// Numbers that are the same for a seed (SplitMix64).
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 29)
}

#[test]
fn a_join_is_that_of_all_pairs_whatever_the_order_of_arrival() {
    let kinds = [
        ("inner", Kind::Inner),
        ("left", Kind::Left),
        ("right", Kind::Right),
        ("full", Kind::Full),
        ("as-of", Kind::AsOf),
    ];
    for round in 0..400 {
        let mut seed = round;
        let mut below = |most: u64| random(&mut seed) % most;
        let (after, before, count) = (below(6), below(6), below(14));
        let event = |below: &mut dyn FnMut(u64) -> u64| {
            let side = if below(2) == 0 {
                Side::Left
            } else {
                Side::Right
            };
            (side, below(2) as u8, below(20))
        };
        let events: Vec<Event> = (0..count).map(|_| event(&mut below)).collect();
        for (name, kind) in kinds {
            let found = joined(join(name, after, before), &events);
            let expected = defined(kind, after, before, &events);
            assert_eq!(
                found, expected,
                "seed {round}, {name} {after} {before}: {events:?}"
            );
        }
    }
}

#[test]
fn nothing_is_kept_of_what_can_have_no_match_any_more() {
    let events: Vec<Event> = (0..50).map(|time| (Side::Left, 1, time)).collect();
    joined(join("full", 3, 2), &events);
    assert!(
        kept::between("1", Side::Left, 0, u64::MAX)
            .unwrap()
            .is_empty()
    );
    // As of a time there is one that is known.
    let events: Vec<Event> = (0..50).map(|time| (Side::Right, 1, time)).collect();
    let mut known = join("as-of", 0, 0);
    joined(join("as-of", 0, 0), &events);
    known.process(&message((Side::Left, 1, 60), 99)).unwrap();
    for timer in testing::take_timers() {
        known.on_timer(&timer).unwrap();
    }
    assert_eq!(
        kept::between("1", Side::Right, 0, u64::MAX).unwrap().len(),
        1
    );
}

#[test]
fn more_of_a_key_than_are_read_at_once_are_all_found() {
    testing::clear_state();
    let mut events: Vec<Event> = vec![(Side::Left, 1, 5); 350];
    events.push((Side::Right, 1, 5));
    let found = joined(join("inner", 0, 0), &events);
    assert_eq!(found.len(), 350);
}

#[test]
fn a_message_of_neither_side_and_one_that_is_no_json_are_refused() {
    let mut join = join("inner", 1, 0);
    let mut refused = |subject, payload: &str| {
        let refused = join.process(&Message::new(subject, payload));
        format!("{:?}", refused.err().unwrap())
    };
    assert!(
        refused("orders.a", "1")
            .contains("the message on `orders.a` is of neither side: left is `impressions.*`, and")
    );
    assert!(refused("impressions", "1").contains("of neither side"));
    assert!(refused("clicks.a", "text").contains("JSON"));
}

#[test]
fn a_side_may_be_a_source_of_the_pipeline_whatever_the_subjects() {
    testing::clear_state();
    let config = json!({
        "left": { "name": "order", "source": "orders" }, "right": { "name": "payment", "source": "payments" },
        "after": "1s",
    });
    let mut join: Join = testing::configured(&config).unwrap();
    let mut count = |source: &str| {
        testing::set_source(source);
        join.process(&Message::new("events", "1"))
            .map(|outputs| outputs.into_inner().len())
    };
    assert_eq!((count("orders"), count("payments")), (Ok(0), Ok(1)));
    assert!(count("others").is_err());
}

#[test]
fn a_row_is_joined_with_what_the_table_has_for_its_key_then_whatever_was_there_before() {
    for (kind, is_left) in [("table", false), ("table-left", true)] {
        for round in 0..200 {
            testing::clear_state();
            let mut seed = round;
            let mut join = join(kind, 0, 0);
            let mut table: [Option<u64>; 2] = [None, None];
            for number in 0..20 {
                let key = random(&mut seed) % 2;
                let row = &mut table[key as usize];
                let mut change = |message: Message| {
                    let message = Message {
                        key: Some(key.to_string()),
                        ..message
                    };
                    join.process(&message).map(weir_sdk::Outputs::into_inner)
                };
                let clicked = |value: &str| Message::new("clicks.a", value);
                match random(&mut seed) % 6 {
                    0 => {
                        let removal = [
                            ("KV-Operation", "DEL"),
                            ("kv-operation", "PURGE"),
                            ("Nats-Marker-Reason", "MaxAge"),
                        ];
                        let (name, value) = removal[random(&mut seed) as usize % 3];
                        let removed = change(clicked("").with_header(name, value));
                        assert!(removed.unwrap().is_empty());
                        *row = None;
                    }
                    1 => {
                        let refused = format!("{:?}", change(clicked("no json")).err().unwrap());
                        assert!(refused.contains("JSON"), "{refused}");
                    }
                    2 | 3 => {
                        // From A to B and back to A.
                        let value = random(&mut seed) % 2;
                        assert!(change(clicked(&value.to_string())).unwrap().is_empty());
                        *row = Some(value);
                    }
                    _ => {
                        let message = Message::new("impressions.a", number.to_string());
                        let joined = change(message).unwrap();
                        let joined = joined.iter().map(|output| {
                            let payload = output.payload.as_deref().unwrap();
                            serde_json::from_slice::<Value>(payload).unwrap()
                        });
                        let expected = json!({ "impression": number, "click": *row });
                        let expected = Some(expected).filter(|_| is_left || row.is_some());
                        let found = joined.collect::<Vec<_>>();
                        assert_eq!(found, Vec::from_iter(expected), "seed {round}, {kind}");
                    }
                }
                assert!(testing::take_timers().is_empty());
            }
        }
    }
}

#[test]
fn a_configuration_without_an_interval_or_with_one_name_twice_is_refused() {
    let refusal = |config: Value| testing::configured::<Join>(&config).err().unwrap();
    let with = |more: Value| {
        let mut config = json!({
            "left": { "name": "a", "subject": "a.>" }, "right": { "name": "b", "subject": "b.>" },
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        refusal(config)
    };
    assert!(with(json!({})).contains("how far apart"));
    assert!(with(json!({ "after": "soon" })).contains("/after: `soon` is not a time"));
    for kind in ["as-of", "table", "table-left"] {
        let refused = with(json!({ "after": "1m", "kind": kind }));
        assert!(refused.contains("not for `kind: as-of`"), "{refused}");
    }
    let twice = json!({ "right": { "name": "a", "subject": "b.>" }, "after": "1m" });
    assert!(with(twice).contains("both sides have the name `a`"));
    let nameless = json!({ "right": { "name": "", "subject": "b.>" }, "after": "1m" });
    assert!(with(nameless).contains("/right/name: it cannot be empty"));
    let same = json!({ "right": { "name": "b", "subject": "a.>" }, "after": "1m" });
    assert!(with(same).contains("both sides are `a.>`"));
    let subject = json!({ "right": { "name": "b", "subject": "b..c" }, "after": "1m" });
    assert!(with(subject).contains("`b..c` is no subject"));
    let both = json!({ "right": { "name": "b", "subject": "b", "source": "b" }, "after": "1m" });
    assert!(with(both).contains("/right: it needs either `subject`"));
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(
        config_schema::check::<crate::config::Config>(folder),
        Ok(())
    );
}

#[test]
fn a_payload_that_others_would_refuse_is_refused_when_it_comes_and_its_partners_are_joined() {
    testing::clear_state();
    let mut join = join("inner", 10, 10);
    let mut sent = |side, sequence, payload: &str| {
        let mut message = message((side, 0, 5), sequence);
        message.payload = payload.into();
        let outputs = join.process(&message)?.into_inner().into_iter();
        Ok(outputs
            .map(|output| String::from_utf8(output.payload.unwrap()).unwrap())
            .collect())
    };
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(sent(Side::Left, 1, r#"{"a": 1e400}"#), Ok(vec![]));
    for (refused, why) in [
        (
            r#"{"a": "\ud800"}"#.to_owned(),
            "lone leading surrogate in hex escape at line 1 column 14",
        ),
        (
            nested(127),
            "more than 126 levels of nesting at line 1 column 127",
        ),
        ("[1,]".to_owned(), "trailing comma at line 1 column 4"),
    ] {
        let reason = format!("cannot read the payload as JSON: {why}");
        for side in [Side::Left, Side::Right] {
            assert_eq!(
                sent(side, 2, &refused),
                Err(weir_sdk::Error::reject(&*reason))
            );
        }
    }
    // One level more, and as many as who reads JSON strictly takes.
    let pairs: Vec<String> = sent(Side::Right, 3, &nested(126)).unwrap();
    let expected = format!(r#"{{"click":{},"impression":{{"a": 1e400}}}}"#, nested(126));
    assert_eq!(pairs, std::slice::from_ref(&expected));
    assert!(fields::check(expected.as_bytes(), fields::DEPTH).is_ok());
}

#[test]
fn a_key_that_the_state_does_not_take_is_refused() {
    testing::clear_state();
    for kind in ["inner", "as-of", "table"] {
        let mut message = message((Side::Right, 0, 5), 1);
        message.key = Some("k".repeat(65_537));
        let reason = "the key has 65537 bytes, and a key in the state at most 65536";
        let refused = join(kind, 1, 1).process(&message);
        assert_eq!(refused, Err(weir_sdk::Error::reject(reason)), "{kind}");
    }
}
