//! A shadow: a candidate that works on what the live pipeline works on, and publishes nothing.
//!
//! It has a durable consumer of its own, shared with the other hosts that run the same shadow, and
//! reads what the live pipeline publishes. Both are brought together by the sequence of the input and
//! the index of the output (`compare/`); what differs is counted, and samples of it are kept. The only
//! thing that it writes is its report.
//!
//! A thread of its own with a runtime and a connection, as a lane has: it takes processor time from the
//! live pipeline, and nothing else. `follow.rs` reads the live side and says when all of an input is
//! known; `work.rs` is the loop.

mod follow;
mod work;

use crate::compare::report::Report;
use crate::config::resolved::Operator;
use crate::nats::receipts::host;
use crate::nats::shadows::ShadowReport;
use crate::plugin::{self, Plugin, Runtime};
use crate::report::{self, ResultExt};
use crate::rollout::target::RolloutTarget;
use crate::shutdown::{Shutdown, Stage};
use crate::threads::{self, locked};
use anyhow::{Context, Result, anyhow};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use work::Work;

/// The pause before a shadow that could not go on is started again.
const PAUSE: Duration = Duration::from_secs(2);

/// A candidate that runs beside the live pipeline until this is dropped.
pub(crate) struct Shadow {
    told: Arc<Mutex<ShadowReport>>,
    shutdown: Shutdown,
}

impl Shadow {
    /// Starts `plugin` in the place of an operator's. Touches no lane.
    ///
    /// # Errors
    /// When a plugin of the pipeline may have effects outside of the host, which a second one would
    /// have again; when the pipeline has not been started.
    pub(crate) fn start(
        pipeline: Arc<RolloutTarget>,
        runtime: Runtime,
        operator: usize,
        plugin: Arc<Plugin>,
    ) -> Result<Self> {
        let settings = &pipeline.settings;
        let name = settings.operators.get(operator).map(|one| one.name.clone());
        let name = name.context("there is no such operator")?;
        let mut operators = settings.operators.iter();
        let sends = |one: &Operator| Some((one.name.clone(), plugin::sends(&one.grants)?));
        if let Some((sender, what)) = operators.find_map(sends) {
            return Err(anyhow!("operator `{sender}` may send {what}"))
                .with_context(|| format!("cannot shadow operator `{name}` of `{}`", settings.name))
                .hint(|| "a shadow would send them a second time: use a canary");
        }
        let told = Arc::new(Mutex::new(ShadowReport {
            pipeline: settings.name.clone(),
            operator: name.clone(),
            host: host(),
            digest: plugin.digest().to_owned(),
            run: 0,
            began: jiff::Timestamp::now().to_string(),
            problem: None,
            comparison: Report::default(),
        }));
        let shutdown = Shutdown::default();
        let work = Work {
            pipeline: Arc::clone(&pipeline),
            runtime,
            operator,
            plugin,
            told: Arc::clone(&told),
        };
        let mut stages = shutdown.listen();
        std::thread::Builder::new()
            .name(format!("{}/shadow", settings.name))
            .spawn(move || match threads::runtime() {
                Ok(tokio) => tokio.block_on(work.run(&mut stages)),
                Err(error) => tracing::error!("cannot start a shadow: {error:#}"),
            })
            .with_context(|| format!("cannot start a thread for a shadow of `{name}`"))?;
        Ok(Self { told, shutdown })
    }

    /// Of the version that it runs.
    pub(crate) fn digest(&self) -> String {
        locked(&self.told).digest.clone()
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        self.shutdown.ask(Stage::Soft);
    }
}

/// Says what keeps a shadow from going on, once.
fn note(told: &Mutex<ShadowReport>, problem: Option<&anyhow::Error>) {
    let problem = problem.map(report::line);
    let mut told = locked(told);
    if told.problem != problem
        && let Some(problem) = &problem
    {
        let (pipeline, operator) = (&told.pipeline, &told.operator);
        tracing::warn!(pipeline, operator, "a shadow has stopped: {problem}");
    }
    told.problem = problem;
}
