//! Follows what is deployed by command, and what other hosts decide: the bucket of deployments.

use crate::config::resolved::Operator;
use crate::nats::attachment::Attachment;
use crate::nats::components::Components;
use crate::nats::deployments::{
    Changed, Component, Decision, Deployment, Deployments, REFUSED, ROLLED_BACK, TrialKind,
};
use crate::nats::shadows::remove_consumer;
use crate::plugin::Runtime;
use crate::process::plugin_set::{OperatorVersion, terms};
use crate::report::{self, ResultExt};
use crate::rollout::shadow::Shadow;
use crate::rollout::target::RolloutTarget;
use crate::rollout::trial::Kind;
use crate::rollout::{Candidate, Command, Deployer};
use anyhow::{Context, Result};
use futures_util::StreamExt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often to look whether the bucket has been made, or can be followed again.
const LOOK: Duration = Duration::from_secs(2);
/// The same where looking has failed: a user without permission is not told so, and each look is a line
/// in the log.
const PAUSE: Duration = Duration::from_secs(300);
/// How long a start or a change of a file waits for the server to say whether anything was deployed.
const PATIENCE: Duration = Duration::from_secs(2);

/// In receipts, a host has gone back because another could not run a version.
const REJECTED: &str = "rejected";

/// Pipelines of one server, each with who deploys to it.
type Pipelines = Vec<(Arc<RolloutTarget>, mpsc::Sender<Command>)>;

/// Before its lanes start: the versions that are to run in the place of what `plugin:` names. Whether there
/// are any; a user who may not look for them runs what is configured.
///
/// # Errors
/// When one of them cannot be had. What is configured may be what was rolled back, so it does not run.
pub(crate) async fn initial(
    pipeline: &RolloutTarget,
    runtime: &Runtime,
    attachment: &Attachment,
) -> Result<bool> {
    let finding = Deployments::find(&attachment.connection);
    let Ok(Ok(Some(deployments))) = tokio::time::timeout(PATIENCE, finding).await else {
        return Ok(false);
    };
    let versions = &pipeline.versions;
    let mut any = false;
    for (index, operator) in pipeline.settings.operators.iter().enumerate() {
        let (deployment, _) = deployments
            .get(&pipeline.settings.name, &operator.name)
            .await?;
        let mut current = versions.active();
        let Some(OperatorVersion {
            plugin, settings, ..
        }) = current.plugins.get(index).cloned()
        else {
            continue;
        };
        let desired = deployment.instead_of(&versions.configured(index));
        let Some(component) = desired.filter(|component| component.digest != plugin.digest())
        else {
            continue;
        };
        let found = fetch(attachment, runtime, operator, &component.digest).await;
        let load = |(bytes, signature): (Vec<u8>, Option<String>)| {
            let nats = Some(&pipeline.settings.nats);
            let terms = terms(operator, nats, signature.as_deref());
            runtime.load_bytes(&bytes, &component.origin, terms)
        };
        let plugin = found
            .and_then(load)
            .with_context(|| format!("cannot start operator `{}` as deployed", operator.name))
            .hint(|| "deploy another version, or let `plugin:` name another")?;
        current
            .plugins
            .replace(index, OperatorVersion::new(plugin, settings));
        versions.adopt(current);
        any = true;
    }
    Ok(any)
}

/// Hands on what is desired for these pipelines. Never ends.
pub(crate) async fn watch(pipelines: Pipelines) {
    let mut told = false;
    loop {
        let Err(error) = follow(&pipelines).await else {
            told = false;
            tokio::time::sleep(LOOK).await;
            continue;
        };
        if !std::mem::replace(&mut told, true) {
            let why = report::line(&error);
            tracing::warn!("`weir plugin deploy` does not reach this host: {why}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow(pipelines: &Pipelines) -> Result<()> {
    let Some(attachment) = pipelines
        .iter()
        .find_map(|(pipeline, _)| pipeline.attachment())
    else {
        return Ok(());
    };
    let Some(deployments) = Deployments::find(&attachment.connection).await? else {
        return Ok(());
    };
    let mut changes = pin!(deployments.watch().await?);
    while let Some(changed) = changes.next().await {
        let Changed {
            pipeline,
            operator,
            deployment,
        } = changed;
        let is_it = |(running, _): &&(Arc<RolloutTarget>, _)| running.settings.name == pipeline;
        let Some((running, commands)) = pipelines.iter().find(is_it) else {
            continue;
        };
        let mut operators = running.settings.operators.iter();
        let Some(operator) = operators.position(|each| each.name == operator) else {
            continue;
        };
        let deployment = Box::new(deployment);
        // The deployer lives as long as the host.
        let _ = commands
            .send(Command::Desired {
                operator,
                deployment,
            })
            .await;
    }
    Ok(())
}

impl Deployer {
    /// Asks what an operator is to run: what was said of it may still be on its way here. Where the server
    /// does not say, what was heard last holds.
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
        if let Ok(Ok(Some(deployment))) = tokio::time::timeout(PATIENCE, asking).await {
            self.desired.insert(operator, deployment);
        }
    }

    /// Makes an operator run what it is to run.
    pub(crate) async fn reconcile(&mut self, operator: usize, deployment: Deployment) {
        self.desired.insert(operator, deployment.clone());
        self.report(operator, &deployment.last);
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

    /// Says in the log and in the status that a version was not taken, or not kept, whoever found out.
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

    /// Lets what runs in the place of what is configured take over, where it does not run yet; or what ran
    /// here before, where it was turned down.
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

    /// Lets a component take over that was deployed, or gone back to.
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
                let shadow = Shadow::start(pipeline, runtime, operator, plugin)?;
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
        let reason = report::line(error);
        let decided = self
            .decide(operator, |deployment| {
                deployment.reject(digest, reason.clone());
                true
            })
            .await;
        if let Err(error) = decided {
            tracing::warn!("{}", report::line(&error));
        }
    }
}

/// The bytes of a component, and its signature. What was loaded here before is still here, without one.
async fn fetch(
    attachment: &Attachment,
    runtime: &Runtime,
    operator: &Operator,
    digest: &str,
) -> Result<(Vec<u8>, Option<String>)> {
    if operator.require_signature.is_empty()
        && let Some(bytes) = runtime.component(digest)
    {
        return Ok((bytes, None));
    }
    let components = Components::open(&attachment.connection, attachment.ensured.replicas).await?;
    components.fetch(digest).await
}
