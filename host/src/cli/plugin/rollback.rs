//! `weir plugin rollback` and `weir plugin promote`: decide about a deployed version.

mod swaps;

use super::fleet::{Command, Fleet, OperatorPath, Running};
use crate::cli::shown::short;
use crate::cli::{Console, files};
use crate::nats::Connection;
use crate::nats::components::Components;
use crate::nats::deployments::{
    Component, Decision, Deployment, Deployments, FORCED_BACK, Quarantined, ROLLED_BACK,
};
use crate::nats::receipts::{Receipt, Receipts};
use crate::report::{self, count};
use anyhow::{Result, anyhow};
use serde_json::json;

#[derive(clap::Args)]
pub(in crate::cli) struct Promote {
    /// The operator with the canary.
    #[arg(value_name = "PIPELINE/OPERATOR", value_parser = OperatorPath::parse)]
    operator_path: OperatorPath,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
#[command(after_help = "\
Without a receipt this ends a canary or a shadow. If there is none, it undoes the latest swap that is still \
in effect and returns to a version that is not in quarantine. The version must be in the bucket \
`weir-components`, where hosts store the components that they swap.")]
pub(in crate::cli) struct Rollback {
    /// The operator to roll back.
    #[arg(value_name = "PIPELINE/OPERATOR", value_parser = OperatorPath::parse)]
    operator_path: OperatorPath,

    /// The receipt of the swap to undo; see `weir plugin history`.
    #[arg(value_name = "RECEIPT")]
    receipt: Option<String>,

    /// Return to a version in quarantine; it is on probation like a deployed version.
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
            let command = Command {
                connection: &connection,
                deployments: &deployments,
                operator_path,
                digest: &component.digest,
                origin: &component.origin,
                decision,
            };
            settle(&fleet, &command, console).await
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
                let command = Command {
                    connection: &connection,
                    deployments: &deployments,
                    operator_path,
                    digest: "",
                    origin: &component.origin,
                    decision,
                };
                return ended_trial(&fleet, &command, &component, console).await;
            }
            let (record, _) = deployments
                .get(&operator_path.pipeline, &operator_path.operator)
                .await?;
            let receipt = self.receipt(&connection, &fleet, &record).await?;
            let target = Component {
                digest: receipt.old.digest.clone(),
                origin: format!("the version before {}", receipt.id),
            };
            let components = Components::open(&connection, fleet.replicas).await?;
            if !components.holds(&target.digest).await? {
                let error = anyhow!(
                    "component {} is not in the bucket `weir-components`",
                    target.digest
                );
                let action = "deploy it from its file or registry, with `weir plugin deploy`";
                return Err(report::hint(error, action));
            }
            let decision = self.go_back(&deployments, &fleet, &target).await?;
            let command = Command {
                connection: &connection,
                deployments: &deployments,
                operator_path,
                digest: &target.digest,
                origin: &target.origin,
                decision,
            };
            settle(&fleet, &command, console).await
        })
    }

    /// Ends the canary or shadow; returns it if there was one.
    async fn end_trial(&self, deployments: &Deployments) -> Result<Option<(Component, Decision)>> {
        let OperatorPath { pipeline, operator } = &self.operator_path;
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

    /// Tells all hosts to run an earlier version.
    async fn go_back(
        &self,
        deployments: &Deployments,
        fleet: &Fleet,
        target: &Component,
    ) -> Result<Decision> {
        let OperatorPath { pipeline, operator } = &self.operator_path;
        // If hosts run different versions, the record names that of the first.
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
            let error = error.context(format!("it has been in quarantine since {since}"));
            let digest = short(&target.digest);
            let error = error.context(format!("cannot roll back to `{digest}`"));
            report::hint(
                error,
                "choose another receipt, or run it anyway with `--force`",
            )
        })
    }

    /// The given receipt, or the latest one whose old version neither runs nor is in quarantine.
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
            let why = match &self.receipt {
                Some(id) => format!("there is no receipt `{id}`"),
                None if receipts.is_empty() => "there were no swaps".to_owned(),
                None => {
                    "every swap has been undone, or leads to a version in quarantine".to_owned()
                }
            };
            let error = anyhow!(why).context(format!("cannot roll back `{operator_path}`"));
            report::hint(error, format!("see `weir plugin history {operator_path}`"))
        })
    }
}

/// Waits until a component runs on all hosts, and reports it.
async fn settle(fleet: &Fleet, command: &Command<'_>, console: &Console) -> Result<u8> {
    let (digest, origin) = (command.digest, command.origin);
    let runs =
        |host: &Running| host.digest == digest && host.canary.is_none() && host.shadow.is_none();
    let (fleet, missing) = fleet.wait(command, runs, console).await?;
    let hosts: Vec<&String> = fleet.hosts.iter().map(|(id, _)| id).collect();
    let text = format!(
        "{} ({origin}) runs on {}",
        short(digest),
        count(hosts.len(), "host")
    );
    let value = json!({ "digest": digest, "hosts": hosts, "missing": missing });
    console.answer(&value, &text)?;
    Ok(report::DONE)
}

async fn ended_trial(
    fleet: &Fleet,
    command: &Command<'_>,
    component: &Component,
    console: &Console,
) -> Result<u8> {
    let over = |host: &Running| host.canary.is_none() && host.shadow.is_none();
    let (_, missing) = fleet.wait(command, over, console).await?;
    let text = format!("{} is no longer tried", component.origin);
    console.answer(
        &json!({ "ended": component.digest, "missing": missing }),
        &text,
    )?;
    Ok(report::DONE)
}
