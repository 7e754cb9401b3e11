use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

fn convert(config: &Value, message: &Message) -> Result<Output, Error> {
    let mut events: Cloudevents = testing::configured(config).unwrap();
    let outputs = events.process(message)?.into_inner();
    Ok(outputs.into_iter().next().unwrap())
}

fn reason(config: &Value, message: &Message) -> String {
    match convert(config, message) {
        Err(Error::Reject(reason)) => reason,
        other => panic!("not rejected: {other:?}"),
    }
}

fn wrap(write: &str) -> Value {
    json!({
        "write": write,
        "type": "org.example.{subject[0]}",
        "source": "/shops/{subject[1]}",
        "subject": "{/name}",
        "extensions": { "tenant": "{header:Tenant}" },
    })
}

fn message(payload: &str) -> Message {
    let mut message = Message::new("orders.berlin", payload)
        .with_header("Tenant", "acme")
        .with_header("ce-id", "old")
        .with_header("Content-Type", "application/json");
    message.event_time = 1_700_000_000_000_000_000;
    message.sequence = 7;
    message
}

fn unwrap(write: &str) -> Value {
    json!({ "read": "event", "write": write })
}

const EVENT: &str = r#"{"specversion":"1.0","id":"7","source":"/shops/berlin","type":"org.example.orders","subject":"é \"x\"","datacontenttype":"application/json","tenant":"acme","time":"2023-11-14T22:13:20Z","data":{"name":"é \"x\"","rate":1.10}}"#;
const DATA: &str = r#"{"name":"é \"x\"","rate":1.10}"#;

fn structured() -> Message {
    Message::new("a", EVENT)
        .with_header("Tenant", "acme")
        .with_header(
            "Content-Type",
            "application/CloudEvents+json; charset=utf-8",
        )
}

fn binary() -> Output {
    Output::new(DATA)
        .header("ce-specversion", "1.0")
        .header("ce-id", "7")
        .header("ce-source", "/shops/berlin")
        .header("ce-type", "org.example.orders")
        .header("ce-subject", "%C3%A9%20%22x%22")
        .header("ce-datacontenttype", "application/json")
        .header("ce-tenant", "acme")
        .header("ce-time", "2023-11-14T22:13:20Z")
}

/// With the headers of the message in front.
fn with_headers(headers: &[(&str, &str)], output: Output) -> Output {
    let first = headers
        .iter()
        .fold(Output::pass(), |output, (name, value)| {
            output.header(*name, *value)
        });
    let headers = [
        first.headers.unwrap_or_default(),
        output.headers.unwrap_or_default(),
    ]
    .concat();
    Output {
        headers: Some(headers),
        ..Output::new(output.payload.unwrap_or_default())
    }
}

fn as_message(output: Output) -> Message {
    let headers = output.headers.unwrap_or_default().into_iter();
    headers.fold(
        Message::new("a", output.payload.unwrap_or_default()),
        |message, header| message.with_header(header.name, header.value),
    )
}

#[test]
fn a_message_becomes_an_event_in_the_payload() {
    let output = convert(&wrap("structured"), &message(DATA)).unwrap();
    let expected = Output::new(EVENT)
        .header("Tenant", "acme")
        .header("Content-Type", "application/cloudevents+json");
    assert_eq!(output, expected);
    let error = reason(&wrap("structured"), &message("not JSON"));
    assert!(
        error.starts_with("attribute `subject`: the payload is not JSON: "),
        "{error}"
    );
}

#[test]
fn a_message_becomes_an_event_in_headers() {
    let own = [("Tenant", "acme"), ("Content-Type", "application/json")];
    assert_eq!(
        convert(&wrap("binary"), &message(DATA)),
        Ok(with_headers(&own, binary()))
    );
}

#[test]
fn events_of_both_modes_are_read_and_unwrapped() {
    let tenant = [("Tenant", "acme")];
    assert_eq!(
        convert(&unwrap("binary"), &structured()),
        Ok(with_headers(&tenant, binary()))
    );
    assert_eq!(
        convert(&unwrap("data"), &structured()),
        Ok(Output::new(DATA).header("Tenant", "acme"))
    );
    let message = as_message(binary());
    let expected = Output::new(EVENT).header("Content-Type", "application/cloudevents+json");
    assert_eq!(convert(&unwrap("structured"), &message), Ok(expected));
    let without = Output {
        headers: Some(Vec::new()),
        ..Output::new(DATA)
    };
    assert_eq!(convert(&unwrap("data"), &message), Ok(without));
    // As it came; and without headers that say what it is.
    assert_eq!(
        convert(&unwrap("structured"), &structured()),
        Ok(Output::pass())
    );
    let output = convert(&unwrap("data"), &Message::new("a", EVENT)).unwrap();
    assert_eq!(output.payload, Some(DATA.as_bytes().to_vec()));
}

