use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn config(rules: Value) -> Value {
    json!({ "rules": rules, "hash-key": KEY })
}

fn redacted(config: &Value, payload: &str) -> Result<String, Error> {
    let mut redact: Redact = testing::configured(config).unwrap();
    let outputs = redact
        .process(&Message::new("orders", payload))?
        .into_inner();
    let payload = outputs.into_iter().next().unwrap().payload;
    Ok(payload.map_or("unchanged".into(), |payload| {
        String::from_utf8(payload).unwrap()
    }))
}

fn refusal(config: Value) -> String {
    testing::configured::<Redact>(&config)
        .map(|_| ())
        .unwrap_err()
}

#[test]
fn fields_are_removed_masked_replaced_and_hashed_and_the_rest_stays_as_it_was_written() {
    let rules = config(json!([
        { "fields": ["/customer/phone", "/lines/*/note"], "method": "remove" },
        { "fields": ["/card", "/lines/*/serial"], "method": "mask", "keep": 4 },
        { "fields": ["/customer/name"], "method": "replace", "with": "[name]" },
        { "fields": ["/customer/id"], "method": "hash" },
    ]));
    let payload = r#"{"rate":1.10,"card":4111111111111111,"customer":{"name":"Eve","id":"7","phone":"1"},"lines":[{"serial":"A-123456","note":"x"},{"serial":"äöüß"}]}"#;
    assert_eq!(
        redacted(&rules, payload).unwrap(),
        // `printf 7 | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef`
        r#"{"rate":1.10,"card":"************1111","customer":{"name":"[name]","id":"HASH"},"lines":[{"serial":"****3456"},{"serial":"****"}]}"#
            .replace("HASH", "9657f4db0378a439d0a338d5b736d0ce953e0df354ecdb12c80e9c55adeec454")
    );
    assert_eq!(redacted(&rules, r#"{"card":null}"#).unwrap(), "unchanged");
}

#[test]
fn a_pointer_says_whether_a_dot_is_part_of_a_name() {
    let rules = |field: &str| config(json!([{ "fields": [field], "method": "remove" }]));
    let payload = r#"{"card":{"number":1},"card.number":2}"#;
    assert_eq!(
        redacted(&rules("/card/number"), payload).unwrap(),
        r#"{"card":{},"card.number":2}"#
    );
    assert_eq!(
        redacted(&rules("/card.number"), payload).unwrap(),
        r#"{"card":{"number":1}}"#
    );
}

#[test]
fn a_field_that_is_there_twice_is_redacted_twice_and_an_object_everywhere_inside() {
    let rules = config(json!([{ "fields": ["secret"], "method": "replace", "with": "-" }]));
    assert_eq!(
        redacted(&rules, r#"{"secret":"a","secret":"b"}"#).unwrap(),
        r#"{"secret":"-","secret":"-"}"#
    );
    assert_eq!(
        redacted(&rules, r#"{"secret":{"a":["x",1,true,null,{"b":"y"}]}}"#).unwrap(),
        r#"{"secret":{"a":["-","-","-",null,{"b":"-"}]}}"#
    );
    // Escapes hide nothing.
    assert_eq!(
        redacted(&rules, r#"{"\u0073ecret":"a"}"#).unwrap(),
        r#"{"secret":"-"}"#
    );
}

#[test]
fn a_pattern_is_found_in_every_text_and_number_of_the_payload() {
    let rules = config(json!([
        { "pattern": r"\b\d{12}(\d{4})\b", "method": "mask", "keep": 4 },
        { "pattern": r"[a-z.]+@[a-z.]+\.[a-z]+", "method": "replace", "with": "[email]" },
    ]));
    assert_eq!(
        redacted(
            &rules,
            r#"{"a":["call eve@example.org, or 4111111111111111!"],"n":4111111111111111,"id":7}"#
        )
        .unwrap(),
        r#"{"a":["call [email], or ************1111!"],"n":"************1111","id":7}"#
    );
    let rules = config(json!([{ "fields": ["/a"], "pattern": "[0-9]", "method": "remove" }]));
    assert_eq!(
        redacted(&rules, r#"{"a":"x1y2","b":"x1"}"#).unwrap(),
        r#"{"a":"xy","b":"x1"}"#
    );
}

#[test]
fn text_that_is_not_json_is_searched_for_patterns() {
    let mut rules =
        config(json!([{ "pattern": "user=[^ ]+", "method": "replace", "with": "user=?" }]));
    rules["payload"] = "text".into();
    assert_eq!(
        redacted(&rules, "GET / user=eve ok").unwrap(),
        "GET / user=? ok"
    );
    assert_eq!(redacted(&rules, "GET /").unwrap(), "unchanged");
}

#[test]
fn a_message_that_cannot_be_redacted_never_passes() {
    let mut rules = config(json!([{ "fields": ["/a"], "method": "remove" }]));
    let error = redacted(&rules, "not JSON").unwrap_err();
    assert_eq!(
        error,
        Error::reject("the payload is not JSON: expected ident at line 1 column 2")
    );
    let error = redacted(&rules, &("[".repeat(9) + r#"{"a":"#)).unwrap_err();
    assert!(matches!(error, Error::Reject(_)));
    rules["on-error"] = "drop".into();
    let mut redact: Redact = testing::configured(&rules).unwrap();
    assert_eq!(
        redact.process(&Message::new("a", "not JSON")),
        Ok(Outputs::none())
    );
}

#[test]
fn headers_are_redacted_and_those_that_no_rule_can_see_do_not_pass() {
    let rules = config(json!([
        { "headers": ["authorization"], "method": "remove" },
        { "headers": ["User"], "method": "mask" },
    ]));
    let mut redact: Redact = testing::configured(&rules).unwrap();
    // The payload is not looked at.
    let message = Message::new("a", "not JSON")
        .with_header("Authorization", "secret")
        .with_header("User", "eve")
        .with_header("user", "bob")
        .with_header("Nats-Msg-Id", "1")
        .with_header("Tenant", "acme");
    let expected = Output::pass()
        .header("User", "***")
        .header("user", "***")
        .header("Tenant", "acme");
    assert_eq!(redact.process(&message), Ok(expected.into()));
    // None is left: the output has none, and does not take over those of the input.
    let outputs = redact.process(&Message::new("a", "")).unwrap().into_inner();
    assert_eq!(outputs[0].headers, Some(Vec::new()));
}

#[test]
fn a_mistake_in_the_configuration_is_found_before_any_message() {
    for (rule, error) in [
        (
            json!({ "method": "remove" }),
            ": give `fields`, `headers` or `pattern`",
        ),
        (
            json!({ "fields": ["a"], "headers": ["a"], "method": "remove" }),
            "/headers: give either `fields` or `headers`",
        ),
        (
            json!({ "fields": ["a"], "method": "replace" }),
            "/method: `replace` needs the text, in `with`",
        ),
        (
            json!({ "fields": ["a"], "method": "hash", "keep": 3 }),
            "/keep: it is for `mask`",
        ),
        (
            json!({ "pattern": "x*", "method": "remove" }),
            "/pattern: `x*` matches where nothing is",
        ),
        (
            json!({ "fields": ["card.number"], "method": "remove" }),
            "/fields/0: `card.number` has a dot: write `/card/number`",
        ),
        (
            json!({ "fields": [], "method": "remove" }),
            "/fields: at least one name is needed",
        ),
        (
            json!({ "headers": ["A B"], "method": "remove" }),
            "/headers/0: the name of a header has no spaces: write `A-B`",
        ),
        (
            json!({ "fields": ["/a~"], "method": "remove" }),
            "/fields/0: `/a~` is no JSON pointer",
        ),
    ] {
        let refusal = refusal(config(json!([rule])));
        assert!(
            refusal.starts_with(&format!("/rules/0{error}")),
            "{refusal}"
        );
    }
    let rules = json!([{ "fields": ["a"], "method": "hash" }]);
    assert!(refusal(json!({ "rules": rules })).contains("needs the key"));
    assert!(refusal(json!({ "rules": rules, "hash-key": "short" })).contains("has 5 bytes"));
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(
        config_schema::check::<crate::config::Config>(folder),
        Ok(())
    );
}
