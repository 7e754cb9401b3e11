//! What is kept between two calls: as bytes, and before that as JSON.

use super::{Groups, aggregate, emitted, kept, random};
use serde::Deserialize;
use serde_json::{Value, json};
use weir_sdk::{Accumulator, Aggregator, Error, Message};

/// What the version before the bytes kept of messages, and its results. The messages that it refused are not among them.
#[derive(Deserialize)]
struct Before {
    config: Value,
    messages: Vec<String>,
    kept: String,
    results: Vec<String>,
}

fn before() -> Vec<Before> {
    let lines = include_str!("before.jsonl").lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

impl Before {
    fn aggregate(&self) -> super::Aggregate {
        aggregate(self.config.clone())
    }

    /// What is kept of its messages now.
    fn added(&self, groups: Groups) -> Groups {
        let mut groups = groups;
        for (number, payload) in self.messages.iter().enumerate() {
            let mut message = Message::new("orders", payload.as_str());
            message.sequence = number as u64 + 1;
            message.event_time = 1_000 + number as u64;
            let mut more = groups.clone();
            let added = self.aggregate().add(&mut more, &message);
            if let Ok(bytes) = added.and_then(|()| more.write()) {
                groups = Groups::read(bytes).unwrap();
            }
        }
        groups
    }

    fn emitted(&self, groups: Groups) -> Vec<String> {
        let outputs = self.aggregate().emit(&super::Pane::new("k", 0..60), groups);
        let outputs = outputs.unwrap().into_inner();
        let payload = |output: weir_sdk::Output| String::from_utf8(output.payload.unwrap());
        outputs.into_iter().map(|it| payload(it).unwrap()).collect()
    }

    fn read(&self) -> Groups {
        Groups::read(self.kept.clone().into_bytes()).unwrap()
    }
}

#[test]
fn what_was_kept_as_json_goes_on_as_bytes_with_the_same_results() {
    for (number, before) in before().into_iter().enumerate() {
        let aggregate = before.aggregate();
        let fresh = kept(before.added(Groups::default()));
        assert_eq!(before.emitted(before.read()), before.results, "{number}");
        assert_eq!(before.emitted(fresh.clone()), before.results, "{number}");
        let merged = |left: Groups, right: Groups| {
            let merged = aggregate.merge(left, right).unwrap();
            before.emitted(kept(merged))
        };
        let expected = merged(fresh.clone(), fresh.clone());
        assert_eq!(merged(before.read(), fresh.clone()), expected, "{number}");
        assert_eq!(merged(fresh.clone(), before.read()), expected, "{number}");
        let more = before.emitted(before.added(fresh));
        assert_eq!(
            before.emitted(before.added(before.read())),
            more,
            "{number}"
        );
    }
}

#[test]
fn what_is_kept_is_the_same_bytes_in_whatever_order_messages_came() {
    let config = json!({ "by": { "g": "/g" }, "results": {
        "n": "count", "sum": { "sum": "/n" }, "max": { "max": "/n" }, "spread": { "stddev": "/n" },
        "values": { "distinct": "/n" },
    }});
    let aggregate = aggregate(config);
    for round in 0..200 {
        let mut seed = round;
        let message = |seed: &mut u64| {
            let (group, number) = (random(seed) % 5, random(seed) % 1_000);
            Message::new(
                "a",
                format!(r#"{{"g":{group},"n":{}.{}}}"#, number / 100, number % 100),
            )
        };
        let messages: Vec<Message> = (0..12).map(|_| message(&mut seed)).collect();
        let added = |messages: &[Message]| {
            let mut groups = Groups::default();
            for message in messages {
                aggregate.add(&mut groups, message).unwrap();
            }
            kept(groups)
        };
        let whole = added(&messages).write();
        let (left, right) = messages.split_at((random(&mut seed) % 13) as usize);
        for (one, other) in [(left, right), (right, left)] {
            let merged = aggregate.merge(added(one), added(other)).unwrap();
            assert_eq!(merged.write(), whole, "seed {round}");
            let mut going_on = added(one);
            for message in other {
                aggregate.add(&mut going_on, message).unwrap();
                going_on = kept(going_on);
            }
            assert_eq!(going_on.write(), whole, "seed {round}");
        }
    }
}

#[test]
fn what_a_later_version_has_kept_is_refused_with_its_format() {
    let aggregate = aggregate(json!({ "results": { "n": "count" } }));
    let mut groups = Groups::read(vec![2, 0, 0]).unwrap();
    let refused = aggregate.add(&mut groups, &Message::new("a", "{}"));
    let Err(Error::Reject(why)) = refused else {
        panic!("{refused:?}");
    };
    assert!(why.contains("format 2 of a later version"), "{why}");
}

#[test]
fn what_is_damaged_is_refused_or_read_and_never_ends_the_plugin() {
    for round in 0..40_u64 {
        for before in before() {
            let mut seed = round;
            let mut damaged = |groups: Groups| {
                let mut bytes = groups.write().unwrap();
                for _ in 0..=random(&mut seed) % 3 {
                    let place = random(&mut seed) as usize % (bytes.len() + 1);
                    let byte = random(&mut seed) as u8;
                    match random(&mut seed) % 4 {
                        0 => bytes.truncate(place),
                        1 => bytes.insert(place, byte),
                        2 if place < bytes.len() => drop(bytes.remove(place)),
                        _ if place < bytes.len() => bytes[place] = byte,
                        _ => {}
                    }
                }
                Groups::read(bytes).unwrap()
            };
            let fresh = before.added(Groups::default());
            let aggregate = before.aggregate();
            let (one, other) = (damaged(fresh.clone()), damaged(fresh.clone()));
            for groups in [
                one.clone(),
                before.added(one.clone()),
                damaged(before.read()),
            ] {
                drop(aggregate.emit(&super::Pane::new("k", 0..60), groups));
            }
            for (left, right) in [(one, other.clone()), (other, fresh)] {
                if let Ok(merged) = aggregate.merge(left, right) {
                    drop(aggregate.emit(&super::Pane::new("k", 0..60), merged));
                }
            }
        }
    }
}

#[test]
fn without_figures_and_groups_there_is_a_result_all_the_same() {
    let aggregate = aggregate(json!({ "results": { "end": "window-end" } }));
    let expected = [json!({ "end": "1970-01-01T00:00:00.00000006Z" })];
    assert_eq!(emitted(&aggregate, Groups::default()), expected);
    let mut groups = Groups::default();
    aggregate
        .add(&mut groups, &Message::new("a", "{}"))
        .unwrap();
    assert_eq!(emitted(&aggregate, kept(groups)), expected);
}
