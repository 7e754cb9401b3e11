//! What a plugin can use, with the reason for each default.

pub use super::model::Isolation;
use std::time::Duration;

/// Limits of one operator's instances. They apply to every plugin; a pipeline can change each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long an instance lives, if it does not fail: as long as its lane, unless it is recycled
    /// earlier; or for one call with one message, which then leaves nothing in memory for the next one.
    /// Default: the lane's, because a fresh instance for each message costs tens of microseconds and a
    /// call of the plugin's `configure`.
    pub isolation: Isolation,
    /// Linear memory and tables of an instance, in bytes. 64 MiB: ten times what a Go or Rust guest
    /// uses (1.3 to 8.8 MiB measured), and 100 such instances still fit a small machine.
    pub memory_bytes: usize,
    /// Time of one batch call, whether the guest computes, sleeps or calls an import. 1 s: a thousand
    /// times the usual batch, and short enough that finding the message that hangs (bisection, about
    /// eight calls) stays far below the default ack-wait.
    pub deadline: Duration,
    /// Bytes that one call may return. 16 MiB: four times a batch of the default size.
    pub output_bytes: usize,
    /// Bytes of the body of one HTTP response. 4 MiB: more than a page of an API needs, and all open
    /// requests together stay below half of `memory_bytes`.
    pub http_response_bytes: usize,
    /// HTTP requests that an instance may have open at once. 8: enough to hide the latency of a server,
    /// and too few to overload it.
    pub http_requests: usize,
    /// Component-model handles an instance may hold. 256: a guest of this contract needs about ten, for
    /// stdio and clocks; a leak shows early.
    pub handles: usize,
    /// Calls after which an instance is replaced. 100,000: some language runtimes leak a few
    /// kibibytes a call; a fresh instance costs microseconds.
    pub recycle_calls: u64,
    /// Bytes of linear memory above which an instance is replaced between calls: three quarters of
    /// `memory_bytes`, so that a leaking instance is replaced before an allocation fails.
    pub recycle_bytes: usize,
    pub compile: CompileLimits,
}

/// What the process may take that compiles a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Time on the clock, and processor time of all its threads together. 10 min: six times what a
    /// component of 18 MB in Python takes on one busy core (99 s measured).
    pub time: Duration,
    /// Address space. 2 GiB: several times what that component needs, and a component of 7 MB that is
    /// built to be hard stays within it or is refused.
    pub memory_bytes: usize,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(600),
            memory_bytes: 2 << 30,
        }
    }
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
            compile: CompileLimits::default(),
        }
    }
}
