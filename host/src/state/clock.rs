//! The clock of a job: processing time, which decides what has expired and which timers are due.
//!
//! It is not the wall clock, which jumps when somebody sets it. It follows a monotonic clock, and approaches
//! the wall clock at half to double speed. If the wall clock jumps an hour forwards, the timers of that hour
//! are due within an hour, not in a burst. If it jumps back, a timer takes at most twice its time. The clock
//! never goes back, not on another host either: commits contain the time, and the next owner begins there.
//! Pure: its caller reads the clocks.

/// The clock of a partition, while one host owns it. Times are nanoseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub struct JobClock {
    now: u64,
    /// What the monotonic clock said last.
    monotonic: u64,
}

impl JobClock {
    /// Begins at the wall clock's time or, if that is earlier, at the time of the last commit. Between the
    /// two the partition had no owner, so what was due in that time is due at once.
    #[must_use]
    pub fn start(committed: u64, wall: u64, monotonic: u64) -> Self {
        let now = committed.max(wall);
        Self { now, monotonic }
    }

    /// The time now. `monotonic` is nanoseconds since any fixed moment.
    pub fn advance(&mut self, wall: u64, monotonic: u64) -> u64 {
        let elapsed = monotonic.saturating_sub(self.monotonic);
        self.monotonic = self.monotonic.max(monotonic);
        let slowest = self.now.saturating_add(elapsed / 2);
        let fastest = self.now.saturating_add(elapsed.saturating_mul(2));
        self.now = wall.clamp(slowest, fastest);
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const HOUR: u64 = 3600 * SECOND;
    const START: u64 = 500_000 * HOUR;

    #[test]
    fn it_follows_a_wall_clock_that_is_right() {
        let mut clock = JobClock::start(0, START, 7);
        assert_eq!(clock.advance(START + SECOND, 7 + SECOND), START + SECOND);
        // A wall clock that drifts is followed, too.
        assert_eq!(
            clock.advance(START + 3 * SECOND - 5, 7 + 3 * SECOND),
            START + 3 * SECOND - 5
        );
    }

    #[test]
    fn a_wall_clock_that_steps_an_hour_brings_neither_a_burst_nor_a_standstill() {
        for (step, after_a_minute) in [(HOUR as i64, 120 * SECOND), (-(HOUR as i64), 30 * SECOND)] {
            let mut clock = JobClock::start(0, START, 0);
            let mut before = START;
            for second in 1..=2 * 3600 {
                let elapsed = second * SECOND;
                let wall = (START + elapsed).saturating_add_signed(step);
                let now = clock.advance(wall, elapsed);
                assert!(
                    (SECOND / 2..=2 * SECOND).contains(&(now - before)),
                    "{second}"
                );
                before = now;
                if second == 60 {
                    assert_eq!(now, START + after_a_minute);
                }
            }
            assert_eq!(
                before,
                (START + 2 * HOUR).saturating_add_signed(step),
                "it has caught up"
            );
        }
    }

    #[test]
    fn the_next_owner_never_goes_back_behind_a_commit() {
        let mut clock = JobClock::start(START + HOUR, START, 0);
        assert_eq!(clock.advance(START, 0), START + HOUR);
        assert_eq!(clock.advance(START + 2, 2), START + HOUR + 1);
        // A monotonic clock that is not one stops it, and no more.
        assert_eq!(clock.advance(START, 1), START + HOUR + 1);
    }
}
