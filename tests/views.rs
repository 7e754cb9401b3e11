//! A view has the last value of each key of a job's results, whatever fails, and says it over HTTP to whoever asks.

mod http;
pub mod pages;
mod refused;
mod state;

use crate::harness::{NatsServer, Site, Weir, series, wait_for, wait_until};
use async_nats::jetstream::kv;
use futures_util::{StreamExt, TryStreamExt};
use pages::{Answer, pages, wait_for_value};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The stream of the bucket of the usual view.
const BUCKET: &str = "KV_p-v";
const USUAL: &str = "views: [{ name: v }]\n";

impl Site {
    /// A job that passes on what it reads, with the key of each message in the header `K`, and with views.
    pub fn viewed(&self, more: &str) -> PathBuf {
        let no_consumer = ("stream: IN, consumer: p", "stream: IN");
        let job = "delivery: exactly-once\nkey: \"{header:K}\"\npartitions: 4\n";
        self.pipeline_but(&[no_consumer], &format!("{job}{more}"))
    }

    fn run_viewed(&self, more: &str) -> Weir {
        let file = self.viewed(more);
        let mut weir = self.start_with(&[file.to_str().unwrap(), "--create"], &[]);
        weir.wait_until_output("running");
        weir
    }

    pub fn set(&self, key: &str, value: &str) {
        let client = self.nats.client();
        client.publish_with_headers("in.a", &[("K", key)], value.to_owned());
    }
}

#[test]
fn a_view_has_the_last_value_of_every_key_though_hosts_are_killed() {
    let site = Site::new();
    let client = site.nats.client();
    let mut weir = site.run_viewed(USUAL);
    for round in 0..3 {
        let some = client.count("OUT") + 50;
        for number in round * 300..(round + 1) * 300 {
            site.set(&format!("user {}", number % 40), &number.to_string());
        }
        wait_until("some results are there", || client.count("OUT") >= some);
        weir.kill9();
        weir = site.run_viewed(USUAL);
    }
    site.wait_for_messages("OUT", 900);
    let expected: BTreeMap<String, Value> = (860..900)
        .map(|number| (format!("user {}", number % 40), Value::from(number)))
        .collect();
    wait_for("the view has the last values", || {
        let (found, _) = pages(&weir, "v", "");
        if found == expected {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
    wait_until("the bucket has a message for each key", || {
        client.count(BUCKET) == 40
    });
    // Only the checkpoints and the definition are left in the stream of the job.
    wait_until("what the bucket has is removed", || {
        client.count("WEIR_JOB_P") == 5
    });
    assert_eq!(client.count("OUT"), 900);
}

#[test]
fn each_value_says_its_commit_and_values_of_one_commit_say_the_same() {
    let site = Site::new();
    let more = "views: [{ name: v }, { name: by-subject, key: \"{subject}/{key}\", ttl: 1h }]\n";
    // Both are there when the job begins, so that they are processed together.
    site.set("a", "1");
    site.set("a", "2");
    let weir = site.run_viewed(more);
    let first = wait_for_value(&weir, "/views/v/a", "2");
    let other = wait_for_value(&weir, "/views/by-subject/out.in.a/a", "2");
    let commit = |answer: &Answer| {
        let (partition, number) = answer.headers["weir-commit"].split_once('.').unwrap();
        (
            partition.parse::<u16>().unwrap(),
            number.parse::<u64>().unwrap(),
        )
    };
    assert_eq!(commit(&first), commit(&other));
    site.set("a", "3");
    let second = wait_for_value(&weir, "/views/v/a", "3");
    assert_eq!(commit(&second).0, commit(&first).0);
    assert!(commit(&second).1 > commit(&first).1);
    let info = site.nats.client().stream_info("KV_p-by-subject").unwrap();
    assert_eq!(info.config.max_age.as_secs(), 3600);
}

#[test]
fn clients_of_buckets_read_list_and_watch_what_a_view_has() {
    let site = Site::new();
    let client = site.nats.client();
    let _weir = site.run_viewed(USUAL);
    site.set("a.b", "1");
    site.set("c d", "2");
    wait_until("the bucket has both", || client.count(BUCKET) == 2);
    let mut watch = client.run(async {
        let store = client.jetstream.get_key_value("p-v").await.unwrap();
        assert_eq!(store.get("a.b").await.unwrap().as_deref(), Some(&b"1"[..]));
        let keys: Vec<String> = store.keys().await.unwrap().try_collect().await.unwrap();
        assert_eq!(
            BTreeSet::from_iter(keys),
            ["a.b", "c=20d"].map(String::from).into()
        );
        store.watch_with_history("a.b").await.unwrap()
    });
    let mut hears = |value: &'static str, operation| {
        let heard = client.run(watch.next()).unwrap().unwrap();
        assert_eq!(
            (&*heard.value, heard.operation),
            (value.as_bytes(), operation)
        );
    };
    hears("1", kv::Operation::Put);
    // One after the other: a bucket keeps one value of a key.
    site.set("a.b", "3");
    hears("3", kv::Operation::Put);
    site.set("a.b", "");
    hears("", kv::Operation::Delete);
}

#[test]
fn a_result_without_a_key_for_the_view_is_counted_and_published_all_the_same() {
    let site = Site::new();
    let client = site.nats.client();
    let weir = site.run_viewed(USUAL);
    client.publish("in.a", "no key");
    // Each of its bytes takes three.
    site.set(&"*".repeat(400), "a");
    site.set(&"x".repeat(10_000), "b");
    site.nats
        .publish_raw(&[(b"in.a", b"NATS/1.0\r\nK: \xff\r\n\r\n", b"not UTF-8")]);
    site.set("fits", "fits");
    wait_until("all results are there", || client.count("OUT") == 5);
    wait_for_value(&weir, "/views/v/fits", "fits");
    wait_until("they are counted", || {
        weir.metric(&series("job_view_skipped_total")) == 4.0
    });
    assert_eq!((client.count(BUCKET), client.count("DEAD")), (1, 0));
}

#[test]
fn every_host_answers_for_every_key() {
    let site = Site::new();
    let hosts = [site.run_viewed(USUAL), site.run_viewed(USUAL)];
    for number in 0..20 {
        site.set(&number.to_string(), "x");
    }
    for number in 0..20 {
        for host in &hosts {
            wait_for_value(host, &format!("/views/v/{number}"), "x");
        }
    }
}

#[test]
fn a_bucket_has_the_replicas_of_the_source() {
    let servers = NatsServer::start_cluster();
    let [first, _second, _third] = servers;
    let site = Site::on(first);
    site.create_streams_on(3);
    let file = site.viewed(USUAL);
    let mut weir = site.start_with(&[file.to_str().unwrap(), "--create"], &[]);
    wait_until("a host runs", || {
        if !weir.is_running() {
            weir = site.start_with(&[file.to_str().unwrap(), "--create"], &[]);
        }
        weir.stderr().contains("running")
    });
    let replicas = site
        .nats
        .client()
        .stream_info(BUCKET)
        .unwrap()
        .config
        .num_replicas;
    assert_eq!(replicas, 3);
}
