//! New versions are deployed by a plan and its hash, tried on a share of the keys, taken back when they
//! are worse than the version before, and gone back from by their receipts.

use crate::harness::deployments::{KEYS, digest};
use crate::harness::{Site, refused, rollbacks, swaps, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn a_plan_says_what_would_change_and_its_hash_does_that_on_all_hosts_and_nothing_else() {
    let site = Site::of_versions("");
    let _one = site.host();
    let other = site.fresh_host("other");
    let plan = site.done(&["deploy", "p/op", "v1", "--plan"]);
    let lines: Vec<&str> = plan.lines().collect();
    assert_eq!(lines[0], "deploy v1 to p/op, on 2 hosts");
    for part in [
        &format!("{} ", &digest("v0")[..12]),
        &format!("-> {}", &digest("v1")[..12]),
        "stays weir:plugin/operator@0.1.0",
        "needs none; the operator has none",
        "imports        the same",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let hash = plan.trim_end().rsplit(' ').next().unwrap();
    assert_eq!(site.versions(), ["v0"]);

    let another = site.plugin(&["deploy", "p/op", "v2", "--apply", hash]);
    assert_eq!(another.code, Some(1), "{another:#?}");
    assert!(
        another.stderr.contains("hint: something has changed"),
        "{another:#?}"
    );
    let applied = site.done(&["deploy", "p/op", "v1", "--apply", hash]);
    assert_eq!(applied, "v1 is running on 2 hosts\n");
    assert_eq!(site.versions(), ["v1"]);
    let again = site.plugin(&["deploy", "p/op", "v1", "--apply", hash]);
    assert_eq!(again.code, Some(1), "{again:#?}");

    // What was deployed stays when a host starts anew, until `plugin:` names something else.
    drop(other);
    let other = site.fresh_host("third");
    assert_eq!(site.versions(), ["v1"]);
    drop(other);
    let third = site.host();
    site.install("v2");
    wait_until("the host takes the new file", || swaps(&third) == 1.0);
    site.feed_until("its lane has", || site.versions() == ["v2"]);
}

#[test]
fn a_plan_with_the_file_says_whether_the_version_accepts_the_configuration() {
    let site = Site::of_versions("");
    let _host = site.host();
    let plan = |version: &str, code: i32| {
        let planned = site.plugin(&["deploy", "p/op", version, "--try", "p.yaml"]);
        assert_eq!(planned.code, Some(code), "{planned:#?}");
        planned.stdout
    };
    let accepted = plan("v1", 0);
    assert!(accepted.contains(", which it accepts\n"), "{accepted}");
    let command = "--try p.yaml --apply ";
    assert!(accepted.contains(command), "{accepted}");
    let refused = plan("refuse", 1);
    assert!(
        refused.contains(", which it does not accept\n")
            && refused.contains("cannot be applied: it does not start with the configuration")
            && refused.contains("this version refuses"),
        "{refused}"
    );
}

#[test]
fn a_plan_for_a_plugin_that_the_operator_is_not_for_offers_no_way_to_apply_it() {
    let site = Site::of_versions("");
    let _host = site.host();
    for (plugin, why) in [
        (
            "std:dedupe",
            "it keeps state, which needs exactly-once delivery",
        ),
        (
            "std:enrich",
            "it needs the grant `http`, which the operator does not have",
        ),
        (
            "std:top",
            "it keeps state, which needs exactly-once delivery",
        ),
    ] {
        let planned = site.plugin(&["deploy", "p/op", plugin]);
        assert_eq!(planned.code, Some(1), "{planned:#?}");
        let obstacle = format!("cannot be applied: {why}\n");
        assert!(planned.stdout.contains(&obstacle), "{planned:#?}");
        assert!(!planned.stdout.contains("--apply"), "{planned:#?}");
    }
}

#[test]
fn what_a_host_cannot_run_is_turned_down_by_all() {
    let site = Site::of_versions("");
    let _host = site.host();
    let refused = site.deploy("refuse", &[]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(
        refused.stderr.contains("this version refuses"),
        "{refused:#?}"
    );
    site.wait_until_decided("refused");
    let _other = site.fresh_host("other");
    assert_eq!(site.versions(), ["v0"]);

    for (arguments, words) in [
        (
            &["deploy", "p/none", "v1"][..],
            "no host that runs `p/none` responds",
        ),
        (
            &["deploy", "p", "v1"],
            "is not of the form PIPELINE/OPERATOR",
        ),
        (&["deploy", "p/op", "missing"], "there is no such file"),
        (&["deploy", "p/op", "p.yaml"], "cannot deploy `p.yaml`"),
        (
            &["deploy", "p/op", "v1", "--canary", "100%"],
            "less than 100%",
        ),
        (&["rollback", "p/op"], "there were no swaps"),
        (&["rollback", "p/op", "abc"], "there is no receipt `abc`"),
        (&["promote", "p/op"], "there is no canary at `p/op`"),
    ] {
        let wrong = site.plugin(arguments);
        assert!(wrong.code > Some(0), "{wrong:#?}");
        assert!(wrong.stderr.contains(words), "{words}: {wrong:#?}");
    }
}

#[test]
fn any_receipt_can_be_gone_back_over() {
    let site = Site::of_versions("");
    let _host = site.host();
    for name in ["v1", "v2"] {
        let applied = site.deploy(name, &[]);
        assert_eq!(applied.code, Some(0), "{applied:#?}");
        assert_eq!(site.versions(), [name]);
    }
    site.done(&["rollback", "p/op"]);
    assert_eq!(site.versions(), ["v1"]);
    let receipts = site.history();
    let whats: Vec<_> = receipts.iter().map(|receipt| &receipt["what"]).collect();
    assert_eq!(whats, ["deployed", "deployed", "rolled back"]);
    let first = receipts[0]["id"].as_str().unwrap();
    assert_eq!(receipts[0]["old"]["digest"], digest("v0"));
    site.done(&["rollback", "p/op", first]);
    assert_eq!(site.versions(), ["v0"]);
}

#[test]
fn a_key_sees_one_version_and_a_canary_that_does_well_takes_over_by_itself() {
    let site = Site::of_versions("canary: 1s");
    let _one = site.host();
    let _other = site.fresh_host("other");
    assert_eq!(site.versions(), ["v0"]);
    let started = site.deploy("v1", &["--canary", "20%"]);
    assert_eq!(started.code, Some(0), "{started:#?}");
    site.feed_until("it has taken over", || site.versions() == ["v1"]);
    assert_eq!(site.deployment()["last"]["what"], "promoted");
    let receipts = site.history();
    let of = |what: &str| {
        receipts
            .iter()
            .filter(|receipt| receipt["what"] == what)
            .count()
    };
    assert_eq!((of("canary 20 %"), of("promoted")), (2, 2), "{receipts:#?}");
}

#[test]
fn a_canary_waits_to_be_promoted_or_ended_by_hand_where_that_is_asked_for() {
    let site = Site::of_versions("canary: 0s");
    let _one = site.host();
    let _other = site.fresh_host("other");
    let mut seen: BTreeMap<u64, String> = BTreeMap::new();
    assert_eq!(site.deploy("v1", &["--canary", "20%"]).code, Some(0));
    for _ in 0..3 {
        let round = site.round();
        let share = round.values().filter(|name| *name == "v1").count();
        assert!((150..250).contains(&share), "{share} of {KEYS} keys");
        assert!(
            seen.is_empty() || seen == round,
            "a key has seen both versions"
        );
        seen = round;
    }
    site.wait_until_status(": 20 % of the keys, ");
    let second = site.plugin(&["deploy", "p/op", "v2"]);
    assert_eq!(second.code, Some(1), "{second:#?}");
    assert!(
        second.stdout.contains("is a canary or a shadow there"),
        "{second:#?}"
    );

    site.done(&["rollback", "p/op"]);
    assert_eq!(site.versions(), ["v0"]);
    assert_eq!(site.deploy("v1", &["--canary", "20%"]).code, Some(0));
    let third = site.fresh_host("third");
    wait_until("a host that starts has the canary", || swaps(&third) == 1.0);
    assert_eq!(site.round(), seen);
    site.done(&["promote", "p/op"]);
    assert_eq!(site.versions(), ["v1"]);
    // Nobody has deployed what ran before.
    site.done(&["rollback", "p/op"]);
    assert_eq!(site.versions(), ["v0"]);
}

#[test]
fn a_canary_that_fails_for_one_key_in_a_hundred_is_found_told_of_with_samples_and_taken_back() {
    let site = Site::of_versions("max-errors: 0.4%, min-messages: 300, canary: 0s");
    let host = site.host();
    site.round();
    // Which keys it gets depends on its digest: of ten that fail it has enough, whichever they are.
    assert_eq!(site.deploy("picky", &["--canary", "90%"]).code, Some(0));
    site.feed_until("it is rolled back", || rollbacks(&host) == 1.0);
    assert_eq!(site.versions(), ["v0"]);
    site.wait_until_decided("rolled back");
    let deployment = site.deployment();
    assert_eq!(deployment["trial"], Value::Null);
    assert_eq!(deployment["quarantine"][0]["digest"], digest("picky"));
    let samples = deployment["last"]["samples"].as_array().unwrap();
    assert!(!samples.is_empty());
    for sample in samples {
        let key = (sample["sequence"].as_u64().unwrap() - 1) % KEYS;
        assert_eq!(key % 100, 7, "{sample}");
        assert_eq!(sample["kind"], "reject");
        assert_eq!(sample["reason"], "this version does not like it");
    }

    let plan = site.plugin(&["deploy", "p/op", "picky"]);
    assert_eq!(plan.code, Some(1), "{plan:#?}");
    assert!(
        plan.stdout.contains("it has been in quarantine since"),
        "{plan:#?}"
    );
    let forced = site.deploy("picky", &["--force"]);
    assert_eq!(forced.code, Some(0), "{forced:#?}");
}

#[test]
fn a_version_that_turns_out_worse_on_probation_is_rolled_back_and_does_not_come_back() {
    let site = Site::of_versions("max-errors: 0.4%, min-messages: 300");
    let one = site.host();
    let other = site.fresh_host("other");
    site.round();
    site.install("picky");
    site.feed_until("it is rolled back", || {
        rollbacks(&one) + rollbacks(&other) >= 1.0
    });
    site.feed_until("both hosts have gone back", || site.versions() == ["v0"]);
    site.wait_until_decided("rolled back");
    assert_eq!(
        site.deployment()["stable"]["component"]["digest"],
        digest("v0")
    );
    site.wait_until_status("rolled back on all hosts: ");

    // The file is still the bad version; a host that starts does not run it.
    let third = site.fresh_host("third");
    drop(one);
    drop(other);
    assert_eq!(site.versions(), ["v0"]);
    site.install("v1");
    wait_until("a better one is taken", || swaps(&third) == 1.0);
    assert_eq!(site.versions(), ["v1"]);
    let before = refused(&third);
    site.install("picky");
    wait_until("the bad one is refused", || refused(&third) > before);
    assert_eq!(site.versions(), ["v1"]);
}

#[test]
fn a_version_that_is_much_slower_is_rolled_back() {
    let site = Site::of_versions("min-messages: 20, max-call-time: 300%");
    let host = site.host();
    site.round();
    site.install("slow");
    site.feed_until("it is rolled back", || rollbacks(&host) == 1.0);
    site.wait_until_decided("rolled back");
    let reason = site.deployment()["last"]["reason"].to_string();
    assert!(reason.contains("a message takes"), "{reason}");
    assert_eq!(site.versions(), ["v0"]);
}

#[test]
fn a_host_starts_with_what_was_deployed_although_its_file_refuses() {
    let site = Site::of_versions("probation: 0s");
    let host = site.host();
    site.round();
    site.install("refuse");
    wait_until("the file is refused", || refused(&host) == 1.0);
    assert_eq!(site.deploy("v1", &[]).code, Some(0));
    drop(host);
    let _again = site.host();
    assert_eq!(site.versions(), ["v1"]);
}
