//! State and timers of plugins are those of the messages that ended well, whatever is killed.

use super::by_subject;
use crate::harness::{Site, Stored, guests, replaced, wait_until};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Results are named by their key, as those of a timer have no subject.
const BY_KEY: (&str, &str) = ("out.{subject}", "out.{key}");

impl Site {
    /// The usual pipeline as a job whose plugin does to its state what payloads say.
    pub(super) fn stateful(&self, more: &str) -> PathBuf {
        self.file("plugin.wasm", guests::bytes("stateful"));
        self.job(&[BY_KEY], more)
    }
}

/// The payloads of each key.
fn by_key(messages: &[Stored]) -> BTreeMap<String, Vec<String>> {
    by_subject(messages)
}

#[test]
fn the_counts_of_keys_are_right_whenever_the_host_is_killed() {
    let site = Site::new();
    let file = site.stateful("");
    let client = site.nats.client();
    let mut weir = site.run_job(&file);
    for _ in 0..2 {
        let some = client.count("OUT") + 50;
        client.publish_all((0..1400).map(|number| (format!("in.{}", number % 7), "count")));
        wait_until("some results are there", || client.count("OUT") >= some);
        weir.kill9();
        weir = site.run_job(&file);
    }
    let counts: Vec<String> = (1..=400).map(|count| count.to_string()).collect();
    let expected = (0..7).map(|key| (format!("out.{key}"), counts.clone()));
    let out = site.wait_for_messages("OUT", 2800);
    assert_eq!(by_key(&out), expected.collect());
}

#[test]
fn a_timer_fires_once_whenever_the_host_is_killed() {
    let site = Site::new();
    let file = site.stateful("");
    let client = site.nats.client();
    let mut weir = site.run_job(&file);
    let script = |number: usize| match number % 2 {
        0 => "drop; timer processing 0 say fired",
        _ => "drop; timer event 1 say fired",
    };
    for round in 0..2 {
        let some = client.count("OUT") + 20;
        let numbers = round * 200..(round + 1) * 200;
        client.publish_all(numbers.map(|number| (format!("in.{number}"), script(number))));
        wait_until("some have fired", || client.count("OUT") >= some);
        weir.kill9();
        weir = site.run_job(&file);
    }
    let expected = (0..400).map(|key| (format!("out.{key}"), vec!["fired".to_owned()]));
    let out = site.wait_for_messages("OUT", 400);
    assert_eq!(by_key(&out), expected.collect());
}

#[test]
fn a_message_or_timer_that_ends_badly_leaves_nothing_in_the_state() {
    let site = Site::new();
    let file = site.stateful("state: { max-bytes: 1MiB }\n");
    let client = site.nats.client();
    for script in [
        "count",
        "count; reject",
        "count; retry",
        "count; trap",
        "count",
        "count; fill x 2000000",
    ] {
        client.publish("in.a", script);
    }
    client.publish("in.b", "count; timer processing 0 reject");
    client.publish("in.c", "count; timer processing 0 retry");
    let _weir = site.run_job(&file);
    let dead = site.wait_for_messages("DEAD", 6);
    assert_eq!(dead.len(), 6);
    for key in ["a", "b", "c"] {
        client.publish(&format!("in.{key}"), "count");
    }
    let out = site.wait_for_messages("OUT", 7);
    let expected = [
        ("out.a", vec!["1", "2", "3"]),
        ("out.b", vec!["1", "2"]),
        ("out.c", vec!["1", "2"]),
    ];
    let expected = expected.map(|(key, counts)| {
        let counts = counts.into_iter().map(ToOwned::to_owned);
        (key.to_owned(), counts.collect::<Vec<String>>())
    });
    assert_eq!(by_key(&out), expected.into());
    let full = dead.iter().any(|dead| {
        let reason = dead.header("Weir-Reason").unwrap_or_default();
        reason.contains("the state of the partition would need")
    });
    assert!(full, "{dead:#?}");
}

#[test]
fn a_new_version_of_a_plugin_goes_on_with_the_state() {
    let site = Site::new();
    let file = site.stateful("");
    let client = site.nats.client();
    let _weir = site.run_job(&file);
    client.publish_all((0..70).map(|number| (format!("in.{}", number % 7), "count")));
    site.wait_for_messages("OUT", 70);
    // A custom section makes another digest of the same code.
    let mut next = guests::bytes("stateful");
    next.extend_from_slice(&[0, 3, 1, b'v', b'2']);
    site.file("plugin.wasm", next);
    let digest = |message: &Stored| message.header("Weir-Digest").unwrap().to_owned();
    let old = digest(&client.messages("OUT")[0]);
    let mut sent = 70;
    wait_until("results come from the new version", || {
        client.publish(&format!("in.{}", sent % 7), "count");
        sent += 1;
        let out = site.wait_for_messages("OUT", sent);
        digest(out.last().unwrap()) != old
    });
    for (key, counts) in by_key(&client.messages("OUT")) {
        let expected: Vec<String> = (1..=counts.len()).map(|count| count.to_string()).collect();
        assert_eq!(counts, expected, "{key}");
    }
}

