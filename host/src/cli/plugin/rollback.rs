//! `weir plugin rollback` and `weir plugin promote`: what becomes of a version that was deployed.

use super::fleet::{Fleet, Place, Running};
use crate::cli::{Console, files};
use crate::nats::Connection;
use crate::nats::components::Components;
use crate::nats::deployments::{Component, Deployments, Stable};
use crate::nats::receipts::{Receipt, Receipts};
use crate::report;
use anyhow::{Result, anyhow};
use serde_json::json;

#[derive(clap::Args)]
pub(in crate::cli) struct Promote {
    /// Where the canary runs.
    #[arg(value_name = "PIPELINE/OPERATOR", value_parser = Place::parse)]
    place: Place,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
#[command(after_help = "\
Without a receipt it ends what is on trial; where nothing is, it goes back over the latest swap. A version \
can be gone back to if it is in the bucket of components, where hosts put what they have swapped.")]
pub(in crate::cli) struct Rollback {
    /// What is to go back.
    #[arg(value_name = "PIPELINE/OPERATOR", value_parser = Place::parse)]
    place: Place,

    /// Run what ran before this swap; see `weir plugin history`.
    #[arg(value_name = "RECEIPT")]
    receipt: Option<String>,

    #[command(flatten)]
    reach: files::Reach,
}

impl Promote {
    pub(in crate::cli) fn run(&self, console: &Console) -> Result<u8> {
        let place = &self.place;
        self.reach.connected("deploy", async |connection| {
            let fleet = Fleet::find(&connection, place).await?;
            let deployments = Deployments::open(&connection, fleet.replicas).await?;
            let mut promoted = None;
            let decided = deployments
                .change(&place.pipeline, &place.operator, |deployment| {
                    let trial = deployment.trial.as_ref();
                    promoted = trial.map(|trial| trial.component.clone());
                    let digest = promoted.as_ref().map(|component| component.digest.clone());
                    digest.is_some_and(|digest| deployment.promote(&digest, "by hand"))
                })
                .await?;
            let Some(component) = promoted.filter(|_| decided) else {
                let error = anyhow!("there is no canary at `{place}`");
                return Err(report::hint(error, "see what runs with `weir status`"));
            };
            settle(&connection, &fleet, place, &component, console).await
        })
    }
}

impl Rollback {
    pub(in crate::cli) fn run(&self, console: &Console) -> Result<u8> {
        let place = &self.place;
        self.reach.connected("deploy", async |connection| {
            let fleet = Fleet::find(&connection, place).await?;
            let deployments = Deployments::open(&connection, fleet.replicas).await?;
            if self.receipt.is_none() {
                let mut ended = None;
                let change = deployments.change(&place.pipeline, &place.operator, |deployment| {
                    let trial = deployment.trial.take();
                    ended = trial.map(|trial| trial.component);
                    if let Some(component) = &ended {
                        let reason = Some("by hand".to_owned());
                        deployment.decided("abandoned", &component.digest, reason);
                    }
                    ended.is_some()
                });
                change.await?;
                if let Some(component) = ended {
                    return ended_trial(&connection, &fleet, place, &component, console).await;
                }
            }
            let receipt = self.receipt(&connection).await?;
            let target = Component {
                digest: receipt.old.digest.clone(),
                origin: format!("what ran before {}", receipt.id),
            };
            let components = Components::open(&connection, fleet.replicas).await?;
            if !components.holds(&target.digest).await? {
                let error = anyhow!(
                    "component {} is not in the bucket of components",
                    target.digest
                );
                let action = "deploy it from where it is, with `weir plugin deploy`";
                return Err(report::hint(error, action));
            }
            let over = fleet.configured();
            let change = |deployment: &mut crate::nats::deployments::Deployment| {
                deployment.trial = None;
                deployment.stable = Some(Stable {
                    component: target.clone(),
                    over: over.clone(),
                });
                deployment.decided(
                    "rolled back",
                    &receipt.new.digest,
                    Some("by hand".to_owned()),
                );
                true
            };
            deployments
                .change(&place.pipeline, &place.operator, change)
                .await?;
            settle(&connection, &fleet, place, &target, console).await
        })
    }

    /// The one that is named, or the latest.
    async fn receipt(&self, connection: &Connection) -> Result<Receipt> {
        let place = &self.place;
        let receipts = match Receipts::find(connection).await? {
            Some(receipts) => {
                receipts
                    .list(Some(&place.pipeline), Some(&place.operator))
                    .await?
            }
            None => Vec::new(),
        };
        let mut swaps = receipts.into_iter().rev();
        let found = match &self.receipt {
            Some(id) => swaps.find(|receipt| receipt.id == *id),
            // A canary that ended has changed nothing for the others.
            None => swaps.find(|receipt| !receipt.what.starts_with("canary")),
        };
        found.ok_or_else(|| {
            let error = match &self.receipt {
                Some(id) => anyhow!("there is no receipt `{id}` of `{place}`"),
                None => anyhow!("nothing was ever swapped at `{place}`"),
            };
            report::hint(error, format!("see `weir plugin history {place}`"))
        })
    }
}

/// Waits until a component runs on all hosts, and says so.
async fn settle(
    connection: &Connection,
    fleet: &Fleet,
    place: &Place,
    component: &Component,
    console: &Console,
) -> Result<u8> {
    let digest = &component.digest;
    let runs =
        |host: &Running| host.digest == *digest && host.canary.is_none() && host.shadow.is_none();
    let fleet = fleet.wait(connection, place, digest, runs, console).await?;
    if console.json {
        console.value(&json!({ "digest": digest, "hosts": fleet.hosts.len() }))?;
    } else {
        let short = digest.get(..12).unwrap_or(digest);
        let (hosts, origin) = (fleet.hosts.len(), &component.origin);
        console.print(&format!("{short} ({origin}) runs on {hosts} host(s)"))?;
    }
    Ok(report::DONE)
}

async fn ended_trial(
    connection: &Connection,
    fleet: &Fleet,
    place: &Place,
    component: &Component,
    console: &Console,
) -> Result<u8> {
    let over = |host: &Running| host.canary.is_none() && host.shadow.is_none();
    fleet.wait(connection, place, "", over, console).await?;
    if console.json {
        console.value(&json!({ "ended": component.digest }))?;
    } else {
        console.print(&format!("{} is not tried any more", component.origin))?;
    }
    Ok(report::DONE)
}
