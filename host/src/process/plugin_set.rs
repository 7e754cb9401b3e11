//! The loaded plugins of a pipeline: one version for each operator of its chain. Uses no server.

use crate::component;
use crate::config::resolved;
use crate::plugin::{LoadOptions, OperatorSettings, Plugin, Runtime, Worker};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::version_stats::VersionStats;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The plugins of a pipeline, in the order of its chain.
#[derive(Clone)]
pub struct PluginSet(Vec<OperatorVersion>);

/// One version of a plugin as one operator runs it.
#[derive(Clone)]
pub struct OperatorVersion {
    /// Compiled.
    pub plugin: Arc<Plugin>,
    pub settings: Arc<OperatorSettings>,
    /// How messages ended under this version.
    pub stats: Arc<VersionStats>,
}

impl OperatorVersion {
    /// A version that has done nothing yet.
    #[must_use]
    pub fn new(plugin: Arc<Plugin>, settings: Arc<OperatorSettings>) -> Self {
        Self {
            plugin,
            settings,
            stats: Arc::default(),
        }
    }

    /// A worker that runs it, without an instance yet.
    #[must_use]
    pub fn worker(&self, runtime: &Runtime) -> Worker {
        let worker = Worker::new(
            runtime,
            Arc::clone(&self.plugin),
            Arc::clone(&self.settings),
        );
        worker.counted_by(Arc::clone(&self.stats))
    }

    /// The same version with numbers of its own, so that what it does shows nowhere.
    #[must_use]
    pub fn apart(&self) -> Self {
        let settings = &self.settings;
        let apart = OperatorSettings {
            metrics: Metrics::new().operator(&settings.pipeline, &settings.operator),
            ..settings.as_ref().clone()
        };
        Self::new(Arc::clone(&self.plugin), Arc::new(apart))
    }
}

/// Loads the plugins of a pipeline, in the order of its chain.
///
/// # Errors
/// The first that cannot be loaded, with its operator.
pub fn load(
    settings: &resolved::Pipeline,
    runtime: &Runtime,
    metrics: &Metrics,
) -> Result<PluginSet> {
    let mut plugins = Vec::new();
    for use_of in &settings.operators {
        let keeps = keeps_state(settings);
        let plugin = plugin(use_of, Some(&settings.nats), keeps, false, runtime);
        let plugin = plugin.with_context(|| {
            format!(
                "cannot load operator `{}` of pipeline `{}`",
                use_of.name, settings.name
            )
        })?;
        let operator = Arc::new(operator(&settings.name, use_of, metrics));
        plugins.push(OperatorVersion::new(plugin, operator));
    }
    Ok(PluginSet(plugins))
}

/// The plugin of one operator, with what the operator grants it; `nats` is where buckets are, and whose
/// authorities are trusted. `stateful` is whether it may keep state; see [`LoadOptions`] for `ungranted`.
///
/// # Errors
/// When it cannot be loaded, needs what is not granted, or keeps state and must not.
pub fn plugin(
    operator: &resolved::Operator,
    nats: Option<&resolved::Nats>,
    stateful: bool,
    ungranted: bool,
    runtime: &Runtime,
) -> Result<Arc<Plugin>> {
    let found = component::fetch(&operator.plugin, nats)?;
    let options = LoadOptions {
        ungranted,
        ..load_options(operator, nats, found.signature.as_deref(), stateful)
    };
    runtime.load_bytes(&found.bytes, &found.origin, options)
}

/// Whether the plugins of a pipeline may keep state: it is a job.
#[must_use]
pub fn keeps_state(settings: &resolved::Pipeline) -> bool {
    settings.job.is_some()
}

/// How an operator loads its plugin, which was found with this signature.
pub(crate) fn load_options<'a>(
    operator: &'a resolved::Operator,
    nats: Option<&'a resolved::Nats>,
    signature: Option<&'a str>,
    stateful: bool,
) -> LoadOptions<'a> {
    LoadOptions {
        grants: Some(&operator.grants),
        ca: nats.and_then(|nats| nats.tls.ca.as_deref()),
        trusted: operator.trusted,
        keys: &operator.require_signature,
        signature,
        compile: operator.limits.compile,
        stateful,
        windowed: operator.windows.is_some(),
        ungranted: false,
        config: Some(&operator.config),
    }
}

/// What the instances of one operator are started with.
#[must_use]
pub fn operator(
    pipeline: &str,
    operator: &resolved::Operator,
    metrics: &Metrics,
) -> OperatorSettings {
    OperatorSettings {
        pipeline: pipeline.to_owned(),
        operator: operator.name.clone(),
        config: operator.config.to_string(),
        headers: operator.headers.clone(),
        limits: operator.limits,
        windows: operator.windows.clone(),
        metrics: metrics.operator(pipeline, &operator.name),
    }
}

impl PluginSet {
    /// The operator at `index` of the chain.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&OperatorVersion> {
        self.0.get(index)
    }

    /// Operators of the chain.
    #[must_use]
    pub fn operators(&self) -> usize {
        self.0.len()
    }

    /// The digest of each plugin by its operator.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<String, String> {
        let versions = self.0.iter();
        let digest = |version: &OperatorVersion| {
            let operator = version.settings.operator.clone();
            (operator, version.plugin.digest().to_owned())
        };
        versions.map(digest).collect()
    }

    /// Puts a version in the place of another.
    pub fn replace(&mut self, index: usize, version: OperatorVersion) {
        if let Some(place) = self.0.get_mut(index) {
            *place = version;
        }
    }

    /// One worker per operator, without instances yet.
    #[must_use]
    pub fn workers(&self, runtime: &Runtime) -> Vec<Worker> {
        self.0.iter().map(|each| each.worker(runtime)).collect()
    }

    /// The same versions with numbers of their own.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self(self.0.iter().map(OperatorVersion::apart).collect())
    }

    /// What runs, for `weir status`.
    #[must_use]
    pub fn status(&self) -> Vec<Value> {
        let show = |version: &OperatorVersion| {
            let OperatorVersion {
                plugin, settings, ..
            } = version;
            json!({
                "name": settings.operator,
                "plugin": plugin.origin(),
                "digest": plugin.digest(),
                "contract": plugin.contract(),
                "imports": plugin.imports(),
                "grants": plugin.grants(),
                "size": plugin.size(),
                "config_hash": blake3::hash(settings.config.as_bytes()).to_hex().to_string(),
                "trusted": plugin.is_trusted(),
                "calls": settings.metrics.calls.get(),
                "swaps": settings.metrics.swaps.get(),
                "rollbacks": settings.metrics.rollbacks.get(),
            })
        };
        self.0.iter().map(show).collect()
    }
}
