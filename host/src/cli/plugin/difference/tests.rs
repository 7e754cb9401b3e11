//! Unit tests of the comparison.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::jsonl;

fn lines(text: &str) -> Vec<Line> {
    jsonl::lines(text)
        .map(|(number, line)| jsonl::parse(line, number).unwrap())
        .collect()
}

fn differences(expected: &str, got: &str) -> Differences {
    compare(&lines(expected), &lines(got))
}

#[test]
fn the_order_of_keys_and_the_way_a_number_is_written_are_of_no_interest() {
    let found = differences(
        r#"{"subject":"s","payload":{"a":1,"b":1.50}}"#,
        r#"{"subject":"s","payload":{"b":1.5,"a":1.0}}"#,
    );
    assert!(found.is_empty());
}

#[test]
fn a_field_that_no_expected_line_uses_is_not_compared() {
    let got = "{\"subject\":\"s\",\"key\":\"k\",\"sequence\":3,\"payload\":1}\n{\"reject\":\"no\",\"kind\":\"reject\"}";
    assert!(
        differences(
            "{\"subject\":\"s\",\"payload\":1}\n{\"reject\":\"no\"}",
            got
        )
        .is_empty()
    );
    let expected = "{\"subject\":\"s\",\"key\":\"other\",\"payload\":1}\n{\"reject\":\"no\"}";
    assert!(!differences(expected, got).is_empty());
}

#[test]
fn a_payload_is_compared_even_when_none_is_expected() {
    let found = differences(r#"{"subject":"s"}"#, r#"{"subject":"s","payload":1}"#);
    assert!(!found.is_empty());
}

#[test]
fn a_changed_line_is_shown_with_the_fields_that_differ() {
    let found = differences(
        r#"{"subject":"s","payload":{"cents":5,"user":"a"}}"#,
        r#"{"subject":"s","payload":{"cents":6,"user":"a","new":true}}"#,
    );
    let text = found.text("expected.jsonl");
    assert!(
        text.contains("    payload.cents: expected 5, got 6\n"),
        "{text}"
    );
    assert!(
        text.contains("    payload.new: expected nothing, got true\n"),
        "{text}"
    );
    assert!(
        text.ends_with("different: 1 changed, 0 missing, 0 unexpected\n"),
        "{text}"
    );
}

#[test]
fn missing_and_unexpected_lines_are_told_apart() {
    let line = |number| format!("{{\"subject\":\"s\",\"payload\":{number}}}\n");
    let all = |numbers: &[u32]| {
        numbers
            .iter()
            .map(|number| line(*number))
            .collect::<String>()
    };
    let found = differences(&all(&[1, 2, 3, 4]), &all(&[1, 3, 4, 5]));
    let text = found.text("expected.jsonl");
    assert!(
        text.ends_with("different: 0 changed, 1 missing, 1 unexpected\n"),
        "{text}"
    );
    assert_eq!(
        found.pairs(),
        [
            serde_json::json!({"expected": {"subject": "s", "payload": 2}, "got": null}),
            serde_json::json!({"expected": null, "got": {"subject": "s", "payload": 5}}),
        ]
    );
}
