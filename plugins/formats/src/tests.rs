mod wrong;

use super::*;
use serde_json::{Value, json};

fn format(config: Value) -> Format {
    read(config).unwrap()
}

fn read(config: Value) -> Result<Format, String> {
    let mut refusal = Refusal::default();
    let format = Format::read(&mut refusal, serde_json::from_value(config).unwrap());
    refusal.or(format)
}

fn refusal(config: Value) -> String {
    read(config).map(|_| ()).unwrap_err()
}

fn decoded(format: &Format, payload: &[u8]) -> Result<String, String> {
    let texts = format.decode(payload)?;
    let texts = texts
        .into_iter()
        .map(|text| String::from_utf8(text).unwrap());
    Ok(texts.collect::<Vec<_>>().join("\n"))
}

/// Writes it, and reads it again.
fn there_and_back(format: &Format, payload: &str) -> String {
    decoded(format, &format.encode(payload.as_bytes()).unwrap()).unwrap()
}

const ANYTHING: &str = r#"{"text":"é","big":9007199254740993,"unsigned":18446744073709551615,"least":-9223372036854775808,"decimal":1.1,"none":null,"yes":true,"list":[1,[],{}]}"#;

#[test]
fn messagepack_and_cbor_keep_whole_numbers_of_64_bits() {
    for name in ["messagepack", "cbor"] {
        let format = format(json!(name));
        assert_eq!(there_and_back(&format, ANYTHING), ANYTHING, "{name}");
        let error = format
            .encode(b"123456789012345678901234567890")
            .unwrap_err();
        assert_eq!(
            error,
            "number out of range: 123456789012345678901234567890 has more than 64 bits"
        );
    }
}

#[test]
fn messagepack_is_read_with_bytes_names_that_are_numbers_and_floats_in_their_own_digits() {
    let format = format(json!("messagepack"));
    // {1: bytes 00 ff, "f": float 0.1}
    let payload = b"\x82\x01\xc4\x02\x00\xff\xa1f\xca\x3d\xcc\xcc\xcd";
    assert_eq!(
        decoded(&format, payload).unwrap(),
        r#"{"1":"AP8=","f":0.1}"#
    );
    for (payload, error) in [
        (
            &b"\x01\x02"[..],
            "the payload is not one value of MessagePack: 1 bytes come behind it",
        ),
        (b"\xd4\x05\x00", "there is a value of the extension type 5"),
        (b"\xa1\xff", "a text is not UTF-8"),
        (
            b"\xcb\x7f\xf0\0\0\0\0\0\0",
            "there is a number inf, which JSON has no word for",
        ),
    ] {
        assert_eq!(decoded(&format, payload).unwrap_err(), error);
    }
    assert!(
        decoded(&format, b"\x92\x01")
            .unwrap_err()
            .starts_with("the payload is not MessagePack: ")
    );
}

#[test]
fn cbor_is_read_with_large_numbers_and_without_its_tags() {
    let format = format(json!("cbor"));
    // {-1: tag 0 "t", "n": -18446744073709551616, "b": bytes 00}
    let payload = b"\xa3\x20\xc0\x61t\x61n\x3b\xff\xff\xff\xff\xff\xff\xff\xff\x61b\x41\x00";
    assert_eq!(
        decoded(&format, payload).unwrap(),
        r#"{"-1":"t","n":-18446744073709551616,"b":"AA=="}"#
    );
    assert!(
        decoded(&format, b"\x01\x02")
            .unwrap_err()
            .ends_with("1 bytes come behind it")
    );
}

