//! `weir plugin deploy`: shows a plan with its hash, and applies exactly that plan.

mod configuration;
mod text;

use self::configuration::Configuration;
use super::fleet::{Command, Fleet, OperatorPath, Running, Tried};
use crate::cli::{Console, files};
use crate::component;
use crate::config::component::Reference;
use crate::config::resolved::Nats;
use crate::config::units::PercentText;
use crate::nats::components::Components;
use crate::nats::deployments::{Component, Deployment, Deployments, Trial, TrialKind};
use crate::nats::{self, Connection};
use crate::plugin::{self, Inspection};
use crate::report::{self, count};
use crate::threads;
use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(after_help = "\
Without `--apply` this only shows a plan and its hash. Hosts judge a version while it is a canary and after \
it has taken over, by the operator's `rollout:`. If a version is worse than the previous one, it is rolled \
back on all hosts and quarantined.")]
pub(in crate::cli) struct Arguments {
    /// The operator that will run the version.
    #[arg(value_name = "PIPELINE/OPERATOR", value_parser = OperatorPath::parse)]
    operator_path: OperatorPath,

    /// The version: a file, nats://BUCKET/NAME@VERSION or oci://REGISTRY/REPOSITORY:TAG.
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// Show the plan and its hash. This is the default without `--apply`.
    #[arg(long, conflicts_with = "apply")]
    plan: bool,

    /// Apply the plan with this hash. The command refuses if anything has changed since.
    #[arg(long, value_name = "HASH")]
    apply: Option<String>,

    /// Run the version as a canary for this share of the keys, such as `10%`.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    canary: Option<f64>,

    /// Run the version as a shadow: it processes all messages and publishes nothing. `weir plugin diff` shows the
    /// differences.
    #[arg(long, conflicts_with = "canary")]
    shadow: bool,

    /// A pipeline file, to test whether the version accepts the operator's configuration in it.
    #[arg(long = "try", value_name = "FILE")]
    try_file: Option<PathBuf>,

    /// Run the version even if it is in quarantine.
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    reach: files::Reach,
}

fn share(text: &str) -> Result<f64, String> {
    let percent = PercentText::from(text).parse()?;
    match percent > 0.0 && percent < 100.0 {
        true => Ok(percent),
        false => Err("a canary needs more than 0% and less than 100% of the keys".to_owned()),
    }
}

pub(in crate::cli) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let settings = arguments.reach.settings()?;
    let component::Component {
        bytes, signature, ..
    } = component(&arguments.reference, &settings)?;
    let origin = arguments.reference.clone();
    let what = || format!("cannot deploy `{origin}`");
    let found = plugin::inspect(&bytes).with_context(what)?;
    if let Err(why) = &found.contract {
        return Err(report::usage(anyhow!("{why}").context(what())));
    }
    let new = Component {
        digest: found.digest.clone(),
        origin: origin.clone(),
    };
    let configuration = arguments.try_file.as_deref();
    let configuration = configuration
        .map(|file| Configuration::try_out(file, &arguments.operator_path, &origin, console))
        .transpose()?;
    threads::block_on(async {
        let connection = nats::connect(&settings, "deploy").await?;
        let mut plan = Plan::make(arguments, &connection, found, new).await?;
        plan.configuration = configuration;
        plan.is_signed = signature.is_some();
        match &arguments.apply {
            None => plan.show(arguments, console),
            Some(hash) => {
                plan.check(hash).with_context(what)?;
                plan.apply(&connection, &bytes, signature.as_deref(), console)
                    .await
            }
        }
    })
}

/// The component that a reference currently names.
pub(super) fn component(reference: &str, settings: &Nats) -> Result<component::Component> {
    let folder = std::env::current_dir().context("there is no working directory")?;
    let reference = Reference::parse(reference, &folder);
    let reference = reference.map_err(|why| report::usage(anyhow!(why)))?;
    if let Some(file) = reference.file()
        && let Err(error) = std::fs::metadata(file)
    {
        return Err(files::unreadable(file, &error));
    }
    component::fetch(&reference, Some(settings))
}

