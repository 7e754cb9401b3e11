//! How long a message waits before it is tried again.

use crate::config::resolved::Retry;
use std::time::{Duration, Instant};

/// Exponential backoff with jitter: the delay after the attempt numbered `attempt` (from 1) failed.
///
/// Between half of the nominal delay and all of it, so that what failed together does not come back
/// together. Never zero: a bare nak is redelivered within microseconds.
#[must_use]
pub fn backoff(retry: &Retry, attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(20);
    let nominal = retry.initial.saturating_mul(1 << doublings).min(retry.max);
    nominal
        .mul_f64(rand::random_range(0.5..=1.0))
        .max(Duration::from_millis(1))
}

/// How long a message waits for its attempt after this one: as long as the plugin `asked`, or the
/// backoff.
#[must_use]
pub fn delay(retry: &Retry, asked: Option<Duration>, attempt: u32) -> Duration {
    asked.unwrap_or_else(|| backoff(retry, attempt))
}

/// When a delay that begins now ends; a century from now where that is beyond the clock.
#[must_use]
pub fn due(delay: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(delay).unwrap_or_else(|| now + CENTURY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_from_the_first_to_the_longest_and_is_never_zero() {
        let (initial, max) = (Duration::from_secs(1), Duration::from_secs(60));
        let retry = Retry {
            max_attempts: 5,
            initial,
            max,
            park_after: max,
        };
        for (attempt, nominal) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (u32::MAX, 60)] {
            let nominal = Duration::from_secs(nominal);
            let delay = backoff(&retry, attempt);
            assert!(
                delay >= nominal / 2 && delay <= nominal,
                "attempt {attempt}: {delay:?}"
            );
        }
        let nothing = Retry {
            initial: Duration::ZERO,
            ..retry
        };
        assert!(backoff(&nothing, 1) > Duration::ZERO);
    }
}
