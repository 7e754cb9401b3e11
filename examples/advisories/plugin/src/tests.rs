//! Runs natively, without WebAssembly and without a host: `cargo test`. What real servers send is
//! tested with `input.jsonl`.

use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

/// The alert that an advisory of this kind leads to, if any.
fn alert(config: &Value, kind: &str, fields: Value) -> Option<Value> {
    let mut advisory = json!({
        "type": format!("io.nats.jetstream.advisory.v1.{kind}"), "id": "a1",
        "timestamp": "2026-11-21T09:13:45Z", "stream": "ORDERS", "consumer": "rebates",
    });
    let (Some(all), Value::Object(fields)) = (advisory.as_object_mut(), fields) else {
        return None;
    };
    all.extend(fields);
    let mut operator: Advisories = testing::configured(config).unwrap();
    let message = Message::new("$JS.EVENT.ADVISORY.X", advisory.to_string());
    let output = operator.process(&message).unwrap().into_inner().pop()?;
    let alert: Value = serde_json::from_slice(&output.payload.unwrap()).unwrap();
    let (severity, kind) = (alert["severity"].as_str()?, alert["kind"].as_str()?);
    assert_eq!(output.subject, Some(format!("alerts.{severity}.{kind}")));
    Some(alert)
}

#[test]
fn a_reason_with_line_breaks_becomes_one_line() {
    let fields = json!({ "stream_seq": 7, "reason": "line one\n\tline two\u{7}" });
    let alert = alert(&json!({}), "terminated", fields).unwrap();
    let wanted =
        "consumer `rebates` of stream `ORDERS` will never process message 7: line one line two";
    assert_eq!(alert["text"], wanted);
    assert_eq!(alert["sequence"], 7);
}

#[test]
fn what_nobody_on_duty_needs_is_dropped() {
    for action in ["create", "modify"] {
        assert_eq!(
            alert(&json!({}), "consumer_action", json!({ "action": action })),
            None
        );
        assert_eq!(
            alert(&json!({}), "stream_action", json!({ "action": action })),
            None
        );
    }
    assert_eq!(
        alert(&json!({}), "api_audit", json!({ "server": "n1" })),
        None
    );
    assert_eq!(
        alert(
            &json!({}),
            "a_kind_of_next_year",
            json!({ "colour": "blue" })
        ),
        None
    );
}

#[test]
fn severities_are_the_users_choice() {
    let deleted = json!({ "action": "delete" });
    let severe = json!({ "minimum": "critical" });
    assert_eq!(alert(&severe, "consumer_action", deleted.clone()), None);
    assert!(alert(&severe, "stream_action", deleted.clone()).is_some());
    let more = json!({ "minimum": "critical", "severity": { "consumer-deleted": "critical" } });
    assert_eq!(
        alert(&more, "consumer_action", deleted).unwrap()["severity"],
        "critical"
    );
}

#[test]
fn a_kind_that_does_not_exist_is_refused_with_those_that_do() {
    let config = json!({ "severity": { "consumer-lost": "critical" } });
    let refusal = testing::configured::<Advisories>(&config).err().unwrap();
    assert!(refusal.contains("`severity.consumer-lost`"), "{refusal}");
    assert!(refusal.contains("consumer-deleted"), "{refusal}");
}

#[test]
fn what_is_no_advisory_is_refused() {
    let mut operator: Advisories = testing::configured(&()).unwrap();
    let refused = operator
        .process(&Message::new("$JS.EVENT.ADVISORY.X", "{}"))
        .unwrap_err();
    let Error::Reject(reason) = refused else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("missing field `type`"), "{reason}");
}
