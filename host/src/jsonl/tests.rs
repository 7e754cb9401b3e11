//! Unit and property tests of the JSON lines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use proptest::prelude::*;

fn record(text: &str) -> Record {
    parse_message(text, 1).unwrap()
}

fn refusal(text: &str) -> String {
    parse_message(text, 7).unwrap_err().to_string()
}

#[test]
fn a_json_payload_keeps_its_numbers_and_the_order_of_its_keys() {
    let record = record(
        r#"{"subject": "a.b", "payload": {"z": 1.50, "a": 123456789012345678901234567890, "s": "x \" y"}}"#,
    );
    let payload = r#"{"z":1.50,"a":123456789012345678901234567890,"s":"x \" y"}"#;
    assert_eq!(record.payload, payload);
    assert_eq!(
        record.to_string(),
        format!(r#"{{"subject":"a.b","payload":{payload}}}"#)
    );
}

#[test]
fn every_kind_of_payload_has_its_field() {
    for (line, payload) in [
        (r#"{"subject":"s","payload":null}"#, "null".as_bytes()),
        (r#"{"subject":"s","payload":"text"}"#, b"\"text\""),
        (r#"{"subject":"s","text":"{not JSON"}"#, b"{not JSON"),
        (r#"{"subject":"s","text":""}"#, b""),
        (r#"{"subject":"s","base64":"/wA="}"#, &[0xff, 0]),
    ] {
        let record = record(line);
        assert_eq!(record.payload, payload, "{line}");
        assert_eq!(record.to_string(), line);
    }
    assert_eq!(record(r#"{"subject":"s"}"#).payload, "");
}

#[test]
fn a_header_may_have_several_lines() {
    let line = r#"{"subject":"s","headers":{"A":["1","2"],"B":"3"},"text":"x"}"#;
    let record = record(line);
    let lines: Vec<_> = record
        .headers
        .iter()
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    assert_eq!(lines, ["A=1", "A=2", "B=3"]);
    assert_eq!(record.to_string(), line);
}

#[test]
fn a_bad_line_is_refused_with_its_number_and_what_is_wrong() {
    assert_eq!(refusal("{}"), "line 7: `subject` is missing");
    assert_eq!(
        refusal(r#"{"subject":"s","text":"","payload":1}"#),
        "line 7: only one of `payload`, `text` and `base64` may be given"
    );
    assert!(refusal(r#"{"sbject":"s"}"#).starts_with("line 7: column 9: unknown field `sbject`"));
    assert_eq!(
        refusal(r#"{"subject":"s","headers":{"A":1}}"#),
        "line 7: column 32: a header is a string or a list of strings"
    );
    assert!(refusal(r#"{"subject":"s","base64":"!"}"#).starts_with("line 7: `base64` cannot"));
    assert!(refusal("{").starts_with("line 7: column 1: EOF while parsing"));
    for line in ["[]", "x", "7"] {
        assert_eq!(refusal(line), "line 7: a JSON object is expected");
    }
}

#[test]
fn lines_are_counted_from_1_and_empty_ones_skipped() {
    let lines: Vec<_> = lines("\na\n  \nb\n").collect();
    assert_eq!(lines, [(2, "a"), (4, "b")]);
}

#[test]
fn an_output_may_be_a_dead_letter_or_a_retry() {
    for line in [
        r#"{"reject":"not JSON","operator":"price","kind":"reject","sequence":3}"#,
        r#"{"reject":"not JSON"}"#,
        r#"{"retry":"later","operator":"price","after_ms":5,"sequence":3}"#,
        r#"{"subject":"s","text":"x"}"#,
    ] {
        assert_eq!(parse(line, 1).unwrap().to_string(), line);
    }
    assert!(parse(r#"{"reject":"x","subject":"s"}"#, 2).is_err());
}

#[test]
fn what_a_line_does_not_say_is_filled_in() {
    let message = record(r#"{"subject":"s"}"#).into_message(4, 9);
    assert_eq!(
        (message.sequence, message.event_time, message.attempt),
        (4, 9, 1)
    );
    for event_time in ["event_time", "event-time"] {
        let line = format!(r#"{{"subject":"s","sequence":1,"{event_time}":2}}"#);
        let message = record(&line).into_message(4, 9);
        assert_eq!((message.sequence, message.event_time), (1, 2));
    }
}

fn payloads() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        any::<Vec<u8>>().prop_map(Bytes::from),
        any::<String>().prop_map(Bytes::from),
        // Text near JSON, so that both sides of that border are met.
        r#"[ \t]?[\[{"]{0,2}[a-z0-9.\\" ]{0,6}[\]}"]{0,2}"#.prop_map(Bytes::from),
    ]
}

fn records() -> impl Strategy<Value = Record> {
    let header = ("[A-Za-z-]{1,3}", any::<String>());
    (
        any::<String>(),
        payloads(),
        prop::collection::vec(header, 0..5),
        any::<Option<String>>(),
        any::<Option<u64>>(),
        any::<Option<u64>>(),
    )
        .prop_map(
            |(subject, payload, headers, key, event_time, sequence)| Record {
                subject: subject.into(),
                payload,
                headers: headers
                    .into_iter()
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect(),
                key: key.map(Into::into),
                event_time,
                sequence,
            },
        )
}

/// What a line keeps of a record: white space within JSON and the order between headers of
/// different names are not kept.
fn kept(record: &Record) -> Record {
    let mut kept = record.clone();
    if let Ok(text) = std::str::from_utf8(&record.payload)
        && serde_json::from_str::<&RawValue>(text).is_ok()
    {
        kept.payload = without_space(text).into();
    }
    kept.headers = HeaderMap::of(&record.headers).into_headers();
    kept
}

proptest! {
    #[test]
    fn a_printed_record_reads_back_as_itself(record in records()) {
        let line = record.to_string();
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(parse_message(&line, 1).unwrap(), kept(&record));
    }

    #[test]
    fn removing_space_changes_no_value(text in r#"[\[{]?[ \t\n]{0,2}("[a-z\\" ]{0,4}"|[0-9.]{1,3})[ ,:]{0,2}[\]}]?"#) {
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
            let compact = without_space(&text);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&compact).unwrap(), value);
        }
    }
}
