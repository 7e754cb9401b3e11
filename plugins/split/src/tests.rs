use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

const ORDER: &str = r#"{"id":9007199254740993,"shop":{"city":"berlin"},"lines":[{"sku":"a","cents":1.10},{"sku":"b"}],"tags":["x",7],"none":[],"text":"t"}"#;

fn split(config: &Value, payload: &str) -> Result<Outputs, Error> {
    let mut split: Split = testing::configured(config).unwrap();
    split.process(&Message::new("orders", payload).with_header("Tenant", "acme"))
}

fn payloads(outcome: Result<Outputs, Error>) -> Vec<String> {
    let outputs = outcome.unwrap().into_inner();
    let payloads = outputs.into_iter().map(|output| output.payload.unwrap());
    payloads
        .map(|payload| String::from_utf8(payload).unwrap())
        .collect()
}

#[test]
fn each_element_becomes_a_message_as_it_was_written() {
    assert_eq!(
        payloads(split(&json!({ "at": "/lines" }), ORDER)),
        [r#"{"sku":"a","cents":1.10}"#, r#"{"sku":"b"}"#]
    );
    assert_eq!(
        payloads(split(&json!({ "at": "" }), "[1, [2]]")),
        ["1", "[2]"]
    );
}

#[test]
fn parts_carry_fields_of_the_whole() {
    let config = json!({ "at": "/lines", "carry": { "order": "/id", "/shop/city": "/shop/city" } });
    assert_eq!(
        payloads(split(&config, ORDER)),
        [
            r#"{"sku":"a","cents":1.10,"shop":{"city":"berlin"},"order":9007199254740993}"#,
            r#"{"sku":"b","shop":{"city":"berlin"},"order":9007199254740993}"#,
        ]
    );
    let config = json!({ "at": "/tags", "into": "tag", "carry": { "order": "id" } });
    assert_eq!(
        payloads(split(&config, ORDER)),
        [
            r#"{"tag":"x","order":9007199254740993}"#,
            r#"{"tag":7,"order":9007199254740993}"#,
        ]
    );
    let config = json!({ "at": "/tags", "carry": { "order": "id" } });
    assert_eq!(
        split(&config, ORDER),
        Err(Error::reject(
            "cannot write /order: there is no place for `order`"
        ))
    );
}

#[test]
fn each_line_becomes_a_message() {
    let lines = json!({ "lines": true });
    assert_eq!(
        payloads(split(&lines, "first\r\n\n second \nlast")),
        ["first", " second ", "last"]
    );
}

#[test]
fn parts_are_numbered_in_a_header() {
    let config = json!({ "at": "/tags", "index-header": "Part" });
    let part = |payload: &str, index: &str| {
        Output::new(payload)
            .header("Tenant", "acme")
            .header("Part", index)
    };
    assert_eq!(
        split(&config, ORDER),
        Ok(vec![part("\"x\"", "0"), part("7", "1")].into())
    );
}

#[test]
fn a_message_without_parts_is_dropped_unless_the_configuration_says_otherwise() {
    let outcome = |on_empty: &str| split(&json!({ "at": "/none", "on-empty": on_empty }), ORDER);
    assert_eq!(split(&json!({ "at": "/none" }), ORDER), Ok(Outputs::none()));
    assert_eq!(outcome("drop"), Ok(Outputs::none()));
    assert_eq!(
        outcome("reject"),
        Err(Error::reject("the message has no part"))
    );
    assert_eq!(outcome("pass"), Ok(Outputs::pass()));
    assert_eq!(
        split(&json!({ "lines": true }), "\n\n"),
        Ok(Outputs::none())
    );
}

#[test]
fn a_message_that_cannot_be_split_is_handled_as_configured() {
    let reason = |config: Value, payload: &str| match split(&config, payload) {
        Err(Error::Reject(reason)) => reason,
        other => panic!("not rejected: {other:?}"),
    };
    for (at, expected) in [
        ("/missing", "there is no field /missing"),
        ("/text", "the field /text is no array"),
        ("", "the payload is no array"),
    ] {
        assert_eq!(reason(json!({ "at": at }), ORDER), expected);
    }
    let carry = json!({ "at": "/lines", "carry": { "a": "/missing" } });
    assert_eq!(reason(carry, ORDER), "there is no field /missing to carry");
    let bounded = "the message has more than 1 parts, which `max-parts` allows";
    assert_eq!(
        reason(json!({ "at": "/tags", "max-parts": 1 }), ORDER),
        bounded
    );
    assert_eq!(
        reason(json!({ "lines": true, "max-parts": 1 }), "a\nb\nc"),
        bounded
    );
    let outcome = |on_error: &str| split(&json!({ "at": "/text", "on-error": on_error }), ORDER);
    assert_eq!(outcome("drop"), Ok(Outputs::none()));
    assert_eq!(outcome("pass"), Ok(Outputs::pass()));
}

#[test]
fn a_mistake_in_the_configuration_is_found_before_any_message() {
    for (config, expected) in [
        (json!({}), "give either `at` or `lines: true`"),
        (
            json!({ "at": "/a", "lines": true }),
            "/lines: give either `at` or `lines: true`",
        ),
        (
            json!({ "at": "a" }),
            "/at: `a` is no JSON pointer: write `/a` for a field",
        ),
        (
            json!({ "lines": true, "into": "a" }),
            "/into: it is for elements, not for `lines`",
        ),
        (
            json!({ "at": "", "max-parts": 0 }),
            "/max-parts: it must be at least 1",
        ),
    ] {
        let refusal = testing::configured::<Split>(&config).map(|_| ());
        assert_eq!(refusal.unwrap_err(), expected);
    }
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<Config>(folder), Ok(()));
}