#[test]
fn a_row_of_csv_is_an_object_of_texts_and_of_what_the_types_say() {
    let with_header = format(json!({ "csv": {} }));
    assert_eq!(
        decoded(&with_header, b"id,name\r\n7,\"Eve, \"\"E\"\"\"\r\n8,\r\n").unwrap(),
        "{\"id\":\"7\",\"name\":\"Eve, \\\"E\\\"\"}\n{\"id\":\"8\",\"name\":\"\"}"
    );
    assert_eq!(decoded(&with_header, b"").unwrap(), "");
    let typed = format(json!({ "csv": {
        "columns": ["id", "price", "paid"], "delimiter": ";",
        "types": { "id": "number", "price": "number", "paid": "boolean" },
    } }));
    assert_eq!(
        decoded(&typed, b"9007199254740993;1.10;true\n;;").unwrap(),
        "{\"id\":9007199254740993,\"price\":1.10,\"paid\":true}\n{\"id\":null,\"price\":null,\"paid\":null}"
    );
    for (payload, error) in [
        (
            "1;2",
            "there are 2 values for 3 columns: `id`, `price`, `paid`",
        ),
        (
            "1;2;true\n01;2;true",
            "row 2: column `id`: `01` is no number",
        ),
        ("1;true;true", "column `price`: `true` is no number"),
        (
            "1;2;yes",
            "column `paid`: `yes` is neither `true` nor `false`",
        ),
    ] {
        assert_eq!(decoded(&typed, payload.as_bytes()).unwrap_err(), error);
    }
}

