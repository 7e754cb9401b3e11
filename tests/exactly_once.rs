//! `delivery: exactly-once`: whatever fails, each input has its results once, those of one key are in the order
//! of the stream, and a retry holds back its key and no other.

mod bad_input;
mod changes;
mod cluster;
mod dedupe;
mod disk;
mod forward;
mod golden;
mod in_job_stream;
mod nemesis;
mod operate;
mod partitions;
mod queue;
mod read;
mod refused;
mod replay;
mod reset;
mod shadow;
mod sources;
mod standard;
mod standby;
mod state;
mod tables;
mod time;
mod timers;
mod tools;
mod windows;

use crate::harness::{Site, Stored, Weir, guests, replaced, series, wait_for, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The stream of the usual pipeline as a job.
const JOB: &str = "WEIR_JOB_P";
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

    /// A host with this file that runs.
    fn keep_job(&self, file: &Path) -> Weir {
        self.keep_jobs(&[file.to_str().unwrap()])
    }

    /// The same with several files. It waits where the cluster has no leader yet.
    fn keep_jobs(&self, files: &[&str]) -> Weir {
        let mut weir = self.start_with(&[&["--create"], files].concat(), &[]);
        wait_until("a host runs", || {
            assert!(weir.is_running(), "{}", weir.stderr());
            weir.stderr().matches("running").count() >= files.len()
        });
        weir
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
    for round in 0..3 {
        let numbers = round * 1000..(round + 1) * 1000;
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
fn what_the_stream_of_the_results_has_is_removed_from_the_stream_of_the_job() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..100).map(|number| (format!("in.{number}"), number.to_string())));
    client.publish("in.a", "reject:this");
    let _weir = site.run_job(&site.job(&[], ""));
    site.wait_for_messages("OUT", 100);
    site.wait_for_messages("DEAD", 1);
    // A checkpoint for each partition, and the definition.
    wait_until("nothing else is left", || client.count(JOB) == 9);
    client.publish("in.b", "101");
    let out = site.wait_for_messages("OUT", 101);
    assert_eq!(out.len(), 101);
}

#[test]
fn a_new_version_of_a_plugin_takes_over_between_two_commits() {
    let site = Site::new();
    site.file("plugin.wasm", guests::versions("v0"));
    let file = site.job(&[], "");
    let client = site.nats.client();
    let _weir = site.run_job(&file);
    client.publish_all((0..200).map(|number| (format!("in.{}", number % 7), number.to_string())));
    site.wait_for_messages("OUT", 200);
    let digest = |message: &Stored| message.header("Weir-Digest").unwrap().to_owned();
    let old = digest(&client.messages("OUT")[0]);
    site.file("plugin.wasm", guests::versions("v1"));
    let mut sent = 200;
    wait_until("results come from the new version", || {
        client.publish(&format!("in.{}", sent % 7), sent.to_string());
        sent += 1;
        let out = site.wait_for_messages("OUT", sent);
        digest(out.last().unwrap()) != old
    });
    let out = client.messages("OUT");
    assert_eq!(out.len() as u64, sent);
    for messages in by_subject(&out).values() {
        assert!(!messages.is_empty());
    }
}

#[test]
fn a_job_is_refused_if_its_state_was_made_otherwise() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.a", "1");
    let weir = site.run_job(&site.job(&[], ""));
    site.wait_for_messages("OUT", 1);
    drop(weir);
    let refused = |file: &Path, words: &str| {
        let weir = site.start_job(file).finish();
        assert_eq!(weir.code, Some(1), "{weir:#?}");
        assert!(weir.stderr.contains(words), "{weir:#?}");
    };
    refused(
        &site.job(&[], "partitions: 4\n"),
        "its state depends on another `partitions`: 8, not 4",
    );
    let other = ("subject[1]", "subject");
    let text = std::fs::read_to_string(site.job(&[], "")).unwrap();
    let file = site.file("p.yaml", replaced(&text, &[other]));
    refused(&file, "its state depends on another `key`");
    let whole = |order: &str| {
        let changes = [
            (
                "name: p
",
                "name: whole
",
            ),
            NO_CONSUMER,
        ];
        site.pipeline_but(
            &changes,
            &format!(
                "key: \"{{subject[1]}}\"
partitions: 1
order: {order}
"
            ),
        )
    };
    drop(site.run_job(&whole("stream")));
    refused(
        &whole("key"),
        "its state depends on another `order`: `stream`, not `key`",
    );
}

#[test]
fn a_source_that_is_made_anew_is_read_from_its_beginning() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..50).map(|number| (format!("in.{number}"), number.to_string())));
    let _weir = site.run_job(&site.job(&[], ""));
    site.wait_for_messages("OUT", 50);
    client.run(client.jetstream.delete_stream("IN")).unwrap();
    client.create_stream("IN", &["in.>"]);
    client.publish_all((50..70).map(|number| (format!("in.{number}"), number.to_string())));
    let out = site.wait_for_messages("OUT", 70);
    let numbers: BTreeSet<String> = out.iter().map(Stored::text).collect();
    assert_eq!((out.len(), numbers.len()), (70, 70));
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
    // Those that waited for another attempt are not observed again.
    wait_until("their latency is observed", || {
        weir.metric(&series("latency_seconds_count")) == 402.0
    });
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
