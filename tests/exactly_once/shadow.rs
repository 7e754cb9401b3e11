//! A shadow of a job works on a copy of its state: what differs in results and in state is found, and the job goes on
//! as if there were none.

use super::by_subject;
use crate::harness::site::ANY_TIME;
use crate::harness::{Finished, Site, guests, operator_series, replaced, wait_for, wait_until};
use async_nats::jetstream::stream::RetentionPolicy;
use serde_json::Value;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const KEYS: usize = 7;
const SEVERAL: &str = "partitions: 3\n";

impl Site {
    fn diff_job(&self, more: &[&str]) -> Finished {
        self.plugin(&[&["diff", "p/op"], more].concat())
    }

    /// Lets a version run as a shadow, and waits until so many hosts run it.
    fn shadow_job(&self, version: &str, hosts: usize) {
        self.file(version, guests::stateful(version));
        let applied = self.deploy(version, &["--shadow"]);
        assert_eq!(applied.code, Some(0), "{applied:#?}");
        self.found("every partition has a copy", |total| {
            let all = total["hosts"].as_array();
            all.is_some_and(|all| all.len() == hosts) && total["states"]["partitions"] == 3
        });
    }

    /// What was found, once this holds.
    pub(super) fn found(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || {
            let finished = self.diff_job(&["--json"]);
            let Ok(total) = serde_json::from_str::<Value>(&finished.stdout) else {
                return Err(finished.stderr);
            };
            match holds(&total) {
                true => Ok(total),
                false => Err(total.to_string()),
            }
        })
    }

    /// The same, once so many outputs and rows are the same and differ.
    fn found_so_many(&self, outputs: [u64; 2], rows: [u64; 2]) -> Value {
        let of = |value: &Value| ["same", "different"].map(|name| value[name].as_u64().unwrap());
        self.found(&format!("{outputs:?} outputs and {rows:?} rows"), |total| {
            of(&total["comparison"]) == outputs
                && total["states"].is_object()
                && of(&total["states"]) == rows
        })
    }

    /// Feeds until further results of all keys and the states of all partitions are compared. None differs.
    fn nothing_differs(&self, hosts: usize) {
        let total = self.found("what the hosts own is compared", |total| {
            total["hosts"]
                .as_array()
                .is_some_and(|all| all.len() >= hosts)
        });
        let same = |total: &Value| total["comparison"]["same"].as_u64().unwrap();
        let before = same(&total);
        let total = self.found("more is compared", |total| {
            self.feed_each("tally", 1);
            same(total) >= before + 3 * KEYS as u64 && total["states"]["partitions"] == 3
        });
        assert_eq!(
            (
                &total["comparison"]["different"],
                &total["states"]["different"]
            ),
            (&0.into(), &0.into()),
            "{total}"
        );
    }

    fn owns(&self, shares: &[&str]) {
        self.wait_until_status(shares[0]);
        wait_until("the partitions are shared", || {
            let status = self.weir(&["status"]).stdout;
            shares.iter().all(|share| status.contains(share))
        });
    }

    fn feed_each(&self, payload: &str, times: usize) {
        let messages =
            (0..times * KEYS).map(|number| (format!("in.{}", number % KEYS), payload.to_owned()));
        self.nats.client().publish_all(messages);
    }
}

