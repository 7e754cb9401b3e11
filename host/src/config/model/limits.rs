//! The `limits:` section of an operator.

use crate::config::units::{DurationText, SizeText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one instance of a plugin can use. These limits apply to every plugin.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Linear memory and tables.
    pub memory: SizeText,
    /// The maximum duration of one call, whether the plugin computes or waits.
    pub deadline: DurationText,
    /// Bytes that one call may return.
    pub output: SizeText,
    /// Bytes of the body of one HTTP response.
    pub http_response: SizeText,
    /// HTTP requests that an instance may have open at once.
    #[schemars(range(min = 1, max = 1000))]
    pub http_requests: usize,
    /// Component-model handles that an instance may hold.
    #[schemars(range(min = 16, max = 1000000))]
    pub handles: usize,
    /// Calls after which an instance is replaced by a fresh one.
    #[schemars(range(min = 1))]
    pub recycle_calls: u64,
    /// Memory above which an instance is replaced between calls. The default is three quarters of
    /// `memory`.
    pub recycle_memory: Option<SizeText>,
    /// What compiling the plugin may take. It happens in a process of its own, which is ended at these
    /// limits; the version that runs keeps running.
    pub compile: Compile,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: "64MiB".into(),
            deadline: "1s".into(),
            output: "16MiB".into(),
            http_response: "4MiB".into(),
            http_requests: 8,
            handles: 256,
            recycle_calls: 100_000,
            recycle_memory: None,
            compile: Compile::default(),
        }
    }
}

/// What the process that compiles a plugin may take.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Compile {
    /// Time on the clock, and processor time of all its threads together.
    pub time: DurationText,
    /// Address space, its own program included: at least 256MiB.
    pub memory: SizeText,
}

impl Default for Compile {
    fn default() -> Self {
        Self {
            time: "10m".into(),
            memory: "2GiB".into(),
        }
    }
}
