//! Finds everything that can be wrong with a new version before a lane installs it.
//!
//! Runs on a separate thread. Uses no server and no lane.

use crate::plugin::{self, Runtime, Worker};
use crate::process::chain::Chain;
use crate::process::plugin_set::{OperatorVersion, PluginSet, keeps_state, load_options};
use crate::rollout::Candidate;
use crate::rollout::target::RolloutTarget;
use crate::rollout::try_out::TryOut;
use crate::threads;
use anyhow::{Context, Result};
use std::sync::Arc;

/// A version that fits.
pub(crate) struct Prepared {
    pub(crate) version: OperatorVersion,
    /// One for each lane, with an instance that has been configured.
    pub(crate) workers: Vec<Worker>,
}

/// Loads, configures and tries a candidate for this many lanes.
///
/// # Errors
/// Why it cannot take the place of what runs.
pub(crate) fn prepare(
    candidate: &Candidate,
    pipeline: &RolloutTarget,
    runtime: &Runtime,
    lanes: usize,
) -> Result<Prepared> {
    let settings = &pipeline.settings;
    let operator = settings.operators.get(candidate.operator);
    let operator = operator.context("there is no such operator")?;
    let what = || {
        format!(
            "cannot swap operator `{}` of pipeline `{}`",
            operator.name, settings.name
        )
    };
    let options = load_options(
        operator,
        Some(&settings.nats),
        candidate.signature.as_deref(),
        keeps_state(settings),
    );
    let plugin = runtime
        .load_bytes(&candidate.bytes, &candidate.origin, options)
        .with_context(what)?;
    let tokio = threads::runtime()?;
    let plugins = pipeline.versions.plugins();
    let running = plugins
        .get(candidate.operator)
        .context("there is no such operator")?;
    let version = OperatorVersion::new(plugin, Arc::clone(&running.settings));
    tokio.block_on(async {
        let mut proposed = plugins.clone();
        proposed.replace(candidate.operator, version.clone());
        let mut trial = pipeline.trial(&proposed, runtime);
        trial.warm().await.with_context(what)?;
        if !settings
            .operators
            .iter()
            .any(|each| plugin::sends(&each.grants).is_some())
        {
            let now = pipeline.trial(&plugins, runtime);
            let samples = pipeline.versions.samples.latest();
            let trial = TryOut::new(&settings.operators, now, trial);
            trial.run(samples).await.with_context(what)?;
        }
        let workers = workers(&version, runtime, lanes).await;
        let workers = workers.with_context(what)?;
        Ok(Prepared { version, workers })
    })
}

/// Configures instances of a version that has run before.
///
/// # Errors
/// When it does not start any more.
pub(crate) fn warm(version: OperatorVersion, runtime: &Runtime, lanes: usize) -> Result<Prepared> {
    let tokio = threads::runtime()?;
    let workers = tokio.block_on(workers(&version, runtime, lanes))?;
    Ok(Prepared { version, workers })
}

async fn workers(
    version: &OperatorVersion,
    runtime: &Runtime,
    lanes: usize,
) -> Result<Vec<Worker>> {
    let mut workers = Vec::new();
    for _ in 0..lanes {
        let mut worker = version.worker(runtime);
        worker.warm().await?;
        workers.push(worker);
    }
    Ok(workers)
}

impl RolloutTarget {
    /// A chain with numbers of its own, so that a trial does not show in those of the pipeline.
    fn trial(&self, plugins: &PluginSet, runtime: &Runtime) -> Chain {
        Chain::new(plugins.apart().workers(runtime), self.settings.batch)
    }
}
