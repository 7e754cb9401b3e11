//! A message that lacks a part of its `key` is processed, becomes a dead letter or is dropped, as `on-missing-key`
//! says: in each kind of pipeline, when it is replayed, and without a broker. It is counted in every case.

use crate::harness::{Site, Weir, pipeline_folder, series, wait_until};

const JOB: &str = "delivery: exactly-once\n";

/// Runs a pipeline whose key is in a header, on three messages without it around one that has it.
fn run(more: &str) -> (Site, Weir) {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.a", "x");
    client.publish_with_headers("in.b", &[("User", "u")], "x");
    client.publish("in.c", "x");
    client.publish("in.d", "x");
    let source = [("stream: IN, consumer: p", "stream: IN")];
    site.pipeline_but(&source, &format!("key: \"{{header:User}}\"\n{more}"));
    let mut weir = site.start_with(&["p.yaml", "--create"], &[]);
    weir.wait_until_output("running");
    wait_until("all are counted, and nothing waits", || {
        let is = |name: &str, count: f64| weir.metric(&series(name)) == count;
        is("messages_without_key_total", 3.0) && is("in_flight", 0.0) && is("received_total", 4.0)
    });
    (site, weir)
}

/// What was published, and that a replay publishes the same.
#[track_caller]
fn published(site: &Site, results: u64, dead: u64) {
    let out = site.wait_for_messages("OUT", results);
    let is_keyed = |subject: &str| subject == "out.in.b";
    assert!(out.iter().any(|message| is_keyed(&message.subject)));
    let dead = site.wait_for_messages("DEAD", dead);
    for letter in &dead {
        let reason = "the message lacks a part of its key `{header:User}`";
        assert_eq!(letter.header("Weir-Kind"), Some("missing-key"));
        assert_eq!(letter.header("Weir-Reason"), Some(reason));
    }
    let again = site.weir(&["replay", "p.yaml", "--compare"]);
    assert_eq!(again.code, Some(0), "{again:#?}");
}

#[test]
fn messages_without_a_key_are_processed_unless_the_file_says_otherwise() {
    for more in ["", JOB] {
        let (site, _weir) = run(more);
        published(&site, 4, 0);
    }
}

#[test]
fn messages_without_a_key_become_dead_letters_if_the_file_says_so() {
    for more in ["", JOB] {
        let (site, weir) = run(&format!("on-missing-key: dead-letter\n{more}"));
        published(&site, 1, 3);
        assert_eq!(weir.metric(&series("dead_total")), 3.0);
    }
}

#[test]
fn messages_without_a_key_are_dropped_if_the_file_says_so() {
    for more in ["", JOB] {
        let (site, weir) = run(&format!("on-missing-key: drop\n{more}"));
        published(&site, 1, 0);
        assert_eq!(weir.metric(&series("dropped_total")), 3.0);
    }
}

#[test]
fn without_a_broker_messages_without_a_key_end_in_the_same_way() {
    let pipe = |rule: &str| {
        let pipeline = "name: p\nsource: { stream: IN }\nkey: \"{header:User}\"\n\
                        operators: [{ name: work, plugin: plugin.wasm }]\nsink: { subject: out }\n";
        let folder = pipeline_folder("echo", &format!("{pipeline}on-missing-key: {rule}\n"));
        let lines = "{\"subject\":\"a\",\"headers\":{\"User\":\"u\"}}\n{\"subject\":\"b\"}\n";
        Weir::run_with_input(folder.path(), &["pipe", "pipeline.yaml"], lines)
    };
    let (share, dead, drop) = (pipe("share"), pipe("dead-letter"), pipe("drop"));
    let results = [&share, &dead, &drop].map(|ended| ended.stdout.lines().count());
    assert_eq!(results, [2, 1, 1], "{share:#?} {dead:#?} {drop:#?}");
    assert!(
        dead.stderr.contains("\"kind\":\"missing-key\""),
        "{dead:#?}"
    );
    let counted = "dropped 1 message without a key";
    assert!(drop.stderr.contains(counted), "{drop:#?}");
}
