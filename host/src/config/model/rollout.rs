//! The `rollout:` section of an operator.

use crate::config::units::{DurationText, PercentText, SizeText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a new version of the plugin is compared with the previous version, after a swap and while it is a
/// canary. A version that is worse is rolled back and quarantined.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Rollout {
    /// How long a new version is on probation after it has taken over; `0s` disables automatic rollback.
    pub probation: DurationText,
    /// How long a canary runs before it takes over, unless it is worse; `0s` waits for `weir plugin
    /// promote`.
    pub canary: DurationText,
    /// Messages that a version must have processed before it is judged.
    #[schemars(range(min = 1))]
    pub min_messages: u64,
    /// How much higher than the previous version's the share of failed messages may be. Failed messages
    /// are those that the plugin rejects, retries or gives no answer to.
    pub max_errors: PercentText,
    /// The time that a message may take in the plugin, relative to the previous version. Differences
    /// below 1 ms are ignored, because they may come from a busy machine.
    pub max_call_time: PercentText,
    /// Memory on a host for the states of a shadow of a job: its copies, and the one that is compared with them at a
    /// time. A shadow that needs more ends, and says so.
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
