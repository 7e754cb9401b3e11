use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

fn convert(config: &Value, message: &Message) -> Result<Outputs, Error> {
    let mut convert: Convert = testing::configured(config).unwrap();
    convert.process(message)
}

/// Reads `value` in a format, and writes it in another.
fn converted(format: &str, zone: &str, value: Value, to: &str, to_zone: &str) -> Value {
    let config = json!({
        "from": "/t", "format": format, "zone": zone, "to": "/t", "as": to, "as-zone": to_zone,
    });
    let message = Message::new("a", json!({ "t": value }).to_string());
    match convert(&config, &message) {
        Ok(outputs) => {
            let payload = outputs.into_inner().remove(0).payload.unwrap();
            serde_json::from_slice::<Value>(&payload).unwrap()["t"].clone()
        }
        Err(Error::Reject(reason)) => reason.into(),
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn a_time_is_written_in_another_format() {
    let pattern = "%d/%m/%Y %H:%M:%S";
    for (format, zone, value, to, to_zone, expected) in [
        (
            "s",
            "UTC",
            json!(1_700_000_000),
            "rfc3339",
            "UTC",
            json!("2023-11-14T22:13:20Z"),
        ),
        (
            "s",
            "UTC",
            json!(1_700_000_000.25),
            "ns",
            "UTC",
            json!(1_700_000_000_250_000_000_u64),
        ),
        (
            "ms",
            "UTC",
            json!("1700000000123"),
            "rfc3339",
            "Europe/Berlin",
            json!("2023-11-14T23:13:20.123+01:00"),
        ),
        ("ns", "UTC", json!(-1), "ms", "UTC", json!(-1)),
        (
            "rfc3339",
            "UTC",
            json!("2026-07-01T12:00:00+02:00"),
            "s",
            "UTC",
            json!(1_782_900_000),
        ),
        (
            pattern,
            "Europe/Berlin",
            json!("01/07/2026 12:00:00"),
            "rfc3339",
            "UTC",
            json!("2026-07-01T10:00:00Z"),
        ),
        (
            pattern,
            "Europe/Berlin",
            json!("01/01/2026 12:00:00"),
            "rfc3339",
            "UTC",
            json!("2026-01-01T11:00:00Z"),
        ),
        (
            "%d/%b/%Y:%H:%M:%S %z",
            "Europe/Berlin",
            json!("10/Oct/2000:13:55:36 -0700"),
            "us",
            "UTC",
            json!(971_211_336_000_000_u64),
        ),
        (
            "%Y-%m-%d",
            "America/New_York",
            json!("2026-01-01"),
            "rfc3339",
            "UTC",
            json!("2026-01-01T05:00:00Z"),
        ),
        (
            "rfc3339",
            "UTC",
            json!("2026-01-01T00:00:00Z"),
            "%Y/week %V, %A",
            "Asia/Tokyo",
            json!("2026/week 01, Thursday"),
        ),
    ] {
        assert_eq!(
            converted(format, zone, value, to, to_zone),
            expected,
            "{format} {to}"
        );
    }
}

/// Tables write the last second of 9999 for "without end".
#[test]
fn the_first_and_the_last_second_of_the_years_with_four_digits_are_times() {
    let iso = "%Y-%m-%dT%H:%M:%S";
    for (format, zone, value, to, to_zone, expected) in [
        (
            "rfc3339",
            "UTC",
            "9999-12-31T23:59:59.999999999Z",
            "rfc3339",
            "UTC",
            "9999-12-31T23:59:59.999999999Z",
        ),
        (
            "rfc3339",
            "UTC",
            "9999-12-31T23:59:59Z",
            "rfc3339",
            "America/New_York",
            "9999-12-31T18:59:59-05:00",
        ),
        (
            "rfc3339",
            "UTC",
            "9999-12-31T23:59:59+14:00",
            "rfc3339",
            "UTC",
            "9999-12-31T09:59:59Z",
        ),
        (
            iso,
            "Europe/Berlin",
            "9999-12-31T23:59:59",
            iso,
            "Europe/Berlin",
            "9999-12-31T23:59:59",
        ),
        (
            iso,
            "Europe/Berlin",
            "9999-12-31T23:59:59",
            "rfc3339",
            "UTC",
            "9999-12-31T22:59:59Z",
        ),
        (
            "%F %T %z",
            "UTC",
            "9999-12-31 23:59:59 +0000",
            "%F %T %z",
            "UTC",
            "9999-12-31 23:59:59 +0000",
        ),
        (
            "s",
            "UTC",
            "253402300799",
            "rfc3339",
            "UTC",
            "9999-12-31T23:59:59Z",
        ),
        (
            "rfc3339",
            "UTC",
            "0001-01-01T00:00:00Z",
            "rfc3339",
            "UTC",
            "0001-01-01T00:00:00Z",
        ),
        (
            "rfc3339",
            "UTC",
            "0000-01-01T00:00:00Z",
            iso,
            "Asia/Tokyo",
            "0000-01-01T09:18:59",
        ),
        (
            iso,
            "Asia/Tokyo",
            "0000-01-01T09:18:59",
            "rfc3339",
            "UTC",
            "0000-01-01T00:00:00Z",
        ),
        (
            iso,
            "UTC",
            "0001-01-01T00:00:00",
            iso,
            "UTC",
            "0001-01-01T00:00:00",
        ),
    ] {
        let found = converted(format, zone, json!(value), to, to_zone);
        assert_eq!(
            found,
            json!(expected),
            "{value} as {format} to {to} in {to_zone}"
        );
    }
    let number = converted("rfc3339", "UTC", json!("9999-12-31T23:59:59Z"), "s", "UTC");
    assert_eq!(number, json!(253_402_300_799_u64));
    let beyond = converted(
        "rfc3339",
        "UTC",
        json!("9999-12-31T23:59:59Z"),
        "rfc3339",
        "Asia/Tokyo",
    );
    assert!(beyond.as_str().unwrap().contains("9999"), "{beyond}");
}

#[test]
fn a_time_goes_to_a_field_or_a_header_and_the_rest_stays_as_it_was_written() {
    let mut message = Message::new("a", r#"{"rate":1.10}"#)
        .with_header("Time", "1700000000")
        .with_header("event-time", "old");
    message.event_time = 1_700_000_000_000_000_001;
    assert_eq!(
        convert(&json!({ "to": "/meta/at" }), &message),
        Ok(Output::new(r#"{"rate":1.10,"meta":{"at":"2023-11-14T22:13:20.000000001Z"}}"#).into())
    );
    let config =
        json!({ "from": "header:time", "format": "s", "to": "header:Event-Time", "as": "ms" });
    let output = Output::pass()
        .header("Time", "1700000000")
        .header("Event-Time", "1700000000000");
    assert_eq!(convert(&config, &message), Ok(output.into()));
}

#[test]
fn a_time_that_cannot_be_read_is_handled_as_configured() {
    let reason = |format: &str, value: Value| converted(format, "UTC", value, "s", "UTC");
    let start = |format: &str, value: Value, expected: &str| {
        let reason = reason(format, value);
        assert!(reason.as_str().unwrap().starts_with(expected), "{reason}");
    };
    start(
        "rfc3339",
        json!("yesterday"),
        "{/t} = `yesterday` is no time: ",
    );
    start(
        "s",
        json!("1e9"),
        "{/t} = `1e9` is no time: it is no decimal number",
    );
    start(
        "ns",
        json!(1.5),
        "{/t} = `1.5` is no time: it is no decimal number",
    );
    start("s", json!(1e15), "{/t} = `1000000000000000.0` is no time: ");
    start(
        "%Y-%m-%d",
        json!("2026-02-30"),
        "{/t} = `2026-02-30` is no time: ",
    );
    start("s", json!(null), "the message has no {/t}");
    let outcome = |on_error: &str| {
        let config = json!({ "from": "/t", "to": "/t", "on-error": on_error });
        convert(&config, &Message::new("a", "{}"))
    };
    assert_eq!(
        outcome("reject"),
        Err(Error::reject("the message has no {/t}"))
    );
    assert_eq!(outcome("drop"), Ok(Outputs::none()));
    assert_eq!(outcome("pass"), Ok(Outputs::pass()));
}

#[test]
fn a_mistake_in_the_configuration_is_found_before_any_message() {
    for (config, error) in [
        (json!({ "to": "key" }), "/to: it must be a field"),
        (
            json!({ "to": "header:Event Time" }),
            "/to: the name of a header has no spaces: write `Event-Time`",
        ),
        (
            json!({ "to": "header:Nats-Time" }),
            "/to: `Nats-Time` is a header of the server",
        ),
        (
            json!({ "to": "/a", "as": "iso" }),
            "/as: unknown format `iso`",
        ),
        (json!({ "to": "/a", "as": "%!" }), "/as: "),
        (
            json!({ "to": "/a", "as-zone": "Berlin" }),
            "/as-zone: there is no time zone `Berlin`",
        ),
        (
            json!({ "to": "/a", "from": "time" }),
            "/from: unknown value `time`",
        ),
        (
            json!({ "to": "/a", "from": "/b", "format": "x" }),
            "/format: unknown format `x`",
        ),
    ] {
        let refusal = testing::configured::<Convert>(&config)
            .map(|_| ())
            .unwrap_err();
        assert!(refusal.starts_with(error), "{refusal}");
    }
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<Config>(folder), Ok(()));
}
