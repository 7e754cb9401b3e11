//! The hosts that run an operator: what each of them runs, and the wait until all run something else.

use crate::cli::Console;
use crate::nats::deployments::{Decision, Deployments, REFUSED};
use crate::nats::{Connection, service};
use crate::report::{self, ResultExt};
use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long to wait for the answers of hosts.
const ANSWERS: Duration = Duration::from_millis(700);
/// How long hosts may take to do what they are told.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often hosts that answered before are asked once more when they do not, and all others are done.
const ONCE_MORE: usize = 4;

/// `PIPELINE/OPERATOR`.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) pipeline: String,
    pub(super) operator: String,
}

impl Place {
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

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.pipeline, self.operator)
    }
}

/// An operator as one host runs it; what a host of another version does not tell is empty.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Running {
    pub(super) name: String,
    pub(super) plugin: String,
    pub(super) digest: String,
    /// The digest of what `plugin:` names there.
    pub(super) configured: String,
    pub(super) contract: String,
    pub(super) imports: Vec<String>,
    pub(super) grants: Vec<String>,
    pub(super) size: u64,
    pub(super) config_hash: String,
    pub(super) canary: Option<Tried>,
    pub(super) shadow: Option<Tried>,
    pub(super) refused: Option<Refused>,
    /// While the version that runs is watched.
    pub(super) probation: Option<Probation>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Probation {
    /// The digest of what would run again.
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

/// What all hosts were told.
pub(super) struct Told<'a> {
    pub(super) connection: &'a Connection,
    pub(super) deployments: &'a Deployments,
    pub(super) operator_path: &'a Place,
    /// The version that they are to run or to try; empty where they are to end something.
    pub(super) digest: &'a str,
    /// It, for people.
    pub(super) origin: &'a str,
    /// What their record said then.
    pub(super) decision: Decision,
}

impl Told<'_> {
    /// # Errors
    /// When it does not hold any more, with the reason; whoever has decided something else since.
    async fn still_holds(&self) -> Result<()> {
        let Place { pipeline, operator } = self.operator_path;
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
            true => error.context(format!("a host has refused `{origin}`, so none runs it")),
            false => error.context(format!("`{origin}` was taken back ({})", undone.what)),
        })
        .hint(|| "hosts go on with what they ran; see `weir status`")
    }
}

/// All hosts that run an operator.
#[derive(Debug)]
pub(super) struct Fleet {
    /// In the order of the hosts' names.
    pub(super) hosts: Vec<(String, Running)>,
    /// Copies that the pipeline's streams have.
    pub(super) replicas: usize,
}

impl Fleet {
    /// Asks who runs it.
    ///
    /// # Errors
    /// When nobody answers that does.
    pub(super) async fn find(connection: &Connection, operator_path: &Place) -> Result<Self> {
        let fleet = Self::ask(connection, operator_path).await?;
        if fleet.hosts.is_empty() {
            let error = anyhow!("no host answers that runs `{operator_path}`");
            let action = "see what runs with `weir status`";
            return Err(report::hint(error, action));
        }
        Ok(fleet)
    }

    async fn ask(connection: &Connection, operator_path: &Place) -> Result<Self> {
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
                        .pointer("/service_id")
                        .and_then(Value::as_str)
                        .unwrap_or_default();
                    let running = serde_json::from_value(operator.clone())?;
                    hosts.push((id.to_owned(), running));
                }
            }
        }
        hosts.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Self { hosts, replicas })
    }

    /// The digests of what `plugin:` names on these hosts.
    pub(super) fn configured(&self) -> Vec<String> {
        let digests = self.hosts.iter().map(|(_, host)| host.configured.clone());
        let digests: BTreeSet<String> = digests.collect();
        digests.into_iter().collect()
    }

    /// Whether a host had refused this before.
    fn refused(&self, id: &str, refused: &Refused) -> bool {
        let hosts = self.hosts.iter().filter(|(host, _)| host == id);
        let mut before = hosts.filter_map(|(_, host)| host.refused.as_ref());
        before.any(|before| before == refused)
    }

    /// Those of these hosts that are not among others.
    fn missing(&self, others: &Self) -> Vec<String> {
        let there = |id: &String| others.hosts.iter().any(|(other, _)| other == id);
        let missing = self.hosts.iter().filter(|(id, _)| !there(id));
        missing.map(|(id, _)| id.clone()).collect()
    }

    /// Waits until what every host runs is as it should be; this is how it was. The answer has those that
    /// follow, then those that have not answered any more, of which a warning says so.
    ///
    /// # Errors
    /// When a host refuses what it was told, with its reason; when that was taken back; or when it takes
    /// too long.
    pub(super) async fn wait(
        &self,
        told: &Told<'_>,
        done: impl Fn(&Running) -> bool,
        console: &Console,
    ) -> Result<(Self, Vec<String>)> {
        let progress = console.progress("waiting for the hosts");
        let until = Instant::now() + PATIENCE;
        let mut again = 0;
        loop {
            let fleet = Self::ask(told.connection, told.operator_path).await?;
            for (id, host) in &fleet.hosts {
                let is_new = |refused: &&Refused| {
                    refused.digest == told.digest && !self.refused(id, refused)
                };
                if let Some(refused) = host.refused.as_ref().filter(is_new) {
                    let error =
                        anyhow!("{}", refused.error).context(format!("host `{id}` refuses"));
                    return Err(match &refused.hint {
                        Some(hint) => report::hint(error, hint.clone()),
                        None => error,
                    });
                }
            }
            // After the hosts have answered: one may have taken it and let go of it again.
            told.still_holds().await?;
            if !fleet.hosts.is_empty() && fleet.hosts.iter().all(|(_, host)| done(host)) {
                let missing = self.missing(&fleet);
                if missing.is_empty() || again == ONCE_MORE {
                    drop(progress);
                    if !missing.is_empty() {
                        let all = missing.join(", ");
                        eprintln!("warning: these hosts do not answer any more: {all}");
                    }
                    return Ok((fleet, missing));
                }
                again += 1;
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
