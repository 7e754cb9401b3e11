//! What operators are to run, where that is not what `plugin:` names: deployments, canaries and
//! shadows, and the versions that must not come back.
//!
//! A bucket of the key-value store, a key `<pipeline>.<operator>` for each operator that anything was
//! ever deployed to or rolled back for. Commands and hosts write to it by compare-and-swap, all hosts
//! that run the pipeline follow it.

use super::{Connection, buckets};
use crate::pipeline::tally::Sample;
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::jetstream::kv::{
    Config, CreateErrorKind, Operation, Store, UpdateErrorKind, Watch,
};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};

/// The bucket of all hosts and pipelines.
pub const BUCKET: &str = "weir-deployments";
/// Versions that are remembered as bad, for each operator.
const QUARANTINED: usize = 32;
/// Tries to write to a key that others write to as well.
const TRIES: usize = 10;

/// A component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// blake3 of its bytes, in hex: its name in the bucket of components.
    pub digest: String,
    /// Where it came from, for people.
    pub origin: String,
}

/// What an operator is to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// In the place of what `plugin:` names.
    pub stable: Option<Stable>,
    /// Beside it.
    pub trial: Option<Trial>,
    pub quarantine: Vec<Quarantined>,
    pub last: Decision,
}

/// What runs in the place of what `plugin:` names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stable {
    pub component: Component,
    /// The digests of what `plugin:` named when this was decided. A host for which it names another
    /// component since runs that: who decides last has his way.
    pub over: Vec<String>,
}

/// What is tried beside the version that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    pub component: Component,
    pub kind: TrialKind,
    /// As in [`Stable`], for when it takes over.
    pub over: Vec<String>,
}

/// How it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialKind {
    /// It sees this many percent of the keys.
    Canary(f64),
    /// It sees everything, and publishes nothing.
    Shadow,
}

/// A version that was worse than the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    pub digest: String,
    pub reason: String,
    /// RFC 3339.
    pub since: String,
}

/// Why it is as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Decision {
    /// What was done, in a word or two: `deployed`, `rolled back`, ...
    pub what: String,
    /// The version that it was done to.
    pub digest: String,
    pub reason: Option<String>,
    /// Messages that failed.
    pub samples: Vec<Sample>,
    /// RFC 3339.
    pub at: String,
}

impl Deployment {
    /// The component that a host runs for which `plugin:` names `configured`, if it is another.
    #[must_use]
    pub fn instead_of(&self, configured: &str) -> Option<&Component> {
        let stable = self.stable.as_ref()?;
        let applies = stable.over.iter().any(|digest| digest == configured);
        applies.then_some(&stable.component)
    }

    /// Why a version must not run.
    #[must_use]
    pub fn quarantined(&self, digest: &str) -> Option<&Quarantined> {
        self.quarantine.iter().find(|each| each.digest == digest)
    }

    /// Lets no host take a version any more.
    pub fn banish(&mut self, digest: &str, reason: &str) {
        self.quarantine.retain(|each| each.digest != digest);
        let excess = (self.quarantine.len() + 1).saturating_sub(QUARANTINED);
        self.quarantine.drain(..excess);
        self.quarantine.push(Quarantined {
            digest: digest.to_owned(),
            reason: reason.to_owned(),
            since: now(),
        });
    }

    /// Says why it is now as it is.
    pub fn decided(&mut self, what: &str, digest: &str, reason: Option<String>) {
        self.last = Decision {
            what: what.to_owned(),
            digest: digest.to_owned(),
            reason,
            samples: Vec::new(),
            at: now(),
        };
    }
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// A change of one operator's key, as a host sees it.
pub struct Changed {
    pub pipeline: String,
    pub operator: String,
    pub deployment: Deployment,
}

/// The bucket.
#[derive(Clone)]
pub struct Deployments(Store);

impl Deployments {
    /// Finds the bucket, or makes it with this many replicas.
    ///
    /// # Errors
    /// When it is not there and may not be made.
    pub async fn open(connection: &Connection, replicas: usize) -> Result<Self> {
        let config = Config {
            bucket: BUCKET.to_owned(),
            description: "weir: what operators run in the place of what is configured".to_owned(),
            history: 10,
            num_replicas: replicas,
            ..Default::default()
        };
        buckets::keys(connection, config).await.map(Self)
    }

