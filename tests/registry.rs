//! Plugins in a bucket of JetStream: a version is always the same bytes, and hosts that follow a tag
//! take what it names.

use crate::harness::guests::versions;
use crate::harness::{AS_HOST, Site, swaps, wait_until};
use crate::permitted::permitted;
use serde_json::Value;

/// The plugin is what a tag names.
const LIVE: (&str, &str) = ("plugin.wasm", "nats://plugins/versions@live");

impl Site {
    /// With files to push.
    fn with_versions() -> Self {
        let site = Self::new();
        site.add_versions();
        site
    }

    fn add_versions(&self) {
        for name in ["v1", "v2"] {
            self.file(name, versions(name));
        }
    }

    fn list(&self) -> Value {
        serde_json::from_str(&self.done(&["list", "nats://plugins", "--json"])).unwrap()
    }
}

#[test]
fn a_version_is_pushed_listed_pulled_and_never_overwritten() {
    let site = Site::with_versions();
    let pushed = site.done(&[
        "push",
        "v1",
        "nats://plugins/versions@1.0.0",
        "--tag",
        "stable",
    ]);
    let digest = blake3::hash(&versions("v1")).to_hex().to_string();
    assert_eq!(pushed, format!("nats://plugins/versions@1.0.0 {digest}\n"));
    let again = site.done(&["push", "v1", "nats://plugins/versions@1.0.0"]);
    assert!(again.contains("already there"), "{again}");

    let inspected = site.done(&["inspect", "nats://plugins/versions@stable", "--json"]);
    assert!(inspected.contains(&digest), "{inspected}");

    let other = site.plugin(&["push", "v2", "nats://plugins/versions@1.0.0"]);
    assert_eq!(other.code, Some(1), "{other:#?}");
    assert!(
        other.stderr.contains("exists with a different component"),
        "{other:#?}"
    );
    assert!(
        other
            .stderr
            .contains("hint: a version is never overwritten"),
        "{other:#?}"
    );

    let listed = &site.list()["versions"];
    assert_eq!(listed["versions"]["1.0.0"]["digest"], digest);
    assert_eq!(
        listed["versions"]["1.0.0"]["contract"],
        "weir:plugin/operator@0.1.0"
    );
    assert_eq!(listed["versions"]["1.0.0"]["size"], versions("v1").len());
    assert_eq!(listed["tags"]["stable"], "1.0.0");
    let text = site.done(&["list", "plugins"]);
    assert!(
        text.starts_with(&format!("versions@1.0.0  {}  ", &digest[..12])),
        "{text}"
    );
    assert!(text.trim_end().ends_with("[stable]"), "{text}");

    site.done(&[
        "pull",
        "nats://plugins/versions@stable",
        "-o",
        "pulled.wasm",
    ]);
    let pulled = std::fs::read(site.path("pulled.wasm")).unwrap();
    assert_eq!(pulled, versions("v1"));
}

#[test]
fn a_push_whose_tag_cannot_be_given_stores_nothing_and_the_hosts_own_buckets_hold_no_plugins() {
    let site = Site::with_versions();
    let same = [
        "push",
        "v1",
        "nats://plugins/versions@1.2.0",
        "--tag",
        "1.2.0",
    ];
    let refused = site.plugin(&same);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(
        refused.stderr.contains("`1.2.0` is a version"),
        "{refused:#?}"
    );
    assert_eq!(site.list()["versions"], Value::Null);

    let reserved = site.plugin(&["push", "v1", "nats://weir-receipts/x@1"]);
    assert_eq!(reserved.code, Some(2), "{reserved:#?}");
    assert!(
        reserved.stderr.contains("begin with `weir-`"),
        "{reserved:#?}"
    );
}

