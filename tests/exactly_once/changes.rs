//! What is changed while a job works changes no result: the number of its hosts, and the version of some keys.

use super::by_subject;
use crate::harness::{Site, Stored, guests, series, wait_until};
use std::collections::{BTreeMap, BTreeSet};

const KEYS: usize = 40;

/// Counts of so many messages a key.
fn counts(each: usize) -> BTreeMap<String, Vec<String>> {
    let counts: Vec<String> = (1..=each).map(|count| count.to_string()).collect();
    let keys = 0..KEYS;
    keys.map(|key| (format!("out.{key}"), counts.clone()))
        .collect()
}

impl Site {
    /// One message more for each key.
    fn feed_keys(&self) {
        let keys = (0..KEYS).map(|key| (format!("in.{key}"), "count"));
        self.nats.client().publish_all(keys);
    }

    /// Feeds until this holds; how often.
    fn feed_keys_until(&self, what: &str, mut holds: impl FnMut() -> bool) -> usize {
        let mut rounds = 0;
        let client = self.nats.client();
        wait_until(what, || {
            // Not further ahead than some rounds, however long it takes.
            if client.count("IN") < client.count("OUT") + 10 * KEYS as u64 {
                self.feed_keys();
                rounds += 1;
            }
            holds()
        });
        rounds
    }
}

#[test]
fn one_host_becomes_three_and_one_again_under_load_and_every_count_is_exact() {
    let site = Site::new();
    let file = site.stateful("");
    let first = site.run_job(&file);
    let mut rounds = site.feed_keys_until("there are results", || {
        site.nats.client().count("OUT") > 100
    });
    let others = [site.run_job(&file), site.run_job(&file)];
    let commits = |host: &_| crate::harness::Weir::metric(host, &series("job_commits_total"));
    rounds += site.feed_keys_until("all three work", || {
        others.iter().all(|host| commits(host) > 5.0)
    });
    for other in others {
        other.terminate();
        other.finish();
        rounds += site.feed_keys_until("some more are fed", || true);
    }
    let before = commits(&first);
    rounds += site.feed_keys_until("the first works", || commits(&first) > before + 5.0);
    let out = site.wait_for_messages("OUT", (rounds * KEYS) as u64);
    assert_eq!(by_subject(&out), counts(rounds));
    assert_eq!(first.metric(&series("job_deposed_total")), 0.0);
}

#[test]
fn a_key_sees_one_version_of_a_plugin_with_state_while_there_is_a_canary_and_counts_go_on() {
    let site = Site::new();
    let file = site.stateful("");
    let _weir = site.run_job(&file);
    let mut next = guests::bytes("stateful");
    next.extend_from_slice(&[0, 3, 1, b'v', b'2']);
    site.file("next.wasm", next);
    site.feed_keys();
    site.wait_for_messages("OUT", KEYS as u64);
    let deployed = site.deploy("next.wasm", &["--canary", "40%"]);
    assert_eq!(deployed.code, Some(0), "{deployed:#?}");
    let begin = site.nats.client().count("OUT");
    for round in 1..=3 {
        site.feed_keys();
        site.wait_for_messages("OUT", begin + round * KEYS as u64);
    }
    let digest = |message: &Stored| message.header("Weir-Digest").unwrap().to_owned();
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let out = site.nats.client().messages("OUT");
    for message in out.iter().skip(begin as usize) {
        let of = seen.entry(message.subject.to_string()).or_default();
        of.insert(digest(message));
    }
    assert!(seen.values().all(|digests| digests.len() == 1), "{seen:?}");
    let versions: BTreeSet<_> = seen.into_values().flatten().collect();
    assert_eq!(versions.len(), 2, "both versions see keys");

    site.done(&["rollback", "p/op"]);
    site.feed_keys();
    let out = site.wait_for_messages("OUT", begin + 4 * KEYS as u64);
    let last: BTreeSet<_> = out.iter().rev().take(KEYS).map(digest).collect();
    assert_eq!(last, [digest(&out[0])].into());
    assert_eq!(by_subject(&out), counts(out.len() / KEYS));
}
