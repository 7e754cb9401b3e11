//! Durations, sizes and shares as text: `30s`, `1m 30s`, `64MiB`, `10%`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

// The patterns are for editors and less strict than the parsers; `weir check` finds the rest. They also
// accept a reference to the environment.

/// A duration as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("pattern" = r"^\s*[0-9]|\$\{|^P", "x-kind" = "duration"))]
pub struct DurationText(String);

/// A size in bytes as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend(
    "type" = ["string", "integer"],
    "pattern" = r"^\s*[0-9]|\$\{",
    "minimum" = 0,
    "x-kind" = "size",
))]
pub struct SizeText(String);

/// A percentage as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("pattern" = r"^\s*[0-9.]+\s*%|\$\{", "x-kind" = "percent"))]
pub struct PercentText(String);

impl From<&str> for DurationText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&str> for SizeText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&str> for PercentText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl DurationText {
    /// The duration; a day has 24 hours.
    ///
    /// # Errors
    ///
    /// Says in one sentence what is wrong with the text.
    pub fn parse(&self) -> Result<Duration, String> {
        let refusal = || {
            format!(
                "{} is not a duration; write `30s`, `500ms` or `2h`",
                quoted(&self.0)
            )
        };
        let span: jiff::Span = self.0.parse().map_err(|_| refusal())?;
        let day = jiff::SpanRelativeTo::days_are_24_hours();
        let duration = span.to_duration(day).map_err(|_| refusal())?;
        Duration::try_from(duration).map_err(|_| format!("`{}` is negative", self.0))
    }
}

impl SizeText {
    /// The size in bytes.
    ///
    /// # Errors
    ///
    /// Says in one sentence what is wrong with the text.
    pub fn parse(&self) -> Result<u64, String> {
        let size: Result<bytesize::ByteSize, _> = self.0.parse();
        size.map(|size| size.as_u64()).map_err(|_| {
            format!(
                "{} is not a size; write `64MiB`, `500KB` or `1024`",
                quoted(&self.0)
            )
        })
    }
}

impl PercentText {
    /// Percent, 0 or more.
    ///
    /// # Errors
    ///
    /// Says in one sentence what is wrong with the text.
    pub fn parse(&self) -> Result<f64, String> {
        let number = self.0.trim().strip_suffix('%').map(str::trim_end);
        match number.map(str::parse::<f64>) {
            Some(Ok(percent)) if percent >= 0.0 && percent.is_finite() => Ok(percent),
            _ => Err(format!(
                "{} is not a share; write `10%` or `0.5%`",
                quoted(&self.0)
            )),
        }
    }
}

/// A text for a finding. One that does not begin with a digit may be anything, a secret as well.
fn quoted(text: &str) -> String {
    match text
        .trim_start_matches(['-', '+', ' '])
        .starts_with(|c: char| c.is_ascii_digit())
    {
        true => format!("`{text}`"),
        false => "the text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, expected) in [
            ("30s", Duration::from_secs(30)),
            ("500ms", Duration::from_millis(500)),
            ("1m 30s", Duration::from_secs(90)),
            ("1m30s", Duration::from_secs(90)),
            ("2h", Duration::from_secs(7200)),
            ("7d", Duration::from_secs(7 * 86400)),
            ("2 weeks", Duration::from_secs(14 * 86400)),
            ("0s", Duration::ZERO),
            ("PT1M", Duration::from_secs(60)),
        ] {
            assert_eq!(DurationText::from(text).parse(), Ok(expected), "{text}");
        }
        for text in ["", "soon", "30", "1 month", "1y", "-5s", "5x", "${A}"] {
            assert!(DurationText::from(text).parse().is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_read_with_their_percent_sign() {
        for (text, expected) in [("10%", 10.0), ("0.5 %", 0.5), ("0%", 0.0), ("300%", 300.0)] {
            assert_eq!(PercentText::from(text).parse(), Ok(expected), "{text}");
        }
        for text in ["", "%", "10", "-1%", "ten%", "inf%", "NaN%", "1%%"] {
            assert!(PercentText::from(text).parse().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expected) in [
            ("64MiB", 64 << 20),
            ("1.5 GiB", 3 << 29),
            ("500KB", 500_000),
            ("1024", 1024),
        ] {
            assert_eq!(SizeText::from(text).parse(), Ok(expected), "{text}");
        }
        for text in ["", "big", "-1", "1MiBs", "64 potatoes"] {
            assert!(SizeText::from(text).parse().is_err(), "{text}");
        }
    }
}
