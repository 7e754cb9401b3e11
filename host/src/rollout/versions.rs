//! The versions of a pipeline's plugins: the active ones, those on trial, the refused ones, and the handles
//! through which lanes get new ones.

use crate::config::resolved::Bounds;
use crate::nats::deployments::Decision;
use crate::plugin::Runtime;
use crate::process::chain::canary::Share;
use crate::process::chain::{Chain, Change};
use crate::process::changeover::{Changeover, Swap};
use crate::process::plugin_set::{OperatorVersion, PluginSet};
use crate::process::samples::Samples;
use crate::report::Problem;
use crate::threads::locked;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Swaps that may wait for a lane. The next is sent when every lane has taken the one before, so more
/// than one waits only for a lane that hangs.
const SWAPS: usize = 4;

/// The handle through which a lane gets new versions of plugins.
#[derive(Clone)]
pub(crate) struct LaneHandle {
    pub(crate) lane: usize,
    pub(crate) swaps: mpsc::Sender<Swap>,
}

/// A version of a plugin that was not taken.
#[derive(Clone)]
pub(crate) struct Refusal {
    origin: String,
    digest: String,
    /// RFC 3339.
    since: String,
    pub(crate) problem: Problem,
}

impl Refusal {
    pub(crate) fn new(origin: String, digest: String, error: &anyhow::Error) -> Self {
        Self {
            origin,
            digest,
            since: jiff::Timestamp::now().to_string(),
            problem: Problem::new(error),
        }
    }
}

/// What lanes run now, or are about to.
#[derive(Clone)]
pub(crate) struct ActiveVersions {
    pub(crate) plugins: PluginSet,
    /// At most one of a pipeline.
    pub(crate) canary: Option<Canary>,
}

/// A version that sees a share of the keys.
#[derive(Clone)]
pub(crate) struct Canary {
    pub(crate) operator: usize,
    pub(crate) version: OperatorVersion,
    pub(crate) percent: f64,
}

impl Canary {
    pub(crate) fn share(&self) -> Share {
        Share::new(self.percent, self.version.plugin.digest())
    }
}

/// What the lanes of a pipeline run, and the handles through which they get new versions.
struct Lanes {
    /// What a lane starts with. Set by [`Versions::adopt`] and [`Versions::adopt_on_lanes`].
    active: ActiveVersions,
    /// Of each lane from its registration to its end.
    handles: Vec<LaneHandle>,
}

/// Of one pipeline. Shared by its lanes, its deployer and the status.
pub(crate) struct Versions {
    /// One lock for both: a swap either reaches a lane or is in what the lane starts with.
    lanes: Mutex<Lanes>,
    /// By operator, the last refused version. Removed when a version is installed.
    refusals: Mutex<HashMap<usize, Refusal>>,
    /// By operator, the digest of what runs as a shadow.
    shadows: Mutex<HashMap<usize, String>>,
    /// By operator, the digest of what `plugin:` names. Set at the start, and when that changes.
    configured: Mutex<HashMap<usize, String>>,
    /// By operator, the version that is being loaded, configured and tried.
    preparing: Mutex<HashMap<usize, Value>>,
    /// By operator, the last decision for all hosts that refused or rolled back a version.
    decisions: Mutex<HashMap<usize, Decision>>,
    /// By operator on probation, the digest of the version that a rollback would install.
    probation: Mutex<HashMap<usize, String>>,
    /// To try new versions with.
    pub(crate) samples: Arc<Samples>,
}

impl Versions {
    pub(crate) fn new(plugins: PluginSet) -> Self {
        let digest = |operator: usize| {
            let version = plugins.get(operator)?;
            Some((operator, version.plugin.digest().to_owned()))
        };
        let configured = (0..plugins.operators()).filter_map(digest).collect();
        let lanes = Lanes {
            active: ActiveVersions {
                plugins,
                canary: None,
            },
            handles: Vec::new(),
        };
        Self {
            lanes: Mutex::new(lanes),
            refusals: Mutex::default(),
            shadows: Mutex::default(),
            configured: Mutex::new(configured),
            preparing: Mutex::default(),
            decisions: Mutex::default(),
            probation: Mutex::default(),
            samples: Arc::default(),
        }
    }

    /// What runs now.
    pub(crate) fn active(&self) -> ActiveVersions {
        locked(&self.lanes).active.clone()
    }

    /// The plugins as they are now, without a canary.
    pub(crate) fn plugins(&self) -> PluginSet {
        self.active().plugins
    }

    /// A lane starts: with these versions, and with every swap from now on.
    pub(crate) fn register_lane(&self, lane: usize) -> (ActiveVersions, Changeover) {
        let (sender, swaps) = mpsc::channel(SWAPS);
        let mut lanes = locked(&self.lanes);
        lanes.handles.push(LaneHandle {
            lane,
            swaps: sender,
        });
        let active = lanes.active.clone();
        let changeover = Changeover::new(lane, active.plugins.operators(), swaps);
        (active, changeover)
    }

