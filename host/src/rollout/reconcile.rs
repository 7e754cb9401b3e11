//! Makes an operator run its desired version, and reports to the other hosts if this one cannot.

use crate::nats::deployments::{
    Component, Decision, Deployment, Deployments, HostDecision, REFUSED, ROLLED_BACK, TrialKind,
};
use crate::nats::receipts::REJECTED;
use crate::nats::shadows::remove_consumer;
use crate::report;
use crate::rollout::desired::{PATIENCE, fetch};
use crate::rollout::shadow::Shadow;
use crate::rollout::trial::Kind;
use crate::rollout::{Candidate, Deployer};
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Instant;

impl Deployer {
    /// Asks for the desired version of an operator, because a change may still be in transit. Without an
    /// answer, the last known version holds.
    pub(crate) async fn refresh(&mut self, operator: usize) {
        let (Some(attachment), Some(version)) =
            (self.pipeline.attachment(), self.version(operator))
        else {
            return;
        };
        let settings = &version.settings;
        let asking = async {
            match Deployments::find(&attachment.connection).await? {
                Some(all) => {
                    let said = all.get(&settings.pipeline, &settings.operator).await?;
                    Ok(Some(said.0))
                }
                None => anyhow::Ok(None),
            }
        };
        if let Ok(Ok(Some(said))) = tokio::time::timeout(PATIENCE, asking).await {
            self.desired
                .insert(operator, self.pending.over(operator, said));
        }
    }

    /// Makes an operator run what it is to run.
    pub(crate) async fn reconcile(&mut self, operator: usize, said: Deployment) {
        self.report(operator, &said.last);
        self.pending.forget_rejections(operator);
        let deployment = self.pending.over(operator, said);
        self.desired.insert(operator, deployment.clone());
        let configured = self.pipeline.versions.configured(operator);
        let stable = deployment.instead_of(&configured).cloned();
        let tried = self.trials.get(&operator);
        if let Some(trial) = tried.filter(|trial| trial.kind == Kind::Canary) {
            let digest = trial.digest().to_owned();
            let goes_on = deployment.trial.as_ref();
            let goes_on = goes_on.is_some_and(|trial| trial.component.digest == digest);
            let ended = match &stable {
                Some(component) if component.digest == digest => {
                    self.promoted(operator, &component.origin).await
                }
                _ if goes_on => Ok(()),
                _ => self.abandon(operator).await,
            };
            if let Err(error) = ended {
                tracing::error!("{}", report::line(&error));
            }
        }
        let goes_on = deployment.trial.as_ref();
        let goes_on = goes_on.map(|trial| trial.component.digest.as_str());
        self.end_shadow(operator, goes_on).await;
        if let Err((component, error)) = self.follow_stable(operator, &deployment, stable).await {
            self.refuse(operator, &component.origin, &component.digest, &error);
            self.reject(operator, &component.digest, &error).await;
            return;
        }
        if let Some(trial) = &deployment.trial
            && !self.tries(operator, &trial.component.digest)
            && let Err(error) = self.begin(operator, &trial.component, trial.kind).await
        {
            let component = &trial.component;
            self.refuse(operator, &component.origin, &component.digest, &error);
            self.reject(operator, &component.digest, &error).await;
        }
    }

    /// Ends the shadow of an operator, unless it is this one.
    async fn end_shadow(&mut self, operator: usize, but: Option<&str>) {
        let there = self.shadows.get(&operator).map(Shadow::digest);
        if there.is_none() || there.as_deref() == but {
            return;
        }
        let Some(shadow) = self.shadows.remove(&operator) else {
            return;
        };
        let digest = shadow.digest();
        drop(shadow);
        let (Some(attachment), Some(version)) =
            (self.pipeline.attachment(), self.version(operator))
        else {
            return;
        };
        let (connection, pipeline) = (&attachment.connection, &self.pipeline.settings);
        let name = &version.settings.operator;
        if let Err(error) = remove_consumer(connection, pipeline, name, &digest).await {
            tracing::warn!("{}", report::line(&error));
        }
        self.pipeline.versions.shadow(operator, None);
    }

    fn tries(&self, operator: usize, digest: &str) -> bool {
        let shadow = self.shadows.get(&operator);
        if shadow.is_some_and(|shadow| shadow.digest() == digest) {
            return true;
        }
        let tried = self.trials.get(&operator);
        tried.is_some_and(|trial| trial.kind != Kind::Probation && trial.digest() == digest)
    }

    /// Reports in the log and in the status that a version was refused or rolled back, by any host.
    fn report(&self, operator: usize, last: &Decision) {
        let undoes = last.undoes() && last.what != "abandoned";
        self.pipeline
            .versions
            .decided(operator, undoes.then(|| last.clone()));
        let Some(running) = self.version(operator).filter(|_| undoes) else {
            return;
        };
        let runs = running.plugin.digest() == last.digest;
        if runs || self.tries(operator, &last.digest) {
            let (pipeline, name) = (&running.settings.pipeline, &running.settings.operator);
            let (digest, reason) = (&last.digest, last.reason.as_deref().unwrap_or("?"));
            let what = &last.what;
            tracing::warn!(
                pipeline,
                operator = name,
                digest,
                "{what} on all hosts: {reason}"
            );
        }
    }

