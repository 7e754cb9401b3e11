//! `weir plugin rollback` and `weir plugin promote`: what becomes of a version that was deployed.

mod swaps;

use super::fleet::{Fleet, Place, Running, Told};
use crate::cli::{Console, files};
use crate::nats::Connection;
use crate::nats::components::Components;
use crate::nats::deployments::{
    Component, Decision, Deployment, Deployments, FORCED_BACK, Quarantined, ROLLED_BACK,
};
use crate::nats::receipts::{Receipt, Receipts};
use crate::report;
use anyhow::{Result, anyhow};
use serde_json::json;

#[derive(clap::Args)]
pub(in crate::cli) struct Promote {
    /// Where the canary runs.
    #[arg(value_name = "PIPELINE/OPERATOR", value_parser = Place::parse)]
    operator_path: Place,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
#[command(after_help = "\
Without a receipt it ends what is on trial; where nothing is, it goes back over the latest swap that has \
not been gone back over, to a version that is not in quarantine. A version can be gone back to if it is in \
the bucket of components, where hosts put what they have swapped.")]
pub(in crate::cli) struct Rollback {
    /// What is to go back.
    #[arg(value_name = "PIPELINE/OPERATOR", value_parser = Place::parse)]
    operator_path: Place,

    /// Run what ran before this swap; see `weir plugin history`.
    #[arg(value_name = "RECEIPT")]
    receipt: Option<String>,

    /// Go back to it although it is in quarantine; it is watched like a version that is deployed.
    #[arg(long, requires = "receipt")]
    force: bool,

    #[command(flatten)]
    reach: files::Reach,
}

impl Promote {
    pub(in crate::cli) fn run(&self, console: &Console) -> Result<u8> {
        let operator_path = &self.operator_path;
        self.reach.connected("deploy", async |connection| {
            let fleet = Fleet::find(&connection, operator_path).await?;
            let deployments = Deployments::open(&connection, fleet.replicas).await?;
            let mut promoted = None;
            let decided = deployments
                .change(
                    &operator_path.pipeline,
                    &operator_path.operator,
                    |deployment| {
                        let component = deployment.trial.as_ref().map(|trial| &trial.component);
                        let Some(component) = component.cloned() else {
                            return false;
                        };
                        let done = deployment.promote(&component.digest, "by hand");
                        promoted = Some((component, deployment.last.clone()));
                        done
                    },
                )
                .await?;
            let Some((component, decision)) = promoted.filter(|_| decided) else {
                let error = anyhow!("there is no canary at `{operator_path}`");
                return Err(report::hint(error, "see what runs with `weir status`"));
            };
            let told = Told {
                connection: &connection,
                deployments: &deployments,
                operator_path,
                digest: &component.digest,
                origin: &component.origin,
                decision,
            };
            settle(&fleet, &told, console).await
        })
    }
}

impl Rollback {
    pub(in crate::cli) fn run(&self, console: &Console) -> Result<u8> {
        let operator_path = &self.operator_path;
        self.reach.connected("deploy", async |connection| {
            let fleet = Fleet::find(&connection, operator_path).await?;
            let deployments = Deployments::open(&connection, fleet.replicas).await?;
            if self.receipt.is_none()
                && let Some((component, decision)) = self.end_trial(&deployments).await?
            {
                let told = Told {
                    connection: &connection,
                    deployments: &deployments,
                    operator_path,
                    digest: "",
                    origin: &component.origin,
                    decision,
                };
                return ended_trial(&fleet, &told, &component, console).await;
            }
            let (record, _) = deployments
                .get(&operator_path.pipeline, &operator_path.operator)
                .await?;
            let receipt = self.receipt(&connection, &fleet, &record).await?;
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
            let decision = self.go_back(&deployments, &fleet, &target).await?;
            let told = Told {
                connection: &connection,
                deployments: &deployments,
                operator_path,
                digest: &target.digest,
                origin: &target.origin,
                decision,
            };
            settle(&fleet, &told, console).await
        })
    }

    /// Lets nothing be tried any more; what was, if anything.
    async fn end_trial(&self, deployments: &Deployments) -> Result<Option<(Component, Decision)>> {
        let Place { pipeline, operator } = &self.operator_path;
        let mut ended = None;
        let change = deployments.change(pipeline, operator, |deployment| {
            let Some(trial) = deployment.trial.take() else {
                ended = None;
                return false;
            };
            let reason = Some("by hand".to_owned());
            deployment.decided("abandoned", &trial.component.digest, reason);
            ended = Some((trial.component, deployment.last.clone()));
            true
        });
        change.await?;
        Ok(ended)
    }

