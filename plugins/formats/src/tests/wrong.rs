//! What is wrong with a payload or a schema, in words and with its place.

use super::*;

#[test]
fn a_number_out_of_range_is_named_with_its_place() {
    for name in ["messagepack", "cbor"] {
        let format = format(json!(name));
        for (payload, error) in [
            (
                r#"{"a":[1,{"b":1e400}]}"#,
                "/a/1/b: number out of range: 1e400",
            ),
            (
                "[18446744073709551616]",
                "/0: number out of range: 18446744073709551616 has more than 64 bits",
            ),
            ("1e400", "number out of range: 1e400"),
        ] {
            let found = format.encode(payload.as_bytes()).unwrap_err();
            // The least number of CBOR has 65 bits.
            assert!(found == error, "{name}: {found}");
        }
        let long = format!("[{}]", "1".repeat(1_000));
        let found = format.encode(long.as_bytes()).unwrap_err();
        assert!(
            found.starts_with("/0: number out of range: 111") && found.len() < 100,
            "{found}"
        );
    }
    // {"a": [infinity]}
    let found = decoded(&format(json!("cbor")), b"\xa1\x61a\x81\xf9\x7c\x00").unwrap_err();
    assert_eq!(
        found,
        "/a/0: there is a number inf, which JSON has no word for"
    );
}

#[test]
fn what_is_wrong_with_cbor_is_said_in_words() {
    let cbor = format(json!("cbor"));
    for (payload, error) in [
        (
            &b"\x1c"[..],
            "the payload is not CBOR: no value begins at byte 0",
        ),
        (
            b"\x81\x1c",
            "the payload is not CBOR: no value begins at byte 1",
        ),
        (b"\xff", "the payload is not CBOR: a break ends nothing"),
        (
            b"\x82\x01",
            "the payload is not CBOR: it ends within a value",
        ),
        (b"", "the payload is not CBOR: it ends within a value"),
    ] {
        assert_eq!(decoded(&cbor, payload).unwrap_err(), error);
    }
}

#[test]
fn the_reason_of_a_row_names_its_columns() {
    let table = format(json!({ "csv": {} }));
    assert_eq!(
        decoded(&table, b"a,b\n1\n").unwrap_err(),
        "there are 1 values for 2 columns: `a`, `b`"
    );
    let names: Vec<String> = (0..50).map(|number| format!("c{number}")).collect();
    let wide = decoded(&table, format!("{}\n1\n", names.join(",")).as_bytes()).unwrap_err();
    assert!(wide.ends_with("`c9` and 40 more"), "{wide}");
    assert_eq!(
        decoded(&table, b"a,b\n1,2\n3,\xff\n").unwrap_err(),
        "row 2: column `b`: the value is not UTF-8"
    );
    let columns = format(json!({ "csv": { "columns": ["a", "b"] } }));
    assert_eq!(
        decoded(&columns, b"\xff,2\n").unwrap_err(),
        "row 1: column `a`: the value is not UTF-8"
    );
    assert_eq!(
        decoded(&table, b"\xff,2\n").unwrap_err(),
        "the first row: value 1 is not UTF-8"
    );
    assert_eq!(
        columns.encode(br#"[{"a":1},{"c":1}]"#).unwrap_err(),
        "row 2: there is no column for the field `c`"
    );
}

#[test]
fn columns_without_a_name_or_with_the_same_one_are_refused() {
    assert_eq!(
        refusal(json!({ "csv": { "columns": ["a", "b", "a", ""] } })),
        "/csv/columns/2: two columns have the name `a`\n/csv/columns/3: a column needs a name"
    );
}

#[test]
fn a_mistake_in_an_avro_schema_names_the_field() {
    let refused = |schema: Value| refusal(json!({ "avro": { "schema": schema } }));
    let record = |fields: Value| json!({ "type": "record", "name": "A", "fields": fields });
    let inner = json!({ "type": "record", "name": "B", "fields": [{ "name": "c", "type": ["null", "strin"] }] });
    for (schema, error) in [
        (
            record(json!([{ "name": "a", "type": "int" }, { "name": "b", "type": "strin" }])),
            "/avro/schema/fields/1/type: field `b`: Unknown primitive type: strin",
        ),
        (
            record(json!([{ "name": "a", "type": "int" }, { "name": "b" }])),
            "/avro/schema/fields/1: field `b`: No `type` in record field",
        ),
        (
            record(json!([{ "name": "b", "type": inner }])),
            "/avro/schema/fields/0/type/fields/0/type/1: field `b.c`: Unknown primitive type: strin",
        ),
        (
            record(json!([{ "name": "b", "type": { "type": "array", "items": "strin" } }])),
            "/avro/schema/fields/0/type/items: field `b`: Unknown primitive type: strin",
        ),
        (
            json!("strin"),
            "/avro/schema: Unknown primitive type: strin",
        ),
    ] {
        assert_eq!(refused(schema.clone()), error);
        if schema.is_object() {
            let (_, words) = error.split_once(": ").unwrap();
            assert_eq!(
                refused(schema.to_string().into()),
                format!("/avro/schema: {words}")
            );
        }
    }
}
