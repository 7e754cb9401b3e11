//! The `rollout:` section of an operator.

use crate::config::units::{DurationText, PercentText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a new version of the plugin is judged, by what the version before did: after a swap, and while
/// it is a canary. One that is worse is taken back and quarantined.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Rollout {
    /// How long a new version is watched after it has taken over; `0s` takes none back.
    pub probation: DurationText,
    /// How long a canary runs before it takes over, if it is no worse; `0s` waits for `weir plugin
    /// promote`.
    pub canary: DurationText,
    /// Messages that a version must have seen before it is judged.
    #[schemars(range(min = 1))]
    pub min_messages: u64,
    /// By how much the share of messages that fail may be above that of the version before. Those
    /// count that the plugin rejects or wants to see again, and those it gives no answer to.
    pub max_errors: PercentText,
    /// How long a message may take in the plugin, of what it took in the version before. Differences
    /// below 1 ms are ignored: they may be those of a busy machine.
    pub max_call_time: PercentText,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            probation: "1m".into(),
            canary: "5m".into(),
            min_messages: 100,
            max_errors: "1%".into(),
            max_call_time: "300%".into(),
        }
    }
}