    /// From now on lanes start with this; those that have started are to be told of it by their handles.
    ///
    /// # Errors
    /// The first of these lanes that is not ready for it: nothing has changed then.
    pub(crate) fn adopt_on_lanes(
        &self,
        next: &ActiveVersions,
        is_ready: impl Fn(usize) -> bool,
    ) -> Result<Vec<LaneHandle>, usize> {
        let mut lanes = locked(&self.lanes);
        lanes.handles.retain(|handle| !handle.swaps.is_closed());
        let mut numbers = lanes.handles.iter().map(|handle| handle.lane);
        if let Some(lane) = numbers.find(|lane| !is_ready(*lane)) {
            return Err(lane);
        }
        lanes.active = next.clone();
        Ok(lanes.handles.clone())
    }

    /// Sets or removes the refusal of a version of an operator's plugin.
    pub(crate) fn refuse(&self, operator: usize, refusal: Option<Refusal>) {
        let mut refusals = locked(&self.refusals);
        match refusal {
            Some(refusal) => drop(refusals.insert(operator, refusal)),
            None => drop(refusals.remove(&operator)),
        }
    }

    /// The digest of what `plugin:` names.
    pub(crate) fn configured(&self, operator: usize) -> String {
        let configured = locked(&self.configured);
        configured.get(&operator).cloned().unwrap_or_default()
    }

    /// A version runs as a shadow, or none does any more.
    pub(crate) fn shadow(&self, operator: usize, digest: Option<&str>) {
        let mut shadows = locked(&self.shadows);
        match digest {
            Some(digest) => drop(shadows.insert(operator, digest.to_owned())),
            None => drop(shadows.remove(&operator)),
        }
    }

    /// A version is being prepared, or that is over.
    pub(crate) fn preparing(&self, operator: usize, version: Option<(&str, &str)>) {
        let mut preparing = locked(&self.preparing);
        let Some((origin, digest)) = version else {
            preparing.remove(&operator);
            return;
        };
        let since = jiff::Timestamp::now().to_string();
        let shown = json!({ "plugin": origin, "digest": digest, "since": since });
        preparing.insert(operator, shown);
    }

    /// A version was not taken or not kept, as all hosts are told; or something else was decided since.
    pub(crate) fn decided(&self, operator: usize, decision: Option<Decision>) {
        let mut decisions = locked(&self.decisions);
        match decision {
            Some(decision) => drop(decisions.insert(operator, decision)),
            None => drop(decisions.remove(&operator)),
        }
    }

    /// The operators on probation, each with the digest of the version that a rollback would install.
    pub(crate) fn on_probation(&self, all: HashMap<usize, String>) {
        *locked(&self.probation) = all;
    }

    /// `plugin:` names another component now.
    pub(crate) fn configure(&self, operator: usize, digest: &str) {
        locked(&self.configured).insert(operator, digest.to_owned());
    }

    /// The operators, for `weir status`.
    pub(crate) fn status(&self) -> Vec<Value> {
        let ActiveVersions { plugins, canary } = self.active();
        let mut operators = plugins.status();
        let mut add = |operator: usize, name: &str, value: Value| {
            if let Some(Value::Object(fields)) = operators.get_mut(operator) {
                fields.insert(name.to_owned(), value);
            }
        };
        for (operator, digest) in &*locked(&self.configured) {
            add(*operator, "configured", json!(digest));
        }
        for (operator, digest) in &*locked(&self.shadows) {
            add(*operator, "shadow", json!({ "digest": digest }));
        }
        for (operator, digest) in &*locked(&self.probation) {
            add(*operator, "probation", json!({ "goes_back_to": digest }));
        }
        for (operator, version) in &*locked(&self.preparing) {
            add(*operator, "preparing", version.clone());
        }
        for (operator, decision) in &*locked(&self.decisions) {
            add(*operator, "decision", json!(decision));
        }
        for (operator, refusal) in &*locked(&self.refusals) {
            let refused = json!({
                "plugin": refusal.origin,
                "digest": refusal.digest,
                "since": refusal.since,
                "error": refusal.problem.what,
                "hint": refusal.problem.hint(),
            });
            add(*operator, "refused", refused);
        }
        if let Some(canary) = canary {
            let shown = json!({
                "plugin": canary.version.plugin.origin(),
                "digest": canary.version.plugin.digest(),
                "percent": canary.percent,
                "counts": canary.version.stats.counts(),
            });
            add(canary.operator, "canary", shown);
        }
        operators
    }

    /// Lanes start with this; none has started yet.
    pub(crate) fn adopt(&self, active: ActiveVersions) {
        locked(&self.lanes).active = active;
    }
}

impl ActiveVersions {
    /// The chain of a lane that starts now.
    pub(crate) fn chain(&self, runtime: &Runtime, bounds: Bounds) -> Chain {
        let mut chain = Chain::new(self.plugins.workers(runtime), bounds);
        if let Some(canary) = &self.canary {
            let worker = Box::new(canary.version.worker(runtime));
            chain.change(canary.operator, Change::Canary(worker, canary.share()));
        }
        chain
    }
}
