//! Processor time: other work on the machine does not count.

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Processor time of this thread.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Processor time of this process, all threads together, in seconds.
pub(crate) fn process_time() -> Result<f64> {
    /// Of `/proc`, on every Linux.
    const TICKS_A_SECOND: f64 = 100.0;
    let stat =
        std::fs::read_to_string("/proc/self/stat").context("cannot read `/proc/self/stat`")?;
    // The second field is a name in brackets, which may hold anything.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS_A_SECOND)
}
