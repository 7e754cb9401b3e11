//! The clock of a partition: when its timers and retries are due. See [`crate::state::clock`].

use crate::state::clock::JobClock;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Begins with its first use after a recovery.
#[derive(Default)]
pub struct PartitionClock {
    follows: RefCell<Option<(JobClock, Instant)>>,
    /// The time that it was told, if it follows no other clock.
    told: Cell<Option<u64>>,
}

impl PartitionClock {
    /// Nanoseconds since the Unix epoch. Of a clock that begins now, at least `committed`.
    pub(super) fn now_after(&self, committed: u64) -> u64 {
        if let Some(told) = self.told.get() {
            return told.max(committed);
        }
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall = nanoseconds(wall.unwrap_or_default());
        let mut clock = self.follows.borrow_mut();
        let start = || (JobClock::start(committed, wall, 0), Instant::now());
        let (clock, begun) = clock.get_or_insert_with(start);
        clock.advance(wall, nanoseconds(begun.elapsed()))
    }

    /// Resets the clock.
    pub(super) fn reset(&self) {
        *self.follows.borrow_mut() = None;
    }

    /// Advances the clock to this time at least.
    pub(super) fn tell(&self, now: u64) {
        self.told.set(self.told.get().max(Some(now)));
    }

    /// Waits until it is this time.
    pub(super) async fn until(&self, due: u64) {
        loop {
            let left = due.saturating_sub(self.now_after(0));
            if left == 0 {
                return;
            }
            // It goes at most twice as fast as others.
            tokio::time::sleep(Duration::from_nanos(left / 2).max(Duration::from_millis(1))).await;
        }
    }
}

/// A duration as times are counted.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