#[test]
fn versions_and_tags_do_not_take_each_others_names_and_what_is_missing_is_said() {
    let site = Site::with_versions();
    site.done(&["push", "v1", "nats://plugins/versions@1", "--tag", "stable"]);
    for (arguments, words) in [
        (
            ["push", "v2", "nats://plugins/versions@stable"],
            "`stable` is a tag",
        ),
        (
            ["tag", "nats://plugins/versions@1", "1"],
            "`1` is a version",
        ),
        (
            ["tag", "nats://plugins/versions@2", "next"],
            "there is no such version",
        ),
        (
            ["push", "missing", "nats://plugins/versions@3"],
            "there is no such file",
        ),
        (
            ["push", "p.txt", "nats://plugins/versions@3"],
            "cannot push `p.txt`",
        ),
    ] {
        site.file("p.txt", "no component");
        let refused = site.plugin(&arguments);
        assert!(refused.code > Some(0), "{refused:#?}");
        assert!(refused.stderr.contains(words), "{words}: {refused:#?}");
    }
    let missing = site.plugin(&["pull", "nats://plugins/versions@9"]);
    assert!(
        missing
            .stderr
            .contains("hint: see `weir plugin list nats://plugins`"),
        "{missing:#?}"
    );
    let nowhere = site.plugin(&["list", "nats://nowhere"]);
    assert!(
        nowhere
            .stderr
            .contains("hint: create it with `weir plugin push"),
        "{nowhere:#?}"
    );
    let wrong = site.plugin(&["pull", "nats://plugins"]);
    assert_eq!(wrong.code, Some(2), "{wrong:#?}");
    assert_eq!(
        site.list()["versions"]["versions"]
            .as_object()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_host_runs_a_plugin_from_a_bucket_and_takes_what_its_tag_names_next() {
    let site = Site::with_versions();
    site.done(&["push", "v1", "nats://plugins/versions@1", "--tag", "live"]);
    let following = site.run(&site.pipeline_but(&[LIVE], ""));
    assert_eq!(site.result(1), "v1 1");

    site.done(&["push", "v2", "nats://plugins/versions@2"]);
    assert_eq!(site.result(2), "v1 2");
    site.done(&["tag", "nats://plugins/versions@2", "live"]);
    wait_until("the host has taken it", || swaps(&following) == 1.0);
    assert_eq!(site.result(3), "v2 3");
    let history = site.done(&["history", "p", "--json"]);
    let history: Value = serde_json::from_str(&history).unwrap();
    assert_eq!(history[0]["origin"], "nats://plugins/versions@live (2)");
    assert_eq!(history[0]["new"]["sequence"], 3);

    site.done(&["tag", "nats://plugins/versions@1", "live"]);
    wait_until("the host has gone back", || swaps(&following) == 2.0);
    assert_eq!(site.result(4), "v1 4");
}

#[test]
fn a_pipeline_whose_plugin_is_in_no_bucket_is_refused_before_it_runs() {
    let site = Site::with_versions();
    site.done(&["push", "v1", "nats://plugins/versions@1"]);
    for (reference, code) in [
        ("nats://plugins/versions@1", 0),
        ("nats://plugins/versions@2", 2),
    ] {
        site.pipeline_but(&[("plugin.wasm", reference)], "");
        let checked = site.weir(&["check", "p.yaml"]);
        assert_eq!(checked.code, Some(code), "{checked:#?}");
        assert!(checked.stdout.contains("`op`: "), "{checked:#?}");
        assert_eq!(
            checked.stdout.contains(reference),
            code == 0,
            "{checked:#?}"
        );
    }
}

#[test]
fn the_permissions_that_the_page_names_are_enough_to_follow_a_bucket() {
    let site = Site::permitting(&permitted(&["Swaps", "Plugins from a bucket"]));
    site.add_versions();
    site.done(&["push", "v1", "nats://plugins/versions@1", "--tag", "live"]);
    let host = site.run(&site.pipeline_but(&[AS_HOST, LIVE], ""));
    assert_eq!(site.result(1), "v1 1");
    // A custom section of 16 MiB, so that the server wants to hear that it is not too fast.
    let section = [
        &[0, 0x80, 0x80, 0x80, 0x08, 1, b'x'][..],
        &vec![0; (1 << 24) - 2],
    ]
    .concat();
    let large = [versions("v2"), section].concat();
    site.file("large", large);
    site.done(&[
        "push",
        "large",
        "nats://plugins/versions@2",
        "--tag",
        "live",
    ]);
    wait_until("the host has taken it", || swaps(&host) == 1.0);
    assert_eq!(site.result(2), "v2 2");
    host.terminate();
    let ended = host.finish();
    assert!(!ended.stderr.contains("nats refused"), "{}", ended.stderr);
}
