//! A new version of a plugin takes over while messages flow: nothing is lost and nothing repeated,
//! what cannot take over leaves the old version running, and receipts say with which message the one
//! ended and the other began.

use crate::harness::guests::versions as version;
use crate::harness::{
    Client, SHORT_ACK_WAIT, Site, Stored, operator_series, refused, series, swaps, wait_until,
};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

/// Results that may be outstanding while messages are fed.
const AHEAD: u64 = 300;

/// blake3 as results carry it.
fn short(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

impl Site {
    /// The usual pipeline, which runs the version `v0`.
    fn of_first_version(changes: &[(&str, &str)], more: &str) -> Self {
        let site = Self::new();
        site.install("v0");
        site.pipeline_but(changes, more);
        site
    }

    /// Feeds messages without end while `work` goes on; how many there were.
    fn under_load(&self, work: impl FnOnce()) -> u64 {
        let done = AtomicBool::new(false);
        let url = self.nats.url();
        std::thread::scope(|scope| {
            let feeding = scope.spawn(|| {
                let client = Client::connect(&url, async_nats::ConnectOptions::new());
                let mut fed = 0;
                while !done.load(Ordering::Relaxed) {
                    client.publish_all((fed..fed + 50).map(|number| ("in.a", number.to_string())));
                    fed += 50;
                    wait_until("results follow", || {
                        done.load(Ordering::Relaxed) || client.count("OUT") + AHEAD > fed
                    });
                }
                fed
            });
            // A failure of the work must end the feeding too.
            struct Done<'a>(&'a AtomicBool);
            impl Drop for Done<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::Relaxed);
                }
            }
            {
                let _done = Done(&done);
                work();
            }
            feeding.join().unwrap()
        })
    }

    /// The results in the order of their stream, each with the sequence of its input and its version.
    /// Every input has exactly one.
    fn results(&self, fed: u64) -> Vec<(u64, String)> {
        self.wait_until_settled();
        let stored = self.nats.client().messages("OUT");
        let results: Vec<_> = stored.iter().map(result).collect();
        let mut inputs: Vec<u64> = results.iter().map(|(sequence, _)| *sequence).collect();
        inputs.sort_unstable();
        assert!(
            inputs.iter().copied().eq(1..=fed),
            "{fed} inputs, {} results",
            inputs.len()
        );
        assert_eq!(self.nats.client().count("DEAD"), 0);
        results
    }
}

/// Of `p/op/IN@<incarnation>/<sequence>/0` the sequence, of the payload the version, which the digest
/// must confirm.
fn result(stored: &Stored) -> (u64, String) {
    let id = stored.header("Nats-Msg-Id").unwrap();
    let sequence = id.split('/').nth(3).unwrap().parse().unwrap();
    let text = stored.text();
    let (name, payload) = text.split_once(' ').unwrap();
    assert_eq!(payload.parse::<u64>().unwrap() + 1, sequence);
    assert_eq!(stored.header("Weir-Digest"), Some(&*short(&version(name))));
    (sequence, name.to_owned())
}

#[test]
fn results_change_version_once_for_each_receipt_and_at_the_message_that_it_names() {
    let site = Site::of_first_version(&[], "");
    let weir = site.host();
    let fed = site.under_load(|| {
        for round in 1..=8 {
            site.install(&format!("v{round}"));
            wait_until("the lane has the new version", || {
                swaps(&weir) == f64::from(round)
            });
            // So many that those that were on their way are not all of them.
            let before = site.nats.client().count("OUT");
            wait_until("it has results", || {
                site.nats.client().count("OUT") > before + 2 * AHEAD
            });
        }
    });
    let results = site.results(fed);
    let receipts = site.history();
    assert_eq!(receipts.len(), 8);
    let borders: Vec<_> = results
        .windows(2)
        .filter(|pair| pair[0].1 != pair[1].1)
        .collect();
    assert_eq!(borders.len(), 8, "{borders:?}");
    for (number, (receipt, border)) in receipts.iter().zip(borders).enumerate() {
        let [(last, old), (first, new)] = border else {
            panic!("{border:?}")
        };
        assert_eq!(
            (old, new),
            (&format!("v{number}"), &format!("v{}", number + 1))
        );
        assert_eq!(receipt["old"]["sequence"], *last);
        assert_eq!(receipt["new"]["sequence"], *first);
        let digest = receipt["new"]["digest"].as_str().unwrap();
        assert_eq!(digest[..16], short(&version(new)));
        assert!(receipt["taken"].is_string());
    }
    assert_eq!(weir.metric(&series("publish_duplicates_total")), 0.0);
    assert_eq!(weir.metric(&series("redelivered_total")), 0.0);
}

