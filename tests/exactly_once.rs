//! `delivery: exactly-once`: whatever fails, each input has its results once, those of one key are in the order
//! of the stream, and a retry holds back its key and no other.

use crate::harness::{Site, Stored, Weir, series, wait_for, wait_until};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// In place of what only a pipeline with a consumer has.
const NO_CONSUMER: (&str, &str) = ("stream: IN, consumer: p", "stream: IN");

impl Site {
    /// The usual pipeline as a job, with a key for each subject.
    fn job(&self, changes: &[(&str, &str)], more: &str) -> PathBuf {
        let job = "delivery: exactly-once\nkey: \"{subject[1]}\"\n";
        self.pipeline_but(&[&[NO_CONSUMER], changes].concat(), &format!("{job}{more}"))
    }

    fn start_job(&self, file: &Path) -> Weir {
        self.start_with(&[file.to_str().unwrap(), "--create"], &[])
    }

    fn run_job(&self, file: &Path) -> Weir {
        let mut weir = self.start_job(file);
        weir.wait_until_output("running");
        weir
    }
}

/// The payloads on each subject, in the order of the stream.
fn by_subject(messages: &[Stored]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in messages {
        let of = found.entry(message.subject.to_string()).or_default();
        of.push(message.text());
    }
    found
}

/// What becomes of so many numbers on seven subjects, if nothing happens to any of them.
fn expected(numbers: usize) -> BTreeMap<String, Vec<String>> {
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..numbers {
        let of = expected
            .entry(format!("out.in.{}", number % 7))
            .or_default();
        of.push(number.to_string());
    }
    expected
}

#[test]
fn a_host_that_is_killed_again_and_again_neither_loses_nor_repeats_nor_reorders_a_result() {
    let site = Site::new();
    let file = site.job(&[], "");
    let client = site.nats.client();
    let mut weir = site.run_job(&file);
    for round in 0..6 {
        let numbers = round * 500..(round + 1) * 500;
        let some = client.count("OUT") + 50;
        client
            .publish_all(numbers.map(|number| (format!("in.{}", number % 7), number.to_string())));
        wait_until("some results are there", || client.count("OUT") >= some);
        weir.kill9();
        weir = site.run_job(&file);
    }
    let out = site.wait_for_messages("OUT", 3000);
    assert_eq!(by_subject(&out), expected(3000));
}

#[test]
fn every_outcome_has_its_effect_once_and_a_retry_holds_back_its_key_alone() {
    let site = Site::new();
    let payload = |number: usize| match number % 20 {
        3 => format!("drop:{number}"),
        7 => format!("reject:{number}"),
        9 => "emit:3".to_owned(),
        13 => "retry-until:3".to_owned(),
        _ => number.to_string(),
    };
    let client = site.nats.client();
    client.publish_all((0..400).map(|number| (format!("in.{}", number % 7), payload(number))));
    client.publish("in.bad", "retry");
    client.publish("in.bad", "behind it");
    let weir = site.run_job(&site.job(&[], ""));
    let out = site.wait_for_messages("OUT", 360 + 40 + 1);
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..400 {
        let of = expected
            .entry(format!("out.in.{}", number % 7))
            .or_default();
        match number % 20 {
            3 | 7 => {}
            9 => of.extend(["0", "1", "2"].map(ToOwned::to_owned)),
            _ => of.push(payload(number)),
        }
    }
    expected.insert("out.in.bad".to_owned(), vec!["behind it".to_owned()]);
    assert_eq!(by_subject(&out), expected);
    let dead = site.wait_for_messages("DEAD", 21);
    assert_eq!(dead.len(), 21);
    assert_eq!(dead.iter().filter(|dead| dead.text() == "retry").count(), 1);
    wait_for("all of it is counted, and nothing is left", || {
        let names = [
            "acked_total",
            "termed_total",
            "dropped_total",
            "dead_total",
            "in_flight",
            "lag",
        ];
        let counted = names.map(|name| weir.metric(&series(name)));
        let all = counted == [381.0, 21.0, 20.0, 21.0, 0.0, 0.0];
        all.then_some(()).ok_or(format!("{names:?}: {counted:?}"))
    });
}
