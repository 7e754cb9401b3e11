use super::*;
use weir_sdk::serde_json::{Value, json};
use weir_sdk::testing;

fn dedupe(config: &Value) -> Dedupe {
    testing::clear_state();
    testing::configured(config).unwrap()
}

fn with_payload(payload: &Value) -> Message {
    Message::new("orders.berlin", payload.to_string())
}

fn passes(dedupe: &mut Dedupe, message: &Message) -> bool {
    dedupe.process(message) == Ok(Outputs::pass())
}

fn refusal(config: &Value) -> String {
    testing::configured::<Dedupe>(config).err().unwrap()
}

#[test]
fn of_messages_with_the_same_field_the_first_passes() {
    let mut dedupe = dedupe(&json!({ "by": "/order/id", "within": "1h" }));
    for value in [
        json!("7"),
        json!(7),
        json!(true),
        json!(u64::MAX),
        json!(""),
    ] {
        let first = with_payload(&json!({ "order": { "id": value }, "total": 1 }));
        let again = with_payload(&json!({ "total": 2, "order": { "id": value } }));
        assert_eq!(dedupe.process(&first), Ok(Outputs::pass()), "{value}");
        assert_eq!(dedupe.process(&again), Ok(Outputs::none()), "{value}");
    }
}

#[test]
fn messages_of_other_keys_are_not_the_same() {
    let mut dedupe = dedupe(&json!({ "by": "/id", "within": "1h" }));
    let mut message = with_payload(&json!({ "id": 1 }));
    assert!(passes(&mut dedupe, &message));
    message.key = Some("berlin".into());
    assert!(passes(&mut dedupe, &message));
    assert!(!passes(&mut dedupe, &message));
}

#[test]
fn of_messages_with_the_same_header_the_first_passes() {
    for (by, header) in [("header:Order", "order"), ("message-id", "Nats-Msg-Id")] {
        let mut dedupe = dedupe(&json!({ "by": by, "within": "1h" }));
        let message = |value: &str| Message::new("orders", "").with_header(header, value);
        let passed = ["a", "b", "a", "b", "c"].map(|value| passes(&mut dedupe, &message(value)));
        assert_eq!(passed, [true, true, false, false, true], "{by}");
    }
}

#[test]
fn of_the_same_payloads_the_first_passes_whatever_they_are() {
    let mut dedupe = dedupe(&json!({ "by": "payload", "within": "1h" }));
    for payload in [&b"\xff not JSON"[..], b"", b"{\"a\": 1}", b"{\"a\":1}"] {
        let message = Message::new("orders", payload);
        assert!(passes(&mut dedupe, &message), "{payload:?}");
        assert!(!passes(&mut dedupe, &message), "{payload:?}");
    }
}

#[test]
fn a_message_that_lacks_the_value_is_handled_as_configured() {
    let lacking = [
        (json!({ "ID": 1 }), "there is no field /id"),
        (json!({ "id": null }), "there is no field /id"),
        (
            json!({ "id": 0.1 }),
            "the field /id is neither text nor a whole number of 64 bits",
        ),
        (
            json!({ "id": [1] }),
            "the field /id is neither text nor a whole number of 64 bits",
        ),
    ];
    for (payload, reason) in lacking {
        let message = with_payload(&payload);
        let outcome = |without: Option<&str>| {
            let mut config = json!({ "by": "/id", "within": "1h" });
            if let Some(without) = without {
                config["without"] = without.into();
            }
            let mut dedupe = dedupe(&config);
            assert_eq!(dedupe.process(&message), dedupe.process(&message));
            dedupe.process(&message)
        };
        assert_eq!(outcome(None), Ok(Outputs::pass()));
        assert_eq!(outcome(Some("pass")), Ok(Outputs::pass()));
        assert_eq!(outcome(Some("drop")), Ok(Outputs::none()));
        assert_eq!(outcome(Some("reject")), Err(Error::reject(reason)));
    }
}

#[test]
fn a_reason_names_what_is_missing() {
    let reason = |by: &str| {
        let config = json!({ "by": by, "within": "1h", "without": "reject" });
        match dedupe(&config).process(&Message::new("orders", "not JSON")) {
            Err(Error::Reject(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(reason("/id").starts_with("the payload is not JSON: "));
    assert_eq!(
        reason("message-id"),
        "there is no header nats-msg-id, or `headers:` of the operator does not name it"
    );
}

#[test]
fn a_mistake_is_found_before_any_message() {
    let within = |within: &str| refusal(&json!({ "by": "/id", "within": within }));
    for text in [
        "",
        "1",
        "h",
        "1 hour",
        "-1h",
        "1.5h",
        "99999999999999999999d",
    ] {
        let refusal = within(text);
        assert_eq!(
            refusal,
            format!("/within: `{text}` is not a time; write `500ms`, `30s`, `5m`, `1h` or `7d`")
        );
    }
    assert_eq!(within("0s"), "/within: nothing would be remembered");
    let by = |by: &str| refusal(&json!({ "by": by, "within": "1h" }));
    for (text, field) in [("id", "/id"), ("key", "/key"), ("", "/name")] {
        assert_eq!(
            by(text),
            format!(
                "/by: unknown value `{text}`: write `{field}` for a field, or `header:Name`, \
                 `message-id` or `payload`"
            )
        );
    }
    assert_eq!(by("header:"), "/by: a header needs a name");
    assert_eq!(
        by("/a~b"),
        "/by: `/a~b` is no JSON pointer: write `~0` for `~` and `~1` for `/`"
    );
    assert!(refusal(&json!({ "by": "/id" })).contains("missing field `within`"));
}

#[test]
fn times_are_read_as_people_write_them() {
    let seconds = |seconds| Ok(Duration::from_secs(seconds));
    assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
    assert_eq!(duration("30s"), seconds(30));
    assert_eq!(duration("90 m"), seconds(5400));
    assert_eq!(duration("1h"), seconds(3600));
    assert_eq!(duration("7d"), seconds(7 * 86_400));
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<super::Config>(folder), Ok(()));
}

#[test]
fn a_key_that_the_state_does_not_take_is_refused() {
    let mut dedupe = dedupe(&json!({ "by": "payload", "within": "1h" }));
    let mut message = with_payload(&json!({}));
    message.key = Some("k".repeat(65_537));
    let reason = "the key has 65537 bytes, and a key in the state at most 65536";
    assert_eq!(dedupe.process(&message), Err(Error::reject(reason)));
}

#[test]
fn a_number_out_of_range_in_another_field_is_none_of_its_business() {
    let mut dedupe = dedupe(&json!({ "by": "/id", "within": "1h", "without": "reject" }));
    assert!(passes(
        &mut dedupe,
        &Message::new("a", r#"{"far": 1e400, "id": "\u0061"}"#)
    ));
    assert!(!passes(&mut dedupe, &Message::new("a", r#"{"id": "a"}"#)));
    let refused = dedupe.process(&Message::new("a", r#"{"id": 1e400}"#));
    let reason = "the field /id is neither text nor a whole number of 64 bits";
    assert_eq!(refused, Err(Error::reject(reason)));
}
