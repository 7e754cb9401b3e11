//! The hosts that run an operator: what each of them runs, and the wait until all run something else.

use crate::cli::Console;
use crate::nats::{Connection, service};
use crate::report;
use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long to wait for the answers of hosts.
const ANSWERS: Duration = Duration::from_millis(700);
/// How long hosts may take to do what they are told.
const PATIENCE: Duration = Duration::from_secs(60);

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
    pub(super) async fn find(connection: &Connection, place: &Place) -> Result<Self> {
        let fleet = Self::ask(connection, place).await?;
        if fleet.hosts.is_empty() {
            let error = anyhow!("no host answers that runs `{place}`");
            let action = "see what runs with `weir status`";
            return Err(report::hint(error, action));
        }
        Ok(fleet)
    }

    async fn ask(connection: &Connection, place: &Place) -> Result<Self> {
        let mut replicas = 1;
        let mut hosts = Vec::new();
        for host in service::discover(connection, ANSWERS).await? {
            let pipelines = host
                .pointer("/pipelines")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            for pipeline in pipelines.filter(|each| each["name"] == place.pipeline) {
                let copies = pipeline["replicas"].as_u64().unwrap_or(1);
                replicas = replicas.max(usize::try_from(copies).unwrap_or(1));
                let operators = pipeline
                    .pointer("/operators")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten();
                let named = operators.filter(|each| each["name"] == place.operator);
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

    /// Waits until what every host runs is as it should be; this is how it was.
    ///
    /// # Errors
    /// When a host refuses `digest`, with its reason; or when it takes too long.
    pub(super) async fn wait(
        &self,
        connection: &Connection,
        place: &Place,
        digest: &str,
        done: impl Fn(&Running) -> bool,
        console: &Console,
    ) -> Result<Self> {
        let _progress = console.progress("waiting for the hosts");
        let until = Instant::now() + PATIENCE;
        loop {
            let fleet = Self::ask(connection, place).await?;
            for (id, host) in &fleet.hosts {
                let is_new =
                    |refused: &&Refused| refused.digest == digest && !self.refused(id, refused);
                if let Some(refused) = host.refused.as_ref().filter(is_new) {
                    let error =
                        anyhow!("{}", refused.error).context(format!("host `{id}` refuses"));
                    return Err(match &refused.hint {
                        Some(hint) => report::hint(error, hint.clone()),
                        None => error,
                    });
                }
            }
            if !fleet.hosts.is_empty() && fleet.hosts.iter().all(|(_, host)| done(host)) {
                return Ok(fleet);
            }
            if Instant::now() > until {
                let not = fleet.hosts.iter().filter(|(_, host)| !done(host));
                let not: Vec<&str> = not.map(|(id, _)| id.as_str()).collect();
                bail!(
                    "these hosts have not followed within a minute: {}",
                    not.join(", ")
                );
            }
        }
    }
}