#[test]
fn a_shadow_that_differs_only_in_its_state_is_found_before_a_result_differs() {
    let site = Site::new();
    let weir = site.run_job(&site.stateful(SEVERAL));
    site.feed_each("tally", 5);
    site.wait_for_messages("OUT", 35);
    site.shadow_job("other", 1);
    site.feed_each("keep", 1);
    site.feed_each("tally", 1);
    // Counts of before the shadow are in its copy; what was kept since differs.
    let total = site.found_so_many([14, 0], [7, 7]);
    let samples = total["states"]["samples"].as_array().unwrap();
    let row = &samples[0];
    assert_eq!(
        (&row["name"], &row["operator"], &row["kind"]),
        (&"kept".into(), &"op".into(), &"value".into())
    );
    assert_eq!(
        (&row["live"], &row["candidate"]),
        (&"first".into(), &"other".into())
    );
    let finished = site.diff_job(&[]);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let said = "state of 3 partitions: 7 values and timers are the same, 7 differ";
    assert!(finished.stdout.contains(said), "{finished:#?}");
    let shown = "operator op\n  live       first\n  candidate  other\n";
    assert!(finished.stdout.contains(shown), "{finished:#?}");

    site.feed_each("get kept", 1);
    let total = site.found_so_many([14, 7], [7, 7]);
    assert_eq!(total["comparison"]["differences"]["payload"], 7, "{total}");
    let out = site.wait_for_messages("OUT", 56);
    assert_eq!((out.len(), out[55].text()), (56, "first".to_owned()));
    let kept = site.weir(&["job", "state", "get", "p", "1", "--json"]);
    assert!(
        kept.stdout.contains("first") && !kept.stdout.contains("other"),
        "{kept:#?}"
    );
    let differ = || weir.metric(&operator_series("shadow_state_differences", "op"));
    assert_eq!(differ(), 7.0);
    site.done(&["rollback", "p/op"]);
    site.wait_until_decided("abandoned");
    wait_until("there is no shadow any more", || differ() == 0.0);
}

#[test]
fn the_same_version_as_a_shadow_on_two_hosts_differs_in_nothing_whatever_ends_a_message() {
    let site = Site::new();
    let file = site.stateful(SEVERAL);
    let _hosts = [site.run_job(&file), site.run_job(&file)];
    site.owns(&["owns 1 of 3", "owns 2 of 3"]);
    site.shadow_job("first", 2);
    let payloads = [
        "count",
        "retry",
        "count",
        "reject",
        "trap",
        "set a b",
        "timer event 1 count; drop",
        "say x",
        "drop",
    ];
    for payload in payloads {
        site.feed_each(payload, 1);
    }
    // Nine outputs of each key but for what is dropped, with that of the timer. What was retried may have been late: then
    // it is not compared. The count of the timer is in the state.
    let total = site.found("all is compared", |total| {
        let found = &total["comparison"];
        let left = found["not_compared"]["unsettled"].as_u64().unwrap();
        let compared =
            found["same"].as_u64().unwrap() + found["different"].as_u64().unwrap() + left;
        compared == 8 * 7 && total["states"]["same"] == 14
    });
    assert_eq!(
        (
            &total["comparison"]["different"],
            &total["states"]["different"]
        ),
        (&0.into(), &0.into()),
        "{total}"
    );
}

#[test]
fn a_shadow_whose_state_is_larger_than_it_may_be_ends_and_says_so_and_the_job_does_not() {
    let site = Site::new();
    let file = site.stateful(SEVERAL);
    let text = std::fs::read_to_string(&file).unwrap();
    let bounded = format!("{ANY_TIME}, shadow-max-bytes: 64KiB");
    let file = site.file("p.yaml", replaced(&text, &[(ANY_TIME, &bounded)]));
    let _weir = site.run_job(&file);
    site.shadow_job("grow", 1);
    site.feed_each("grow large 100000", 1);
    let said = "it has ended (`rollout.shadow-max-bytes`): the state takes more than 65536 bytes";
    let has_ended = |total: &Value| total["problems"].to_string().contains(said);
    let total = site.found("it has ended", has_ended);
    site.feed_each("count", 1);
    site.wait_for_messages("OUT", 14);
    let again = site.found("it stays so", |_| true);
    assert_eq!(again["problems"], total["problems"]);

    // And where the state of the job is larger at once.
    site.done(&["rollback", "p/op"]);
    site.wait_until_decided("abandoned");
    site.feed_each("fill large 100000", 1);
    site.wait_for_messages("OUT", 21);
    site.file("other", guests::stateful("other"));
    site.deploy("other", &["--shadow"]);
    let digest = total["digest"].clone();
    let total = site.found("the second has ended", |total| {
        total["digest"] != digest && total["problems"].to_string().contains("65536 bytes")
    });
    assert_eq!(total["comparison"]["inputs"], 0, "{total}");
    site.feed_each("count", 1);
    site.wait_for_messages("OUT", 28);
}

