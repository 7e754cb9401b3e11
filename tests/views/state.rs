//! A view of the state has what the job keeps for each key, whatever fails, and loses what the job deletes or what
//! expires.

use super::pages::{Watch, get, pages, wait_for_value};
use crate::harness::{Site, Weir, guests, series, wait_for, wait_until};
use async_nats::jetstream::stream;
use serde_json::Value;
use std::collections::BTreeMap;

const COUNTS: &str = "views: [{ name: v, from: { state: op, value: count } }]\n";
const OF_X: &str = "views: [{ name: v, from: { state: op, value: x } }]\n";

impl Site {
    /// A job whose plugin does to its state what payloads say, with views.
    fn run_counting(&self, more: &str) -> Weir {
        self.file("plugin.wasm", guests::bytes("stateful"));
        self.run_viewed(more)
    }
}

#[test]
fn a_view_of_the_state_has_what_is_kept_though_hosts_are_killed() {
    for store in ["", "state: { store: disk, path: state }\n"] {
        let site = Site::new();
        let client = site.nats.client();
        let more = format!("{store}{COUNTS}");
        let mut weir = site.run_counting(&more);
        for round in 1..=3 {
            let some = client.count("OUT") + 50;
            for number in 0..300 {
                site.set(&format!("user {}", number % 30), "count");
            }
            wait_until("some results are there", || client.count("OUT") >= some);
            weir.kill9();
            weir = site.run_counting(&more);
            site.wait_for_messages("OUT", round * 300);
        }
        let expected: BTreeMap<String, Value> = (0..30)
            .map(|number| (format!("user {number}"), Value::from(30)))
            .collect();
        wait_for("the view has the counts", || {
            let (found, _) = pages(&weir, "v", "");
            match found == expected {
                true => Ok(()),
                false => Err(format!("{found:?}")),
            }
        });
    }
}

#[test]
fn a_value_of_the_state_that_is_deleted_is_deleted_in_its_view() {
    let site = Site::new();
    let weir = site.run_counting(OF_X);
    site.set("a", "set x 1");
    site.set("b", "set x 2; set y 3");
    let first = wait_for_value(&weir, "/views/v/a", "1");
    wait_for_value(&weir, "/views/v/b", "2");
    assert!(first.headers.contains_key("weir-commit"), "{first:?}");
    let mut watch = Watch::of(&weir, "/views/v?watch=true&prefix=a", &[]);
    assert_eq!(watch.next().unwrap().1["value"], 1);
    site.set("a", "delete x");
    assert_eq!(watch.next().unwrap().1["deleted"], true);
    assert!(get(&weir, "/views/v/a").is_problem(404, "no such key"));
    // What a message has written that ends badly is in no view.
    site.set("b", "set x 4; reject");
    site.set("b", "set x 5");
    let last = wait_for_value(&weir, "/views/v/b", "5");
    assert_eq!(last.headers["weir-revision"], "4");
}

#[test]
fn a_value_of_the_state_that_expires_leaves_its_view_though_the_job_is_idle() {
    let site = Site::new();
    let weir = site.run_counting(OF_X);
    site.set("a", "set x 1 1000");
    site.set("b", "set x 1 1000");
    let mut watch = Watch::of(&weir, "/views/v?watch=true&prefix=a", &[]);
    assert_eq!(watch.next().unwrap().1["value"], 1);
    site.set("b", "set x 2");
    assert_eq!(watch.next().unwrap().1["deleted"], true);
    wait_until("it is gone", || {
        get(&weir, "/views/v/a").is_problem(404, "no such key")
    });
    wait_for_value(&weir, "/views/v/b", "2");
}

#[test]
fn a_value_of_the_state_that_no_message_holds_is_not_in_its_view_and_counted() {
    let site = Site::new();
    let weir = site.run_counting(&format!("commit: {{ max-bytes: 16MiB }}\n{OF_X}"));
    site.set("a", "set x 1");
    wait_for_value(&weir, "/views/v/a", "1");
    // More than a message of the server has.
    site.set("a", "fill x 3000000");
    wait_until("the older one is gone", || {
        get(&weir, "/views/v/a").is_problem(404, "no such key")
    });
    site.nats.client().publish("in.a", "set x 3");
    wait_until("both are counted", || {
        weir.metric(&series("job_view_skipped_total")) == 2.0
    });
}

