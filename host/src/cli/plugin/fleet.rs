//! The hosts that run an operator: what each of them runs, and waiting until all run another version.

use crate::cli::Console;
use crate::cli::shown::moment;
use crate::nats::deployments::{Decision, Deployments, REFUSED};
use crate::nats::{Connection, service};
use crate::report::{self, ResultExt};
use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long to wait for responses of hosts.
const ANSWERS: Duration = Duration::from_millis(700);
/// How long hosts may take to follow a command.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the query is repeated if all responding hosts have followed and some no longer respond.
const ONCE_MORE: usize = 4;

/// `PIPELINE/OPERATOR`.
#[derive(Clone, Debug)]
pub(super) struct OperatorPath {
    pub(super) pipeline: String,
    pub(super) operator: String,
}

impl OperatorPath {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let plain = |name: &str| {
            let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            !name.is_empty() && name.chars().all(fine)
        };
        match text.split_once('/') {
            Some((pipeline, operator)) if plain(pipeline) && plain(operator) => Ok(Self {
                pipeline: pipeline.to_owned(),
                operator: operator.to_owned(),
            }),
            _ => Err(format!("`{text}` is not of the form PIPELINE/OPERATOR")),
        }
    }
}

impl std::fmt::Display for OperatorPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.pipeline, self.operator)
    }
}

