//! A source that drops what its consumers have settled is read through a stream of the job's own: nothing is
//! missing or twice, and the source is empty at the end.

use super::{JOB, by_subject};
use crate::harness::{NatsServer, Site, Stored, Weir, replaced, wait_for, wait_until};
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use std::collections::BTreeMap;
use std::path::PathBuf;

const INPUT: &str = "WEIR_JOB_P_IN";

impl Site {
    /// A stream `QUEUE` on `queue.>`, and a job that reads it, or these subjects of it.
    pub(super) fn queue(
        &self,
        retention: RetentionPolicy,
        replicas: usize,
        subjects: &str,
    ) -> PathBuf {
        self.nats.client().create_stream_with(Config {
            name: "QUEUE".to_owned(),
            subjects: vec!["queue.>".to_owned()],
            retention,
            num_replicas: replicas,
            ..Config::default()
        });
        let source = format!("stream: QUEUE{subjects}");
        let changes = [("stream: IN, consumer: p", &*source)];
        let job = "delivery: exactly-once\nkey: \"{subject[1]}\"\n";
        self.pipeline_but(&changes, job)
    }

    pub(super) fn queue_up(&self, numbers: std::ops::Range<usize>) {
        let messages = numbers.map(|number| (format!("queue.{}", number % 7), number.to_string()));
        self.nats.client().publish_all(messages);
    }

    /// Once the server has moved everything, and the job has processed it.
    #[track_caller]
    fn wait_until_empty(&self) {
        wait_for(
            "the queue is empty, and little is left of what was moved",
            || {
                let client = self.nats.client();
                let left = (client.count("QUEUE"), client.count(INPUT));
                (left.0 == 0 && left.1 <= 10_000)
                    .then_some(())
                    .ok_or(format!("{left:?}"))
            },
        );
    }
}

/// What becomes of so many numbers.
fn expected(numbers: usize) -> BTreeMap<String, Vec<String>> {
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..numbers {
        let of = expected
            .entry(format!("out.queue.{}", number % 7))
            .or_default();
        of.push(number.to_string());
    }
    expected
}

#[test]
fn a_work_queue_is_read_once_while_hosts_and_the_server_are_killed_and_is_empty_at_the_end() {
    let mut site = Site::new();
    let file = site.queue(RetentionPolicy::WorkQueue, 1, "");
    let mut weir = site.run_job(&file);
    for round in 0..4 {
        site.queue_up(round * 1000..(round + 1) * 1000);
        let some = round as u64 * 1000 + 100;
        wait_until("some results are there", || {
            site.nats.client().count("OUT") >= some
        });
        match round {
            0 => weir.kill9(),
            1 => site.nats.kill9(),
            2 => site.nats.stop(),
            _ => continue,
        }
        if round > 0 {
            site.nats.start_again();
        } else {
            weir = site.run_job(&file);
        }
    }
    let out = site.wait_for_messages("OUT", 4000);
    site.wait_until_empty();
    assert_eq!((out.len(), by_subject(&out)), (4000, expected(4000)));
    // Nothing comes again, when all is started again.
    weir.terminate();
    weir.finish();
    site.nats.restart();
    let _weir = site.run_job(&file);
    site.queue_up(4000..4007);
    let out = site.wait_for_messages("OUT", 4007);
    assert_eq!((out.len(), by_subject(&out)), (4007, expected(4007)));
}

#[test]
fn what_all_partitions_have_processed_is_removed_from_the_input_and_it_goes_on_after_a_restart() {
    let mut site = Site::new();
    let file = site.queue(RetentionPolicy::WorkQueue, 1, "");
    let text = std::fs::read_to_string(&file).unwrap();
    let file = site.file("p.yaml", text + "partitions: 1\n");
    let weir = site.run_job(&file);
    site.queue_up(0..500);
    site.wait_for_messages("OUT", 500);
    wait_until("the last is left", || site.nats.client().count(INPUT) == 1);
    drop(weir);
    site.nats.restart();
    let _weir = site.run_job(&file);
    site.queue_up(500..600);
    let out = site.wait_for_messages("OUT", 600);
    assert_eq!((out.len(), by_subject(&out)), (600, expected(600)));
}

