//! New versions are deployed by a plan and its hash, tried on a share of the keys, taken back when they
//! are worse than the version before, and gone back from by their receipts.

use crate::harness::guests::{guest, versions as version};
use crate::harness::{Finished, Scene, Stored, Weir, operator_series, wait_until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Keys, and payloads: `picky` rejects one in a hundred of them.
const KEYS: u64 = 1000;

/// A pipeline `p` with the operator `op`, whose plugin is a file that tests write to.
struct Site {
    scene: Scene,
    plugin: PathBuf,
    file: PathBuf,
}

impl Site {
    /// With the fields of the operator's `rollout:`. Batches are small, so that none comes near its
    /// deadline with a slow version on a busy machine.
    fn new(rollout: &str) -> Self {
        let scene = Scene::new();
        let plugin = scene.folder.path().join("plugin.wasm");
        let more = "key: \"{subject[1]}\"\nbatch: { max-messages: 32 }\n";
        let text = std::fs::read_to_string(scene.pipeline(more)).unwrap();
        let usual = guest("misbehave").display().to_string();
        let ours = format!("{}\n    rollout: {{ {rollout} }}", plugin.display());
        let file = scene.file("p.yaml", &text.replace(&usual, &ours));
        for name in ["v0", "v1", "v2", "picky", "refuse", "slow"] {
            std::fs::write(scene.folder.path().join(name), version(name)).unwrap();
        }
        let site = Self {
            scene,
            plugin,
            file,
        };
        site.install("v0");
        site
    }

    /// Puts a version in the place of the plugin, as a build does.
    fn install(&self, name: &str) {
        let beside = self.plugin.with_extension("new");
        std::fs::write(&beside, version(name)).unwrap();
        std::fs::rename(&beside, &self.plugin).unwrap();
    }

    /// A host that has compiled nothing before.
    fn fresh_host(&self, cache: &str) -> Weir {
        let cache = self.scene.folder.path().join(cache);
        let mut weir = self
            .scene
            .start(&self.file, &[("XDG_CACHE_HOME", cache.to_str().unwrap())]);
        weir.wait_until_output("running");
        weir
    }

    /// Publishes each of the keys once.
    fn feed(&self) {
        let messages = (0..KEYS).map(|key| (format!("in.{key}"), key.to_string()));
        self.scene.nats.client().publish_all(messages);
    }

    /// Feeds until something holds.
    fn feed_until(&self, what: &str, holds: impl Fn() -> bool) {
        wait_until(what, || {
            self.feed();
            self.scene.wait_until_settled();
            holds()
        });
    }

    fn plugin(&self, arguments: &[&str]) -> Finished {
        self.scene.plugin(arguments)
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        self.plugin(arguments).done()
    }

    /// Plans, and applies the plan.
    #[track_caller]
    fn deploy(&self, name: &str, more: &[&str]) -> Finished {
        let arguments = [&["deploy", "p/op", name], more].concat();
        let planned = self.done(&[&arguments[..], &["--json"]].concat());
        let plan: Value = serde_json::from_str(&planned).unwrap();
        let hash = plan["hash"].as_str().unwrap();
        self.plugin(&[&arguments[..], &["--apply", hash]].concat())
    }

    fn history(&self) -> Vec<Value> {
        serde_json::from_str(&self.done(&["history", "p/op", "--json"])).unwrap()
    }

    /// What is deployed.
    fn deployment(&self) -> Value {
        let stored = self.scene.nats.client().messages("KV_weir-deployments");
        serde_json::from_str(&stored.last().unwrap().text()).unwrap()
    }

    /// Feeds all keys, and says which version each was worked on by; `-` for a dead letter.
    fn round(&self) -> BTreeMap<u64, String> {
        let before = self.scene.nats.client().count("OUT");
        self.feed();
        self.scene.wait_until_settled();
        let stored = self.scene.nats.client().messages("OUT");
        let new = stored.iter().skip(before as usize);
        let mut all: BTreeMap<u64, String> = (0..KEYS).map(|key| (key, "-".to_owned())).collect();
        all.extend(new.map(worked_on));
        all
    }
}

/// The key of a result, and the version that it says and its digest confirms.
fn worked_on(stored: &Stored) -> (u64, String) {
    let text = stored.text();
    let (name, payload) = text.split_once(' ').unwrap();
    assert_eq!(
        stored.header("Weir-Digest").map(str::to_owned),
        Some(digest(name)[..16].to_owned())
    );
    (payload.parse().unwrap(), name.to_owned())
}

fn digest(name: &str) -> String {
    blake3::hash(&version(name)).to_hex().to_string()
}

fn versions(round: &BTreeMap<u64, String>) -> BTreeSet<&str> {
    round.values().map(String::as_str).collect()
}

fn rollbacks(weir: &Weir) -> f64 {
    weir.metric(&operator_series("rollbacks_total", "op"))
}

#[test]
fn a_plan_says_what_would_change_and_its_hash_does_that_on_all_hosts_and_nothing_else() {
    let site = Site::new("");
    let _one = site.scene.run(&site.file);
    let other = site.fresh_host("other");
    let plan = site.done(&["deploy", "p/op", "v1", "--plan"]);
    let lines: Vec<&str> = plan.lines().collect();
    assert_eq!(lines[0], "deploy v1 to p/op, on 2 hosts");
    for part in [
        &format!("{} ", &digest("v0")[..12]),
        &format!("-> {}", &digest("v1")[..12]),
        "stays weir:plugin/operator@0.1.0",
        "needs none; the operator gives none",
        "imports        the same",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let hash = plan.trim_end().rsplit(' ').next().unwrap();
    assert_eq!(versions(&site.round()), ["v0"].into());

    let another = site.plugin(&["deploy", "p/op", "v2", "--apply", hash]);
    assert_eq!(another.code, Some(1), "{another:#?}");
    assert!(
        another.stderr.contains("hint: something has changed since"),
        "{another:#?}"
    );
    let applied = site.done(&["deploy", "p/op", "v1", "--apply", hash]);
    assert_eq!(applied, "v1 is running on 2 host(s)\n");
    assert_eq!(versions(&site.round()), ["v1"].into());
    let again = site.plugin(&["deploy", "p/op", "v1", "--apply", hash]);
    assert_eq!(again.code, Some(1), "{again:#?}");

    // What was deployed stays when a host starts anew, until `plugin:` names something else.
    drop(other);
    let other = site.fresh_host("third");
    assert_eq!(versions(&site.round()), ["v1"].into());
    drop(other);
    let third = site.scene.run(&site.file);
    site.install("v2");
    wait_until("the hosts take the new file", || {
        third.metric(&operator_series("swaps_total", "op")) == 1.0
    });
    site.feed_until("both have", || versions(&site.round()) == ["v2"].into());
}

#[test]
fn what_a_host_cannot_run_is_turned_down_by_all() {
    let site = Site::new("");
    let _host = site.scene.run(&site.file);
    let refused = site.deploy("refuse", &[]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(
        refused.stderr.contains("this version refuses"),
        "{refused:#?}"
    );
    wait_until("it is turned down", || {
        site.deployment()["last"]["what"] == "refused"
    });
    let _other = site.fresh_host("other");
    assert_eq!(versions(&site.round()), ["v0"].into());

    for (arguments, words) in [
        (
            &["deploy", "p/none", "v1"][..],
            "no host answers that runs `p/none`",
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
        (&["rollback", "p/op"], "nothing was ever swapped at `p/op`"),
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
    let site = Site::new("");
    let _host = site.scene.run(&site.file);
    for name in ["v1", "v2"] {
        let applied = site.deploy(name, &[]);
        assert_eq!(applied.code, Some(0), "{applied:#?}");
        assert_eq!(versions(&site.round()), [name].into());
    }
    site.done(&["rollback", "p/op"]);
    assert_eq!(versions(&site.round()), ["v1"].into());
    let receipts = site.history();
    let whats: Vec<_> = receipts.iter().map(|receipt| &receipt["what"]).collect();
    assert_eq!(whats, ["deployed", "deployed", "rolled back"]);
    let first = receipts[0]["id"].as_str().unwrap();
    assert_eq!(receipts[0]["old"]["digest"], digest("v0"));
    site.done(&["rollback", "p/op", first]);
    assert_eq!(versions(&site.round()), ["v0"].into());
}

#[test]
fn a_key_sees_one_version_and_a_canary_that_does_well_takes_over_by_itself() {
    let site = Site::new("canary: 1s");
    let _one = site.scene.run(&site.file);
    let _other = site.fresh_host("other");
    assert_eq!(versions(&site.round()), ["v0"].into());
    let started = site.deploy("v1", &["--canary", "20%"]);
    assert_eq!(started.code, Some(0), "{started:#?}");
    site.feed_until("it has taken over", || {
        versions(&site.round()) == ["v1"].into()
    });
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
    let site = Site::new("canary: 0s");
    let _one = site.scene.run(&site.file);
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
    let status = Weir::run(&["status", "--nats", &site.scene.nats.url()]);
    assert!(
        status.stdout.contains(": 20 % of the keys, "),
        "{status:#?}"
    );
    let second = site.plugin(&["deploy", "p/op", "v2"]);
    assert_eq!(second.code, Some(1), "{second:#?}");
    assert!(second.stdout.contains("is on trial there"), "{second:#?}");

    site.done(&["rollback", "p/op"]);
    assert_eq!(versions(&site.round()), ["v0"].into());
    assert_eq!(site.deploy("v1", &["--canary", "20%"]).code, Some(0));
    let third = site.fresh_host("third");
    wait_until("a host that starts has the canary", || {
        third.metric(&operator_series("swaps_total", "op")) == 1.0
    });
    assert_eq!(site.round(), seen);
    site.done(&["promote", "p/op"]);
    assert_eq!(versions(&site.round()), ["v1"].into());
}

#[test]
fn a_canary_that_fails_for_one_key_in_a_hundred_is_found_told_of_with_samples_and_taken_back() {
    let site = Site::new("max-errors: 0.4%, min-messages: 300, canary: 0s");
    let host = site.scene.run(&site.file);
    site.round();
    assert_eq!(site.deploy("picky", &["--canary", "50%"]).code, Some(0));
    site.feed_until("it is rolled back", || rollbacks(&host) == 1.0);
    assert_eq!(versions(&site.round()), ["v0"].into());
    wait_until("all are told", || {
        site.deployment()["last"]["what"] == "rolled back"
    });
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
        plan.stdout.contains("it is in quarantine since"),
        "{plan:#?}"
    );
    let forced = site.deploy("picky", &["--force"]);
    assert_eq!(forced.code, Some(0), "{forced:#?}");
}

#[test]
fn a_version_that_turns_out_worse_on_probation_is_rolled_back_and_does_not_come_back() {
    let site = Site::new("max-errors: 0.4%, min-messages: 300");
    let one = site.scene.run(&site.file);
    let other = site.fresh_host("other");
    site.round();
    site.install("picky");
    site.feed_until("it is rolled back", || {
        rollbacks(&one) + rollbacks(&other) >= 1.0
    });
    site.feed_until("both hosts have gone back", || {
        versions(&site.round()) == ["v0"].into()
    });
    wait_until("all are told", || {
        site.deployment()["last"]["what"] == "rolled back"
    });
    assert_eq!(
        site.deployment()["stable"]["component"]["digest"],
        digest("v0")
    );
    let status = Weir::run(&["status", "--nats", &site.scene.nats.url()]);
    assert!(
        status
            .stdout
            .contains("it was rolled back, and is in quarantine"),
        "{status:#?}"
    );

    // The file is still the bad version; a host that starts does not run it.
    let third = site.fresh_host("third");
    drop(one);
    drop(other);
    assert_eq!(versions(&site.round()), ["v0"].into());
    site.install("v1");
    wait_until("a better one is taken", || {
        third.metric(&operator_series("swaps_total", "op")) == 1.0
    });
    assert_eq!(versions(&site.round()), ["v1"].into());
    let refused = || third.metric(&operator_series("swaps_refused_total", "op"));
    let before = refused();
    site.install("picky");
    wait_until("the bad one is refused", || refused() > before);
    assert_eq!(versions(&site.round()), ["v1"].into());
}

#[test]
fn a_version_that_is_much_slower_is_rolled_back() {
    let site = Site::new("min-messages: 20");
    let host = site.scene.run(&site.file);
    site.round();
    site.install("slow");
    site.feed_until("it is rolled back", || rollbacks(&host) == 1.0);
    let reason = site.deployment()["last"]["reason"].to_string();
    assert!(reason.contains("a message takes"), "{reason}");
    assert_eq!(versions(&site.round()), ["v0"].into());
}
