use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

fn encode(config: &Value, payload: &str) -> Result<Outputs, Error> {
    let mut encode: Encode = testing::configured(config).unwrap();
    encode.process(&Message::new("orders", payload))
}

#[test]
fn json_is_written_in_the_format() {
    let config = json!({ "format": "messagepack" });
    assert_eq!(
        encode(&config, r#"{"a":1}"#),
        Ok(Output::new(b"\x81\xa1a\x01").into())
    );
}

#[test]
fn a_payload_that_cannot_be_written_is_handled_as_configured() {
    let outcome = |on_error: &str| {
        let config = json!({ "format": "cbor", "on-error": on_error });
        encode(&config, "not JSON")
    };
    assert_eq!(
        outcome("reject"),
        Err(Error::reject(
            "the payload is not JSON: expected ident at line 1 column 2"
        ))
    );
    assert_eq!(outcome("drop"), Ok(Outputs::none()));
    assert_eq!(outcome("pass"), Ok(Outputs::pass()));
}

#[test]
fn what_is_needed_to_write_is_asked_for_before_any_message() {
    let config = json!({ "format": { "csv": {} } });
    let refusal = testing::configured::<Encode>(&config).map(|_| ());
    assert_eq!(
        refusal,
        Err("/format/csv: `csv` needs `columns` to write".into())
    );
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<Config>(folder), Ok(()));
}
