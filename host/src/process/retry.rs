//! How long a message waits before it is tried again.

use crate::config::resolved::Retry;
use std::time::{Duration, Instant};

/// Exponential backoff with jitter: the delay after the attempt numbered `attempt` (from 1) failed.
///
/// Between half of the nominal delay and all of it, so that messages that failed together do not come back
/// together. Never zero: the server redelivers after a bare nak within microseconds.
#[must_use]
pub fn backoff(retry: &Retry, attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(20);
    let nominal = retry.initial.saturating_mul(1 << doublings);
    let nominal = nominal.min(retry.max).min(LONGEST);
    nominal
        .mul_f64(rand::random_range(0.5..=1.0))
        .max(Duration::from_millis(1))
}

/// The shortest delay that a plugin can ask for, unless the backoff is shorter: otherwise all attempts could
/// be used up before the fault is over.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest delay, a hundred days. The server counts delays in signed nanoseconds of 64 bits, and treats a
/// longer one as no delay.
pub const LONGEST: Duration = Duration::from_secs(100 * 24 * 3600);

/// How long a message waits for its attempt after this one: as long as the plugin `asked`, within
/// bounds, or the backoff.
#[must_use]
pub fn delay(retry: &Retry, asked: Option<Duration>, attempt: u32) -> Duration {
    let backoff = backoff(retry, attempt);
    asked.map_or(backoff, |asked| asked.clamp(backoff.min(SHORTEST), LONGEST))
}

/// When a delay that begins now ends; none is longer than the longest.
#[must_use]
pub fn due(delay: Duration) -> Instant {
    Instant::now() + delay.min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_neither_burns_its_attempts_at_once_nor_waits_for_ever() {
        let retry = Retry {
            max_attempts: 5,
            initial: Duration::from_secs(1),
            max: Duration::from_secs(60),
            park_after: Duration::from_secs(30),
        };
        let asked = |millis| delay(&retry, Some(Duration::from_millis(millis)), 1);
        assert_eq!(asked(0), SHORTEST);
        assert_eq!(asked(7000), Duration::from_secs(7));
        assert_eq!(asked(u64::MAX), LONGEST);
        assert!(due(Duration::MAX) > Instant::now());
        let eager = Retry {
            initial: Duration::from_millis(4),
            ..retry
        };
        let shortest = delay(&eager, Some(Duration::ZERO), 1);
        assert!(
            shortest > Duration::ZERO && shortest < SHORTEST,
            "{shortest:?}"
        );
        assert!(i64::try_from(LONGEST.as_nanos()).is_ok());
    }

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