#[test]
fn a_shadow_goes_with_the_partitions_and_is_the_same_behind_a_pause_and_a_restored_savepoint() {
    let site = Site::new();
    let file = site.stateful(SEVERAL);
    let first = site.run_job(&file);
    site.shadow_job("first", 1);
    site.nothing_differs(1);
    let second = site.run_job(&file);
    site.owns(&["owns 1 of 3", "owns 2 of 3"]);
    site.nothing_differs(2);
    first.terminate();
    assert_eq!(first.finish().code, Some(0));
    site.owns(&["owns 3 of 3"]);
    site.nothing_differs(2);

    site.operate(&["savepoint", "create", "p", "--name", "s1"]);
    site.feed_each("tally", 20);
    site.operate(&["pause", "p"]);
    site.owns(&["owns 0 of 3 partitions, paused"]);
    site.feed_each("tally", 20);
    site.operate(&["resume", "p"]);
    site.nothing_differs(2);
    // Results of before come once more, and are not taken for those of now.
    site.operate(&["savepoint", "restore", "p", "s1", "--yes"]);
    site.nothing_differs(2);
    drop(second);
}

#[test]
fn timers_and_what_expires_by_the_clock_are_no_difference_between_equal_versions() {
    let site = Site::new();
    let watermark = format!("{SEVERAL}watermark: {{ idle-timeout: 1s }}\n");
    let _weir = site.run_job(&site.stateful(&watermark));
    site.shadow_job("first", 1);
    site.feed_each("set short x 1500; timer processing 1 count; say x", 1);
    site.feed_each("timer processing 9000000000000000000 late; drop", 1);
    site.feed_each("timer event 9000000000000000000 never; drop", 1);
    // Nothing comes behind it: the watermark follows the clock.
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(1);
    site.feed_each(&format!("timer event {} tally; drop", soon.as_nanos()), 1);
    // A result of each first message, and one of each timer, which comes of none: all are compared.
    site.wait_for_messages("OUT", 3 * 7);
    site.found("all that was published is compared", |total| {
        total["comparison"]["same"] == 3 * 7
    });
    // A count, and two timers that are not due yet. What has expired is gone once the job is told the time.
    let total = site.found("what has expired is gone", |total| {
        site.feed_each("say y", 1);
        total["states"]["same"] == 3 * 7
    });
    let different = (
        &total["comparison"]["different"],
        &total["states"]["different"],
    );
    assert_eq!(different, (&0.into(), &0.into()), "{total}");
}

#[test]
fn what_a_shadow_emits_in_a_timer_is_compared_and_what_only_one_side_emits_is_said() {
    let site = Site::new();
    let _weir = site.run_job(&site.stateful(SEVERAL));
    site.shadow_job("other", 1);
    site.feed_each("keep; drop", 1);
    site.feed_each("timer processing 1 get kept; drop", 1);
    let total = site.found("the results of timers differ", |total| {
        total["comparison"]["different"] == 7
    });
    let found = &total["comparison"];
    assert_eq!(
        (&found["differences"]["payload"], &found["same"]),
        (&7.into(), &0.into()),
        "{total}"
    );
    let sample = &found["samples"][0];
    let sides = (&sample["live"]["text"], &sample["candidate"]["text"]);
    assert_eq!(sides, (&"first".into(), &"other".into()), "{total}");
    let shown = site.diff_job(&[]);
    assert!(shown.stdout.contains("\nout.0: payload\n"), "{shown:#?}");
}

