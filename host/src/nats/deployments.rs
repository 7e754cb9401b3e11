//! The desired version of each operator if it differs from `plugin:`: deployments, canaries and shadows, and
//! the versions in quarantine.
//!
//! They are in a key-value bucket, with a key `<pipeline>.<operator>` for each operator that ever had a
//! deployment or a rollback. Commands and hosts write by compare-and-swap, and all hosts of the pipeline
//! follow it. `record.rs` has the content of a key and its changes, and `host_decision.rs` what one host
//! decides for all.

mod host_decision;
mod record;

pub use host_decision::HostDecision;
pub use record::{
    Component, Decision, Deployment, FORCED_BACK, Quarantined, REFUSED, ROLLED_BACK, Stable, Trial,
    TrialKind,
};

use super::Connection;
use super::buckets::{Keys, Write};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, bail};
use async_nats::jetstream::kv::{Config, Entry, Operation};
use futures_util::{Stream, StreamExt};
use std::future::ready;

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
pub struct Deployments(Keys);

impl Deployments {
    /// Finds the bucket, or makes it with this many replicas.
    ///
    /// # Errors
    /// When it is not there and may not be made.
    pub async fn open(connection: &Connection, replicas: usize) -> Result<Self> {
        let config = Config {
            bucket: BUCKET.to_owned(),
            description: "weir: deployed versions of operators".to_owned(),
            history: 10,
            num_replicas: replicas,
            ..Default::default()
        };
        Keys::open(connection, config).await.map(Self)
    }

    /// Finds the bucket.
    ///
    /// # Errors
    /// `Ok(None)` when there is none; an error when the server does not say.
    pub async fn find(connection: &Connection) -> Result<Option<Self>> {
        let found = Keys::find(connection, BUCKET).await?;
        Ok(found.map(Self))
    }

    /// The desired version of an operator, with the revision of its key; the default if there is no record.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn get(&self, pipeline: &str, operator: &str) -> Result<(Deployment, u64)> {
        let key = key(pipeline, operator);
        let what = || format!("cannot read the deployment of `{pipeline}/{operator}`");
        let Some((value, revision)) = self.0.get(&key).await.with_context(what)? else {
            return Ok((Deployment::default(), 0));
        };
        let said = value.map(|value| Deployment::read(&value, &key));
        let deployment = said.transpose().with_context(what);
        let deployment = deployment.hint(|| unsound(&key))?;
        Ok((deployment.unwrap_or_default(), revision))
    }

    /// Writes the desired version of an operator if the record has not changed since `revision`; false if it
    /// has.
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
        let what = || format!("cannot write the deployment of `{pipeline}/{operator}`");
        let mut deployment = deployment.clone();
        deployment.of.clone_from(&key);
        let value = serde_json::to_vec(&deployment).with_context(what)?;
        let written = self.0.write(&key, value.into(), revision).await;
        written
            .map(|written| matches!(written, Write::Stored(_)))
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
        bail!(
            "cannot change the deployment of `{pipeline}/{operator}`: others change it at the same time"
        );
    }

    /// What is written to any key, what is there now first. Ends when something may have been missed:
    /// then it is to be called again. A key that cannot be read does not keep the others back.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub async fn watch(&self) -> Result<impl Stream<Item = Result<Changed>> + use<>> {
        let watch = self.0.watch(">").await;
        let watch = watch.with_context(|| format!("cannot follow the bucket `{BUCKET}`"))?;
        let entries = watch.take_while(|entry| ready(entry.is_ok()));
        Ok(entries.filter_map(async |entry| changed(&entry.ok()?).transpose()))
    }
}

/// `None` for the key of something else.
fn changed(entry: &Entry) -> Result<Option<Changed>> {
    let Some((pipeline, operator)) = entry.key.split_once('.') else {
        return Ok(None);
    };
    let deployment = match entry.operation {
        Operation::Put => Deployment::read(&entry.value, &entry.key)
            .with_context(|| format!("cannot read the deployment of `{pipeline}/{operator}`"))?,
        _ => Deployment::default(),
    };
    Ok(Some(Changed {
        pipeline: pipeline.to_owned(),
        operator: operator.to_owned(),
        deployment,
    }))
}

fn unsound(key: &str) -> String {
    format!("find out who wrote it, and delete it with `nats kv del {BUCKET} {key}`")
}

fn key(pipeline: &str, operator: &str) -> String {
    format!("{pipeline}.{operator}")
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
