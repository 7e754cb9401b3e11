//! The desired versions of operators, as stored on the server: deployments by command, and decisions of other
//! hosts. `reconcile.rs` applies them.

use crate::config::resolved::Operator;
use crate::nats::attachment::Attachment;
use crate::nats::components::Components;
use crate::nats::deployments::{Changed, Deployments};
use crate::plugin::{Plugin, Runtime};
use crate::process::plugin_set::{OperatorVersion, keeps_state, load_options};
use crate::report::{self, ResultExt};
use crate::rollout::target::RolloutTarget;
use crate::rollout::{Candidate, Command};
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
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Pipelines of one server, each with who deploys to it.
type Pipelines = Vec<(Arc<RolloutTarget>, mpsc::Sender<Command>)>;

/// Before the lanes start: installs the desired versions instead of those in `plugin:`. Returns whether there
/// are any. Without the permission to read them, the host runs what is configured.
///
/// # Errors
/// When one of them cannot be loaded. The configured version may be one that was rolled back, so it does not
/// run.
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
        let loaded = match found {
            Ok((bytes, signature)) => {
                let candidate = Candidate {
                    operator: index,
                    bytes,
                    origin: component.origin.clone(),
                    signature,
                };
                load(candidate, pipeline, runtime).await
            }
            Err(error) => Err(error),
        };
        let plugin = loaded
            .with_context(|| format!("cannot start operator `{}` as deployed", operator.name))
            .hint(|| "deploy another version, or name another one in `plugin:`")?;
        current
            .plugins
            .replace(index, OperatorVersion::new(plugin, settings));
        versions.adopt(current);
        any = true;
    }
    Ok(any)
}

/// Compiling it may take minutes, in which the host answers and can be stopped.
async fn load(
    candidate: Candidate,
    pipeline: &RolloutTarget,
    runtime: &Runtime,
) -> Result<Arc<Plugin>> {
    let (settings, runtime) = (Arc::clone(&pipeline.settings), runtime.clone());
    let loading = tokio::task::spawn_blocking(move || {
        let operator = settings.operators.get(candidate.operator);
        let operator = operator.context("there is no such operator")?;
        let signature = candidate.signature.as_deref();
        let stateful = keeps_state(&settings);
        let options = load_options(operator, Some(&settings.nats), signature, stateful);
        runtime.load_bytes(&candidate.bytes, &candidate.origin, options)
    });
    loading
        .await
        .context("loading a plugin panicked; this is a bug in weir")?
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
        } = match changed {
            Ok(changed) => changed,
            Err(error) => {
                tracing::warn!("{}", report::line(&error));
                continue;
            }
        };
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

/// The bytes of a component, and its signature. What was loaded here before is still here, without one.
pub(super) async fn fetch(
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
