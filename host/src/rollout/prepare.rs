//! Everything that can be found wrong with a new version before a lane takes it.
//!
//! Runs on a thread of its own. Touches no server and no lane.

use crate::plugin::{self, Runtime, Worker};
use crate::process::chain::{Chain, Verdict};
use crate::process::plugin_set::{OperatorVersion, PluginSet, keeps_state, load_options};
use crate::process::route::Route;
use crate::report::ResultExt;
use crate::rollout::Candidate;
use crate::rollout::target::RolloutTarget;
use crate::state::SharedState;
use crate::threads;
use anyhow::{Context, Result, anyhow};
use std::sync::Arc;

/// Most bytes of the state of a trial: a few messages write to it.
const TRIAL_STATE: u64 = 64 << 20;

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
            compare(pipeline, now, trial).await.with_context(what)?;
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

/// Runs the latest messages through both chains. What they answer is their own business; but the new
/// one must not fail where the old one does not. Nothing is published, and state begins empty.
async fn compare(pipeline: &RolloutTarget, mut old: Chain, mut new: Chain) -> Result<()> {
    let operators = &pipeline.settings.operators;
    let route = Route::compile(operators);
    let names = || operators.iter().map(|operator| &*operator.name);
    let state = || SharedState::scratch(names(), TRIAL_STATE);
    let (mut old_state, mut new_state) = (state()?, state()?);
    for message in pipeline.versions.samples.latest() {
        let operators = route.operators(&message.subject);
        let sequence = message.sequence;
        let batch = vec![(message.clone(), operators)];
        let after = new.run_on(batch, &mut new_state).await;
        let Some(reason) = failure(&after) else {
            continue;
        };
        let before = old.run_on(vec![(message, operators)], &mut old_state).await;
        if failure(&before).is_none() {
            return Err(anyhow!("{reason}"))
                .with_context(|| format!("it fails on message {sequence} of the source"))
                .hint(|| "fix it; the running version does not fail on that message");
        }
    }
    Ok(())
}

/// Why a plugin gave no answer, if it gave none.
fn failure(verdicts: &[Verdict]) -> Option<&str> {
    verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Dead(rejection) => rejection.fault.as_ref().map(|fault| fault.message.as_str()),
        // An instance that does not start is no answer either.
        Verdict::Retry(retry) if !retry.counts => Some(&retry.reason),
        _ => None,
    })
}

impl RolloutTarget {
    /// A chain with numbers of its own, so that a trial does not show in those of the pipeline.
    fn trial(&self, plugins: &PluginSet, runtime: &Runtime) -> Chain {
        Chain::new(plugins.apart().workers(runtime), self.settings.batch)
    }
}
