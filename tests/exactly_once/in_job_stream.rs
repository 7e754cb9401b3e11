//! With `sink.in-job-stream`, the stream of a job keeps its results itself, each once, until they are too old.

use super::{JOB, expected};
use crate::cli::json;
use crate::harness::{AS_HOST, Site, Stored, Weir, guests, replaced, series, wait_until};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;

const SINK: &str = "sink: { subject: \"out.{subject}\" }";
const KEPT: (&str, &str) = (
    SINK,
    "sink: { subject: \"kept.{subject}\", in-job-stream: { max-age: 7d } }",
);
const SHORT: (&str, &str) = ("max-age: 7d", "max-age: 1s");

impl Site {
    /// The results that the stream of the job has.
    fn kept(&self) -> Vec<Stored> {
        let mut all = self.nats.client().messages(JOB);
        all.retain(|message| message.subject.starts_with("kept."));
        all
    }

    fn wait_for_kept(&self, count: usize) -> Vec<Stored> {
        wait_until("the results are there", || self.kept().len() >= count);
        self.kept()
    }

    fn keeper(&self, more: &str) -> PathBuf {
        self.job(&[KEPT], more)
    }
}

/// The payloads on each subject, as if it were one of the usual sink.
fn by_subject(messages: &[Stored]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in messages {
        let of_input = message.subject.strip_prefix("kept.").unwrap();
        let of = found.entry(format!("out.{of_input}")).or_default();
        of.push(message.text());
    }
    found
}

fn committed(weir: &Weir) {
    wait_until("all is committed", || {
        weir.metric(&series("in_flight")) == 0.0
    });
}

#[test]
fn each_result_is_stored_once_and_in_order_though_hosts_are_killed() {
    let site = Site::new();
    let file = site.keeper("");
    let client = site.nats.client();
    let mut weir = site.run_job(&file);
    for round in 0..3 {
        let numbers = round * 500..(round + 1) * 500;
        let some = site.kept().len() + 50;
        client
            .publish_all(numbers.map(|number| (format!("in.{}", number % 7), number.to_string())));
        client.publish("in.bad", format!("reject:{round}"));
        site.wait_for_kept(some);
        weir.kill9();
        weir = site.run_job(&file);
    }
    let kept = site.wait_for_kept(1500);
    assert_eq!(by_subject(&kept), expected(1500));
    // Dead letters have a stream of their own, and nothing else has results.
    site.wait_for_messages("DEAD", 3);
    assert_eq!(client.count("OUT"), 0);
    committed(&weir);
    let subjects = &client.stream_info(JOB).unwrap().config.subjects;
    assert_eq!(subjects, &["weir.job.p.>", "kept.>"]);
}

#[test]
fn results_that_are_too_old_are_removed_and_the_state_stays() {
    let site = Site::new();
    site.file("plugin.wasm", guests::bytes("stateful"));
    let text = std::fs::read_to_string(site.keeper("partitions: 3\n")).unwrap();
    let file = site.file("p.yaml", replaced(&text, &[SHORT]));
    let client = site.nats.client();
    let mut weir = site.run_job(&file);
    let feed = |count: usize| {
        let messages = (0..count).map(|number| (format!("in.{}", number % 7), "count"));
        client.publish_all(messages);
    };
    let row = || {
        let got = site.weir(&["job", "state", "get", "p", "3"]);
        assert_eq!(got.code, Some(0), "{got:#?}");
        got.stdout
    };
    feed(70);
    wait_until("all are read", || {
        weir.metric(&series("acked_total")) == 70.0
    });
    let before = row();
    assert!(before.contains("bytes  10\n"), "{before}");
    wait_until("the results are gone", || site.kept().is_empty());
    assert_eq!(row(), before);
    weir.kill9();
    weir = site.run_job(&file);
    feed(7);
    wait_until("it goes on", || weir.metric(&series("acked_total")) == 7.0);
    assert_eq!(row(), replaced(&before, &[("bytes  10\n", "bytes  11\n")]));
    wait_until("those are gone, too", || site.kept().is_empty());
}

#[test]
fn another_job_reads_the_results_where_they_are() {
    let site = Site::new();
    let first = site.keeper("");
    let own = [("key: \"{subject[1]}\"", "key: \"{subject[2]}\"")];
    let second = site.second_pipeline(
        JOB,
        &[(
            "stream: WEIR_JOB_P, consumer: q",
            "stream: WEIR_JOB_P, subjects: [\"kept.>\"]",
        )],
    );
    let text = std::fs::read_to_string(&second).unwrap();
    let job = "delivery: exactly-once\nkey: \"{subject[1]}\"\n";
    let second = site.file("q.yaml", replaced(&format!("{text}{job}"), &own));
    let files = [first.to_str().unwrap(), second.to_str().unwrap()];
    let client = site.nats.client();
    let mut weir = site.keep_jobs(&files);
    for round in 0..2 {
        let numbers = round * 350..(round + 1) * 350;
        let some = client.count("OUT") + 50;
        client
            .publish_all(numbers.map(|number| (format!("in.{}", number % 7), number.to_string())));
        wait_until("some results are there", || client.count("OUT") >= some);
        weir.kill9();
        weir = site.keep_jobs(&files);
    }
    let out = site.wait_for_messages("OUT", 700);
    let found = super::by_subject(&out);
    let expected = expected(700).into_iter().map(|(subject, of)| {
        let of_input = subject.strip_prefix("out.").unwrap();
        (format!("out.kept.{of_input}"), of)
    });
    assert_eq!(found, expected.collect());
}

