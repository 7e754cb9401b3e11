use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

fn sample(config: &Value) -> Sample {
    testing::configured(config).unwrap()
}

fn message(sequence: u64, payload: &str) -> Message {
    let mut message = Message::new("orders", payload);
    message.sequence = sequence;
    message
}

/// The sequences of the first 10000 messages that pass.
fn passed(config: &Value) -> Vec<u64> {
    let mut sample = sample(config);
    let passes = |sequence: &u64| {
        let outcome = sample.process(&message(*sequence, "not JSON"));
        outcome.unwrap() == Outputs::pass()
    };
    (1..=10_000).filter(passes).collect()
}

#[test]
fn the_share_passes_and_the_same_messages_each_time() {
    let tenth = passed(&json!({ "one-in": 10 }));
    assert!((900..1_100).contains(&tenth.len()), "{}", tenth.len());
    assert_eq!(passed(&json!({ "one-in": 10 })), tenth);
    assert_eq!(passed(&json!({ "fraction": 0.1 })), tenth);
    // A larger share has the smaller one in it; another seed chooses others.
    let fifth = passed(&json!({ "fraction": 0.2 }));
    assert!(tenth.iter().all(|sequence| fifth.contains(sequence)));
    let others = passed(&json!({ "one-in": 10, "seed": "b" }));
    let both = others.iter().filter(|sequence| tenth.contains(sequence));
    assert!((50..150).contains(&both.count()));
    assert_eq!(passed(&json!({ "one-in": 1 })).len(), 10_000);
    assert_eq!(passed(&json!({ "fraction": 1 })).len(), 10_000);
    assert_eq!(passed(&json!({ "fraction": 0 })).len(), 0);
}

#[test]
fn all_messages_of_a_value_pass_or_none() {
    let mut sample = sample(&json!({ "fraction": 0.5, "by": "{/user}" }));
    let mut passing = 0;
    for user in 0..100 {
        let payload = json!({ "user": user }).to_string();
        let first = sample.process(&message(1, &payload));
        assert_eq!(sample.process(&message(2, &payload)), first);
        passing += u32::from(first == Ok(Outputs::pass()));
    }
    assert!((30..70).contains(&passing), "{passing}");
    assert_eq!(
        sample.process(&message(1, "{}")),
        Err(Error::reject("the message has no {/user}"))
    );
}

#[test]
fn what_is_always_wanted_passes() {
    let config = json!({ "fraction": 0, "always": "payload.level == 'error'" });
    let mut sample = sample(&config);
    let mut outcome = |payload: &str| sample.process(&message(1, payload));
    assert_eq!(outcome(r#"{"level":"error"}"#), Ok(Outputs::pass()));
    assert_eq!(outcome(r#"{"level":"info"}"#), Ok(Outputs::none()));
    assert_eq!(
        outcome("{}"),
        Err(Error::reject("there is no field `payload.level`"))
    );
}

#[test]
fn a_mistake_in_the_configuration_is_found_before_any_message() {
    for (config, error) in [
        (json!({}), "give either `one-in` or `fraction`"),
        (
            json!({ "one-in": 2, "fraction": 0.5 }),
            "give either `one-in` or `fraction`",
        ),
        (json!({ "one-in": 0 }), "/one-in: it must be at least 1"),
        (
            json!({ "fraction": 1.5 }),
            "/fraction: it must be between 0 and 1, not 1.5",
        ),
        (
            json!({ "one-in": 2, "by": "{user}" }),
            "/by: unknown value `user`",
        ),
        (
            json!({ "one-in": 2, "always": "user" }),
            "/always:1:1: unknown variable `user`",
        ),
    ] {
        let refusal = testing::configured::<Sample>(&config)
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