#[test]
fn the_shadow_of_a_job_in_the_order_of_its_stream_holds_back_what_the_job_does() {
    let site = Site::new();
    let _weir = site.run_job(&site.stateful("order: stream\n"));
    let applied = site.deploy("plugin.wasm", &["--shadow"]);
    assert_eq!(applied.code, Some(0), "{applied:#?}");
    site.found("there is a copy", |total| {
        total["states"]["partitions"] == 1
    });
    for payload in ["count", "retry", "tally", "reject", "count"] {
        site.feed_each(payload, 1);
    }
    let total = site.found("all is compared", |total| {
        let found = &total["comparison"];
        let of = |name: &str| found[name].as_u64().unwrap();
        let left = found["not_compared"]["unsettled"].as_u64().unwrap();
        of("same") + of("different") + left == 5 * 7 && total["states"]["same"] == 7
    });
    let different = (
        &total["comparison"]["different"],
        &total["states"]["different"],
    );
    assert_eq!(different, (&0.into(), &0.into()), "{total}");
}

#[test]
fn a_burst_that_a_shadow_processes_behind_the_job_is_compared_whole() {
    let site = Site::new();
    let _weir = site.run_job(&site.stateful(SEVERAL));
    site.shadow_job("first", 1);
    site.feed_each("tally", 3000);
    site.found_so_many([21_000, 0], [7, 0]);
}

#[test]
fn a_candidate_that_never_answers_keeps_neither_the_job_nor_its_host_from_anything() {
    let site = Site::new();
    let weir = site.run_job(&site.stateful(SEVERAL));
    site.shadow_job("spin", 1);
    site.feed_each("spin; count", 20);
    site.wait_for_messages("OUT", 140);
    assert_eq!(weir.metric(&operator_series("deadlines_total", "op")), 0.0);
    site.feed_each("count", 1);
    site.wait_for_messages("OUT", 147);
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));
}

#[test]
fn a_job_on_a_work_queue_has_no_shadow_and_is_told_why() {
    let site = Site::new();
    let _weir = site.run_job(&site.queue(RetentionPolicy::WorkQueue, 1, ""));
    site.file("v1", guests::versions("v1"));
    let refused = site.deploy("v1", &["--shadow"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let said = "the messages of `QUEUE` that the job has processed are gone";
    assert!(refused.stderr.contains(said), "{refused:#?}");
    site.queue_up(0..7);
    site.wait_for_messages("OUT", 7);
}

#[test]
fn a_host_that_is_killed_with_a_shadow_repeats_nothing_and_begins_the_shadow_anew() {
    let site = Site::new();
    let file = site.stateful(SEVERAL);
    let mut weir = site.run_job(&file);
    site.shadow_job("twice", 1);
    let client = site.nats.client();
    for round in 1..=2 {
        site.feed_each("tally", 50);
        wait_until("some results are there", || {
            client.count("OUT") > (round - 1) * 350 + 50
        });
        weir.kill9();
        weir = site.run_job(&file);
    }
    site.wait_for_messages("OUT", 700);
    // The new host copies the state of the job as it is then, so that what comes behind differs for one key.
    let counted = Cell::new(100);
    let total = site.found("its key differs", |total| {
        site.feed_each("tally", 1);
        counted.set(counted.get() + 1);
        let differing = total["states"]["samples"].as_array();
        let is_new = |row: &Value| {
            row["live"]
                .as_str()
                .is_some_and(|live| live.parse::<u64>().unwrap() > 100)
        };
        differing.is_some_and(|rows| rows.iter().any(is_new))
    });
    let samples = total["states"]["samples"].as_array().unwrap();
    let keys: BTreeSet<&str> = samples
        .iter()
        .map(|row| row["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, BTreeSet::from(["1"]), "{total}");
    let counts: Vec<String> = (1..=counted.get()).map(|count| count.to_string()).collect();
    let expected: BTreeMap<_, _> = (0..KEYS)
        .map(|key| (format!("out.{key}"), counts.clone()))
        .collect();
    let all = (counted.get() * KEYS) as u64;
    assert_eq!(by_subject(&site.wait_for_messages("OUT", all)), expected);
}
