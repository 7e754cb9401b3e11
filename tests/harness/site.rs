//! A pipeline to deploy versions to: every result says which version made it.

use super::guests::{guest, versions as version};
use super::{Finished, Scene, Stored, Weir, operator_series, wait_until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Keys, and payloads: `picky` rejects one in a hundred of them.
pub const KEYS: u64 = 1000;

/// A pipeline `p` with the operator `op`, whose plugin is a file that tests write to.
pub struct Site {
    pub scene: Scene,
    plugin: PathBuf,
    pub file: PathBuf,
}

impl Site {
    /// With the fields of the operator's `rollout:`. Batches are small, so that none comes near its
    /// deadline with a slow version on a busy machine.
    pub fn new(rollout: &str) -> Self {
        let scene = Scene::new();
        let plugin = scene.folder.path().join("plugin.wasm");
        let more = "key: \"{subject[1]}\"\nbatch: { max-messages: 32 }\n";
        let text = std::fs::read_to_string(scene.pipeline(more)).unwrap();
        let usual = guest("misbehave").display().to_string();
        let ours = format!("{}\n    rollout: {{ {rollout} }}", plugin.display());
        let file = scene.file("p.yaml", &text.replace(&usual, &ours));
        for name in ["v0", "v1", "v2", "picky", "refuse", "slow", "trap"] {
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
    pub fn install(&self, name: &str) {
        let beside = self.plugin.with_extension("new");
        std::fs::write(&beside, version(name)).unwrap();
        std::fs::rename(&beside, &self.plugin).unwrap();
    }

    /// A host that has compiled nothing before.
    pub fn fresh_host(&self, cache: &str) -> Weir {
        let cache = self.scene.folder.path().join(cache);
        let mut weir = self
            .scene
            .start(&self.file, &[("XDG_CACHE_HOME", cache.to_str().unwrap())]);
        weir.wait_until_output("running");
        weir
    }

    /// A host whose `plugin:` is a file of its own.
    pub fn another_host(&self, name: &str) -> Weir {
        let own = self.scene.folder.path().join(format!("own-{name}.wasm"));
        std::fs::write(&own, version(name)).unwrap();
        let text = std::fs::read_to_string(&self.file).unwrap();
        let ours = self.plugin.display().to_string();
        let text = text.replace(&ours, &own.display().to_string());
        self.scene
            .run(&self.scene.file(&format!("{name}.yaml"), &text))
    }

    /// The operator as each host tells of it in `weir status`.
    pub fn status(&self) -> Vec<Value> {
        let all = Weir::run(&["status", "--nats", &self.scene.nats.url(), "--json"]).done();
        let all: Value = serde_json::from_str(&all).unwrap();
        let hosts = all.as_array().cloned().unwrap_or_else(|| vec![all]);
        let operator = |host: &Value| host["pipelines"][0]["operators"][0].clone();
        hosts.iter().map(operator).collect()
    }

    /// Publishes each of the keys once.
    pub fn feed(&self) {
        let messages = (0..KEYS).map(|key| (format!("in.{key}"), key.to_string()));
        self.scene.nats.client().publish_all(messages);
    }

    /// Feeds until something holds.
    pub fn feed_until(&self, what: &str, holds: impl Fn() -> bool) {
        wait_until(what, || {
            self.feed();
            self.scene.wait_until_settled();
            holds()
        });
    }

    /// Runs `weir plugin`.
    pub fn plugin(&self, arguments: &[&str]) -> Finished {
        self.scene.plugin(arguments)
    }

    /// The same where it must succeed.
    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> String {
        self.plugin(arguments).done()
    }

    /// Plans, and applies the plan.
    #[track_caller]
    pub fn deploy(&self, name: &str, more: &[&str]) -> Finished {
        let arguments = [&["deploy", "p/op", name], more].concat();
        let planned = self.done(&[&arguments[..], &["--json"]].concat());
        let plan: Value = serde_json::from_str(&planned).unwrap();
        let hash = plan["hash"].as_str().unwrap();
        self.plugin(&[&arguments[..], &["--apply", hash]].concat())
    }

    /// The receipts.
    pub fn history(&self) -> Vec<Value> {
        serde_json::from_str(&self.done(&["history", "p/op", "--json"])).unwrap()
    }

    /// What is deployed; null before anything was.
    pub fn deployment(&self) -> Value {
        let stored = self.scene.nats.client().messages("KV_weir-deployments");
        let last = stored.last().map(|record| record.text());
        last.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    }

    /// Feeds all keys, and says which version each was worked on by; `-` for a dead letter.
    pub fn round(&self) -> BTreeMap<u64, String> {
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

/// Names a version in records, receipts and the status.
pub fn digest(name: &str) -> String {
    blake3::hash(&version(name)).to_hex().to_string()
}

/// The versions of a round.
pub fn versions(round: &BTreeMap<u64, String>) -> BTreeSet<&str> {
    round.values().map(String::as_str).collect()
}

/// How often a host has taken a version back.
pub fn rollbacks(weir: &Weir) -> f64 {
    weir.metric(&operator_series("rollbacks_total", "op"))
}
