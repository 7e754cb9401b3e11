//! Runs natively, without WebAssembly and without a host: `cargo test`.

use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

const START: u64 = 1_793_491_200_000;

fn fraud(watch: &str) -> Fraud {
    testing::clear_state();
    testing::configured(&json!({ "watch": watch, "forget-after-minutes": 60 })).unwrap()
}

/// A payment of 10.00 at a second of the first day, changed by `but`.
fn payment(second: u64, but: &Value) -> Message {
    let mut payment = json!({
        "id": second, "time": START + second * 1000, "card": "c-1", "merchant": "m-1", "device": "d-1",
        "cents": 1000, "accepted": true, "place": { "east": 100, "north": 100 },
    });
    for (name, value) in but.as_object().unwrap() {
        payment[name] = value.clone();
    }
    let mut message = Message::new("payments.lyon", payment.to_string());
    message.key = Some("c-1".to_owned());
    message
}

/// The rules that each of these payments breaks.
fn broken(fraud: &mut Fraud, payments: &[(u64, Value)]) -> Vec<Vec<String>> {
    let broken = |(second, but): &(u64, Value)| {
        let outputs = fraud.process(&payment(*second, but)).unwrap().into_inner();
        let rule = |output: Output| {
            let alert: Value = serde_json::from_slice(&output.payload.unwrap()).unwrap();
            assert_eq!(alert["payment"], *second);
            alert["rule"].as_str().unwrap().to_owned()
        };
        outputs.into_iter().map(rule).collect()
    };
    payments.iter().map(broken).collect()
}

/// How often the last of them breaks the rule.
fn last_breaks(watch: &str, rule: &str, payments: &[(u64, Value)]) -> bool {
    let mut all = broken(&mut fraud(watch), payments);
    let last = all.pop().unwrap();
    assert!(all.concat().is_empty(), "{all:?}");
    assert!(last.iter().all(|broken| broken == rule), "{last:?}");
    !last.is_empty()
}

#[test]
fn three_declined_within_a_minute_and_then_one_accepted() {
    let declined = || json!({ "accepted": false });
    let breaks = |times: &[u64], last: u64| {
        let mut payments: Vec<_> = times.iter().map(|time| (*time, declined())).collect();
        payments.push((last, json!({})));
        last_breaks("cards", "declines", &payments)
    };
    assert!(breaks(&[0, 1, 2], 3));
    assert!(breaks(&[0, 20, 40], 59));
    assert!(breaks(&[0, 70, 80, 90], 91));
    assert!(!breaks(&[0, 20, 40], 60));
    assert!(!breaks(&[0, 1], 2));
}

#[test]
fn two_places_that_are_too_far_apart_for_the_time_between() {
    let breaks = |east: i32, seconds: u64| {
        let there = json!({ "place": { "east": 100 + east, "north": 100 } });
        last_breaks("cards", "travel", &[(0, json!({})), (seconds, there)])
    };
    assert!(breaks(90, 359));
    assert!(breaks(-90, 359));
    assert!(!breaks(90, 360));
    assert!(!breaks(50, 0));
    assert!(breaks(51, 0));
}

#[test]
fn the_first_use_of_a_device_and_then_a_large_amount() {
    let with = |device: &str, cents: u64| json!({ "device": device, "cents": cents });
    let breaks = |payments: &[(u64, Value)]| last_breaks("cards", "device", payments);
    let (own, new) = (|| (0, with("d-1", 100)), || (5, with("d-2", 100)));
    assert!(breaks(&[own(), new(), (605, with("d-2", 50_000))]));
    assert!(!breaks(&[own(), new(), (606, with("d-2", 50_000))]));
    assert!(!breaks(&[own(), new(), (10, with("d-2", 49_999))]));
    assert!(!breaks(&[own(), new(), (10, with("d-1", 50_000))]));
    assert!(!breaks(&[own(), (5, with("d-2", 50_000))]));
    assert!(!breaks(&[own(), (5, with("d-1", 50_000))]));
}

#[test]
fn many_payments_at_a_merchant_within_a_minute_are_one_burst() {
    let at = |seconds: &[u64]| -> Vec<_> { seconds.iter().map(|at| (*at, json!({}))).collect() };
    let fifteen: Vec<u64> = (0..15).map(|number| number * 4).collect();
    assert!(last_breaks("merchants", "burst", &at(&fifteen)));
    let slower: Vec<u64> = (0..15).map(|number| number * 5).collect();
    assert!(!last_breaks("merchants", "burst", &at(&slower)));
    let thirty: Vec<u64> = (0..30).collect();
    let bursts = broken(&mut fraud("merchants"), &at(&thirty));
    assert_eq!(bursts.concat().len(), 2);
}

#[test]
fn a_card_is_forgotten_after_its_time_whether_or_not_the_timer_was_there_before_the_payment() {
    let far = json!({ "place": { "east": 5000, "north": 100 } });
    let first = [(0, json!({}))];
    for timer_fires in [false, true] {
        let mut fraud = fraud("cards");
        broken(&mut fraud, &first);
        let due = testing::take_timers();
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].at, (START + 3_600_001) * 1_000_000);
        if timer_fires {
            fraud.on_timer(&due[0]).unwrap();
            assert!(CARD.get("c-1").unwrap().is_none());
        }
        assert!(
            broken(&mut fraud, &[(3601, far.clone())])
                .concat()
                .is_empty()
        );
    }
    let mut fraud = fraud("cards");
    broken(&mut fraud, &first);
    assert_eq!(broken(&mut fraud, &[(3600, far)]).concat(), ["travel"]);
}

#[test]
fn what_is_no_payment_is_refused() {
    let mut fraud = fraud("cards");
    for but in [
        json!({ "time": START * 1000 }),
        json!({ "cents": -1 }),
        json!({ "accepted": "yes" }),
        json!({ "place": { "east": 0.5, "north": 0 } }),
    ] {
        assert!(fraud.process(&payment(0, &but)).is_err(), "{but}");
    }
    assert_eq!(CARD.get("c-1").unwrap().map(|card| card.last()), None);
    let settings = json!({ "watch": "cards", "forget-after-minutes": 0 });
    let refusal = testing::configured::<Fraud>(&settings).err().unwrap();
    assert_eq!(
        refusal,
        "`forget-after-minutes`: nothing would be remembered"
    );
}