#[test]
fn a_renamed_operator_whose_values_would_be_orphaned_is_refused() {
    let site = Site::new();
    let file = site.stateful("");
    site.nats.client().publish("in.a", "count");
    let weir = site.run_job(&file);
    site.wait_for_messages("OUT", 1);
    weir.terminate();
    weir.finish();
    let text = std::fs::read_to_string(&file).unwrap();
    site.file("p.yaml", replaced(&text, &[("name: op", "name: other")]));
    let mut weir = site.start_job(&file);
    weir.wait_until_output(
        "the state has values of operator `op`, which the pipeline does not have",
    );
}

#[test]
fn a_version_that_cannot_read_the_state_is_refused_and_one_that_migrates_it_takes_over_for_good() {
    let site = Site::new();
    let file = site.stateful("");
    let client = site.nats.client();
    let mut weir = site.keep_job(&file);
    let mut sent = 0;
    let mut count = || {
        client.publish(&format!("in.{}", sent % 3), "count");
        sent += 1;
        let out = site.wait_for_messages("OUT", sent);
        out.last().unwrap().clone()
    };
    for _ in 0..30 {
        count();
    }
    let digest = |message: &Stored| message.header("Weir-Digest").unwrap().to_owned();
    let old = digest(&count());
    site.file("plugin.wasm", guests::bytes("unreadable"));
    weir.wait_until_output("the old version keeps running: cannot swap operator `op`");
    let stderr = weir.stderr();
    assert!(
        stderr.contains("it cannot read the state: it rejects message"),
        "{stderr}"
    );
    assert_eq!(digest(&count()), old);
    site.file("plugin.wasm", guests::bytes("migrating"));
    wait_until("results come from the new version", || {
        digest(&count()) != old
    });
    for (key, counts) in by_key(&client.messages("OUT")) {
        let expected: Vec<String> = (1..=counts.len()).map(|count| count.to_string()).collect();
        assert_eq!(counts, expected, "{key}");
    }
    assert_eq!(client.count("DEAD"), 0);

    // What it has migrated is not for the version before.
    site.file("plugin.wasm", guests::bytes("stateful"));
    weir.wait_until_output("the state has values of format 1, and this version reads format 0");
    weir.terminate();
    weir.finish();
    let mut weir = site.start_job(&file);
    weir.wait_until_output(
        "operator `op` has values of format 1, and its plugin reads format 0; run a later version",
    );
}

#[test]
fn counts_are_right_if_the_host_is_killed_between_any_two_steps_of_a_commit() {
    counts_are_right_if_the_host_is_killed_at(
        "partitions: 2\n",
        &[
            ("claimed:1", "Claimed"),
            ("recovered:2", "Recovered"),
            ("processed:3", "Processed"),
            ("sent:4", "Sent"),
            ("committed:2", "Committed"),
            ("noted:3", "Noted"),
            ("snapshotted:1", "Snapshotted"),
            ("purged:1", "Purged"),
        ],
    );
}

pub(super) fn counts_are_right_if_the_host_is_killed_at(more: &str, halts: &[(&str, &str)]) {
    let site = Site::new();
    let file = site.stateful(more);
    let client = site.nats.client();
    let mut rounds = 0;
    for (halt, station) in halts {
        let args = [file.to_str().unwrap(), "--create"];
        let mut weir = site.start_with(&args, &[("WEIR_HALT_AT", *halt)]);
        // Bursts, so that there are several commits; each has more state than is left uncompacted.
        while !weir.stderr().contains("halted at") {
            client.publish_all((0..70).map(|number| {
                let script = format!("count; fill {} 4000", number / 7);
                (format!("in.{}", number % 7), script)
            }));
            rounds += 1;
            let stream = client.count("IN");
            wait_until("the host has halted, or read all of it", || {
                weir.stderr().contains("halted at") || client.count("OUT") >= stream
            });
        }
        weir.wait_until_output(&format!("halted at {station}"));
        weir.kill9();
    }
    let _weir = site.run_job(&file);
    let counts: Vec<String> = (1..=10 * rounds).map(|count| count.to_string()).collect();
    let expected = (0..7).map(|key| (format!("out.{key}"), counts.clone()));
    let out = site.wait_for_messages("OUT", 70 * rounds);
    assert_eq!(by_key(&out), expected.collect());
}