#[test]
fn data_that_is_not_json_is_text_or_base64() {
    let of = |kind: &str, payload: &[u8]| {
        let config = json!({ "write": "structured", "type": "t", "source": "s", "time": false, "data-content-type": kind });
        let output = convert(&config, &Message::new("a", payload)).unwrap();
        let payload = output.payload.clone().unwrap();
        let event: Value = serde_json::from_slice(&payload).unwrap();
        let back = convert(&unwrap("data"), &as_message(output)).unwrap();
        (event, back.payload.unwrap())
    };
    let (event, back) = of("text/plain", "é".as_bytes());
    assert_eq!((&event["data"], back), (&json!("é"), "é".into()));
    let (event, back) = of("application/octet-stream", b"\xff");
    assert_eq!(
        (&event["data_base64"], back),
        (&json!("/w=="), b"\xff".to_vec())
    );
    let (event, back) = of("application/json", b"");
    assert_eq!((event.get("data"), back), (None, Vec::new()));
    let (event, back) = of("application/vnd.x+json; charset=utf-8", br#""t""#);
    assert_eq!((&event["data"], back), (&json!("t"), br#""t""#.to_vec()));
}

#[test]
fn what_is_no_event_is_refused_with_the_attribute() {
    let refused = |change: (&str, &str)| {
        assert!(EVENT.contains(change.0));
        let payload = EVENT.replacen(change.0, change.1, 1);
        reason(&unwrap("data"), &Message::new("a", payload))
    };
    for (from, to, error) in [
        (r#""id":"7","#, "", "the event has no attribute `id`"),
        (r#""id":"7""#, r#""id":"""#, "the attribute `id` is empty"),
        (
            r#""1.0""#,
            r#""0.3""#,
            "the attribute `specversion` = `0.3` is a version that is not known",
        ),
        (
            "/shops/berlin",
            "/shops berlin",
            "the attribute `source` = `/shops berlin` is no URI reference",
        ),
        (
            "2023-11-14T",
            "2023-11-14 at ",
            "the attribute `time` = `2023-11-14 at 22:13:20Z` is no time",
        ),
        (
            "application/json",
            "json",
            "the attribute `datacontenttype` = `json` is no media type",
        ),
        (
            r#""tenant""#,
            r#""Tenant""#,
            "`Tenant` cannot be the name of an attribute",
        ),
        (
            r#""tenant":"acme""#,
            r#""tenant":[]"#,
            "the message is no event: ",
        ),
        (
            r#""data":"#,
            r#""data_base64":"AA==","data":"#,
            "the message is no event: ",
        ),
    ] {
        let refused = refused((from, to));
        assert!(refused.starts_with(error), "{refused}");
    }
    let twice = as_message(binary()).with_header("CE-ID", "8");
    assert_eq!(reason(&unwrap("data"), &twice), "the event has `id` twice");
    let twice = EVENT.replace(r#""id":"7""#, r#""id":"7","\u0069d":"8""#);
    let reason_of_twice = reason(&unwrap("binary"), &Message::new("a", twice));
    assert!(
        reason_of_twice.ends_with("the event has `id` twice"),
        "{reason_of_twice}"
    );
    let bad = Message::new("a", "").with_header("ce-specversion", "%C0%A0");
    assert_eq!(
        reason(&unwrap("data"), &bad),
        "the header `ce-specversion` is not well encoded"
    );
    let mut drops = unwrap("data");
    drops["on-error"] = "drop".into();
    let mut events: Cloudevents = testing::configured(&drops).unwrap();
    assert_eq!(events.process(&Message::new("a", "")), Ok(Outputs::none()));
}

/// Many systems have the last second of 9999 for "without end".
#[test]
fn a_time_is_in_any_of_the_years_that_rfc_3339_can_write() {
    let with = |time: &str| {
        let message = Message::new("a", "").with_header("ce-time", time);
        let attributes = [
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", "/s"),
            ("type", "t"),
        ];
        let message = attributes.iter().fold(message, |message, (name, value)| {
            message.with_header(format!("ce-{name}"), *value)
        });
        convert(&unwrap("data"), &message).map(|_| ())
    };
    for time in [
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59.999999999-12:00",
        "9999-12-30T22:00:00+02:00",
    ] {
        assert_eq!(with(time), Ok(()), "{time}");
    }
    for time in [
        "9999-12-31T23:59:59",
        "9999-12-31",
        "9999-12-32T00:00:00Z",
        "9999-12-31T24:00:00Z",
        "10000-01-01T00:00:00Z",
    ] {
        assert!(with(time).is_err(), "{time}");
    }
}

#[test]
fn values_in_quotes_are_read_as_older_versions_wrote_them() {
    let message = as_message(binary()).with_header("ce-note", r#""a \"b\" %41""#);
    let output = convert(&unwrap("binary"), &message).unwrap();
    let headers = output.headers.unwrap();
    let note = headers.iter().find(|header| header.name == "ce-note");
    assert_eq!(note.unwrap().value, "a%20%22b%22%20A");
}

#[test]
fn a_mistake_in_the_configuration_is_found_before_any_message() {
    for (config, error) in [
        (json!({ "write": "binary", "source": "s" }), "give `type`"),
        (json!({ "write": "binary", "type": "t" }), "give `source`"),
        (
            json!({ "write": "data" }),
            "/write: `data` needs `read: event`",
        ),
        (
            json!({ "read": "event", "write": "data", "type": "t" }),
            "/type: an event has its attributes",
        ),
        (
            json!({ "write": "binary", "type": "{x}", "source": "s" }),
            "/type: unknown value `x`",
        ),
        (
            json!({ "write": "binary", "type": "t", "source": "s", "extensions": { "trace-id": "1" } }),
            "/extensions/trace-id: `trace-id` cannot be the name of an extension",
        ),
        (
            json!({ "write": "binary", "type": "t", "source": "s", "extensions": { "time": "1" } }),
            "/extensions/time: `time` cannot be",
        ),
    ] {
        let refusal = testing::configured::<Cloudevents>(&config)
            .map(|_| ())
            .unwrap_err();
        assert!(refusal.starts_with(error), "{refusal}");
    }
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(
        config_schema::check::<crate::config::Config>(folder),
        Ok(())
    );
}
