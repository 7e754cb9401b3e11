//! Which messages pass, and what the configuration refuses. The clock of a native build stands still at 0.

use super::Throttle;
use serde_json::{Value, json};
use weir_sdk::{Message, Operator, Outputs, Stateful, Timer, testing};

fn throttle(config: Value) -> Throttle {
    testing::clear_state();
    testing::configured(&config).unwrap()
}

fn message(key: &str, payload: &str) -> Message {
    let message = Message::new("readings.attic", payload).with_header("Nats-Msg-Id", "1");
    let mut message = message.with_header("Unit", "celsius");
    message.key = Some(key.to_owned());
    message
}

/// The payloads that pass at once; "" stands for one that is passed on as it is.
fn at_once(throttle: &mut Throttle, key: &str, payload: &str) -> Vec<String> {
    payloads(throttle.process(&message(key, payload)).unwrap())
}

fn payloads(outputs: Outputs) -> Vec<String> {
    let payload = |output: weir_sdk::Output| String::from_utf8(output.payload.unwrap_or_default());
    outputs
        .into_inner()
        .into_iter()
        .map(|output| payload(output).unwrap())
        .collect()
}

/// Fires the timers that are set: their times in seconds, and what passes.
fn fire(throttle: &mut Throttle) -> Vec<(u64, Vec<String>)> {
    let fire = |timer: Timer| {
        let outputs = throttle.on_timer(&timer).unwrap();
        (timer.at / 1_000_000_000, payloads(outputs))
    };
    testing::take_timers().into_iter().map(fire).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn the_first_of_each_key_passes_and_again_after_the_interval() {
    let mut throttle = throttle(json!({ "every": "10s" }));
    assert_eq!(at_once(&mut throttle, "a", "1"), [""]);
    assert_eq!(at_once(&mut throttle, "a", "2"), NOTHING);
    assert_eq!(at_once(&mut throttle, "b", "3"), [""]);
    assert_eq!(fire(&mut throttle), [(10, vec![]), (10, vec![])]);
    assert_eq!(at_once(&mut throttle, "a", "4"), [""]);
}

#[test]
fn the_last_passes_at_the_end_of_the_interval_as_it_came() {
    let mut throttle = throttle(json!({ "every": "10s", "keep": "last" }));
    assert_eq!(at_once(&mut throttle, "a", "1"), NOTHING);
    assert_eq!(at_once(&mut throttle, "a", "2"), NOTHING);
    let [timer] = testing::take_timers().try_into().unwrap();
    let [output] = throttle
        .on_timer(&timer)
        .unwrap()
        .into_inner()
        .try_into()
        .unwrap();
    assert_eq!(output.subject.as_deref(), Some("readings.attic"));
    assert_eq!(output.payload.as_deref(), Some(&b"2"[..]));
    // An output may not have a header of the server.
    let [header] = output.headers.unwrap().try_into().unwrap();
    assert_eq!((&*header.name, &*header.value), ("Unit", "celsius"));
    assert_eq!(fire(&mut throttle), []);
}

#[test]
fn of_both_the_last_begins_an_interval_of_its_own() {
    let mut throttle = throttle(json!({ "every": "10s", "keep": "both" }));
    assert_eq!(at_once(&mut throttle, "a", "1"), [""]);
    assert_eq!(at_once(&mut throttle, "a", "2"), NOTHING);
    assert_eq!(fire(&mut throttle), [(10, vec!["2".to_owned()])]);
    assert_eq!(at_once(&mut throttle, "a", "3"), NOTHING);
    assert_eq!(fire(&mut throttle), [(10, vec!["3".to_owned()])]);
    assert_eq!(fire(&mut throttle), [(10, vec![])]);
    assert_eq!(at_once(&mut throttle, "a", "4"), [""]);
}

#[test]
fn the_last_before_a_pause_passes_and_every_message_puts_it_off_up_to_a_limit() {
    let mut debounce = throttle(json!({ "quiet": "5s" }));
    assert_eq!(at_once(&mut debounce, "a", "1"), NOTHING);
    assert_eq!(at_once(&mut debounce, "a", "2"), NOTHING);
    assert_eq!(fire(&mut debounce), [(5, vec!["2".to_owned()])]);
    let mut limited = throttle(json!({ "quiet": "5s", "at-most": "5s" }));
    assert_eq!(at_once(&mut limited, "a", "1"), NOTHING);
    assert_eq!(fire(&mut limited), [(5, vec!["1".to_owned()])]);
}

#[test]
fn bytes_that_are_no_text_pass_as_they_are() {
    let mut throttle = throttle(json!({ "quiet": "1s" }));
    let mut message = message("a", "");
    message.payload = vec![0, 159, 146, 150];
    throttle.process(&message).unwrap();
    let [timer] = testing::take_timers().try_into().unwrap();
    let [output] = throttle
        .on_timer(&timer)
        .unwrap()
        .into_inner()
        .try_into()
        .unwrap();
    assert_eq!(output.payload, Some(message.payload));
}

#[test]
fn a_configuration_with_neither_rule_or_with_parts_of_both_is_refused() {
    let refusal = |config: Value| testing::configured::<Throttle>(&config).err().unwrap();
    assert!(refusal(json!({})).contains("either `every`"));
    assert!(refusal(json!({ "every": "1s", "quiet": "1s" })).contains("either `every`"));
    assert!(
        refusal(json!({ "every": "1s", "at-most": "1s" })).contains("/at-most: it is for `quiet`")
    );
    assert!(refusal(json!({ "quiet": "1s", "keep": "last" })).contains("/keep: it is for `every`"));
    assert!(refusal(json!({ "quiet": "5s", "at-most": "4s" })).contains("less than `quiet`"));
    assert!(refusal(json!({ "every": "0s" })).contains("/every: every message would pass"));
    assert!(refusal(json!({ "quiet": "1 fortnight" })).contains("is not a time"));
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(
        config_schema::check::<crate::config::Config>(folder),
        Ok(())
    );
}

#[test]
fn a_key_that_the_state_does_not_take_is_refused() {
    let refused = throttle(json!({ "every": "1m" })).process(&message(&"k".repeat(65_537), ""));
    let reason = "the key has 65537 bytes, and a key in the state at most 65536";
    assert_eq!(refused, Err(weir_sdk::Error::reject(reason)));
}
