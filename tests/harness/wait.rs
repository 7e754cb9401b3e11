//! Waiting on conditions. The only file of the tests that looks at a clock.

use std::time::{Duration, Instant};

/// How long a condition may take to come true. Far above what any takes on a loaded machine with
/// two cores: no test measures time, this bound only turns a hang into a message.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Between two looks at a condition.
const INTERVAL: Duration = Duration::from_millis(10);

/// Returns when `condition` holds. `what` completes "waited in vain until ...".
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || {
        if condition() {
            Ok(())
        } else {
            Err("it does not hold".to_owned())
        }
    });
}

/// Returns the value as soon as there is one. The error is the state that the message of a failed
/// wait shows.
#[track_caller]
pub fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(state) if Instant::now() >= end => {
                panic!("waited in vain until {what}; last seen: {state}")
            }
            Err(_) => std::thread::sleep(INTERVAL),
        }
    }
}
