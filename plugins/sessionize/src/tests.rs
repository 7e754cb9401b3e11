//! What a session says, and what a configuration refuses.

use super::*;
use serde_json::{Value, json};
use weir_sdk::{Accumulator, testing};

/// A message at this second.
fn message(second: u64, payload: &Value) -> Message {
    let mut message = Message::new("pages", payload.to_string());
    message.sequence = second + 1;
    message.event_time = second * 1_000_000_000 + 500_000_000;
    message
}

/// The accumulator as the host keeps it between two calls.
fn kept(groups: &Groups) -> Groups {
    Groups::read(groups.clone().write().unwrap()).unwrap()
}

fn emitted(sessionize: &Sessionize, groups: Groups) -> Value {
    let outputs = sessionize.emit(&Pane::new("k", 0..60), groups).unwrap();
    let outputs = outputs.into_inner();
    assert_eq!(outputs.len(), 1);
    serde_json::from_slice(outputs[0].payload.as_ref().unwrap()).unwrap()
}

/// The result of a session with these pages, which come out of order; it does not depend on how they are divided.
fn session(config: Value) -> Value {
    let pages = [(7, "cart"), (3, "home"), (90, "paid"), (8, "pay")];
    let sessionize: Sessionize = testing::aggregator(&config).unwrap();
    let added = |some: &[(u64, &str)]| {
        let mut groups = Groups::default();
        for (second, page) in some {
            groups = kept(&groups);
            let payload = json!({ "page": page, "second": second });
            sessionize
                .add(&mut groups, &message(*second, &payload))
                .unwrap();
        }
        groups
    };
    let whole = emitted(&sessionize, added(&pages));
    for cut in 0..=pages.len() {
        let (left, right) = pages.split_at(cut);
        let (left, right) = (kept(&added(left)), kept(&added(right)));
        let merged = sessionize.merge(left, right).unwrap();
        assert_eq!(emitted(&sessionize, merged), whole, "cut at {cut}");
    }
    whole
}

#[test]
fn a_session_says_when_it_was_how_long_it_took_and_how_many_messages_it_has() {
    let expected = json!({
        "start": "1970-01-01T00:00:03.5Z", "end": "1970-01-01T00:01:30.5Z", "duration": 87, "count": 4,
    });
    assert_eq!(session(json!({})), expected);
    assert_eq!(session(json!(null)), expected);
}

#[test]
fn it_shows_fields_of_the_first_and_the_last_message_by_event_time() {
    let config =
        json!({ "first": { "landing": "/page" }, "last": { "exit": "/page", "left": "/second" } });
    let result = session(config);
    let shown = ["landing", "exit", "left"].map(|name| result[name].clone());
    assert_eq!(shown, [json!("home"), json!("paid"), json!(90)]);
}

#[test]
fn it_lists_no_more_than_the_first_messages_or_fields_of_them() {
    let events = |events: Value| session(json!({ "events": events }))["events"].clone();
    let whole = json!([{ "page": "home", "second": 3 }, { "page": "cart", "second": 7 }]);
    assert_eq!(events(json!({ "most": 2 })), whole);
    let pages = json!(["home", "cart", "pay"]);
    assert_eq!(events(json!({ "most": 3, "show": "/page" })), pages);
    let named = json!([{ "at": "home", "none": null }]);
    let show = json!({ "at": "/page", "none": "/none" });
    assert_eq!(events(json!({ "most": 1, "show": show })), named);
}

#[test]
fn a_configuration_that_says_too_much_is_refused_with_what_there_is() {
    for (config, expected) in [
        (
            json!({ "first": { "a": "page" } }),
            "/first/a: `page` is no JSON pointer: write `/page`",
        ),
        (
            json!({ "last": { "count": "/page" } }),
            "two things in a result are called `count`",
        ),
        (
            json!({ "first": { "a": "/b" }, "last": { "a": "/b" } }),
            "called `a`",
        ),
        (json!({ "events": {} }), "missing field `most`"),
        (
            json!({ "events": { "most": 0 } }),
            "/events/most: 0 is no whole number",
        ),
        (
            json!({ "events": { "most": 1, "show": "page" } }),
            "/events/show: `page` is no JSON pointer: write `/page`",
        ),
        (json!({ "gap": "30m" }), "unknown field `gap`"),
    ] {
        let refused = testing::aggregator::<Sessionize>(&config).err().unwrap();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<super::Config>(folder), Ok(()));
}
