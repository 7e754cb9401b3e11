use super::*;
use serde_json::json;
use weir_sdk::testing;

fn order() -> Value {
    json!({
        "type": "object",
        "required": ["id", "items"],
        "properties": {
            "id": { "type": "string" },
            "email": { "type": "string", "format": "email" },
            "items": {
                "type": "array",
                "items": { "properties": { "price": { "type": "number", "minimum": 0 } } },
            },
        },
    })
}

fn process(config: &Value, payload: &str) -> Result<Outputs, Error> {
    let mut validate: Validate = testing::configured(config).unwrap();
    validate.process(&Message::new("orders", payload))
}

fn reason(config: &Value, payload: &str) -> String {
    match process(config, payload) {
        Err(Error::Reject(reason)) => reason,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn a_payload_that_fits_passes_unchanged() {
    let payload = r#"{"id": "7", "email": "a@b.org", "items": [{"price": 1.5}]}"#;
    assert_eq!(
        process(&json!({ "schema": order() }), payload),
        Ok(Outputs::pass())
    );
}

#[test]
fn the_reason_names_each_mistake_and_its_place() {
    let payload = r#"{"id": 7, "email": "nobody", "items": [{"price": 1}, {"price": -1}]}"#;
    assert_eq!(
        reason(&json!({ "schema": order() }), payload),
        r#"/email: "nobody" is not a "email"; /id: 7 is not of type "string"; /items/1/price: -1 is less than the minimum of 0"#
    );
    assert_eq!(
        reason(&json!({ "schema": order() }), "{}"),
        r#""id" is a required property; "items" is a required property"#
    );
}

#[test]
fn a_reason_is_bounded() {
    let schema = json!({ "schema": { "items": { "type": "string" } } });
    let reason = reason(
        &schema,
        &json!([vec![1; 500], 2, 3, 4, 5, 6, 7]).to_string(),
    );
    assert!(
        reason.ends_with(r#"/4: 5 is not of type "string"; and 2 more"#),
        "{reason}"
    );
    assert!(reason.len() < 400, "{reason}");
}

#[test]
fn a_payload_that_is_not_json_is_invalid() {
    let reason = reason(&json!({ "schema": true }), "not JSON");
    assert_eq!(
        reason,
        "the payload is not JSON: expected ident at line 1 column 2"
    );
    let config = json!({ "schema": true, "on-invalid": "drop" });
    assert_eq!(process(&config, "not JSON"), Ok(Outputs::none()));
}

#[test]
fn formats_can_be_left_unchecked() {
    let config = json!({ "schema": order(), "formats": false });
    let payload = r#"{"id": "7", "email": "nobody", "items": []}"#;
    assert_eq!(process(&config, payload), Ok(Outputs::pass()));
}

#[test]
fn a_mistake_in_the_schema_is_found_before_any_message() {
    let refusal = |schema: Value| {
        testing::configured::<Validate>(&json!({ "schema": schema }))
            .map(|_| ())
            .unwrap_err()
    };
    for (schema, error) in [
        (
            json!({ "type": "strin" }),
            "/schema/type: \"strin\" is not valid",
        ),
        (
            json!({ "properties": { "a": { "minimum": "1" } } }),
            "/schema/properties/a/minimum: ",
        ),
        (
            json!({ "$ref": "https://example.org/order.json" }),
            "/schema: ",
        ),
        (
            json!({ "format": "e-mail" }),
            "/schema/format: Unknown format: 'e-mail'",
        ),
        (json!({ "pattern": "(" }), "/schema/pattern: "),
    ] {
        let refusal = refusal(schema);
        println!("{refusal}");
        assert!(refusal.starts_with(error), "{refusal}");
    }
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<super::Config>(folder), Ok(()));
}

#[test]
fn a_number_out_of_range_is_a_number_beyond_all_bounds() {
    let config = json!({ "schema": { "properties": {
        "n": { "type": "number", "maximum": 1e300 }, "all": { "items": { "type": "string" } },
    } } });
    for payload in [r#"{"far": [1e400]}"#, r#"{"n": -1e400, "all": ["a"]}"#] {
        assert_eq!(process(&config, payload), Ok(Outputs::pass()), "{payload}");
    }
    let greater = "/n: the number out of range is greater than the maximum of 1e300";
    assert_eq!(
        reason(&config, r#"{"n": 1e400}"#).replace("e+", "e"),
        greater
    );
    let lone = "the payload is not JSON: lone leading surrogate in hex escape at line 1 column 26";
    assert_eq!(reason(&config, r#"{"n": 1e400, "b": "\ud800"}"#), lone);
}
