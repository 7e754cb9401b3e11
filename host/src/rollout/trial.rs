//! Versions under observation: on probation after a swap, or as a canary before one.
//!
//! Each host judges by its own messages. The first host that finds a version worse rolls it back and reports
//! that to all hosts, and none runs it again. The first host on which a canary has run well for long enough
//! promotes it on all hosts.

use crate::config::resolved::Rollout;
use crate::nats::components::Components;
use crate::nats::deployments::{Decision, HostDecision, ROLLED_BACK};
use crate::process::chain::Change;
use crate::process::plugin_set::OperatorVersion;
use crate::report::{self, ResultExt};
use crate::rollout::judge::worse;
use crate::rollout::shadow::Shadow;
use crate::rollout::versions::Canary;
use crate::rollout::{Candidate, Component, Deployer, SwapRound};
use crate::telemetry::version_stats::{Counts, Sample};
use anyhow::{Context, Result, anyhow};
use std::time::{Duration, Instant};

/// The pause after something about a trial has failed.
const PAUSE: Duration = Duration::from_secs(5);

/// A version that is watched.
pub(crate) struct Trial {
    pub(crate) kind: Kind,
    rollout: Rollout,
    /// The version that is watched.
    version: OperatorVersion,
    /// The version to go on with if it is worse.
    good: OperatorVersion,
    /// What that one had done when this began.
    before: Counts,
    began: Instant,
    /// Not judged before.
    next: Instant,
}

/// How it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It has taken over.
    Probation,
    /// It sees a share of the keys.
    Canary,
}

/// The decision about it.
enum Verdict {
    Wait,
    /// It has done well on probation.
    Over,
    /// It has done well as a canary.
    Promote,
    RollBack(String),
}

impl Trial {
    /// Observes a version that has replaced `good`, or a version that was itself on probation, which is then
    /// not a rollback target. `None` if there is no observation.
    pub(crate) fn probation(
        rollout: Rollout,
        good: OperatorVersion,
        version: OperatorVersion,
        previous: Option<Trial>,
    ) -> Option<Self> {
        let previous = previous.filter(|trial| trial.kind == Kind::Probation);
        let good = previous.map_or(good, |trial| trial.good);
        let same = good.plugin.digest() == version.plugin.digest();
        let watched = !rollout.probation.is_zero() && !same;
        watched.then(|| Self::new(Kind::Probation, rollout, good, version))
    }

    fn new(kind: Kind, rollout: Rollout, good: OperatorVersion, version: OperatorVersion) -> Self {
        Self {
            kind,
            rollout,
            before: good.stats.counts(),
            good,
            version,
            began: Instant::now(),
            next: Instant::now(),
        }
    }

    /// The version that is watched.
    pub(crate) fn digest(&self) -> &str {
        self.version.plugin.digest()
    }

    /// The rollback target, while a version is on probation.
    pub(crate) fn goes_back_to(&self) -> Option<&str> {
        (self.kind == Kind::Probation).then(|| self.good.plugin.digest())
    }

    fn judge(&self, now: Instant) -> Verdict {
        if now < self.next {
            return Verdict::Wait;
        }
        let new = self.version.stats.counts();
        let old = match self.kind {
            Kind::Probation => self.before,
            Kind::Canary => {
                let beside = self.good.stats.counts();
                let since = beside.since(self.before);
                match since.messages >= self.rollout.min_messages {
                    true => since,
                    false => beside,
                }
            }
        };
        if let Some(reason) = worse(&self.rollout, old, new) {
            return Verdict::RollBack(reason);
        }
        let age = now.duration_since(self.began);
        let seen = new.messages >= self.rollout.min_messages;
        match self.kind {
            Kind::Probation if age >= self.rollout.probation => Verdict::Over,
            Kind::Canary if self.rollout.canary.is_zero() => Verdict::Wait,
            Kind::Canary if age >= self.rollout.canary && seen => Verdict::Promote,
            _ => Verdict::Wait,
        }
    }
}