    /// Tells all hosts to run a version that has run before.
    async fn go_back(
        &self,
        deployments: &Deployments,
        fleet: &Fleet,
        target: &Component,
    ) -> Result<Decision> {
        let Place { pipeline, operator } = &self.operator_path;
        // Of hosts that run different versions the first speaks for all.
        let left = fleet.hosts.first().map(|(_, host)| host.digest.clone());
        let left = left.unwrap_or_default();
        let mut outcome: Result<Decision, Quarantined> = Ok(Decision::default());
        let change = |deployment: &mut Deployment| {
            let bad = deployment.quarantined(&target.digest).cloned();
            if let Some(bad) = bad.clone().filter(|_| !self.force) {
                outcome = Err(bad);
                return false;
            }
            deployment.release(&target.digest);
            deployment.trial = None;
            deployment.install(target.clone(), fleet.configured());
            let what = match bad {
                Some(_) => FORCED_BACK,
                None => ROLLED_BACK,
            };
            deployment.decided(what, &left, Some("by hand".to_owned()));
            outcome = Ok(deployment.last.clone());
            true
        };
        deployments.change(pipeline, operator, change).await?;
        outcome.map_err(|bad| {
            let Quarantined { since, reason, .. } = bad;
            let error = anyhow!("{reason}");
            let error = error.context(format!("it is in quarantine since {since}"));
            let digest = target.digest.get(..12).unwrap_or(&target.digest);
            let error = error.context(format!("cannot go back to {digest}"));
            report::hint(
                error,
                "choose another receipt; or let it run all the same with `--force`",
            )
        })
    }

    /// The one that is named, or the latest that leads to a version which neither runs nor was bad.
    async fn receipt(
        &self,
        connection: &Connection,
        fleet: &Fleet,
        record: &Deployment,
    ) -> Result<Receipt> {
        let operator_path = &self.operator_path;
        let receipts = match Receipts::find(connection).await? {
            Some(receipts) => {
                receipts
                    .list(Some(&operator_path.pipeline), Some(&operator_path.operator))
                    .await?
            }
            None => Vec::new(),
        };
        let found = match &self.receipt {
            Some(id) => receipts.iter().find(|receipt| receipt.id == *id),
            None => swaps::latest(&receipts, |digest| {
                let runs = fleet.hosts.iter().any(|(_, host)| host.digest == digest);
                !runs && record.quarantined(digest).is_none()
            }),
        };
        found.cloned().ok_or_else(|| {
            let error = match &self.receipt {
                Some(id) => anyhow!("there is no receipt `{id}` of `{operator_path}`"),
                None if receipts.is_empty() => anyhow!("nothing was ever swapped at `{operator_path}`"),
                None => anyhow!(
                    "there is nothing to go back to at `{operator_path}`: every swap has been gone back over, or \
                     leads to a version that is in quarantine"
                ),
            };
            report::hint(error, format!("see `weir plugin history {operator_path}`"))
        })
    }
}

/// Waits until a component runs on all hosts, and says so.
async fn settle(fleet: &Fleet, told: &Told<'_>, console: &Console) -> Result<u8> {
    let (digest, origin) = (told.digest, told.origin);
    let runs =
        |host: &Running| host.digest == digest && host.canary.is_none() && host.shadow.is_none();
    let (fleet, missing) = fleet.wait(told, runs, console).await?;
    let hosts = fleet.hosts.len();
    if console.json {
        console.value(&json!({ "digest": digest, "hosts": hosts, "missing": missing }))?;
    } else {
        let short = digest.get(..12).unwrap_or(digest);
        console.print(&format!("{short} ({origin}) runs on {hosts} host(s)"))?;
    }
    Ok(report::DONE)
}

async fn ended_trial(
    fleet: &Fleet,
    told: &Told<'_>,
    component: &Component,
    console: &Console,
) -> Result<u8> {
    let over = |host: &Running| host.canary.is_none() && host.shadow.is_none();
    let (_, missing) = fleet.wait(told, over, console).await?;
    if console.json {
        console.value(&json!({ "ended": component.digest, "missing": missing }))?;
    } else {
        console.print(&format!("{} is not tried any more", component.origin))?;
    }
    Ok(report::DONE)
}
