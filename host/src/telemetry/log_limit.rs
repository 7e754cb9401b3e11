//! Rate limit for log lines of one kind: a few per second, then their number.
//!
//! Counts and decides; the caller writes the line. The limit does not affect metrics.

use crate::threads::locked;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Dead letters: enough to see what is wrong, too few to fill a disk.
pub const DEAD_LETTERS: (u32, Duration) = (10, Duration::from_secs(1));
/// Publish failures: one line is enough, because what fails for one message fails for the next.
pub const FAILURES: (u32, Duration) = (1, Duration::from_secs(10));

/// Shared by the lanes of a pipeline; held only briefly.
pub struct LogLimit {
    /// The number of lines, and the time to which it applies.
    most: (u32, Duration),
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the current period began, and the lines written since.
    window: Option<(Instant, u32)>,
    suppressed: u64,
}

impl LogLimit {
    /// Allows at most this many lines in this time.
    #[must_use]
    pub fn new(most: (u32, Duration)) -> Self {
        Self {
            most,
            state: Mutex::default(),
        }
    }

    /// Whether to write a line now; if not, it is counted as suppressed.
    pub fn admits(&self, now: Instant) -> bool {
        let (most, window) = self.most;
        let mut state = locked(&self.state);
        let (_, shown) = match &mut state.window {
            Some(begun) if now.saturating_duration_since(begun.0) < window => begun,
            begun => begun.insert((now, 0)),
        };
        if *shown < most {
            *shown += 1;
            return true;
        }
        state.suppressed += 1;
        false
    }

    /// How many lines were suppressed since the last call, if any.
    pub fn suppressed(&self) -> Option<u64> {
        let mut state = locked(&self.state);
        Some(std::mem::take(&mut state.suppressed)).filter(|suppressed| *suppressed > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_ten_lines_a_second_are_shown_and_the_others_counted_once() {
        let (lines, start) = (LogLimit::new(DEAD_LETTERS), Instant::now());
        let window = DEAD_LETTERS.1;
        let shown = |at: Instant| (0..100).filter(|_| lines.admits(at)).count();
        assert_eq!(shown(start), 10);
        assert_eq!(shown(start + window / 2), 0);
        assert_eq!(lines.suppressed(), Some(190));
        assert_eq!(lines.suppressed(), None);
        assert_eq!(shown(start + window), 10);
        assert_eq!(lines.suppressed(), Some(90));
    }
}