impl Deployer {
    pub(crate) fn rollout(&self, operator: usize) -> Option<Rollout> {
        let operators = &self.pipeline.settings.operators;
        Some(operators.get(operator)?.rollout.clone())
    }

    /// Judges every version that is watched.
    pub(crate) async fn judge(&mut self) {
        let now = Instant::now();
        let judged = self.trials.iter();
        let judged: Vec<_> = judged.map(|(at, trial)| (*at, trial.judge(now))).collect();
        for (operator, judgement) in judged {
            let done = match judgement {
                Verdict::Wait => Ok(()),
                Verdict::Over => {
                    self.trials.remove(&operator);
                    Ok(())
                }
                Verdict::Promote => self.promote(operator).await,
                Verdict::RollBack(reason) => self.roll_back(operator, reason).await,
            };
            if let Err(error) = done {
                tracing::warn!("{}", report::line(&error));
                if let Some(trial) = self.trials.get_mut(&operator) {
                    trial.next = now + PAUSE;
                }
            }
        }
    }

    /// Lets a version see a share of the keys.
    pub(crate) async fn begin_canary(
        &mut self,
        operator: usize,
        candidate: Candidate,
        component: &Component,
        percent: f64,
    ) -> Result<()> {
        let prepared = self.prepare(candidate).await?;
        let good = self
            .version(operator)
            .context("there is no such operator")?;
        let version = prepared.version;
        if version.plugin.format() != good.plugin.format() {
            return Err(anyhow!(
                "it migrates values, and the running version could not read them afterwards"
            ))
            .hint(|| "deploy it for all keys, without `--canary`");
        }
        let canary = Canary {
            operator,
            version: version.clone(),
            percent,
        };
        let share = canary.share();
        let mut next = self.pipeline.versions.active();
        next.canary = Some(canary);
        let workers = prepared.workers.into_iter();
        let round = SwapRound {
            operator,
            next,
            changes: workers
                .map(|worker| Change::Canary(Box::new(worker), share))
                .collect(),
            what: format!("canary {percent} %"),
            old: good.plugin.digest().to_owned(),
            new: component.clone(),
        };
        let lanes = self.run_round(round).await?;
        let (pipeline, name) = (&good.settings.pipeline, &good.settings.operator);
        let (origin, digest) = (&component.origin, &component.digest);
        tracing::info!(
            pipeline,
            operator = name,
            origin,
            digest,
            lanes,
            percent,
            "canary"
        );
        self.pipeline.versions.refuse(operator, None);
        if let Some(rollout) = self.rollout(operator) {
            let trial = Trial::new(Kind::Canary, rollout, good, version);
            self.trials.insert(operator, trial);
        }
        Ok(())
    }

    /// A canary that took over by somebody's decision.
    pub(crate) async fn promoted(&mut self, operator: usize, origin: &str) -> Result<()> {
        let Some(trial) = self.trials.get(&operator) else {
            return Ok(());
        };
        let (good, version) = (trial.good.clone(), trial.version.clone());
        // It may be in nobody's bucket, and `weir plugin rollback` looks for it there.
        self.keep_component(&good).await;
        let prepared = self.warm(version).await?;
        self.install(operator, prepared, origin, "promoted", true)
            .await
    }

    /// No key sees the canary any more.
    pub(crate) async fn abandon(&mut self, operator: usize) -> Result<()> {
        let Some(trial) = self.trials.get(&operator) else {
            return Ok(());
        };
        let (good, lanes) = (&trial.good, self.pipeline.settings.lanes);
        let mut next = self.pipeline.versions.active();
        next.canary = None;
        let round = SwapRound {
            operator,
            next,
            changes: (0..lanes).map(|_| Change::Abandon).collect(),
            what: "canary ended".to_owned(),
            old: trial.digest().to_owned(),
            new: Component {
                digest: good.plugin.digest().to_owned(),
                origin: good.plugin.origin().to_owned(),
            },
        };
        let digest = round.old.clone();
        self.run_round(round).await?;
        let (pipeline, name) = (&good.settings.pipeline, &good.settings.operator);
        tracing::info!(pipeline, operator = name, digest, "canary ended");
        self.trials.remove(&operator);
        Ok(())
    }

