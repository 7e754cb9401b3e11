//! An event time as text: RFC 3339, or a number since the Unix epoch in the unit of the pipeline.
//!
//! The unit of a number is never guessed: a time that is wrong by a factor of a thousand is far away, and the
//! limits here or `max-ahead` detect it.

use serde::{Deserialize, Serialize};

/// The last event time that there is: nanoseconds of a signed integer reach the year 2262.
pub const LATEST: u64 = i64::MAX as u64;

/// What a number counts.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum Unit {
    #[serde(rename = "s")]
    Seconds,
    #[default]
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "us")]
    Microseconds,
    #[serde(rename = "ns")]
    Nanoseconds,
}

impl Unit {
    /// Nanoseconds in one of it.
    #[must_use]
    pub fn nanoseconds(self) -> u64 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Milliseconds => 1_000_000,
            Self::Microseconds => 1_000,
            Self::Nanoseconds => 1,
        }
    }
}

/// Why a text is no event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTime {
    /// It is neither RFC 3339 nor a number.
    Unreadable,
    /// The contract has no negative times.
    Before1970,
    After2262,
}

impl NoTime {
    /// What is wrong with it, to follow its place and a colon.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "is neither RFC 3339 text nor a number",
            Self::Before1970 => "is before 1970",
            Self::After2262 => "is after 2262-04-11, the last time that nanoseconds can count",
        }
    }
}

/// Nanoseconds since the Unix epoch, at most [`LATEST`].
///
/// # Errors
/// What is no time, or none that nanoseconds since 1970 can count.
pub fn event_time(text: &str, unit: Unit) -> Result<u64, NoTime> {
    let text = text.trim();
    let factor = unit.nanoseconds();
    if let Ok(whole) = text.parse::<i128>() {
        // Within 128 bits: 2^127 is more than any number of nanoseconds that counts.
        return bounded(whole.saturating_mul(i128::from(factor)));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => {
            // In two parts: a double has 53 bits, and nanoseconds of today take 61. Casts saturate.
            let (whole, rest) = (number.trunc() as i128, number.fract() * factor as f64);
            bounded(
                whole
                    .saturating_mul(i128::from(factor))
                    .saturating_add(rest.floor() as i128),
            )
        }
        Ok(_) => Err(NoTime::Unreadable),
        Err(_) => {
            let time: jiff::Timestamp = text.parse().map_err(|_| unreadable(text))?;
            bounded(time.as_nanosecond())
        }
    }
}

/// Why a text is no time for `jiff`, whose times end within the last day of the years -9999 and 9999.
fn unreadable(text: &str) -> NoTime {
    let pieces = jiff::fmt::temporal::Pieces::parse(text).ok();
    let pieces = pieces.filter(|pieces| pieces.time().is_some() && pieces.offset().is_some());
    match pieces.map(|pieces| pieces.date().year()) {
        Some(9999) => NoTime::After2262,
        Some(-9999) => NoTime::Before1970,
        _ => NoTime::Unreadable,
    }
}

fn bounded(nanoseconds: i128) -> Result<u64, NoTime> {
    match u64::try_from(nanoseconds) {
        Ok(time) if time <= LATEST => Ok(time),
        _ if nanoseconds < 0 => Err(NoTime::Before1970),
        _ => Err(NoTime::After2262),
    }
}