#[test]
fn a_job_takes_its_subjects_of_a_work_queue_alone_and_says_where_messages_were() {
    let site = Site::new();
    let file = site.queue(
        RetentionPolicy::WorkQueue,
        1,
        ", subjects: [\"queue.a.>\", \"queue.b\"]",
    );
    let client = site.nats.client();
    client.publish("queue.other", "1");
    client.publish("queue.b", "reject:2");
    client.publish("queue.other", "3");
    client.publish("queue.a.x", "4");
    let _weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 1);
    let dead: Vec<Stored> = site.wait_for_messages("DEAD", 1);
    assert_eq!(out[0].subject.as_str(), "out.queue.a.x");
    assert!(
        out[0]
            .header("Nats-Stream-Source")
            .unwrap()
            .starts_with("WEIR_JOB_P ")
    );
    assert_eq!(dead[0].header("Weir-Sequence"), Some("2"));
    assert_eq!(dead[0].header("Weir-Stream"), Some("QUEUE"));
    wait_until("the others stay", || client.count("QUEUE") == 2);
    for sequence in [1, 3] {
        client.stored("QUEUE", sequence);
    }
}

#[test]
fn a_stream_that_keeps_messages_for_whom_they_interest_is_read_beside_other_consumers() {
    let site = Site::new();
    let file = site.queue(RetentionPolicy::Interest, 1, "");
    let mut weir: Weir = site.run_job(&file);
    wait_until("the server reads it", || {
        let info = site.nats.client().stream_info("QUEUE").unwrap();
        info.state.consumer_count > 0
    });
    site.queue_up(0..300);
    site.wait_for_messages("OUT", 100);
    weir.kill9();
    let _weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 300);
    site.wait_until_empty();
    assert_eq!((out.len(), by_subject(&out)), (300, expected(300)));
}

#[test]
fn the_stream_that_a_work_queue_needs_is_made_only_by_whoever_says_so_and_only_as_it_is_to_be() {
    let site = Site::new();
    let file = site.queue(RetentionPolicy::WorkQueue, 1, "");
    let client = site.nats.client();
    drop(site.run_job(&file));
    client.run(client.jetstream.delete_stream(INPUT)).unwrap();
    let refused = site.start_with(&[file.to_str().unwrap()], &[]).finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let hint = "pass `--create`: a job reads `QUEUE` through `WEIR_JOB_P_IN`";
    assert!(refused.stderr.contains(hint), "{refused:#?}");
    client.create_stream(INPUT, &["others.>"]);
    let refused = site.start_job(&file).finish();
    assert!(
        refused.stderr.contains("it sources something else"),
        "{refused:#?}"
    );
    assert!(client.stream_info(JOB).is_some());
}

#[test]
fn every_stream_that_a_job_needs_has_the_replicas_of_its_source() {
    let [first, _second, _third] = NatsServer::start_cluster();
    let site = Site::on(first);
    let file = site.queue(RetentionPolicy::WorkQueue, 3, "");
    let text = std::fs::read_to_string(&file).unwrap();
    let file = site.file(
        "p.yaml",
        replaced(&text, &[("sink: { ", "sink: { create: true, ")]),
    );
    let mut weir = site.keep_job(&file);
    site.queue_up(0..70);
    // The streams of the results and the dead letters are made, too.
    wait_until("the results are there", || {
        site.nats
            .client()
            .stream_info("OUT")
            .is_some_and(|info| info.state.messages == 70)
    });
    for stream in [JOB, INPUT, "OUT", "DEAD_P"] {
        let info = site.nats.client().stream_info(stream).unwrap();
        assert_eq!(info.config.num_replicas, 3, "{stream}");
    }
    weir.kill9();
    let _weir = site.keep_job(&file);
    site.queue_up(70..140);
    let out = site.wait_for_messages("OUT", 140);
    site.wait_until_empty();
    assert_eq!((out.len(), by_subject(&out)), (140, expected(140)));
}