#[test]
fn a_trace_and_a_comparison_find_the_results_there() {
    let site = Site::new();
    let file = site.keeper("");
    let weir = site.run_job(&file);
    let client = site.nats.client();
    client.publish_all((0..20).map(|number| (format!("in.{}", number % 7), number.to_string())));
    let kept = site.wait_for_kept(20);
    committed(&weir);
    let last = kept.last().unwrap();
    let sequence = client.stream_info(JOB).unwrap().state.last_sequence;
    let found = (1..=sequence).find(|sequence| {
        let traced = site.weir(&["trace", &last.subject, &sequence.to_string(), "--json"]);
        traced.code == Some(0) && traced.stdout.contains("\"IN\"")
    });
    assert!(found.is_some());
    let compared = site.weir(&["replay", "p.yaml", "--compare", "--json"]);
    assert_eq!(compared.code, Some(0), "{compared:#?}");
    assert_eq!(
        json(&compared.stdout)["comparison"]["same"],
        20,
        "{compared:#?}"
    );
}

#[test]
fn a_shadow_compares_the_results_there() {
    let site = Site::new();
    site.file("plugin.wasm", guests::stateful("v1"));
    let file = site.keeper("partitions: 3\n");
    let _weir = site.run_job(&file);
    let client = site.nats.client();
    let feed = |numbers: std::ops::Range<usize>| {
        client
            .publish_all(numbers.map(|number| (format!("in.{}", number % 7), number.to_string())));
    };
    feed(0..70);
    site.wait_for_kept(70);
    site.file("v2.wasm", guests::stateful("v2"));
    let applied = site.deploy("v2.wasm", &["--shadow"]);
    assert_eq!(applied.code, Some(0), "{applied:#?}");
    let fed = Cell::new(70);
    site.found("some results are the same", |total| {
        feed(fed.get()..fed.get() + 7);
        fed.set(fed.get() + 7);
        total["comparison"]["same"]
            .as_u64()
            .is_some_and(|same| same >= 14)
    });
}

#[test]
fn a_job_changes_to_such_a_sink_and_back_and_loses_no_result() {
    let site = Site::new();
    let client = site.nats.client();
    let feed = |numbers: std::ops::Range<usize>| {
        client
            .publish_all(numbers.map(|number| (format!("in.{}", number % 7), number.to_string())));
    };
    let usual = || site.job(&[], "");
    let weir = site.run_job(&usual());
    feed(0..100);
    site.wait_for_messages("OUT", 100);
    weir.terminate();
    weir.finish();
    // Without `--create`, nothing is changed.
    let refused = site
        .start_with(&[site.keeper("").to_str().unwrap()], &[])
        .finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("pass `--create`"), "{refused:#?}");
    let weir = site.run_job(&site.keeper(""));
    feed(100..200);
    let kept = site.wait_for_kept(100);
    weir.terminate();
    weir.finish();
    let _weir = site.run_job(&usual());
    feed(200..300);
    let out = site.wait_for_messages("OUT", 200);
    let mut all = super::by_subject(&out);
    for (subject, payloads) in by_subject(&kept) {
        all.entry(subject).or_default().extend(payloads);
    }
    for payloads in all.values_mut() {
        payloads.sort_by_key(|payload| payload.parse::<u64>().unwrap());
    }
    assert_eq!(all, expected(300));
    // What was kept is still there.
    assert_eq!(site.kept().len(), 100);
}

#[test]
fn a_subject_that_another_stream_captures_is_refused_with_its_name() {
    let site = Site::new();
    site.nats.client().create_stream("OTHER", &["kept.>"]);
    let refused = site.start_job(&site.keeper("")).finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    for words in [
        "stream `OTHER` captures `kept.>`",
        "hint: begin `sink.subject`",
    ] {
        assert!(refused.stderr.contains(words), "{words}: {refused:#?}");
    }
}

#[test]
fn a_host_that_may_not_publish_results_there_says_so_and_another_one_stores_them() {
    let site = Site::permitting("permissions: { publish: { deny: [\"kept.>\"] } }");
    let client = site.nats.client();
    client.publish_all((0..70).map(|number| (format!("in.{}", number % 7), number.to_string())));
    let mut denied = site.run_job(&site.job(&[AS_HOST, KEPT], "stalled-after: 2s\n"));
    denied.wait_until_output("Publish to \"kept.in.");
    denied.wait_until_output("pipeline `p` is stalled");
    assert_eq!(site.kept().len(), 0);
    denied.kill9();
    let _weir = site.run_job(&site.keeper(""));
    assert_eq!(by_subject(&site.wait_for_kept(70)), expected(70));
}