/// A plan: the version to deploy and the hosts to change.
struct Plan {
    operator_path: OperatorPath,
    fleet: Fleet,
    found: Inspection,
    is_signed: bool,
    /// Of `--try`, tried.
    configuration: Option<Configuration>,
    new: Component,
    kind: Option<TrialKind>,
    force: bool,
    deployment: Deployment,
    revision: u64,
}

impl Plan {
    async fn make(
        arguments: &Arguments,
        connection: &Connection,
        found: Inspection,
        new: Component,
    ) -> Result<Self> {
        let operator_path = arguments.operator_path.clone();
        let fleet = Fleet::find(connection, &operator_path).await?;
        let (deployment, revision) = match Deployments::find(connection).await? {
            Some(deployments) => {
                deployments
                    .get(&operator_path.pipeline, &operator_path.operator)
                    .await?
            }
            None => (Deployment::default(), 0),
        };
        Ok(Self {
            operator_path,
            fleet,
            found,
            is_signed: false,
            configuration: None,
            new,
            kind: match arguments.shadow {
                true => Some(TrialKind::Shadow),
                false => arguments.canary.map(TrialKind::Canary),
            },
            force: arguments.force,
            deployment,
            revision,
        })
    }

    /// Identifies the plan and everything that it depends on.
    fn hash(&self) -> String {
        let hosts = self.fleet.hosts.iter();
        let hosts: BTreeSet<_> = hosts
            .map(|(_, host)| (&host.digest, &host.configured, &host.config_hash))
            .collect();
        let all = json!([
            self.operator_path.to_string(),
            hosts,
            self.new.digest,
            self.kind,
            self.force,
            self.revision,
        ]);
        let hash = blake3::hash(all.to_string().as_bytes()).to_hex();
        hash.get(..12).unwrap_or_default().to_owned()
    }

    /// Why the plan cannot be applied, if so.
    fn obstacle(&self) -> Option<String> {
        let missing = |host: &Running| {
            let mut needed = self.found.grant_names().into_iter();
            needed.find(|grant| !host.grants.iter().any(|has| has == grant))
        };
        if let Some(grant) = self.fleet.hosts.iter().find_map(|(_, host)| missing(host)) {
            return Some(format!(
                "it needs the grant `{grant}`, which the operator does not have"
            ));
        }
        let new = self.found.contract.as_ref().map_or("", |contract| contract);
        let refused = |(_, host): &(String, Running)| {
            plugin::check_successor(new, &host.contract, host.is_of_job).err()
        };
        if let Some(why) = self.fleet.hosts.iter().find_map(refused) {
            return Some(why.to_string());
        }
        let requires = |(_, host): &(String, Running)| host.requires_signature;
        if !self.is_signed && self.fleet.hosts.iter().any(requires) {
            return Some(
                "it has no signature, and the operator has `require-signature`".to_owned(),
            );
        }
        if let Some(Configuration {
            refused: Some(why), ..
        }) = &self.configuration
        {
            return Some(format!(
                "it does not start with the configuration of `--try`: {why}"
            ));
        }
        let bad = self.deployment.quarantined(&self.new.digest);
        if let Some(bad) = bad.filter(|_| !self.force) {
            return Some(format!(
                "it has been in quarantine since {}: {}; `--force` runs it anyway",
                bad.since, bad.reason
            ));
        }
        let trial = self.deployment.trial.as_ref();
        trial.map(|trial| {
            format!(
                "`{}` is a canary or a shadow there; end it with `weir plugin promote` or `rollback`",
                trial.component.origin
            )
        })
    }

    fn check(&self, hash: &str) -> Result<()> {
        if let Some(obstacle) = self.obstacle() {
            return Err(report::usage(anyhow!(obstacle)));
        }
        if self.hash() != hash {
            let error = anyhow!("`{hash}` is not the hash of the current plan");
            let action = "something has changed; check the new plan, without `--apply`";
            return Err(report::hint(error, action));
        }
        Ok(())
    }

