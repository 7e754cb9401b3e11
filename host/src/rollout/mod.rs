//! How a new version of a plugin replaces the running one. START HERE.
//!
//! 1. `watch.rs` detects a changed file of a plugin, and reads it when its write is complete; `follow.rs`
//!    detects that a tag names another version, and fetches that; `desired.rs` follows `weir plugin deploy`
//!    and `rollback`;
//! 2. `prepare.rs` compiles the version, checks it, configures an instance for each lane and tries it with
//!    recent messages of the pipeline: all of it on a separate thread;
//! 3. `swap_round.rs` begins a receipt for each lane (`nats/receipts.rs`);
//! 4. each lane publishes what the old version has returned and continues with the new one, or lets it
//!    process a share of the keys (`process/changeover.rs`);
//! 5. the receipts are completed with the last message of the old version and the first of the new one;
//! 6. `trial.rs` observes the version for a while, and rolls it back if `judge.rs` finds it worse;
//!    `pending.rs` keeps that decision until it is stored for all hosts.
//!
//! After a failure in the steps 1 to 3 the old version continues. The log, `weir status` and a metric show the
//! reason.

pub(crate) mod desired;
pub(crate) mod follow;
mod judge;
mod pending;
mod prepare;
mod reconcile;
pub(crate) mod shadow;
mod swap_round;
pub(crate) mod target;
mod trial;
mod try_out;
pub(crate) mod versions;
pub(crate) mod watch;

use crate::nats::components::Components;
use crate::nats::deployments::{Component, Deployment};
use crate::plugin::Runtime;
use crate::process::chain::Change;
use crate::process::plugin_set::OperatorVersion;
use crate::report::{self, ResultExt};
use crate::rollout::shadow::Shadow;
use crate::rollout::target::RolloutTarget;
use crate::rollout::versions::Refusal;
use anyhow::{Context, Result, anyhow};
use pending::Pending;
use prepare::Prepared;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swap_round::SwapRound;
use tokio::sync::mpsc;
use trial::Trial;

/// How often versions on trial are judged.
const JUDGING: Duration = Duration::from_millis(250);

/// What a deployer is asked to do.
pub(crate) enum Command {
    /// What `plugin:` names is this now.
    Candidate(Candidate),
    /// Somebody has said what an operator is to run.
    Desired {
        operator: usize,
        deployment: Box<Deployment>,
    },
}

/// The bytes of what may become a new version.
#[derive(Clone)]
pub(crate) struct Candidate {
    /// Index in the chain.
    pub(crate) operator: usize,
    pub(crate) bytes: Vec<u8>,
    /// Names it in errors and receipts.
    pub(crate) origin: String,
    /// Of minisign, where it has one.
    pub(crate) signature: Option<String>,
}

/// Deploys new versions to the lanes of one pipeline, one after the other.
pub(crate) struct Deployer {
    pipeline: Arc<RolloutTarget>,
    runtime: Runtime,
    /// By operator, the version on probation or canary. Set when it is installed or begun; removed when it
    /// is judged, replaced or ended.
    trials: HashMap<usize, Trial>,
    /// By operator, what runs beside it and publishes nothing. Ends when the record names no such trial.
    shadows: HashMap<usize, Shadow>,
    /// By operator, what was last said that it is to run, and what this host has decided since.
    desired: HashMap<usize, Deployment>,
    pending: Pending,
    /// By operator, a deployed version and what this host ran before; `None` where the host has started
    /// with the deployed one. Set by each deployment; removed when a new file is swapped in.
    replaced: HashMap<usize, (String, Option<OperatorVersion>)>,
}

impl Deployer {
    pub(crate) fn new(pipeline: Arc<RolloutTarget>, runtime: Runtime) -> Self {
        let plugins = pipeline.versions.plugins();
        let deployed = |operator: usize| {
            let digest = plugins.get(operator)?.plugin.digest();
            let instead = digest != pipeline.versions.configured(operator);
            instead.then(|| (operator, (digest.to_owned(), None)))
        };
        let replaced = (0..plugins.operators()).filter_map(deployed).collect();
        Self {
            pipeline,
            runtime,
            trials: HashMap::new(),
            shadows: HashMap::new(),
            desired: HashMap::new(),
            pending: Pending::new(Instant::now()),
            replaced,
        }
    }

