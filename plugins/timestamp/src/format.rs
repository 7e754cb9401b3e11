//! How a time is written.

use jiff::Timestamp;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;

pub enum Format {
    Rfc3339,
    /// A number since 1970, with so many decimal places of a second.
    Since1970(u32),
    /// As `strftime` has it.
    Pattern(String),
}

/// Decimal places of a nanosecond.
const NANOSECONDS: u32 = 9;

impl Format {
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "rfc3339" => Self::Rfc3339,
            "s" => Self::Since1970(0),
            "ms" => Self::Since1970(3),
            "us" => Self::Since1970(6),
            "ns" => Self::Since1970(9),
            pattern if pattern.contains('%') => Self::Pattern(pattern.to_owned()),
            _ => {
                return Err(format!(
                    "unknown format `{text}`: there are `rfc3339`, `s`, `ms`, `us`, `ns`, and patterns \
                     such as `%d/%m/%Y %H:%M`"
                ));
            }
        })
    }

    /// Whether it is a number in JSON.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Since1970(_))
    }

    /// Reads a time; `zone` is that of times that do not say theirs.
    pub fn read(&self, text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
        match self {
            Self::Rfc3339 => text.parse().map_err(|error: jiff::Error| error.to_string()),
            Self::Since1970(places) => {
                let nanoseconds = nanoseconds(text, *places)
                    .ok_or("it is no decimal number with at most nanoseconds")?;
                Timestamp::from_nanosecond(nanoseconds).map_err(|error| error.to_string())
            }
            Self::Pattern(pattern) => {
                let time = strtime::parse(pattern, text).and_then(|time| in_zone(&time, zone));
                time.map_err(|error| error.to_string())
            }
        }
    }

    /// Writes a time, in this zone where the format has one.
    pub fn write(&self, time: Timestamp, zone: &TimeZone) -> Result<String, String> {
        match self {
            Self::Rfc3339 if *zone == TimeZone::UTC => Ok(time.to_string()),
            Self::Rfc3339 => {
                Ok(DateTimePrinter::new()
                    .timestamp_with_offset_to_string(&time, zone.to_offset(time)))
            }
            Self::Since1970(places) => {
                let unit = 10_i128.pow(NANOSECONDS - places);
                Ok(time.as_nanosecond().div_euclid(unit).to_string())
            }
            Self::Pattern(pattern) => strtime::format(pattern, &time.to_zoned(zone.clone()))
                .map_err(|error| error.to_string()),
        }
    }
}

fn in_zone(time: &BrokenDownTime, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    if time.offset().is_some() || time.timestamp().is_some() || time.iana_time_zone().is_some() {
        return time.to_timestamp();
    }
    // A pattern without a time of day means midnight.
    let time = match time.hour() {
        Some(_) => time.to_datetime()?,
        None => time.to_date()?.at(0, 0, 0, 0),
    };
    Ok(time.to_zoned(zone.clone())?.timestamp())
}

/// A decimal number with `places` less digits behind the point than nanoseconds have, in nanoseconds.
fn nanoseconds(text: &str, places: u32) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let width = usize::try_from(NANOSECONDS - places).ok()?;
    let fraction = fraction.trim_end_matches('0');
    let is_number = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.len() > width || !is_number {
        return None;
    }
    format!("{whole}{fraction:0<width$}").parse().ok()
}
