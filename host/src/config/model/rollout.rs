//! The `rollout:` section of an operator.

use crate::config::units::{DurationText, PercentText, SizeText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How hosts compare a new version of the plugin with the previous version, after a swap and while it is a
/// canary. They roll back and quarantine a version that is worse.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Rollout {
    /// The time for which a new version is on probation after it has taken over; `0s` disables automatic rollback.
    pub probation: DurationText,
    /// The time for which a canary runs before it takes over, unless it is worse; `0s` waits for
    /// `weir plugin promote`.
    pub canary: DurationText,
    /// The number of messages that a version must have processed before it is judged.
    #[schemars(range(min = 1))]
    pub min_messages: u64,
    /// The highest allowed increase of the share of failed messages over the previous version. Failed messages are
    /// those that the plugin rejects, retries or does not answer.
    pub max_errors: PercentText,
    /// The longest time that a message may take in the plugin, relative to the previous version.
    /// Differences below 1 ms are ignored, because they may come from a busy machine.
    pub max_call_time: PercentText,
    /// The most memory on a host for the states of a shadow of a job: its copies, and the state that is being
    /// compared with them. A shadow that needs more stops, and says so.
    pub shadow_max_bytes: SizeText,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            probation: "1m".into(),
            canary: "5m".into(),
            min_messages: 100,
            max_errors: "1%".into(),
            max_call_time: "300%".into(),
            shadow_max_bytes: "1GiB".into(),
        }
    }
}