#[test]
fn a_script_waits_until_all_hosts_run_a_file_or_hears_why_not() {
    let site = Site::of_first_version(&[], "");
    let _hosts = [site.host(), site.host()];
    site.install("v1");
    let ran = site.done(&["wait", "p/op", "plugin.wasm"]);
    assert_eq!(ran, "plugin.wasm is running on 2 hosts\n");
    site.install("refuse");
    let refused = site.plugin(&["wait", "p/op", "plugin.wasm"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(
        refused.stderr.contains("refuses\n") && refused.stderr.contains("this version refuses"),
        "{refused:#?}"
    );
    site.file("other.wasm", version("v2"));
    let never = site.plugin(&["wait", "p/op", "other.wasm", "--timeout", "1s"]);
    assert_eq!(never.code, Some(1), "{never:#?}");
    let words = "error: these hosts run another version: ";
    assert!(never.stderr.contains(words), "{never:#?}");
}

#[test]
fn two_hosts_swap_fifty_times_and_refuse_what_is_broken_without_losing_or_repeating_a_message() {
    let site = Site::of_first_version(&[], "lanes: 2\n");
    let hosts = [site.host(), site.host()];
    let good = version("v0");
    let broken = [
        good[..good.len() / 2].to_vec(),
        wat::parse_str("(component)").unwrap(),
        version("refuse"),
        version("trap"),
    ];
    let mut names = ["odd", "even"].into_iter().cycle();
    let (mut taken, mut turned_down) = (0.0, 0.0);
    let fed = site.under_load(|| {
        for round in 1..=50 {
            if round % 5 == 0 {
                site.file("plugin.wasm", &broken[(round / 5) % broken.len()]);
                turned_down += 1.0;
            } else {
                site.install(names.next().unwrap());
                taken += 1.0;
            }
            wait_until("both hosts have swapped, or refused to", || {
                let has = |weir| (swaps(weir), refused(weir)) == (2.0 * taken, turned_down);
                hosts.iter().all(has)
            });
        }
    });
    let results: HashMap<u64, String> = site.results(fed).into_iter().collect();
    for weir in &hosts {
        assert_eq!(weir.metric(&series("publish_duplicates_total")), 0.0);
        assert_eq!(weir.metric(&series("redelivered_total")), 0.0);
        assert_eq!(
            weir.metric(&operator_series("receipts_failed_total", "op")),
            0.0
        );
    }
    let lanes = by_lane(site.history());
    assert_eq!(lanes.len(), 4);
    for receipts in lanes.values() {
        assert_eq!(receipts.len() as f64, taken);
        for pair in receipts.windows(2) {
            assert_eq!(pair[0]["new"]["digest"], pair[1]["old"]["digest"]);
            let (first, last) = (&pair[0]["new"]["sequence"], &pair[1]["old"]["sequence"]);
            assert!(first.as_u64() <= last.as_u64(), "{pair:?}");
        }
        for receipt in receipts {
            agrees(&receipt["old"], &results);
            agrees(&receipt["new"], &results);
        }
    }
}

#[test]
fn a_host_that_is_killed_while_it_swaps_loses_nothing_and_the_others_go_on() {
    let site = Site::of_first_version(&[SHORT_ACK_WAIT], "");
    let mut hosts = vec![site.host(), site.host()];
    let client = site.nats.client();
    let fed = site.under_load(|| {
        for round in 1..=6 {
            let (receipts, before) = (client.count("KV_weir-receipts"), swaps(&hosts[1]));
            site.install(&format!("v{round}"));
            wait_until("one of the hosts has begun a receipt", || {
                client.count("KV_weir-receipts") > receipts
            });
            hosts.remove(0).kill9();
            wait_until("the other host has swapped", || swaps(&hosts[0]) > before);
            hosts.push(site.host());
        }
    });
    let results = site.results(fed);
    let receipts = site.history();
    assert!(receipts.len() >= 6, "{receipts:?}");
    for (sequence, name) in results.iter().filter(|(_, name)| name != "v0") {
        let digest = short(&version(name));
        let told = |receipt: &Value| {
            receipt["new"]["digest"]
                .as_str()
                .unwrap()
                .starts_with(&digest)
        };
        assert!(
            receipts.iter().any(told),
            "no receipt for {name}, message {sequence}"
        );
    }
}

#[test]
fn a_version_that_cannot_take_over_is_told_of_in_the_log_and_the_status_until_one_can() {
    let site = Site::of_first_version(&[], "");
    let mut weir = site.host();
    site.nats.client().publish("in.a", "0");
    site.wait_for_messages("OUT", 1);
    site.install("trap");
    weir.wait_until_output("the old version keeps running");
    assert!(
        weir.stderr()
            .contains("it fails on message 1 of the source"),
        "{}",
        weir.stderr()
    );
    let trap = &short(&version("trap"))[..12];
    site.wait_until_status(&format!("refused {trap}: cannot swap operator `op`"));
    site.nats.client().publish("in.a", "1");
    assert_eq!(site.wait_for_messages("OUT", 2)[1].text(), "v0 1");

    site.install("v1");
    wait_until("it swaps", || swaps(&weir) == 1.0);
    let status = site.wait_until_status("pipeline p");
    assert!(!status.contains("refused"), "{status}");
    site.nats.client().publish("in.a", "2");
    assert_eq!(site.wait_for_messages("OUT", 3)[2].text(), "v1 2");
    let history = site.done(&["history"]);
    assert!(history.contains("p/op"), "{history}");
    assert!(history.contains("@2 -> "), "{history}");
}

#[test]
fn a_host_that_is_told_not_to_watch_keeps_its_plugin() {
    let site = Site::of_first_version(&[], "");
    let mut weir = site.start_with(&["p.yaml", "--no-watch"], &[]);
    weir.wait_until_output("running");
    let mut watching = site.host();
    site.install("v1");
    watching.wait_until_output("swapped");
    assert_eq!(swaps(&weir), 0.0);
}

/// A version of a receipt did what its results say.
fn agrees(version: &Value, results: &HashMap<u64, String>) {
    let Some(sequence) = version["sequence"].as_u64() else {
        return;
    };
    let name = &results[&sequence];
    let digest = version["digest"].as_str().unwrap();
    assert_eq!(
        digest[..16],
        short(&self::version(name)),
        "message {sequence}"
    );
}

/// Receipts in the order of time, by host and lane.
fn by_lane(receipts: Vec<Value>) -> BTreeMap<String, Vec<Value>> {
    let mut lanes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for receipt in receipts {
        let lane = format!("{} {}", receipt["host"], receipt["lane"]);
        lanes.entry(lane).or_default().push(receipt);
    }
    lanes
}
