//! Lines of one kind that a flood of messages may write to the log: a few a second, then their number.
//!
//! Counts and decides; what a line says is up to who writes it. Nothing that is left out here is left
//! out of a metric.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines in a second. Enough to see what is wrong, too few to fill a disk.
const MOST: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);

/// Shared by the lanes of a pipeline; held for a moment only.
#[derive(Default)]
pub struct Sampled(Mutex<State>);

#[derive(Default)]
struct State {
    /// When the present second began, and the lines shown since.
    window: Option<(Instant, u32)>,
    hidden: u64,
}

impl Sampled {
    /// Whether to write a line now; counts it if not.
    pub fn admits(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, shown) = match &mut state.window {
            Some(window) if now.saturating_duration_since(window.0) < WINDOW => window,
            window => window.insert((now, 0)),
        };
        if *shown < MOST {
            *shown += 1;
            return true;
        }
        state.hidden += 1;
        false
    }

    /// How many lines were not written since this was last asked, if any.
    pub fn hidden(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut state.hidden)).filter(|hidden| *hidden > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_ten_lines_a_second_are_shown_and_the_others_counted_once() {
        let (lines, start) = (Sampled::default(), Instant::now());
        let shown = |at: Instant| (0..100).filter(|_| lines.admits(at)).count();
        assert_eq!(shown(start), 10);
        assert_eq!(shown(start + WINDOW / 2), 0);
        assert_eq!(lines.hidden(), Some(190));
        assert_eq!(lines.hidden(), None);
        assert_eq!(shown(start + WINDOW), 10);
        assert_eq!(lines.hidden(), Some(90));
    }
}
