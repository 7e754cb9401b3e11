//! Calls that the host makes later: of [`on_timer`](crate::Stateful::on_timer), exactly once for each timer.
//!
//! A timer is known by its key and tag; setting it again moves it. Its key is that of a message, as for
//! [`state`](crate::state), and it is not called if the values of the key are gone when it is due.
//!
//! In a native build, for tests, timers are kept in memory, by thread: see
//! [`testing::take_timers`](crate::testing::take_timers).

use crate::Error;
use std::time::Duration;

#[cfg(target_family = "wasm")]
use crate::state_bindings::weir::state::timers as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::host_timers as host;

pub use crate::state_bindings::exports::weir::state::timer_handler::Timer;
pub use crate::state_bindings::weir::state::timers::Clock;

/// The time of a clock, in nanoseconds since the Unix epoch. The watermark is 0 until there is one; in a
/// native build both are 0.
#[must_use]
pub fn now(clock: Clock) -> u64 {
    host::now(clock)
}

/// Fires once a clock has reached `at`, in nanoseconds since the Unix epoch.
///
/// # Errors
/// A rejection if the state of the partition has no room for it, for use with `?`.
pub fn set(key: &str, tag: &str, clock: Clock, at: u64) -> Result<(), Error> {
    host::set(key, tag, clock, at).map_err(Error::Reject)
}

/// Fires after this long by the clock of the job.
///
/// # Errors
/// As [`set`].
pub fn set_after(key: &str, tag: &str, delay: Duration) -> Result<(), Error> {
    let delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
    let clock = Clock::ProcessingTime;
    set(key, tag, clock, now(clock).saturating_add(delay))
}

/// Cancels a timer, if it is set.
pub fn cancel(key: &str, tag: &str) {
    host::cancel(key, tag);
}
