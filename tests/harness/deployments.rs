//! Versions of a plugin, and what becomes of them: every result says which version made it.

use super::guests::versions as version;
use super::site::ANY_TIME;
use super::{Finished, Site, Stored, Weir, operator_series, wait_for, wait_until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Keys, and payloads: `picky` rejects one in a hundred of them.
pub const KEYS: u64 = 1000;

impl Site {
    /// A pipeline by keys that runs the version `v0`, with these fields of `rollout:`, and a file beside it
    /// for each version that there is to deploy. Batches are small: a slow version has many.
    pub fn of_versions(rollout: &str) -> Self {
        let site = Self::new();
        site.install("v0");
        let own = match rollout.contains("max-call-time") {
            true => rollout.to_owned(),
            false => format!("{ANY_TIME}, {rollout}"),
        };
        let more = "key: \"{subject[1]}\"\nbatch: { max-messages: 32 }\n";
        site.pipeline_but(&[(ANY_TIME, &own)], more);
        for name in ["v0", "v1", "v2", "picky", "refuse", "slow", "trap"] {
            site.file(name, version(name));
        }
        site
    }

    /// Puts a version in the place of the plugin, as a build does.
    pub fn install(&self, name: &str) {
        self.file("plugin.wasm", version(name));
    }

    /// Runs `p.yaml`.
    pub fn host(&self) -> Weir {
        self.run(&self.path("p.yaml"))
    }

    /// A host that has compiled nothing before.
    pub fn fresh_host(&self, cache: &str) -> Weir {
        let cache = self.path(cache);
        let environment = [("XDG_CACHE_HOME", cache.to_str().unwrap())];
        let mut weir = self.start(&self.path("p.yaml"), &environment);
        weir.wait_until_output("running");
        weir
    }

    /// What becomes of the next message, when it is the one of this number.
    pub fn result(&self, number: u64) -> String {
        self.nats.client().publish("in.a", number.to_string());
        let results = self.wait_for_messages("OUT", number);
        results[number as usize - 1].text()
    }

    /// Runs `weir plugin` where it must succeed.
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
        serde_json::from_str(&self.done(&["history", "p/op", "--json", "--limit", "0"])).unwrap()
    }

    /// What is deployed; null before anything was.
    pub fn deployment(&self) -> Value {
        let last = self.nats.client().last("KV_weir-deployments");
        last.map_or(Value::Null, |payload| {
            serde_json::from_slice(&payload).unwrap()
        })
    }

    /// Waits until this is the last that was decided.
    #[track_caller]
    pub fn wait_until_decided(&self, what: &str) {
        wait_for(&format!("it is {what}"), || {
            let deployment = self.deployment();
            match deployment["last"]["what"] == what {
                true => Ok(()),
                false => Err(deployment.to_string()),
            }
        });
    }

    /// The operator as each host tells of it in `weir status`, once so many answer.
    pub fn status(&self, hosts: usize) -> Vec<Value> {
        wait_for(&format!("{hosts} hosts answer"), || {
            let all = self.weir(&["status", "--json"]);
            let all: Value = serde_json::from_str(&all.stdout).unwrap_or_default();
            let all = all.as_array().map_or(&[][..], Vec::as_slice);
            let operator = |host: &Value| host["pipelines"][0]["operators"][0].clone();
            match all.len() == hosts {
                true => Ok(all.iter().map(operator).collect()),
                false => Err(format!("{all:#?}")),
            }
        })
    }

    /// `weir status` as soon as it says this.
    #[track_caller]
    pub fn wait_until_status(&self, words: &str) -> String {
        wait_for(&format!("the status says {words:?}"), || {
            let status = self.weir(&["status"]).stdout;
            match status.contains(words) {
                true => Ok(status),
                false => Err(status),
            }
        })
    }

    /// Publishes each of the keys once.
    pub fn feed(&self) {
        let messages = (0..KEYS).map(|key| (format!("in.{key}"), key.to_string()));
        self.nats.client().publish_all(messages);
    }

    /// Feeds until something holds.
    pub fn feed_until(&self, what: &str, holds: impl Fn() -> bool) {
        wait_until(what, || {
            self.feed();
            self.wait_until_settled();
            holds()
        });
    }

    /// Feeds all keys, and says which version each was worked on by; `-` for a dead letter.
    pub fn round(&self) -> BTreeMap<u64, String> {
        let before = self.nats.client().count("OUT");
        self.feed();
        self.wait_until_settled();
        let stored = self.nats.client().messages("OUT");
        let new = stored.iter().skip(before as usize);
        let mut all: BTreeMap<u64, String> = (0..KEYS).map(|key| (key, "-".to_owned())).collect();
        all.extend(new.map(worked_on));
        all
    }

    /// The versions of a round, each once.
    pub fn versions(&self) -> Vec<String> {
        let each: BTreeSet<String> = self.round().into_values().collect();
        each.into_iter().collect()
    }
}

/// The key of a result, and the version that it says and its digest confirms.
fn worked_on(stored: &Stored) -> (u64, String) {
    let text = stored.text();
    let (name, payload) = text.split_once(' ').unwrap();
    let digest = digest(name);
    assert_eq!(stored.header("Weir-Digest"), Some(&digest[..16]));
    (payload.parse().unwrap(), name.to_owned())
}

/// Names a version in records, receipts and the status.
pub fn digest(name: &str) -> String {
    blake3::hash(&version(name)).to_hex().to_string()
}

/// How often a lane of this host has gone on with a new version.
pub fn swaps(weir: &Weir) -> f64 {
    weir.metric(&operator_series("swaps_total", "op"))
}

/// How often this host has refused a new version.
pub fn refused(weir: &Weir) -> f64 {
    weir.metric(&operator_series("swaps_refused_total", "op"))
}

/// How often this host has taken a version back.
pub fn rollbacks(weir: &Weir) -> f64 {
    weir.metric(&operator_series("rollbacks_total", "op"))
}
