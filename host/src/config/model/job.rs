//! Settings that only a job has: a pipeline with `delivery: exactly-once`, `order: key` or `order: stream`.

use crate::config::units::{DurationText, SizeText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The delivery guarantee for each input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// The host processes an input until its results are stored. After a failure it may process the input again.
    AtLeastOnce,
    /// The results, the changes of state and the position in the source are stored together, once. The pipeline runs
    /// as a job, with a stream of its own.
    ExactlyOnce,
}

/// The state of a job.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct State {
    /// Where a host keeps the state of the partitions that it owns or stands by for.
    pub store: Store,
    /// The directory of states on disk, with a subdirectory for each state. A relative path starts at the folder of
    /// this file. The default is `weir/state` in the user's cache directory: `$XDG_CACHE_HOME` or `~/.cache`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The most memory that the state of one partition may take, or the most disk space with `store: disk`. A message
    /// that would exceed it becomes a dead letter; other messages continue.
    pub max_bytes: SizeText,
    /// The time to live of a value for which the plugin sets none. If the plugin sets the value again, the time
    /// starts again. By default such values stay for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<DurationText>,
    /// The number of other hosts that keep a current copy of the state of each partition, so that one of them takes
    /// over at once when the owner is gone. Each copy takes as much memory, or disk space, as the state itself.
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

/// Where a host keeps the state of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// In memory.
    Memory,
    /// On disk, for a state that is larger than memory. It is a copy of the data in the stream of the job. A
    /// restarted host continues with it. If the copy is lost or damaged, the host reads the state from the stream.
    Disk,
}

/// Limits of one commit of a partition. The results and changes of one message must fit into one commit.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Commit {
    /// The most results and dead letters.
    #[schemars(range(min = 1, max = 900))]
    pub max_messages: usize,
    /// The most bytes of these and of the changes of state.
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