    fn show(&self, arguments: &Arguments, console: &Console) -> Result<u8> {
        let (hash, obstacle) = (self.hash(), self.obstacle());
        if console.json {
            console.value(&json!({
                "operator": self.operator_path.to_string(),
                "hosts": self.fleet.hosts.iter().map(|(id, host)| json!({
                    "host": id,
                    "digest": host.digest,
                    "contract": host.contract,
                    "imports": host.imports,
                    "grants": host.grants,
                    "size": host.size,
                    "config_hash": host.config_hash,
                })).collect::<Vec<Value>>(),
                "new": {
                    "origin": self.new.origin,
                    "digest": self.new.digest,
                    "contract": self.found.contract.as_ref().ok(),
                    "imports": self.found.imports,
                    "grants": self.found.grant_names(),
                    "size": self.found.size,
                    "signed": self.is_signed,
                },
                "configuration": self.configuration,
                "trial": self.kind,
                "obstacle": obstacle,
                "hash": hash,
            }))?;
        } else {
            let mut text = self.text();
            match &obstacle {
                Some(obstacle) => drop(writeln!(text, "cannot be applied: {obstacle}")),
                None => {
                    let how = match self.kind {
                        Some(TrialKind::Canary(percent)) => format!(" --canary {percent}%"),
                        Some(TrialKind::Shadow) => " --shadow".to_owned(),
                        None => String::new(),
                    };
                    let file = arguments.try_file.as_ref();
                    let file = file.map(|file| format!(" --try {}", file.display()));
                    let file = file.unwrap_or_default();
                    let force = if self.force { " --force" } else { "" };
                    let _ = writeln!(
                        text,
                        "apply it with: weir plugin deploy {} {}{how}{force}{file} --apply {hash}",
                        self.operator_path, arguments.reference,
                    );
                }
            }
            console.print(&text)?;
        }
        Ok(match obstacle {
            Some(_) => report::FAILED,
            None => report::DONE,
        })
    }

    async fn apply(
        self,
        connection: &Connection,
        bytes: &[u8],
        signature: Option<&str>,
        console: &Console,
    ) -> Result<u8> {
        let Self {
            operator_path,
            fleet,
            new,
            kind,
            mut deployment,
            revision,
            ..
        } = self;
        let components = Components::open(connection, fleet.replicas).await?;
        components.keep(&new.digest, bytes, signature).await?;
        let over = fleet.configured();
        deployment.release(&new.digest);
        match kind {
            Some(kind) => {
                deployment.decided("on trial", &new.digest, None);
                deployment.trial = Some(Trial {
                    component: new.clone(),
                    kind,
                    over,
                });
            }
            None => {
                deployment.decided("deployed", &new.digest, None);
                deployment.install(new.clone(), over);
            }
        }
        let deployments = Deployments::open(connection, fleet.replicas).await?;
        let OperatorPath { pipeline, operator } = &operator_path;
        if !deployments
            .put(pipeline, operator, &deployment, revision)
            .await?
        {
            let error =
                anyhow!("there was another deployment to `{operator_path}` at the same time");
            return Err(report::hint(error, "check the new plan, without `--apply`"));
        }
        let is_it = |tried: &Option<Tried>| {
            let digest = tried.as_ref().map(|tried| &tried.digest);
            digest == Some(&new.digest)
        };
        let has_it = |host: &Running| match kind {
            Some(TrialKind::Canary(_)) => is_it(&host.canary),
            Some(TrialKind::Shadow) => is_it(&host.shadow),
            None => host.digest == new.digest,
        };
        let command = Command {
            connection,
            deployments: &deployments,
            operator_path: &operator_path,
            digest: &new.digest,
            origin: &new.origin,
            decision: deployment.last,
        };
        let (fleet, missing) = fleet.wait(&command, has_it, console).await?;
        let how = match kind {
            Some(TrialKind::Canary(_)) => "a canary",
            Some(TrialKind::Shadow) => "a shadow",
            None => "running",
        };
        let hosts: Vec<&String> = fleet.hosts.iter().map(|(id, _)| id).collect();
        let text = format!("{} is {how} on {}", new.origin, count(hosts.len(), "host"));
        let value = json!({
            "digest": new.digest, "hosts": hosts, "missing": missing, "trial": kind,
        });
        console.answer(&value, &text)?;
        Ok(report::DONE)
    }
}
