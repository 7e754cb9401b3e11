//! What a plugin may use, with the reason of each default.

use std::time::Duration;

/// How long an instance lives, if it does not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Isolation {
    /// As long as its lane, but for what [`Limits`] say of recycling.
    #[default]
    Lane,
    /// For one call with one message: nothing that a message leaves in memory is there for the next.
    Message,
}

/// Limits of one operator's instances. On for every plugin; a pipeline may change each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What messages share. A lane's instance: a fresh one for each message costs tens of
    /// microseconds, and the plugin's `configure` on top.
    pub isolation: Isolation,
    /// Linear memory and tables of an instance, in bytes. 64 MiB: ten times what a Go or Rust guest
    /// uses (1.3 to 8.8 MiB measured), and 100 such instances still fit a small machine.
    pub memory_bytes: usize,
    /// Time of one batch call, whatever the guest does with it: computing, sleeping, importing.
    /// 1 s: a thousand times the usual batch, short enough that finding the message that hangs
    /// (bisection, some eight calls) stays far below the default ack-wait.
    pub deadline: Duration,
    /// Bytes that one call may hand back. 16 MiB: a batch of the default size doubled, twice.
    pub output_bytes: usize,
    /// Bytes of the body of one HTTP response. 4 MiB: a page of an API with room to spare, and all
    /// open requests together stay below half of `memory_bytes`.
    pub http_response_bytes: usize,
    /// HTTP requests that an instance may have open at once. 8: enough to hide the time of a
    /// server's answer, few enough not to be an attack on it.
    pub http_requests: usize,
    /// Component-model handles an instance may hold. 256: a guest of this contract needs the
    /// handles of stdio and clocks, ten or so; a leak shows early.
    pub handles: usize,
    /// Calls after which an instance is replaced. 100,000: some language runtimes leak a few
    /// kibibytes a call; a fresh instance costs microseconds.
    pub recycle_calls: u64,
    /// Bytes of linear memory above which an instance is replaced between calls: three quarters of
    /// `memory_bytes`, so that a leak is swept before an allocation fails.
    pub recycle_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            isolation: Isolation::Lane,
            memory_bytes: 64 << 20,
            deadline: Duration::from_secs(1),
            output_bytes: 16 << 20,
            http_response_bytes: 4 << 20,
            http_requests: 8,
            handles: 256,
            recycle_calls: 100_000,
            recycle_bytes: 48 << 20,
        }
    }
}