    /// Finds the bucket.
    ///
    /// # Errors
    /// `Ok(None)` when there is none; an error when the server does not say.
    pub async fn find(connection: &Connection) -> Result<Option<Self>> {
        let found = buckets::keys_if_there(connection, BUCKET).await?;
        Ok(found.map(Self))
    }

    /// What an operator is to run, with the revision of its key; the default where nobody has said.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn get(&self, pipeline: &str, operator: &str) -> Result<(Deployment, u64)> {
        let key = key(pipeline, operator);
        let what = || format!("cannot read what is deployed to `{pipeline}/{operator}`");
        let entry = self.0.entry(key).await;
        let entry = entry
            .map_err(|error| anyhow!("{error}"))
            .with_context(what)?;
        match entry {
            Some(entry) if entry.operation == Operation::Put => {
                let deployment = serde_json::from_slice(&entry.value).with_context(what)?;
                Ok((deployment, entry.revision))
            }
            Some(entry) => Ok((Deployment::default(), entry.revision)),
            None => Ok((Deployment::default(), 0)),
        }
    }

    /// Writes what an operator is to run, if nobody has written since `revision`; false if somebody has.
    ///
    /// # Errors
    /// When it is not stored.
    pub async fn put(
        &self,
        pipeline: &str,
        operator: &str,
        deployment: &Deployment,
        revision: u64,
    ) -> Result<bool> {
        let key = key(pipeline, operator);
        let what = || format!("cannot write what is deployed to `{pipeline}/{operator}`");
        let value = serde_json::to_vec(deployment).with_context(what)?;
        let written = match revision {
            0 => match self.0.create(&key, value.into()).await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(anyhow!("{error}")),
            },
            _ => match self.0.update(&key, value.into(), revision).await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(false),
                Err(error) => Err(anyhow!("{error}")),
            },
        };
        written
            .with_context(what)
            .hint(|| format!("allow this user to publish to `$KV.{BUCKET}.>`"))
    }

    /// Changes what an operator is to run. `change` is asked again when another was faster, and says
    /// whether there is anything to write; the answer is whether it was.
    ///
    /// # Errors
    /// When it is not stored.
    pub async fn change(
        &self,
        pipeline: &str,
        operator: &str,
        mut change: impl FnMut(&mut Deployment) -> bool,
    ) -> Result<bool> {
        for _ in 0..TRIES {
            let (mut deployment, revision) = self.get(pipeline, operator).await?;
            if !change(&mut deployment) {
                return Ok(false);
            }
            if self.put(pipeline, operator, &deployment, revision).await? {
                return Ok(true);
            }
        }
        bail!("others change what is deployed to `{pipeline}/{operator}` all the time");
    }

    /// What is written to any key, what is there now first.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub async fn watch(&self) -> Result<impl Stream<Item = Changed> + use<>> {
        let watch: Watch = self
            .0
            .watch_with_history(">")
            .await
            .map_err(|error| anyhow!("{error}"))
            .with_context(|| format!("cannot follow the bucket `{BUCKET}`"))?;
        // A key that cannot be read is no reason not to see the others.
        Ok(watch.filter_map(async |entry| {
            let entry = entry.ok()?;
            let (pipeline, operator) = entry.key.split_once('.')?;
            let deployment = match entry.operation {
                Operation::Put => serde_json::from_slice(&entry.value).ok()?,
                _ => Deployment::default(),
            };
            Some(Changed {
                pipeline: pipeline.to_owned(),
                operator: operator.to_owned(),
                deployment,
            })
        }))
    }
}

fn key(pipeline: &str, operator: &str) -> String {
    format!("{pipeline}.{operator}")
}
