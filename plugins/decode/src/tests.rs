use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

fn decode(config: &Value, payload: &[u8]) -> Result<Outputs, Error> {
    let mut decode: Decode = testing::configured(config).unwrap();
    decode.process(&Message::new("orders", payload))
}

#[test]
fn a_payload_becomes_json_and_each_row_a_message() {
    let config = json!({ "format": "messagepack" });
    assert_eq!(
        decode(&config, b"\x81\xa1a\x01"),
        Ok(Output::new(r#"{"a":1}"#).into())
    );
    let config = json!({ "format": { "csv": {} } });
    let rows = [r#"{"a":"1","b":"2"}"#, r#"{"a":"3","b":"4"}"#];
    assert_eq!(
        decode(&config, b"a,b\n1,2\n3,4\n"),
        Ok(rows.into_iter().map(Output::new).collect())
    );
}

#[test]
fn a_payload_in_another_format_is_handled_as_configured() {
    let outcome = |on_error: &str| {
        let config = json!({ "format": "cbor", "on-error": on_error });
        decode(&config, b"\xff")
    };
    match outcome("reject") {
        Err(Error::Reject(reason)) => {
            assert!(reason.starts_with("the payload is not CBOR: "), "{reason}");
        }
        other => panic!("not rejected: {other:?}"),
    }
    assert_eq!(outcome("drop"), Ok(Outputs::none()));
    assert_eq!(outcome("pass"), Ok(Outputs::pass()));
}

#[test]
fn the_reason_names_the_part_of_a_larger_payload_if_a_header_says_which() {
    let csv = json!({ "columns": ["id"], "types": { "id": "number" } });
    let config = json!({ "format": { "csv": csv }, "index-header": "Row" });
    let mut decode: Decode = testing::configured(&config).unwrap();
    for (index, reason) in [
        (Some("36"), "part 37: column `id`: `x` is no number"),
        (Some("none"), "column `id`: `x` is no number"),
        (None, "column `id`: `x` is no number"),
    ] {
        let mut message = Message::new("files", "x");
        if let Some(index) = index {
            message = message.with_header("row", index);
        }
        assert_eq!(decode.process(&message), Err(Error::reject(reason)));
    }
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<Config>(folder), Ok(()));
}
