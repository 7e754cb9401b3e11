//! What operators are to run, where that is not what `plugin:` names: deployments, canaries and
//! shadows, and the versions that must not come back.
//!
//! A bucket of the key-value store, a key `<pipeline>.<operator>` for each operator that anything was
//! ever deployed to or rolled back for. Commands and hosts write to it by compare-and-swap, all hosts
//! that run the pipeline follow it. What such a key says, and how it changes, is in `record.rs`.

mod record;

pub use record::{
    Component, Decision, Deployment, FORCED_BACK, Quarantined, REFUSED, ROLLED_BACK, Stable, Trial,
    TrialKind,
};

use super::{Connection, buckets};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::jetstream::kv::{
    Config, CreateErrorKind, Operation, Store, UpdateErrorKind, Watch,
};
use futures_util::{Stream, StreamExt};

/// The bucket of all hosts and pipelines.
pub const BUCKET: &str = "weir-deployments";
/// Tries to write to a key that others write to as well.
const TRIES: usize = 10;

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
