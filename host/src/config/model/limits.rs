//! The `limits:` section of an operator.

use crate::config::units::{DurationText, SizeText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The resource limits of one instance of a plugin. These limits apply to every plugin.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Linear memory and tables.
    pub memory: SizeText,
    /// The maximum duration of one call, whether the plugin computes or waits.
    pub deadline: DurationText,
    /// The most bytes that one call may return.
    pub output: SizeText,
    /// The most bytes in the body of one HTTP response.
    pub http_response: SizeText,
    /// The most HTTP requests that an instance may have open at once.
    #[schemars(range(min = 1, max = 1000))]
    pub http_requests: usize,
    /// The most component-model handles that an instance may hold.
    #[schemars(range(min = 16, max = 1000000))]
    pub handles: usize,
    /// The number of calls after which the host replaces an instance.
    #[schemars(range(min = 1))]
    pub recycle_calls: u64,
    /// The memory above which the host replaces an instance between calls. The default is three quarters of `memory`.
    pub recycle_memory: Option<SizeText>,
    /// The limits for compiling the plugin. The host compiles in a separate process, and stops that process at these
    /// limits; the running version keeps running.
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

/// The limits of the process that compiles a plugin.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Compile {
    /// The limit of wall-clock time, and also of the processor time of all its threads together.
    pub time: DurationText,
    /// The limit of address space, which includes the program itself: at least 256MiB.
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
