//! Runs natively, without WebAssembly and without a host: `cargo test`.

use super::*;
use gap::Alert;
use serde_json::{Value, json};
use weir_sdk::testing;

const MINUTE: u64 = 60_000_000_000;
const HALF_HOUR: u64 = 30 * MINUTE;

fn watch(config: &Value) -> Watch {
    testing::clear_state();
    testing::configured(config).unwrap()
}

fn payloads(outputs: Outputs) -> Vec<Value> {
    let outputs = outputs.into_inner().into_iter();
    let payload = |output: Output| serde_json::from_slice(&output.payload.unwrap()).unwrap();
    outputs.map(payload).collect()
}

fn gap(since: u64) -> Alert<'static> {
    Alert::Gap {
        device: "d",
        since: since * 60_000,
    }
}

fn back(since: u64, at: u64) -> Alert<'static> {
    Alert::Back {
        device: "d",
        since: since * 60_000,
        at: at * 60_000,
    }
}

/// Readings and watermarks, in minutes, in the order in which they come.
enum Step {
    Reading(u64),
    Watermark(u64),
}
use Step::{Reading, Watermark};

fn decided(steps: &[Step]) -> Vec<Alert<'static>> {
    let (mut silence, mut watermark, mut alerts) = (Silence::default(), 0, Vec::new());
    for step in steps {
        match step {
            Reading(minute) => silence.add(minute * MINUTE),
            Watermark(minute) => watermark = minute * MINUTE,
        }
        alerts.extend(silence.decide("d", watermark, HALF_HOUR));
    }
    alerts
}

#[test]
fn a_sensor_is_silent_once_no_reading_within_the_time_can_come_any_more() {
    assert_eq!(decided(&[Reading(1), Watermark(31)]), []);
    assert_eq!(decided(&[Reading(1), Watermark(32)]), [gap(1)]);
    assert_eq!(decided(&[Reading(1), Reading(31), Watermark(40)]), []);
    assert_eq!(decided(&[Reading(1), Reading(32), Watermark(31)]), []);
}

#[test]
fn its_first_reading_after_that_says_that_it_is_back() {
    let alerts = [gap(1), back(1, 50)];
    let (first, next) = (Reading(1), Reading(50));
    assert_eq!(decided(&[first, next, Watermark(50)]), alerts);
    let late = [Reading(1), Watermark(40), Reading(50), Watermark(50)];
    assert_eq!(decided(&late), alerts);
    // It is not known yet that there is none before it.
    let early = [Reading(1), Watermark(40), Reading(50), Watermark(49)];
    assert_eq!(decided(&early), [gap(1)]);
}

#[test]
fn readings_that_come_out_of_order_lead_to_the_same_alerts() {
    let in_the_gap = [Reading(1), Reading(50), Reading(25), Watermark(90)];
    assert_eq!(decided(&in_the_gap), [gap(50)]);
    let end = [
        Reading(1),
        Watermark(40),
        Reading(55),
        Reading(50),
        Watermark(60),
    ];
    assert_eq!(decided(&end), [gap(1), back(1, 50)]);
    let long_ago = [Reading(20), Reading(1), Reading(20), Watermark(49)];
    assert_eq!(decided(&long_ago), []);
}

#[test]
fn two_gaps_that_are_known_at_once_are_both_reported() {
    let steps = [Reading(1), Reading(50), Reading(100), Watermark(200)];
    let alerts = [gap(1), back(1, 50), gap(50), back(50, 100), gap(100)];
    assert_eq!(decided(&steps), alerts);
}

#[test]
fn the_timer_of_a_sensor_is_set_for_when_there_is_more_to_decide() {
    let mut gaps = watch(&json!({ "watch": "gaps", "silent-for": "30m" }));
    let mut message = Message::new("sensors.hamburg.d", "{}");
    message.key = Some("d".to_owned());
    message.event_time = MINUTE;
    assert_eq!(
        payloads(gaps.process(&message).unwrap()),
        Vec::<Value>::new()
    );
    let due = testing::take_timers();
    assert_eq!((due.len(), due[0].at), (1, 31 * MINUTE + 1));
    let found = payloads(gaps.on_timer(&due[0]).unwrap());
    let alert = json!({ "alert": "gap", "device": "d", "since": 60_000 });
    assert_eq!(found, [alert]);
    assert_eq!(testing::take_timers().len(), 0);
    message.event_time = 50 * MINUTE;
    gaps.process(&message).unwrap();
    let due = testing::take_timers();
    assert_eq!((due.len(), due[0].at), (1, 50 * MINUTE));
    let found = payloads(gaps.on_timer(&due[0]).unwrap());
    let alert = json!({ "alert": "back", "device": "d", "since": 60_000, "at": 3_000_000 });
    assert_eq!(found, [alert]);
}

#[test]
fn a_minute_far_from_those_before_is_drift_until_one_is_near() {
    let mut drift = watch(&json!({ "watch": "drift", "baseline": 6, "limit": 10 }));
    let mut alerts = |sums: &[i64]| {
        let minute = |sum: &i64| {
            let minute = json!({ "device": "d", "minute": "m", "readings": 2, "sum": sum });
            payloads(
                drift
                    .process(&Message::new("minutes.d", minute.to_string()))
                    .unwrap(),
            )
        };
        sums.iter().flat_map(minute).collect::<Vec<_>>()
    };
    // Too few minutes to compare with, then exactly as far as it may be.
    assert_eq!(alerts(&[200, 900]), Vec::<Value>::new());
    assert_eq!(alerts(&[200; 7]).len(), 2);
    assert_eq!(alerts(&[200, 200, 220]), Vec::<Value>::new());
    let found = alerts(&[300, 300, 250]);
    let named: Vec<_> = found.iter().map(|alert| &alert["alert"]).collect();
    assert_eq!(named, ["drift", "steady"]);
    assert_eq!(found[0]["average"], 150.0);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let refused = |config: Value| testing::configured::<Watch>(&config).err().unwrap();
    let silence = json!({ "watch": "gaps", "silent-for": "long" });
    assert!(refused(silence).starts_with("`silent-for`: `long` is not a time"));
    let nothing = json!({ "watch": "drift", "baseline": 0, "limit": 1 });
    assert!(refused(nothing).starts_with("`baseline`"));
    let mut drift = watch(&json!({ "watch": "drift", "baseline": 6, "limit": 10 }));
    let minute = json!({ "device": "d", "minute": "m", "readings": -1, "sum": 1 });
    assert!(
        drift
            .process(&Message::new("minutes.d", minute.to_string()))
            .is_err()
    );
}
