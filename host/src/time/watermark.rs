//! The watermark of an input of a partition: no messages with earlier event times are expected any more.
//!
//! It is the greatest event time so far minus a bound, and never goes back. An event time too far ahead of
//! the clock does not move it, so that one wrong clock does not make all later messages late. While nothing
//! is pending, it follows the clock at a distance, so that timers behind the last messages do not wait
//! forever.
//!
//! Times are nanoseconds since the Unix epoch, and may be negative.

use std::time::Duration;

/// How a watermark moves. Nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// How far a message may lie behind the latest one and still be on time.
    pub bound: i64,
    /// How far ahead of the clock an event time may be and still move it; any if none.
    pub max_ahead: Option<i64>,
    /// How long nothing has to be pending before it follows the clock; never if none.
    pub idle_timeout: Option<i64>,
}

/// See the top of this file. None before there is anything to go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watermark(Option<i64>);

impl Watermark {
    /// As it was stored.
    #[must_use]
    pub fn at(mark: Option<i64>) -> Self {
        Self(mark)
    }

    #[must_use]
    pub fn get(self) -> Option<i64> {
        self.0
    }

    /// A message with this event time was processed when the clock was at `now`. False if the time is too far
    /// ahead, and did not move it.
    pub fn pass(&mut self, rules: &Rules, event_time: i64, now: i64) -> bool {
        let latest = rules.max_ahead.map(|ahead| now.saturating_add(ahead));
        if latest.is_some_and(|latest| event_time > latest) {
            return false;
        }
        self.reach(event_time.saturating_sub(rules.bound));
        true
    }

    /// Nothing has been pending for the idle timeout, and it is `now`: an event that had happened before that
    /// has had all this time to arrive, and the bound besides.
    pub fn idle(&mut self, rules: &Rules, now: i64) {
        if let Some(timeout) = rules.idle_timeout {
            self.reach(now.saturating_sub(timeout).saturating_sub(rules.bound));
        }
    }

    fn reach(&mut self, mark: i64) {
        self.0 = self.0.max(Some(mark));
    }
}

impl Rules {
    /// When the watermark of an input with nothing pending reaches this time, by the clock; none if never.
    #[must_use]
    pub fn idle_reaches(&self, time: i64) -> Option<i64> {
        let timeout = self.idle_timeout?;
        Some(time.saturating_add(timeout).saturating_add(self.bound))
    }
}

/// A duration as these rules count it; the longest if it is longer.
#[must_use]
pub fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
