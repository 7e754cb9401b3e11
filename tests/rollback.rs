//! What was bad stays away: no rollback brings back a version that was taken back, a version that one host
//! cannot run changes nothing on the others, and every host says what was decided.

use crate::harness::deployments::digest;
use crate::harness::{Site, Weir, replaced, rollbacks, wait_until};
use serde_json::Value;
use std::collections::BTreeSet;

impl Site {
    /// The digests that so many hosts run.
    fn running(&self, hosts: usize) -> BTreeSet<String> {
        let of = |operator: &Value| operator["digest"].as_str().unwrap().to_owned();
        self.status(hosts).iter().map(of).collect()
    }

    /// A host whose `plugin:` is a file of its own.
    fn another_host(&self, name: &str) -> Weir {
        let own = format!("plugin: {name}\n");
        let text = std::fs::read_to_string(self.path("p.yaml")).unwrap();
        let text = replaced(&text, &[("plugin: plugin.wasm\n", &own)]);
        self.run(&self.file("another.yaml", text))
    }
}

#[test]
fn a_rollback_does_not_bring_back_what_was_taken_back_unless_forced_and_then_it_is_watched() {
    let site = Site::of_versions("max-errors: 0.4%, min-messages: 300");
    let host = site.host();
    for _ in 0..2 {
        site.round();
    }
    let plan = site.done(&["deploy", "p/op", "picky"]);
    let back = format!("if worse       back to {}", &digest("v0")[..12]);
    assert!(plan.contains(&back), "{plan}");
    assert_eq!(site.deploy("picky", &[]).code, Some(0));
    site.feed_until("it is rolled back", || rollbacks(&host) == 1.0);
    site.wait_until_decided("rolled back");
    for _ in 0..2 {
        let back = site.plugin(&["rollback", "p/op"]);
        assert_eq!(back.code, Some(1), "{back:#?}");
        assert!(
            back.stderr.contains("every swap has been undone"),
            "{back:#?}"
        );
    }
    assert_eq!(site.running(1), [digest("v0")].into());

    let receipts = site.history();
    let over = receipts
        .iter()
        .find(|receipt| receipt["what"] == "rolled back");
    let over = over.unwrap();
    assert_eq!(over["old"]["digest"], digest("picky"));
    let id = over["id"].as_str().unwrap();
    let back = site.plugin(&["rollback", "p/op", id]);
    assert_eq!(back.code, Some(1), "{back:#?}");
    assert!(
        back.stderr.contains("it has been in quarantine since"),
        "{back:#?}"
    );
    assert!(back.stderr.contains("`--force`"), "{back:#?}");
    assert_eq!(site.versions(), ["v0"]);

    site.done(&["rollback", "p/op", id, "--force"]);
    assert_eq!(site.running(1), [digest("picky")].into());
    assert_eq!(site.deployment()["quarantine"], Value::Array(Vec::new()));
    site.feed_until("it is rolled back again", || rollbacks(&host) == 2.0);
    assert_eq!(site.versions(), ["v0"]);
}

#[test]
fn what_one_host_cannot_run_leaves_each_host_with_the_version_of_its_own() {
    let site = Site::of_versions("");
    let _one = site.host();
    // The first host tries a new version with what it has seen, and finds that it traps.
    site.round();
    let other = site.another_host("v1");
    let refused = site.deploy("trap", &[]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(
        refused.stderr.contains("it fails on message"),
        "{refused:#?}"
    );
    let own: BTreeSet<String> = [digest("v0"), digest("v1")].into();
    site.wait_until_decided("refused");
    wait_until("each runs its own", || site.running(2) == own);
    assert_eq!(site.deployment()["stable"], Value::Null);
    let versions = site.versions();
    let owned = |name: &String| ["v0", "v1"].contains(&name.as_str());
    assert!(versions.iter().all(owned), "{versions:?}");

    drop(other);
    let _other = site.another_host("v1");
    assert_eq!(site.running(2), own);
}

#[test]
fn every_host_tells_what_was_taken_back_why_and_on_which_messages() {
    let site = Site::of_versions("max-errors: 0.4%, min-messages: 300, canary: 0s");
    let one = site.host();
    let other = site.fresh_host("other");
    site.round();
    assert_eq!(site.deploy("picky", &["--canary", "90%"]).code, Some(0));
    site.feed_until("it is rolled back", || {
        rollbacks(&one) + rollbacks(&other) >= 1.0
    });
    wait_until("both hosts tell it", || {
        let told = |operator: &Value| {
            let decision = &operator["decision"];
            decision["what"] == "rolled back"
                && decision["digest"] == digest("picky")
                && !decision["samples"].as_array().unwrap().is_empty()
        };
        site.status(2).iter().all(told)
    });
    let line = format!("rolled back on all hosts: {} at ", &digest("picky")[..12]);
    wait_until("the status of both hosts shows it", || {
        site.weir(&["status"]).stdout.matches(&line).count() == 2
    });
    site.wait_until_status(": reject: this version does not like it");
    wait_until("both hosts log that the canary has ended", || {
        [&one, &other]
            .iter()
            .all(|host| host.stderr().contains("canary ended"))
    });
    // A host that has decided says why; one that hears of it, while it has a canary, what was decided. Both may decide.
    wait_until("both hosts log it", || {
        [&one, &other].iter().all(|host| {
            let log = host.stderr();
            let decided = "it was rolled back, and is in quarantine: ";
            log.contains("rolled back on all hosts: ") || log.contains(decided)
        })
    });
}