#[test]
fn values_of_the_state_count_as_messages_of_a_commit() {
    let site = Site::new();
    let weir = site.run_counting(&format!("commit: {{ max-messages: 32 }}\n{OF_X}"));
    for number in 0..200 {
        site.set(&format!("k{number}"), "set x 1");
    }
    site.wait_for_messages("OUT", 200);
    wait_until("all are in the view", || {
        pages(&weir, "v", "").0.len() == 200
    });
}

#[test]
fn a_view_of_the_state_that_is_added_later_has_all_that_is_kept() {
    let site = Site::new();
    let small = "commit: { max-messages: 32 }\n";
    let mut weir = site.run_counting(small);
    for number in 0..600 {
        site.set(&format!("k{}", number % 300), "count; set y 1");
    }
    site.wait_for_messages("OUT", 600);
    weir.kill9();
    let mut weir = site.run_counting(&format!("{small}{COUNTS}"));
    let is_whole = |weir: &Weir, count: u64| {
        let (found, _) = pages(weir, "v", "");
        found.len() == 300 && found.values().all(|value| *value == count)
    };
    wait_until("it has all", || is_whole(&weir, 2));
    // It is not filled again.
    let client = site.nats.client();
    let last = || client.stream_info("KV_p-v").unwrap().state.last_sequence;
    let revision = last();
    weir.kill9();
    let weir = site.run_counting(&format!("{small}{COUNTS}"));
    for number in 0..300 {
        site.set(&format!("k{number}"), "count");
    }
    wait_until("it goes on", || is_whole(&weir, 3));
    assert_eq!(last(), revision + 300);
}

#[test]
fn a_value_that_expires_before_its_bucket_has_it_leaves_no_older_one_in_the_view() {
    let site = Site::new();
    let client = site.nats.client();
    let weir = site.run_counting(OF_X);
    site.set("a", "set x 1");
    wait_for_value(&weir, "/views/v/a", "1");
    // As while the bucket has no leader.
    let bucket = client.stream_info("KV_p-v").unwrap().config;
    let apart = stream::Config {
        sources: None,
        ..bucket.clone()
    };
    client.run(client.jetstream.update_stream(apart)).unwrap();
    site.set("a", "set x 2 1000");
    let of_view = || {
        let job = client.messages("WEIR_JOB_P").into_iter();
        let job = job.filter(|it| it.subject.contains(".view.v."));
        job.collect::<Vec<_>>()
    };
    wait_until(
        "its removal is committed, and nothing else is left",
        || matches!(&*of_view(), [one] if one.header("KV-Operation") == Some("PURGE")),
    );
    assert_eq!(get(&weir, "/views/v/a").text(), "1");
    client.run(client.jetstream.update_stream(bucket)).unwrap();
    wait_until("the older one is gone", || {
        get(&weir, "/views/v/a").is_problem(404, "no such key")
    });
}

#[test]
fn the_removal_of_a_value_that_expires_is_that_of_the_last_one() {
    let site = Site::new();
    let mut weir = site.run_counting(OF_X);
    for (key, scripts) in [
        ("set later", ["set x 1 2000", "set x 2 600000"]),
        ("set for good", ["set x 1 2000", "set x 2"]),
        ("expires", ["set x 1 600000", "set x 2 2000"]),
    ] {
        scripts.iter().for_each(|script| site.set(key, script));
    }
    let seen = |weir: &Weir| pages(weir, "v", "").0;
    wait_until("all are there", || {
        seen(&weir).values().all(|it| *it == 2) && seen(&weir).len() == 3
    });
    // It fires though the host that has set it is gone.
    weir.kill9();
    let weir = site.run_counting(OF_X);
    wait_until("one is gone", || seen(&weir).len() == 2);
    assert!(!seen(&weir).contains_key("expires"));
    // Nor do scripts see how that is done.
    let rows = site.weir(&["job", "state", "ls", "p", "--json"]);
    assert!(!rows.stdout.contains("timer"), "{}", rows.stdout);
}
