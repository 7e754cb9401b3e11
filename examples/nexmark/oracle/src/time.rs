//! The time of an event.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Milliseconds since the Unix epoch. As text it is RFC 3339 in UTC, which `event-time` reads; what others write
/// with a blank in the place of the `T` and without a zone is read as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// `2015-07-15`.
    #[must_use]
    pub fn day(self) -> String {
        self.to_string().chars().take(10).collect()
    }

    /// From RFC 3339, or from `2015-07-15 00:00:00.005`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim_end_matches('Z').replace(' ', "T") + "Z";
        let time: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(time.as_millisecond()).ok().map(Self)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = i64::try_from(self.0).map(jiff::Timestamp::from_millisecond);
        match time {
            Ok(Ok(time)) => write!(formatter, "{time:.3}"),
            _ => Err(fmt::Error),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| Error::custom(format_args!("`{text}` is no time")))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_a_time_are_read_and_one_is_written() {
        let written = "2015-07-15T00:00:00.010Z";
        for text in [written, "2015-07-15 00:00:00.01", "2015-07-15T00:00:00.01Z"] {
            assert_eq!(Time::read(text).unwrap().to_string(), written);
        }
        let whole = Time::read("2015-07-15 00:00:01").unwrap();
        assert_eq!(whole.to_string(), "2015-07-15T00:00:01.000Z");
        assert_eq!(whole.day(), "2015-07-15");
        assert_eq!(Time::read("2015-07-15"), None);
    }
}