    /// Carries out commands, judges versions on trial and stores what it decides. Never ends.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut judging = tokio::time::interval(JUDGING);
        judging.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Candidate(candidate)) => self.consider(candidate).await,
                    Some(Command::Desired { operator, deployment }) => {
                        self.reconcile(operator, *deployment).await;
                    }
                    None => std::future::pending().await,
                },
                _ = judging.tick(), if !self.trials.is_empty() || !self.pending.is_empty() => {
                    self.judge().await;
                    self.store_pending().await;
                }
            }
            let back = |(operator, trial): (&usize, &Trial)| {
                Some((*operator, trial.goes_back_to()?.to_owned()))
            };
            let back = self.trials.iter().filter_map(back).collect();
            self.pipeline.versions.on_probation(back);
        }
    }

    /// `plugin:` names another component now.
    async fn consider(&mut self, candidate: Candidate) {
        let operator = candidate.operator;
        let digest = blake3::hash(&candidate.bytes).to_hex().to_string();
        self.pipeline.versions.configure(operator, &digest);
        let Some(running) = self.version(operator) else {
            return;
        };
        if digest == running.plugin.digest() {
            self.pipeline.versions.refuse(operator, None);
            return;
        }
        self.refresh(operator).await;
        let desired = self.desired.entry(operator).or_default();
        let quarantined = desired.quarantined(&digest).cloned();
        // What was deployed in its place stays.
        if quarantined.is_none() && desired.instead_of(&digest).is_some() {
            return;
        }
        let origin = candidate.origin.clone();
        let swapped = match quarantined {
            Some(bad) => Err(anyhow!("{}", bad.reason))
                .with_context(|| format!("`{origin}` has been in quarantine since {}", bad.since))
                .hint(|| "fix it, or run it anyway with `weir plugin deploy --force`"),
            None => {
                self.give_up_trial(operator).await;
                let swapped = self.swap(candidate, "swapped", true).await;
                if swapped.is_ok() {
                    self.replaced.remove(&operator);
                }
                swapped
            }
        };
        if let Err(error) = swapped {
            self.refuse(operator, &origin, &digest, &error);
        }
    }

    /// Prepares a version and installs it on all lanes; on `probation` it is watched.
    async fn swap(&mut self, candidate: Candidate, what: &str, probation: bool) -> Result<()> {
        let (operator, origin) = (candidate.operator, candidate.origin.clone());
        let bytes = candidate.bytes.clone();
        let prepared = self.prepare(candidate).await?;
        let new = prepared.version.clone();
        let before = self.version(operator);
        self.install(operator, prepared, &origin, what, probation)
            .await?;
        self.keep(before, new, bytes);
        Ok(())
    }

    /// Installs a prepared version on all lanes.
    async fn install(
        &mut self,
        operator: usize,
        prepared: Prepared,
        origin: &str,
        what: &str,
        probation: bool,
    ) -> Result<()> {
        let Prepared { version, workers } = prepared;
        let before = self
            .version(operator)
            .context("there is no such operator")?;
        let (format, reads) = (before.plugin.format(), version.plugin.format());
        if reads < format {
            return Err(anyhow!(
                "the state has values of format {format}, and this version reads format {reads}"
            ))
            .hint(|| "give it the `migrate` and the format of the running version");
        }
        // What it has migrated, the version before cannot read.
        let probation = probation && reads == format;
        let mut next = self.pipeline.versions.active();
        next.plugins.replace(operator, version.clone());
        next.canary = next.canary.filter(|canary| canary.operator != operator);
        let digest = version.plugin.digest().to_owned();
        let replace = |worker| Change::Replace(Box::new(worker));
        let round = SwapRound {
            operator,
            next,
            changes: workers.into_iter().map(replace).collect(),
            what: what.to_owned(),
            old: before.plugin.digest().to_owned(),
            new: Component {
                digest: digest.clone(),
                origin: origin.to_owned(),
            },
        };
        let lanes = self.run_round(round).await?;
        let settings = &version.settings;
        let (pipeline, name) = (&settings.pipeline, &settings.operator);
        self.pipeline.versions.refuse(operator, None);
        let previous = self.trials.remove(&operator);
        let mut if_worse = None;
        if probation && let Some(rollout) = self.rollout(operator) {
            let trial = Trial::probation(rollout, before, version.clone(), previous);
            if_worse = trial
                .as_ref()
                .and_then(Trial::goes_back_to)
                .map(str::to_owned);
            self.trials.extend(trial.map(|trial| (operator, trial)));
        }
        tracing::info!(
            pipeline,
            operator = name,
            origin,
            digest,
            lanes,
            if_worse,
            "{what}"
        );
        Ok(())
    }

    /// Loads, configures and tries a candidate for all lanes.
    async fn prepare(&self, candidate: Candidate) -> Result<Prepared> {
        let (pipeline, runtime) = (Arc::clone(&self.pipeline), self.runtime.clone());
        let lanes = self.pipeline.settings.lanes;
        let (operator, versions) = (candidate.operator, &self.pipeline.versions);
        let digest = blake3::hash(&candidate.bytes).to_hex();
        versions.preparing(operator, Some((&candidate.origin, &digest)));
        let preparing = tokio::task::spawn_blocking(move || {
            prepare::prepare(&candidate, &pipeline, &runtime, lanes)
        });
        let prepared = preparing.await;
        versions.preparing(operator, None);
        prepared.context("the preparation of a plugin panicked; this is a bug in weir")?
    }

    /// The same for a version that has run before.
    async fn warm(&self, version: OperatorVersion) -> Result<Prepared> {
        let (runtime, lanes) = (self.runtime.clone(), self.pipeline.settings.lanes);
        let warming = tokio::task::spawn_blocking(move || prepare::warm(version, &runtime, lanes));
        warming
            .await
            .context("the preparation of a plugin panicked; this is a bug in weir")?
    }

    /// Keeps what ran and what runs now in the bucket of components, so that either can come back.
    fn keep(&self, before: Option<OperatorVersion>, now: OperatorVersion, bytes: Vec<u8>) {
        let Some(attachment) = self.pipeline.attachment() else {
            return;
        };
        let runtime = self.runtime.clone();
        tokio::spawn(async move {
            let keep = async {
                let replicas = attachment.ensured.replicas;
                let components = Components::open(&attachment.connection, replicas).await?;
                let signature = now.plugin.signature();
                components
                    .keep(now.plugin.digest(), &bytes, signature)
                    .await?;
                if let Some(before) = before
                    && let Some(bytes) = runtime.component(before.plugin.digest())
                {
                    let (digest, signature) = (before.plugin.digest(), before.plugin.signature());
                    components.keep(digest, &bytes, signature).await?;
                }
                anyhow::Ok(())
            };
            if let Err(error) = keep.await {
                let why = report::line(&error);
                tracing::warn!("`weir plugin rollback` will not find the old version: {why}");
            }
        });
    }

    /// The old version keeps running: says so in the log, in the status and in a metric.
    fn refuse(&self, operator: usize, origin: &str, digest: &str, error: &anyhow::Error) {
        let Some(running) = self.version(operator) else {
            return;
        };
        let settings = &running.settings;
        settings.metrics.swaps_refused.inc();
        let refusal = Refusal::new(origin.to_owned(), digest.to_owned(), error);
        tracing::error!(
            pipeline = settings.pipeline,
            operator = settings.operator,
            hint = refusal.problem.hint(),
            "the old version keeps running: {}",
            refusal.problem.what
        );
        self.pipeline.versions.refuse(operator, Some(refusal));
    }

    /// What runs for all keys that no canary sees.
    fn version(&self, operator: usize) -> Option<OperatorVersion> {
        self.pipeline.versions.plugins().get(operator).cloned()
    }
}