/// An operator on one host; fields that a host of another version does not report are empty.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Running {
    pub(super) name: String,
    pub(super) plugin: String,
    pub(super) digest: String,
    /// The digest of the component that `plugin:` names there.
    pub(super) configured: String,
    pub(super) contract: String,
    pub(super) imports: Vec<String>,
    pub(super) grants: Vec<String>,
    pub(super) size: u64,
    pub(super) config_hash: String,
    pub(super) canary: Option<Tried>,
    pub(super) shadow: Option<Tried>,
    pub(super) refused: Option<Refused>,
    /// Set while a version is loaded, configured and tried.
    pub(super) preparing: Option<Preparing>,
    pub(super) requires_signature: bool,
    /// Set while the running version is on probation.
    pub(super) probation: Option<Probation>,
    /// Whether the pipeline is a job.
    #[serde(skip)]
    pub(super) is_of_job: bool,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Probation {
    /// The digest of the rollback target.
    pub(super) goes_back_to: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Tried {
    pub(super) digest: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Refused {
    pub(super) digest: String,
    pub(super) since: String,
    pub(super) error: String,
    pub(super) hint: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Preparing {
    pub(super) digest: String,
    pub(super) since: String,
}

impl Refused {
    pub(super) fn error(&self, host: &str) -> anyhow::Error {
        let error = anyhow!("{}", self.error).context(format!("host `{host}` refuses"));
        match &self.hint {
            Some(hint) => report::hint(error, hint.clone()),
            None => error,
        }
    }
}

/// The command that all hosts are to follow.
pub(super) struct Command<'a> {
    pub(super) connection: &'a Connection,
    pub(super) deployments: &'a Deployments,
    pub(super) operator_path: &'a OperatorPath,
    /// The version to run or to try; empty if a canary or a shadow is to end.
    pub(super) digest: &'a str,
    /// The version's reference, for people.
    pub(super) origin: &'a str,
    /// The decision in the record after the command.
    pub(super) decision: Decision,
}

impl Command<'_> {
    /// Checks that the command has not been undone.
    ///
    /// # Errors
    /// If a host or a person has decided otherwise since, with the reason.
    async fn still_holds(&self) -> Result<()> {
        let OperatorPath { pipeline, operator } = self.operator_path;
        let (record, _) = self.deployments.get(pipeline, operator).await?;
        let Some(undone) = record.undone(&self.decision, self.digest) else {
            return Ok(());
        };
        let error = anyhow!(
            "{}",
            undone.reason.as_deref().unwrap_or("no reason is given")
        );
        let origin = self.origin;
        Err(match undone.what == REFUSED {
            true => error.context(format!("a host has refused `{origin}`, so no host runs it")),
            false => error.context(format!("`{origin}` was rolled back ({})", undone.what)),
        })
        .hint(|| "hosts keep the version that they ran before; see `weir status`")
    }
}

/// All hosts that run an operator.
#[derive(Debug)]
pub(super) struct Fleet {
    /// Sorted by the hosts' names.
    pub(super) hosts: Vec<(String, Running)>,
    /// Replicas of the pipeline's streams.
    pub(super) replicas: usize,
}

impl Fleet {
    /// Finds the hosts that run it.
    ///
    /// # Errors
    /// If no such host responds.
    pub(super) async fn find(
        connection: &Connection,
        operator_path: &OperatorPath,
    ) -> Result<Self> {
        let fleet = Self::ask(connection, operator_path).await?;
        if fleet.hosts.is_empty() {
            let error = anyhow!("no host that runs `{operator_path}` responds");
            let action = "see what runs with `weir status`";
            return Err(report::hint(error, action));
        }
        Ok(fleet)
    }

    async fn ask(connection: &Connection, operator_path: &OperatorPath) -> Result<Self> {
        let mut replicas = 1;
        let mut hosts = Vec::new();
        for host in service::discover(connection, ANSWERS).await? {
            let pipelines = host
                .pointer("/pipelines")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            for pipeline in pipelines.filter(|each| each["name"] == operator_path.pipeline) {
                let copies = pipeline["replicas"].as_u64().unwrap_or(1);
                replicas = replicas.max(usize::try_from(copies).unwrap_or(1));
                let operators = pipeline
                    .pointer("/operators")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten();
                let named = operators.filter(|each| each["name"] == operator_path.operator);
                for operator in named {
                    let id = host
                        .pointer("/host")
                        .and_then(Value::as_str)
                        .unwrap_or_default();
                    let mut running: Running = serde_json::from_value(operator.clone())?;
                    running.is_of_job = pipeline["job"].is_object();
                    hosts.push((id.to_owned(), running));
                }
            }
        }
        hosts.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Self { hosts, replicas })
    }

    /// The digests of the components that `plugin:` names on these hosts.
    pub(super) fn configured(&self) -> Vec<String> {
        let digests = self.hosts.iter().map(|(_, host)| host.configured.clone());
        let digests: BTreeSet<String> = digests.collect();
        digests.into_iter().collect()
    }

    /// Which hosts are preparing a version, and since when; `None` if no host is.
    pub(super) fn preparing(&self, digest: &str) -> Option<String> {
        let it = |(id, host): &(String, Running)| {
            let version = host.preparing.as_ref()?;
            (version.digest == digest).then(|| format!("{id} since {}Z", moment(&version.since)))
        };
        let all: Vec<String> = self.hosts.iter().filter_map(it).collect();
        (!all.is_empty()).then(|| format!("prepared on {}", all.join(", ")))
    }

    /// Whether a host had already reported this refusal.
    fn refused(&self, id: &str, refused: &Refused) -> bool {
        let hosts = self.hosts.iter().filter(|(host, _)| host == id);
        let mut before = hosts.filter_map(|(_, host)| host.refused.as_ref());
        before.any(|before| before == refused)
    }

    /// The hosts that are not among `others`.
    fn missing(&self, others: &Self) -> Vec<String> {
        let there = |id: &String| others.hosts.iter().any(|(other, _)| other == id);
        let missing = self.hosts.iter().filter(|(id, _)| !there(id));
        missing.map(|(id, _)| id.clone()).collect()
    }

    /// Waits until all hosts have followed the command; `self` is the state before it. Returns the hosts that
    /// have followed, and those that no longer respond, which are also listed in a warning.
    ///
    /// # Errors
    /// If a host refuses the command, with its reason; if the command is undone; or after a timeout.
    pub(super) async fn wait(
        &self,
        command: &Command<'_>,
        done: impl Fn(&Running) -> bool,
        console: &Console,
    ) -> Result<(Self, Vec<String>)> {
        let progress = console.progress("waiting for the hosts");
        let mut until = Instant::now() + PATIENCE;
        let mut again = 0;
        loop {
            let fleet = Self::ask(command.connection, command.operator_path).await?;
            for (id, host) in &fleet.hosts {
                let is_new = |refused: &&Refused| {
                    refused.digest == command.digest && !self.refused(id, refused)
                };
                if let Some(refused) = host.refused.as_ref().filter(is_new) {
                    return Err(refused.error(id));
                }
            }
            // After the hosts have responded: one may have followed the command and undone it again.
            command.still_holds().await?;
            if !fleet.hosts.is_empty() && fleet.hosts.iter().all(|(_, host)| done(host)) {
                let missing = self.missing(&fleet);
                if missing.is_empty() || again == ONCE_MORE {
                    drop(progress);
                    if !missing.is_empty() {
                        let all = missing.join(", ");
                        report::note(&format!("warning: these hosts no longer respond: {all}"));
                    }
                    return Ok((fleet, missing));
                }
                again += 1;
            }
            if let Some(preparing) = fleet.preparing(command.digest) {
                // What a host compiles and tries has bounds of its own.
                until = Instant::now() + PATIENCE;
                progress.say(format!("waiting for the hosts; {preparing}"));
            }
            if Instant::now() > until {
                let not = fleet.hosts.iter().filter(|(_, host)| !done(host));
                let not = not.map(|(id, _)| id.clone());
                let not: Vec<String> = not.chain(self.missing(&fleet)).collect();
                bail!(
                    "these hosts have not followed within a minute: {}",
                    not.join(", ")
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_do_not_answer_any_more_are_missing_and_those_that_came_are_not() {
        let fleet = |names: &[&str]| Fleet {
            hosts: names
                .iter()
                .map(|&name| (name.to_owned(), Running::default()))
                .collect(),
            replicas: 1,
        };
        let planned = fleet(&["a", "b", "c"]);
        assert_eq!(planned.missing(&fleet(&["b", "d"])), ["a", "c"]);
        assert!(planned.missing(&fleet(&["a", "b", "c", "d"])).is_empty());
    }
}
