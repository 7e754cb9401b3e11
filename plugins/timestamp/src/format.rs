//! How a time is written.

use crate::time::Time;
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
    pub fn read(&self, text: &str, zone: &TimeZone) -> Result<Time, String> {
        let time = match self {
            Self::Rfc3339 => Time::rfc3339(text),
            Self::Since1970(places) => {
                let nanoseconds = nanoseconds(text, *places)
                    .ok_or("it is no decimal number with at most nanoseconds")?;
                return Time::from_nanosecond(nanoseconds)
                    .ok_or_else(|| "it is not in the years -9999 to 9999".into());
            }
            Self::Pattern(pattern) => Time::parse(pattern, text, zone),
        };
        time.map_err(|error| error.to_string())
    }

    /// Writes a time, in this zone where the format has one.
    pub fn write(&self, time: Time, zone: &TimeZone) -> Result<String, String> {
        let text = match self {
            Self::Rfc3339 => time.to_rfc3339(zone),
            Self::Since1970(places) => {
                let unit = 10_i128.pow(NANOSECONDS - places);
                Ok(time.as_nanosecond().div_euclid(unit).to_string())
            }
            Self::Pattern(pattern) => time.format(pattern, zone),
        };
        text.map_err(|error| error.to_string())
    }
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
