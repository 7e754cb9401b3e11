//! A shadow: a candidate that processes the messages of the live pipeline, and publishes nothing.
//!
//! It has a durable consumer of its own, shared with the other hosts that run the same shadow, and
//! reads what the live pipeline publishes. Both are brought together by the sequence of the input and
//! the index of the output (`compare/`); what differs is counted, and samples of it are kept. The only
//! thing that it writes is its report.
//!
//! A thread of its own with a runtime and a connection, as a lane has: it takes processor time from the
//! live pipeline, and nothing else. `follow.rs` reads the live side and says when all of an input is
//! known; `work.rs` is the loop; `job.rs` is that of a job, which has no consumer, over the copies of its state in
//! `copies.rs`; `copies/copy.rs` is one of them.

mod copies;
mod follow;
mod job;
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
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use work::Work;

/// The pause before a shadow is started again, which doubles while it cannot go on, up to the longest.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);

/// A candidate that runs beside the live pipeline. Dropping this stops it.
pub(crate) struct Shadow {
    told: Arc<Mutex<ShadowReport>>,
    shutdown: Shutdown,
}

impl Shadow {
    /// Starts `plugin` in the place of an operator's. Touches no lane. `run` tells the shadow from an earlier one.
    ///
    /// # Errors
    /// When a plugin of the pipeline may have effects outside of the host, which a second one would
    /// have again; when the inputs of a job are gone once they are processed.
    pub(crate) fn start(
        pipeline: Arc<RolloutTarget>,
        runtime: Runtime,
        operator: usize,
        plugin: Arc<Plugin>,
        run: u64,
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
        let attachment = pipeline.attachment();
        let job = attachment.as_ref().and_then(|it| it.ensured.job.as_ref());
        let mut reads = job.iter().flat_map(|job| &job.reads);
        if let Some(queue) = reads.find(|reads| reads.own.is_some()) {
            let stream = &queue.of;
            return Err(anyhow!(
                "the messages of `{stream}` that the job has processed are gone"
            ))
            .with_context(|| format!("cannot shadow operator `{name}` of `{}`", settings.name))
            .hint(|| "a shadow reads it after the job: use a canary");
        }
        let told = Arc::new(Mutex::new(ShadowReport {
            pipeline: settings.name.clone(),
            operator: name.clone(),
            host: host(),
            digest: plugin.digest().to_owned(),
            run,
            began: jiff::Timestamp::now().to_string(),
            problem: None,
            comparison: Report::default(),
            states: BTreeMap::new(),
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

/// Logs once why a shadow cannot continue.
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