    /// Installs the desired version instead of the configured one, unless it already runs; or the previous
    /// version of this host, if the deployed version was rejected.
    async fn follow_stable(
        &mut self,
        operator: usize,
        deployment: &Deployment,
        stable: Option<Component>,
    ) -> Result<(), (Component, anyhow::Error)> {
        let Some(running) = self.version(operator) else {
            return Ok(());
        };
        let digest = running.plugin.digest();
        let decision = deployment.decision_on(digest);
        let refused = decision.is_some_and(|decision| decision.what == REFUSED);
        let back = if refused { REJECTED } else { ROLLED_BACK };
        if let Some(component) = stable {
            if component.digest == digest {
                return Ok(());
            }
            let what = if refused { back } else { &deployment.last.what };
            let installed = self.install_component(operator, &component, what).await;
            return installed.map_err(|error| (component, error));
        }
        let configured = self.pipeline.versions.configured(operator);
        if digest == configured || !decision.is_some_and(Decision::undoes) {
            return Ok(());
        }
        let sound = |digest: &str| deployment.quarantined(digest).is_none();
        let replaced = self.replaced.get(&operator);
        let Some((_, before)) = replaced.filter(|(deployed, _)| deployed == digest) else {
            return Ok(());
        };
        let before = before.clone();
        let (digest, origin) = before.as_ref().map_or_else(
            || (&*configured, "what is configured"),
            |before| (before.plugin.digest(), before.plugin.origin()),
        );
        if !sound(digest) {
            return Ok(());
        }
        let component = Component {
            digest: digest.to_owned(),
            origin: origin.to_owned(),
        };
        let went = match before {
            Some(before) => match self.warm(before).await {
                Ok(prepared) => {
                    self.install(operator, prepared, &component.origin, back, false)
                        .await
                }
                Err(error) => Err(error),
            },
            None => self.install_component(operator, &component, back).await,
        };
        went.map_err(|error| (component, error))
    }

    /// Installs a component that was deployed, or that a rollback names.
    async fn install_component(
        &mut self,
        operator: usize,
        component: &Component,
        what: &str,
    ) -> Result<()> {
        let candidate = self.candidate(operator, component).await?;
        // What one goes back to has run before; what was in quarantine has run, too, and was worse.
        let probation = what != ROLLED_BACK && what != REJECTED;
        let before = self.version(operator);
        self.swap(candidate, what, probation).await?;
        let digest = component.digest.clone();
        self.replaced.insert(operator, (digest, before));
        Ok(())
    }

    async fn begin(
        &mut self,
        operator: usize,
        component: &Component,
        kind: TrialKind,
    ) -> Result<()> {
        let candidate = self.candidate(operator, component).await?;
        match kind {
            TrialKind::Canary(percent) => {
                self.begin_canary(operator, candidate, component, percent)
                    .await
            }
            TrialKind::Shadow => {
                let prepared = self.prepare(candidate).await?;
                let (pipeline, runtime) = (Arc::clone(&self.pipeline), self.runtime.clone());
                let plugin = prepared.version.plugin;
                let desired = self.desired.get(&operator);
                let decision = desired.and_then(|it| it.decision_on(&component.digest));
                let run = decision.map_or(0, Decision::milliseconds);
                let shadow = Shadow::start(pipeline, runtime, operator, plugin, run)?;
                self.shadows.insert(operator, shadow);
                let versions = &self.pipeline.versions;
                versions.shadow(operator, Some(&component.digest));
                versions.refuse(operator, None);
                Ok(())
            }
        }
    }

    async fn candidate(&self, operator: usize, component: &Component) -> Result<Candidate> {
        let attachment = self
            .pipeline
            .attachment()
            .context("the pipeline has no server")?;
        let settings = self.pipeline.settings.operators.get(operator);
        let settings = settings.context("there is no such operator")?;
        let (bytes, signature) =
            fetch(&attachment, &self.runtime, settings, &component.digest).await?;
        Ok(Candidate {
            operator,
            bytes,
            origin: component.origin.clone(),
            signature,
        })
    }

    /// This host cannot run what was deployed, so none shall: all run what they ran before.
    async fn reject(&mut self, operator: usize, digest: &str, error: &anyhow::Error) {
        let decision = Decision::new(REFUSED, digest, Some(report::line(error)));
        self.decide_for_all(operator, HostDecision::Reject(decision))
            .await;
    }

    /// Decides for all hosts: for this one at once, for the others when the server takes it.
    pub(crate) async fn decide_for_all(&mut self, operator: usize, decision: HostDecision) {
        decision.apply(self.desired.entry(operator).or_default());
        self.pending.add(operator, decision, Instant::now());
        self.store_pending().await;
    }

    /// Stores what this host has decided for all, unless it is too early to try again.
    pub(crate) async fn store_pending(&mut self) {
        let due = self.pending.due(Instant::now());
        if due.is_empty() {
            return;
        }
        let mut left = Vec::new();
        for (operator, decision) in due {
            let stored = self.change(operator, |record| decision.apply(record)).await;
            if let Err(error) = stored {
                let why = report::line(&error);
                tracing::warn!("cannot store yet what this host has decided for all hosts: {why}");
                left.push((operator, decision));
            }
        }
        self.pending.tried(left, Instant::now());
    }

    /// Changes what all hosts are to run.
    pub(crate) async fn change(
        &self,
        operator: usize,
        change: impl FnMut(&mut Deployment) -> bool,
    ) -> Result<()> {
        let attachment = self.pipeline.attachment();
        let attachment = attachment.context("the pipeline has no server")?;
        let version = self
            .version(operator)
            .context("there is no such operator")?;
        let replicas = attachment.ensured.replicas;
        let deployments = Deployments::open(&attachment.connection, replicas).await?;
        let settings = &version.settings;
        let changed = deployments.change(&settings.pipeline, &settings.operator, change);
        changed.await.map(drop)
    }
}
