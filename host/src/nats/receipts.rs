//! The receipts of swaps: what ran on a lane up to which message, and what from which on.
//!
//! A bucket of the key-value store, a key for each swap of each lane. A receipt is begun before the
//! lane takes the new version, and completed when its first message has come; every write is a
//! compare-and-swap, so that none replaces what another host has written.

use super::{Connection, buckets};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::kv::{Config, CreateErrorKind, Operation, Store};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The bucket of all hosts and pipelines.
pub const BUCKET: &str = "weir-receipts";
/// What was done where a host has gone back because another could not run a version.
pub const REJECTED: &str = "rejected";
/// How long a receipt is kept.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// One version of a plugin on one lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// blake3 of the component, in hex.
    pub digest: String,
    /// The sequence in the source of the message at the border: the last that the old version was
    /// called with, the first of the new one. `None` where there was none, or none yet.
    pub sequence: Option<u64>,
}

/// One swap of one lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Names it to `weir plugin rollback`; empty until it is read.
    #[serde(default)]
    pub id: String,
    pub pipeline: String,
    pub operator: String,
    /// Name and process id of the host.
    pub host: String,
    pub lane: usize,
    /// `swapped`, `rolled back`, `canary 10 %` and so on.
    #[serde(default)]
    pub what: String,
    pub old: Version,
    pub new: Version,
    /// Where the new version came from.
    pub origin: String,
    /// When the swap began, RFC 3339.
    pub began: String,
    /// When the lane had the new version; `None` if it never said so.
    pub taken: Option<String>,
}

/// A receipt that this host has written.
pub struct Written {
    pub receipt: Receipt,
    key: String,
    revision: u64,
}

/// The bucket.
#[derive(Clone)]
pub struct Receipts(Store);

impl Receipts {
    /// Finds the bucket, or makes it with this many replicas.
    ///
    /// # Errors
    /// When it is not there and may not be made.
    pub async fn open(connection: &Connection, replicas: usize) -> Result<Self> {
        let config = Config {
            bucket: BUCKET.to_owned(),
            description: "weir: which version of a plugin worked on what".to_owned(),
            history: 1,
            max_age: KEPT,
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

    /// Writes a receipt that was not there before. `number` tells the swaps of a lane apart.
    ///
    /// # Errors
    /// When it is not stored.
    pub async fn begin(&self, receipt: Receipt, number: u64) -> Result<Written> {
        let Receipt {
            pipeline,
            operator,
            host,
            lane,
            ..
        } = &receipt;
        let key = format!("{pipeline}.{operator}.{host}.{lane}.{number}");
        let what = || format!("cannot write the receipt `{key}`");
        let value = serde_json::to_vec(&receipt).with_context(what)?;
        let created = self.0.create(&key, value.into()).await;
        let revision = created
            .map_err(|error| match error.kind() {
                CreateErrorKind::AlreadyExists => anyhow!("it is there already"),
                _ => anyhow!("{error}"),
            })
            .with_context(what)
            .hint(|| format!("allow this user to publish to `$KV.{BUCKET}.>`"))?;
        Ok(Written {
            receipt,
            key,
            revision,
        })
    }

    /// Writes what has become of a receipt since.
    ///
    /// # Errors
    /// When it is not stored, or somebody else has written to it.
    pub async fn complete(&self, written: &mut Written) -> Result<()> {
        let key = &written.key;
        let what = || format!("cannot complete the receipt `{key}`");
        let value = serde_json::to_vec(&written.receipt).with_context(what)?;
        let updated = self.0.update(key, value.into(), written.revision).await;
        written.revision = updated
            .map_err(|error| anyhow!("{error}"))
            .with_context(what)?;
        Ok(())
    }

    /// All receipts of a pipeline, or of one of its operators, or of all; oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn list(
        &self,
        pipeline: Option<&str>,
        operator: Option<&str>,
    ) -> Result<Vec<Receipt>> {
        let what = || format!("cannot read the bucket `{BUCKET}`");
        let status = self.0.status().await.map_err(|error| anyhow!("{error}"));
        if status.with_context(what)?.values() == 0 {
            return Ok(Vec::new());
        }
        let filter = format!("{}.{}.>", pipeline.unwrap_or("*"), operator.unwrap_or("*"));
        let keys = self.0.watch_with_history(filter).await;
        let mut entries = keys
            .map_err(|error| anyhow!("{error}"))
            .with_context(what)?;
        let mut receipts = Vec::new();
        // The client ends the first look with an entry that has nothing behind it; where nothing
        // matches it says nothing at all.
        while let Ok(Some(entry)) = tokio::time::timeout(QUIET, entries.next()).await {
            let entry = entry
                .map_err(|error| anyhow!("{error}"))
                .with_context(what)?;
            if entry.operation == Operation::Put
                && let Ok(receipt) = serde_json::from_slice::<Receipt>(&entry.value)
            {
                let id = id(&entry.key);
                receipts.push(Receipt { id, ..receipt });
            }
            if entry.delta == 0 {
                break;
            }
        }
        receipts.sort_by(|one: &Receipt, other: &Receipt| one.began.cmp(&other.began));
        Ok(receipts)
    }
}

/// Short, and another for each key.
fn id(key: &str) -> String {
    let hash = blake3::hash(key.as_bytes()).to_hex();
    hash.get(..ID).unwrap_or_default().to_owned()
}

/// Characters of an id: 40 bits tell the receipts of an operator apart.
const ID: usize = 10;
/// Silence after which no receipt matches.
const QUIET: Duration = Duration::from_secs(2);

/// This process among all hosts, as a part of a key: name and process id.
#[must_use]
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let name = name.ok().or_else(|| std::env::var("HOSTNAME").ok());
    let plain = |c: char| match c {
        c if c.is_ascii_alphanumeric() || c == '-' || c == '_' => c,
        _ => '-',
    };
    let name: String = name
        .as_deref()
        .map_or("host", str::trim)
        .chars()
        .map(plain)
        .collect();
    format!("{name}-{}", std::process::id())
}