#[test]
fn csv_is_written_in_the_order_of_its_columns() {
    let format = format(json!({ "csv": { "columns": ["a", "b"], "header": true } }));
    let written = |payload: &str| {
        let bytes = format.encode(payload.as_bytes())?;
        Ok::<_, String>(String::from_utf8(bytes).unwrap())
    };
    assert_eq!(
        written(r#"{"b":1.10,"a":"x,y"}"#).unwrap(),
        "a,b\n\"x,y\",1.10\n"
    );
    assert_eq!(
        written(r#"[{"a":true},{"b":null}]"#).unwrap(),
        "a,b\ntrue,\n,\n"
    );
    assert_eq!(
        written(r#"{"c":1}"#).unwrap_err(),
        "there is no column for the field `c`"
    );
    assert_eq!(
        written(r#"{"a":[1]}"#).unwrap_err(),
        "the field `a` is no single value"
    );
    assert_eq!(
        written("7").unwrap_err(),
        "CSV is written from an object, or from an array of them"
    );
}

fn order() -> Value {
    json!({ "type": "record", "name": "Order", "namespace": "shop", "fields": [
        { "name": "id", "type": "long" },
        { "name": "state", "type": { "type": "enum", "name": "State", "symbols": ["placed", "paid"] } },
        { "name": "total", "type": { "type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2 } },
        { "name": "rate", "type": "double" },
        { "name": "note", "type": ["null", "string"], "default": null },
        { "name": "at", "type": { "type": "long", "logicalType": "timestamp-millis" } },
        { "name": "raw", "type": "bytes", "default": "" },
        { "name": "tags", "type": { "type": "map", "values": "int" } },
        { "name": "parts", "type": { "type": "array", "items": "Order" } },
    ] })
}

const ORDER: &str = r#"{"id":9007199254740993,"state":"paid","total":-0.05,"rate":1.5,"note":"é","at":1700000000000,"raw":"AP8=","tags":{"a":1},"parts":[]}"#;

#[test]
fn avro_is_read_and_written_by_its_schema() {
    let avro = format(json!({ "avro": { "schema": order() } }));
    let inner = ORDER.replace("9007199254740993", "7");
    let nested = ORDER.replace("\"parts\":[]", &format!("\"parts\":[{inner}]"));
    assert_eq!(there_and_back(&avro, ORDER), ORDER);
    assert_eq!(there_and_back(&avro, &nested), nested);
    // The schema may be text, and a default takes the place of a field that is missing.
    let avro = format(json!({ "avro": { "schema": order().to_string() } }));
    let without = ORDER.replace(r#""note":"é","#, "");
    let with = ORDER.replace(r#""note":"é""#, r#""note":null"#);
    assert_eq!(there_and_back(&avro, &without), with);
}

#[test]
fn what_does_not_fit_an_avro_schema_is_named() {
    let avro = format(json!({ "avro": { "schema": order() } }));
    let error = |from: &str, to: &str| {
        assert!(ORDER.contains(from));
        avro.encode(ORDER.replace(from, to).as_bytes()).unwrap_err()
    };
    assert_eq!(error("9007199254740993", "1.5"), "/id: 1.5 is no long");
    assert_eq!(
        error("9007199254740993", "9223372036854775808"),
        "/id: 9223372036854775808 is no long"
    );
    assert_eq!(
        error("-0.05", "0.005"),
        "/total: 0.005 is no decimal number with 2 decimal places"
    );
    assert_eq!(
        error(r#""paid""#, r#""lost""#),
        r#"/state: "lost" is no symbol of shop.State"#
    );
    assert_eq!(error(r#""é""#, "7"), "/note: 7 is no string");
    assert_eq!(
        error(r#"{"a":1}"#, r#"{"a":"x"}"#),
        r#"/tags/a: "x" is no int"#
    );
    assert_eq!(error(r#""rate":1.5,"#, ""), "there is no field /rate");
    assert_eq!(
        error(r#""rate":"#, r#""other":1,"rate":"#),
        "the schema has no field /other"
    );
    let payload = avro.encode(ORDER.as_bytes()).unwrap();
    let error = decoded(&avro, &payload[..payload.len() - 3]).unwrap_err();
    assert!(
        error.starts_with("the payload does not fit the schema: "),
        "{error}"
    );
    let error = decoded(&avro, &[payload, vec![0]].concat()).unwrap_err();
    assert!(error.ends_with("1 bytes come behind the value"), "{error}");
    assert!(
        refusal(json!({ "avro": { "schema": { "type": "recrd" } } }))
            .starts_with("/avro/schema/type: ")
    );
}

#[test]
fn single_objects_of_avro_say_which_schema_they_have() {
    let single = format(json!({ "avro": { "schema": "int", "encoding": "single-object" } }));
    let payload = single.encode(b"7").unwrap();
    // The fingerprint of `"int"` is from the tests of the specification: 7275d51a3f395c8f.
    assert_eq!(payload, b"\xc3\x01\x8f\x5c\x39\x3f\x1a\xd5\x75\x72\x0e");
    assert_eq!(decoded(&single, &payload).unwrap(), "7");
    let other = format(json!({ "avro": { "schema": "long", "encoding": "single-object" } }));
    assert_eq!(
        decoded(&other, &payload).unwrap_err(),
        "the payload was written with another schema than this one"
    );
    assert_eq!(
        decoded(&other, b"\x0e").unwrap_err(),
        "the payload has no single-object encoding"
    );
}

const PROTO: &str = r#"
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message Order {
  int64 order_id = 1;
  uint64 unsigned = 2;
  string name = 3;
  repeated Line lines = 4;
  bytes raw = 5;
  State state = 6;
  google.protobuf.Timestamp at = 7;
  optional double rate = 8;
  message Line { string sku = 1; }
}
enum State { PLACED = 0; PAID = 1; }
"#;

#[test]
fn protocol_buffers_are_read_and_written_by_their_schema() {
    let protobuf = format(json!({ "protobuf": { "schema": PROTO } }));
    let order = r#"{"order_id":9007199254740993,"unsigned":18446744073709551615,"name":"é","lines":[{"sku":"a"}],"raw":"AP8=","state":"PAID","at":"2026-01-02T03:04:05Z","rate":1.5}"#;
    assert_eq!(there_and_back(&protobuf, order), order);
    // field 1, varint 7
    assert_eq!(
        decoded(&protobuf, b"\x08\x07").unwrap(),
        r#"{"order_id":7,"unsigned":0,"name":"","lines":[],"raw":"","state":"PLACED"}"#
    );
    let protobuf = format(json!({ "protobuf": {
        "schema": { "shop.proto": PROTO }, "message": "shop.Order", "names": "json", "defaults": false,
    } }));
    assert_eq!(decoded(&protobuf, b"\x08\x07").unwrap(), r#"{"orderId":7}"#);
    let error = protobuf.encode(br#"{"other":1}"#).unwrap_err();
    assert!(
        error.starts_with("the payload is no shop.Order: unrecognized field name 'other'"),
        "{error}"
    );
    let error = decoded(&protobuf, b"\x08").unwrap_err();
    assert!(
        error.starts_with("the payload is no shop.Order: "),
        "{error}"
    );
}

#[test]
fn a_set_of_descriptors_is_a_schema_too() {
    // `syntax = "proto3"; message A { int64 b = 1; }` by `protoc -o`
    let file = b"\x0a\x07a.proto\x22\x0e\x0a\x01A\x12\x09\x0a\x01b\x18\x01 \x01(\x03b\x06proto3";
    let mut set = vec![0x0a, u8::try_from(file.len()).unwrap()];
    set.extend(file);
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, set);
    let protobuf = format(json!({ "protobuf": { "descriptor-set": base64 } }));
    assert_eq!(decoded(&protobuf, b"\x08\x07").unwrap(), r#"{"b":7}"#);
}

#[test]
fn a_mistake_in_a_schema_of_protocol_buffers_is_named() {
    let refused = |config: Value| refusal(json!({ "protobuf": config }));
    let error = refused(json!({ "schema": "syntax = \"proto3\";\nmessage A { int64 b; }" }));
    assert!(
        error.starts_with("/protobuf/schema: ") && error.contains("2:"),
        "{error}"
    );
    let error = refused(json!({ "schema": "syntax = \"proto3\"; import \"b.proto\";" }));
    assert!(error.contains("b.proto"), "{error}");
    let two = "syntax = \"proto3\"; message A {} message B {}";
    assert_eq!(
        refused(json!({ "schema": two })),
        "/protobuf/message: the schema has several messages or none; write the name of one"
    );
    assert_eq!(
        refused(json!({ "schema": two, "message": "C" })),
        "/protobuf/message: the schema has no message `C`"
    );
    assert_eq!(
        refused(json!({})),
        "/protobuf: give either `schema` or `descriptor-set`"
    );
}

/// A value of each format that has so many levels, and what it is in JSON.
fn nested(name: &str, levels: usize) -> (Format, Vec<u8>, String) {
    let json = "[".repeat(levels) + &"]".repeat(levels);
    match name {
        // An array of one element, but for the innermost, which is empty.
        "messagepack" => (
            format(json!(name)),
            [vec![0x91; levels - 1], vec![0x90]].concat(),
            json,
        ),
        "cbor" => (
            format(json!(name)),
            [vec![0x81; levels - 1], vec![0x80]].concat(),
            json,
        ),
        "avro" => {
            let schema = json!({ "type": "record", "name": "Node", "fields": [
                { "name": "next", "type": ["null", "Node"] },
            ] });
            let avro = format(json!({ "avro": { "schema": schema } }));
            let json = r#"{"next":"#.repeat(levels) + "null" + &"}".repeat(levels);
            (avro, [vec![2; levels - 1], vec![0]].concat(), json)
        }
        _ => {
            let schema = "syntax = \"proto3\"; message Node { Node next = 1; }";
            let protobuf = json!({ "schema": schema, "defaults": false });
            let payload = (1..levels).fold(Vec::new(), |inner, _| {
                let mut message = vec![0x0A];
                prost_reflect::prost::encoding::encode_varint(inner.len() as u64, &mut message);
                [message, inner].concat()
            });
            let json = r#"{"next":"#.repeat(levels - 1) + "{}" + &"}".repeat(levels - 1);
            (format(json!({ "protobuf": protobuf })), payload, json)
        }
    }
}

#[test]
fn a_payload_that_is_nested_too_deep_is_refused() {
    // The reader of Avro has large frames, and a thread of a test a small stack.
    for (name, levels) in [
        ("messagepack", 127),
        ("cbor", 127),
        ("avro", 20),
        ("protobuf", 100),
    ] {
        let (format, payload, json) = nested(name, levels);
        assert_eq!(decoded(&format, &payload).unwrap(), json, "{name}");
        assert_eq!(format.encode(json.as_bytes()).unwrap(), payload, "{name}");
        let (format, payload, json) = nested(name, 1_000);
        let expected = match name {
            "protobuf" => "recursion limit reached",
            _ => "the payload has more than 127 levels of nesting",
        };
        let error = decoded(&format, &payload).unwrap_err();
        assert!(error.contains(expected), "{name}: {error}");
        let error = format.encode(json.as_bytes()).unwrap_err();
        assert_eq!(
            error, "the payload has more than 127 levels of nesting",
            "{name}"
        );
    }
}
