//! What only a job has: a pipeline with `delivery: exactly-once`, `order: key` or `order: stream`.

use crate::config::units::{DurationText, SizeText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is promised for each input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// It is processed until its results are stored. After a failure it may be processed again.
    AtLeastOnce,
    /// Its results, the changes of state and the position in the source are stored together, once. The
    /// pipeline runs as a job, with a stream of its own.
    ExactlyOnce,
}

/// The state of a job.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct State {
    /// Where a host keeps the state of the partitions that it owns or stands by for.
    pub store: Store,
    /// The directory of states on disk: below it each has one of its own. A relative path starts at the folder of this
    /// file. Without it they are in `weir/state` below the user's directory for caches: `$XDG_CACHE_HOME` or
    /// `~/.cache`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How much memory the state of one partition may take, or how much of the disk with `store: disk`. A message
    /// that would exceed it becomes a dead letter; others go on.
    pub max_bytes: SizeText,
    /// How long a value is kept that a plugin sets without a time to live of its own. Setting it again begins
    /// anew. Such values are kept for ever if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<DurationText>,
    /// How many of the other hosts keep a copy of the state of each partition up to date, so that one of them takes
    /// over at once when its owner is gone. Each copy takes as much memory, or disk, as the state itself.
    pub standby: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            store: Store::Memory,
            path: None,
            max_bytes: "256MiB".into(),
            ttl: None,
            standby: 0,
        }
    }
}

/// Where the state of a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// In memory.
    Memory,
    /// On disk, for a state that is larger than memory: a copy of what is in the stream of the job. A host that starts
    /// again goes on with it; if it is lost or damaged, it is read from the stream.
    Disk,
}

/// How much one commit of a partition may hold. What one message needs must fit into one commit.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Commit {
    /// Results and dead letters.
    #[schemars(range(min = 1, max = 900))]
    pub max_messages: usize,
    /// Bytes of these and of the changes of state.
    pub max_bytes: SizeText,
}

impl Default for Commit {
    fn default() -> Self {
        Self {
            max_messages: 900,
            max_bytes: "4MiB".into(),
        }
    }
}
