//! The receipts of swaps: the last message of the old version on a lane, and the first of the new one.
//!
//! They are in a key-value bucket, with a key for each swap of each lane. A receipt is begun before the lane
//! installs the new version, and completed when its first message has come. Every write is a
//! compare-and-swap, so that no host overwrites another's.

use super::Connection;
use super::buckets::{Keys, Write};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::kv::Config;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The bucket of all hosts and pipelines.
pub const BUCKET: &str = "weir-receipts";
/// The `what` of a receipt where a host has rolled back because another host could not run the version.
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
pub struct Receipts(Keys);

impl Receipts {
    /// Finds the bucket, or makes it with this many replicas.
    ///
    /// # Errors
    /// When it is not there and may not be made.
    pub async fn open(connection: &Connection, replicas: usize) -> Result<Self> {
        let config = Config {
            bucket: BUCKET.to_owned(),
            description: "weir: receipts of swaps".to_owned(),
            history: 1,
            max_age: KEPT,
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

    /// Writes a new receipt. `number` identifies the swap of a lane.
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
        let written = match self.0.write(&key, value.into(), 0).await {
            Ok(Write::Stored(revision)) => Ok(revision),
            Ok(Write::Overtaken(_)) => Err(anyhow!("it already exists")),
            Err(error) => Err(error),
        };
        let revision = written
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
    /// When it is not stored, or another writer has changed it.
    pub async fn complete(&self, written: &mut Written) -> Result<()> {
        let key = &written.key;
        let what = || format!("cannot complete the receipt `{key}`");
        let value = Bytes::from(serde_json::to_vec(&written.receipt).with_context(what)?);
        loop {
            let revision = written.revision;
            match self.0.write(key, value.clone(), revision).await {
                Ok(Write::Stored(revision)) => {
                    written.revision = revision;
                    return Ok(());
                }
                // An earlier write of this host, whose answer was lost.
                Ok(Write::Overtaken(there))
                    if there.revision > revision && written.receipt.is_same(&there.value) =>
                {
                    written.revision = there.revision;
                }
                Ok(Write::Overtaken(_)) => {
                    return Err(anyhow!("another writer has changed it")).with_context(what);
                }
                Err(error) => return Err(error).with_context(what),
            }
        }
    }

    /// Deletes a receipt of a swap that is not made.
    ///
    /// # Errors
    /// When the server does not say that it has.
    pub async fn withdraw(&self, written: Written) -> Result<()> {
        let key = written.key;
        let deleted = self.0.delete(&key).await;
        deleted.with_context(|| format!("cannot delete the receipt `{key}`"))
    }

    /// All receipts of a pipeline, or of one of its operators, or of all; oldest first.
    ///
    /// # Errors
    /// When not all of them can be read.
    pub async fn list(
        &self,
        pipeline: Option<&str>,
        operator: Option<&str>,
    ) -> Result<Vec<Receipt>> {
        let filter = format!("{}.{}.>", pipeline.unwrap_or("*"), operator.unwrap_or("*"));
        let mut receipts = Vec::new();
        for entry in self.0.entries(&filter).await? {
            let receipt: Receipt = entry.parse()?;
            let id = id(&entry.key);
            receipts.push(Receipt { id, ..receipt });
        }
        receipts.sort_by(|one: &Receipt, other: &Receipt| one.began.cmp(&other.began));
        Ok(receipts)
    }
}

impl Receipt {
    /// Whether this is the receipt of the same swap of the same lane, however complete.
    fn is_same(&self, other: &[u8]) -> bool {
        let bare = |receipt: &Self| {
            let version = |version: &Version| Version {
                sequence: None,
                ..version.clone()
            };
            Self {
                old: version(&receipt.old),
                new: version(&receipt.new),
                taken: None,
                ..receipt.clone()
            }
        };
        serde_json::from_slice(other).is_ok_and(|other| bare(self) == bare(&other))
    }
}

/// Short, and another for each key.
fn id(key: &str) -> String {
    let hash = blake3::hash(key.as_bytes()).to_hex();
    hash.get(..ID).unwrap_or_default().to_owned()
}

/// Characters of an id: 40 bits distinguish the receipts of an operator.
const ID: usize = 10;

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
