//! Follows a tag in a bucket of plugins or a registry, and fetches the version that it names. A bucket
//! reports changes; a registry is polled.

use crate::config::component::{InBucket, InRegistry, Reference};
use crate::config::resolved::Operator;
use crate::nats::registry::Registry;
use crate::oci;
use crate::report;
use crate::rollout::target::RolloutTarget;
use crate::rollout::{Candidate, Command};
use anyhow::{Context, Result};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The pause before another try to follow a bucket.
const PAUSE: Duration = Duration::from_secs(5);
/// How often a registry is asked for a tag, in milliseconds, unless the environment sets it.
const ASKING: u64 = 60_000;
/// The variable that says it.
const ASKING_VARIABLE: &str = "WEIR_OCI_POLL_MS";

/// What follows each operator of a pipeline whose plugin is in a bucket or a registry.
pub(crate) fn all(
    pipeline: &Arc<RolloutTarget>,
    commands: &mpsc::Sender<Command>,
) -> Vec<impl Future<Output = ()> + use<>> {
    let operators = pipeline.settings.operators.iter().enumerate();
    let elsewhere = operators.filter(|(_, operator)| operator.plugin.file().is_none());
    let follow = |(index, operator): (usize, &Operator)| {
        let (pipeline, reference) = (Arc::clone(pipeline), operator.plugin.clone());
        follow(pipeline, index, reference, commands.clone())
    };
    elsewhere.map(follow).collect()
}

/// Never ends.
async fn follow(
    pipeline: Arc<RolloutTarget>,
    operator: usize,
    reference: Reference,
    commands: mpsc::Sender<Command>,
) {
    let mut told = false;
    let mut seen = None;
    loop {
        let followed = match &reference {
            Reference::File(_) | Reference::Standard(_) => std::future::pending().await,
            Reference::Bucket(reference) => watch(&pipeline, operator, reference, &commands).await,
            Reference::Registry(reference) => {
                ask(&pipeline, operator, reference, &commands, &mut seen).await
            }
        };
        match followed {
            Ok(()) => {}
            Err(error) if !std::mem::replace(&mut told, true) => {
                tracing::warn!("cannot follow `{reference}`: {}", report::line(&error));
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Polls a registry until it does not answer. `seen` is the last manifest passed on; the first one is always
/// passed on, because the version from the start may be older.
async fn ask(
    pipeline: &RolloutTarget,
    operator: usize,
    reference: &InRegistry,
    commands: &mpsc::Sender<Command>,
    seen: &mut Option<String>,
) -> Result<()> {
    if reference.followed().is_none() {
        return std::future::pending().await;
    }
    let pause = std::env::var(ASKING_VARIABLE).ok();
    let pause = pause.and_then(|text| text.parse().ok());
    let pause = Duration::from_millis(pause.unwrap_or(ASKING).max(10));
    // Reads files, and may run a helper for the credentials.
    let (at, ca) = (reference.clone(), pipeline.settings.nats.tls.ca.clone());
    let opening = tokio::task::spawn_blocking(move || oci::Registry::open(&at, ca.as_deref()));
    let registry = opening
        .await
        .context("the opening of a registry panicked")??;
    loop {
        tokio::time::sleep(pause).await;
        if *seen == Some(registry.digest().await?) {
            continue;
        }
        let found = registry.fetch().await?;
        let candidate = Candidate {
            operator,
            bytes: found.bytes,
            origin: format!("{reference} ({})", found.digest),
            signature: found.signature,
        };
        *seen = Some(found.digest);
        // The deployer lives as long as the host.
        let _ = commands.send(Command::Candidate(candidate)).await;
    }
}

async fn watch(
    pipeline: &RolloutTarget,
    operator: usize,
    reference: &InBucket,
    commands: &mpsc::Sender<Command>,
) -> Result<()> {
    let attachment = pipeline.attached().await;
    let registry = Registry::open(&attachment.connection, &reference.bucket).await?;
    if registry
        .is_version(&reference.name, &reference.version)
        .await?
    {
        // It is the same forever.
        return std::future::pending().await;
    }
    let mut changes = registry.watch(&reference.name, &reference.version).await?;
    while let Some(Ok(_)) = changes.next().await {
        let (version, found) = registry
            .resolve(&reference.name, &reference.version)
            .await?;
        let running = pipeline.versions.plugins();
        let is_new = running
            .get(operator)
            .is_some_and(|version| version.plugin.digest() != found.digest);
        if is_new {
            let candidate = Candidate {
                operator,
                bytes: registry.fetch(&found).await?,
                origin: format!("{reference} ({version})"),
                signature: found.signature,
            };
            // The deployer lives as long as the host.
            let _ = commands.send(Command::Candidate(candidate)).await;
        }
    }
    Ok(())
}