    /// Another version is about to be installed: ends what is tried beside the one before.
    pub(crate) async fn give_up_trial(&mut self, operator: usize) {
        let shadow = self.shadows.get(&operator).map(Shadow::digest);
        let canary = self.trials.get(&operator);
        let canary = canary.filter(|trial| trial.kind == Kind::Canary);
        let canary = canary.map(|trial| trial.digest().to_owned());
        if canary.is_some()
            && let Err(error) = self.abandon(operator).await
        {
            tracing::warn!("{}", report::line(&error));
        }
        if let Some(digest) = shadow.or(canary) {
            self.decide_for_all(operator, HostDecision::EndTrial { digest })
                .await;
        }
    }

    /// Asks all hosts to install a canary for all keys.
    async fn promote(&mut self, operator: usize) -> Result<()> {
        let Some(trial) = self.trials.get_mut(&operator) else {
            return Ok(());
        };
        // The answer comes the way of all decisions.
        trial.next = Instant::now() + PAUSE;
        let digest = trial.digest().to_owned();
        self.change(operator, |deployment| {
            deployment.promote(&digest, "it did no worse")
        })
        .await
    }

    /// Goes back to the version before, and lets no host take this one again.
    async fn roll_back(&mut self, operator: usize, reason: String) -> Result<()> {
        let Some(trial) = self.trials.get(&operator) else {
            return Ok(());
        };
        let (kind, good) = (trial.kind, trial.good.clone());
        let bad = trial.version.clone();
        match kind {
            Kind::Canary => self.abandon(operator).await?,
            Kind::Probation => {
                let prepared = self.warm(good.clone()).await?;
                let origin = good.plugin.origin().to_owned();
                self.install(operator, prepared, &origin, ROLLED_BACK, false)
                    .await?;
            }
        }
        bad.settings.metrics.rollbacks.inc();
        let error = anyhow!("{reason}").context("it was rolled back, and is in quarantine");
        self.refuse_rolled_back(operator, &bad, &error);
        self.keep_component(&good).await;
        let mut decision = Decision::new(ROLLED_BACK, bad.plugin.digest(), Some(reason));
        decision.samples = bad.stats.samples();
        let decision = HostDecision::RollBack {
            decision,
            good: Component {
                digest: good.plugin.digest().to_owned(),
                origin: good.plugin.origin().to_owned(),
            },
            configured: self.pipeline.versions.configured(operator),
            took_over: kind == Kind::Probation,
        };
        self.decide_for_all(operator, decision).await;
        Ok(())
    }

    /// Keeps a version that has run in the bucket of components; says so in the log if it cannot.
    async fn keep_component(&self, version: &OperatorVersion) {
        let digest = version.plugin.digest();
        let (Some(bytes), Some(attachment)) =
            (self.runtime.component(digest), self.pipeline.attachment())
        else {
            return;
        };
        let keep = async {
            let replicas = attachment.ensured.replicas;
            let components = Components::open(&attachment.connection, replicas).await?;
            let signature = version.plugin.signature();
            components.keep(digest, &bytes, signature).await
        };
        if let Err(error) = keep.await {
            let why = report::line(&error);
            tracing::warn!(
                digest,
                "hosts that start now and `weir plugin rollback` may not find the version that has run: {why}"
            );
        }
    }

    fn refuse_rolled_back(&self, operator: usize, bad: &OperatorVersion, error: &anyhow::Error) {
        let samples = bad.stats.samples();
        for Sample {
            sequence,
            kind,
            reason,
        } in &samples
        {
            tracing::warn!(
                sequence,
                kind,
                "failed in the version that was rolled back: {reason}"
            );
        }
        self.refuse(operator, bad.plugin.origin(), bad.plugin.digest(), error);
    }
}
