//! The standard plugin `dedupe` lets each message through once, whatever is killed.

use super::by_subject;
use crate::harness::{Site, guests, wait_until};
use std::collections::BTreeMap;
use std::path::PathBuf;

impl Site {
    /// The usual pipeline as a job whose plugin drops repeats of a field.
    fn distinct(&self, within: &str) -> PathBuf {
        self.file(
            "plugin.wasm",
            std::fs::read(guests::plugin("dedupe")).unwrap(),
        );
        let config = format!("    config: {{ by: /id, within: {within} }}\n    limits");
        self.job(&[("    limits", &config)], "")
    }
}

/// Each round repeats all before it, and itself.
#[test]
fn each_distinct_message_passes_once_if_its_repeats_are_spread_over_kills_of_the_host() {
    const ROUNDS: usize = 4;
    const NEW: usize = 350;
    let site = Site::new();
    let file = site.distinct("1h");
    let client = site.nats.client();
    let payload = |id: usize, round: usize| format!(r#"{{"id":{id},"round":{round}}}"#);
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut weir = site.run_job(&file);
    for round in 0..ROUNDS {
        let ids = 0..(round + 1) * NEW;
        for id in ids.clone().skip(round * NEW) {
            let of = expected.entry(format!("out.in.{}", id % 7)).or_default();
            of.push(payload(id, round));
        }
        let some = client.count("OUT") + 20;
        let once = ids.map(|id| (format!("in.{}", id % 7), payload(id, round)));
        client.publish_all(once.clone().chain(once));
        wait_until("some have passed", || client.count("OUT") >= some);
        weir.kill9();
        weir = site.run_job(&file);
    }
    // What comes behind all repeats.
    for key in 0..7 {
        client.publish(&format!("in.{key}"), payload(9000 + key, 0));
        let of = expected.get_mut(&format!("out.in.{key}")).unwrap();
        of.push(payload(9000 + key, 0));
    }
    let is_last = |of: &Vec<String>| of.last().unwrap().contains(r#""id":900"#);
    wait_until("all is processed", || {
        let found = by_subject(&client.messages("OUT"));
        found.len() == 7 && found.values().all(is_last)
    });
    assert_eq!(by_subject(&client.messages("OUT")), expected);
}

#[test]
fn a_repeat_passes_when_the_time_is_over() {
    let site = Site::new();
    let file = site.distinct("1s");
    let client = site.nats.client();
    let _weir = site.run_job(&file);
    client.publish("in.a", r#"{"id":1}"#);
    wait_until("it has passed twice", || {
        client.publish("in.a", r#"{"id":1}"#);
        client.count("OUT") >= 2
    });
}
