use super::*;
use weir_sdk::serde_json::json;
use weir_sdk::testing;

fn order() -> Message {
    let payload = json!({
        "shop": "berlin", "total": 12.5, "count": 3, "paid": true, "note": null,
        "items": [{"price": 9}, {"price": 3.5}],
    });
    let mut message =
        Message::new("orders.berlin.paid", payload.to_string()).with_header("Tenant", "acme");
    message.key = Some("berlin".into());
    message.sequence = 7;
    message
}

fn outcome(when: &str, message: &Message) -> Result<bool, String> {
    let compiled = Expression::compile(when).map_err(|wrong| format!("{wrong:?}"))?;
    compiled.is_true_for(message)
}

#[test]
fn an_expression_sees_the_whole_message() {
    for when in [
        r#"subject.startsWith("orders.") && subject.matches("paid$")"#,
        r#"matches(subject, "^orders\\.[a-z]+\\.")"#,
        r#"payload.items.all(item, string(item.price).matches("^[0-9.]+$"))"#,
        r#"key == "berlin""#,
        r#"headers["Tenant"] == "acme" && !("Other" in headers)"#,
        "payload.total > 10",
        "payload.total > payload.count",
        "payload.count + 1 == 4",
        "payload.paid && payload.note == null",
        "payload.items.exists(item, item.price > 8)",
        "payload.items.map(item, item.price).size() == 2",
        "has(payload.total) && !has(payload.discount)",
        r#"payload.shop in ["berlin", "paris"]"#,
        "sequence == 7 && attempt == 1 && event_time == 0",
        r#"text.contains("berlin")"#,
        "type(payload.count) == int",
    ] {
        assert_eq!(outcome(when, &order()), Ok(true), "{when}");
    }
    assert_eq!(outcome("payload.total > 100", &order()), Ok(false));
    assert_eq!(outcome("key == null", &Message::new("a", "")), Ok(true));
}

#[test]
fn what_is_not_named_is_not_read() {
    let message = Message::new("a.b", b"\xff not JSON".as_slice());
    assert_eq!(outcome(r#"subject == "a.b""#, &message), Ok(true));
    assert_eq!(
        outcome(r#"subject == "x" && payload.x == 1"#, &message),
        Ok(false)
    );
    assert_eq!(
        outcome(r#"subject == "a.b" || payload.x == 1"#, &message),
        Ok(true)
    );
    let error = outcome("payload.x == 1", &message).unwrap_err();
    assert!(error.starts_with("the payload is not JSON: "), "{error}");
    let error = outcome(r#"text == "x""#, &message).unwrap_err();
    assert!(error.starts_with("the payload is not text: "), "{error}");
}

#[test]
fn a_typing_error_is_found_before_any_message() {
    let refusal = |when: &str| {
        let config = json!({ "when": when });
        testing::configured::<Filter>(&config)
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(
        refusal("paylod.total > 10"),
        "/when:1:1: unknown variable `paylod`\n  hint: did you mean `payload`?"
    );
    assert_eq!(
        refusal("subject.beginsWith('x')"),
        "/when:1:9: unknown function `beginsWith`\n  hint: did you mean `text.startsWith(part)`?"
    );
    assert!(refusal("items.exists(item, item > 1)").contains("unknown variable `items`"));
    let error = refusal("subject.matches('(')");
    assert!(
        error.starts_with("/when:1:17: `(` is no regular expression: "),
        "{error}"
    );
    assert_eq!(
        refusal("payload.total >"),
        "/when:1:16: the expression ends too early"
    );
}

#[test]
fn a_message_that_cannot_be_decided_is_handled_as_configured() {
    let outcome = |on_error: Option<&str>| {
        let mut config = json!({ "when": "payload.missing > 10" });
        if let Some(on_error) = on_error {
            config["on-error"] = on_error.into();
        }
        testing::configured::<Filter>(&config)
            .unwrap()
            .process(&order())
    };
    assert_eq!(
        outcome(None),
        Err(Error::reject("there is no field `payload.missing`"))
    );
    assert_eq!(outcome(Some("reject")), outcome(None));
    assert_eq!(outcome(Some("drop")), Ok(Outputs::none()));
    assert_eq!(outcome(Some("keep")), Ok(Outputs::pass()));
}

#[test]
fn an_expression_must_be_true_or_false() {
    let reason = "the expression is neither true nor false, but text";
    assert_eq!(outcome("payload.shop", &order()), Err(reason.to_owned()));
}

#[test]
fn a_kept_message_moves_no_bytes() {
    let config = json!({ "when": "payload.paid" });
    let mut filter: Filter = testing::configured(&config).unwrap();
    assert_eq!(filter.process(&order()), Ok(Outputs::pass()));
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<super::Config>(folder), Ok(()));
}
