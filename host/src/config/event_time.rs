//! The event time of a message, read from the message itself.

use super::pointer::Pointer;
use crate::headers::Headers;

/// A source of event time other than the JetStream timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventTime {
    /// A header's first value.
    Header(String),
    /// A scalar inside a JSON payload.
    JsonPointer(Pointer),
}

/// Exclusive upper bounds of seconds, milliseconds and microseconds; anything larger is nanoseconds.
/// Each is a time in the year 5138, so that no realistic date is misread.
const UNITS: [(f64, f64); 3] = [(1e11, 1e9), (1e14, 1e6), (1e17, 1e3)];

impl EventTime {
    /// The event time in nanoseconds since the Unix epoch: RFC 3339 text, or a number of seconds,
    /// milliseconds, microseconds or nanoseconds since then, distinguished by size. `None` if it is
    /// missing, cannot be parsed, or is before 1970 or after what nanoseconds can represent (2554).
    #[must_use]
    pub fn extract(&self, headers: &Headers, payload: &[u8]) -> Option<u64> {
        match self {
            Self::Header(name) => parse_time(headers.get(name)?),
            Self::JsonPointer(pointer) => parse_time(&pointer.find(payload)?),
        }
    }
}

fn parse_time(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Ok(whole) = text.parse::<u64>() {
        let factor = UNITS.iter().find(|(bound, _)| (whole as f64) < *bound);
        return whole.checked_mul(factor.map_or(1, |(_, factor)| *factor as u64));
    }
    if let Ok(number) = text.parse::<f64>() {
        let factor = UNITS
            .iter()
            .find(|(bound, _)| number < *bound)
            .map_or(1.0, |(_, f)| *f);
        if !(0.0..u64::MAX as f64).contains(&(number * factor)) {
            return None;
        }
        // In two parts: a double has 53 bits, and nanoseconds of today take 61.
        let (whole, rest) = (number.trunc() as u64, (number.fract() * factor) as u64);
        return whole.checked_mul(factor as u64)?.checked_add(rest);
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart_by_size_and_text_is_rfc_3339() {
        let expected = Some(1_700_000_000_000_000_000);
        for text in [
            "1700000000",
            "1700000000000",
            "1700000000000000",
            "1700000000000000000",
            "1700000000.0",
            "2023-11-14T22:13:20Z",
            "2023-11-14T23:13:20+01:00",
            " 2023-11-14T22:13:20.000Z ",
        ] {
            assert_eq!(parse_time(text), expected, "{text}");
        }
        assert_eq!(parse_time("1700000000.25"), Some(1_700_000_000_250_000_000));
    }

    #[test]
    fn what_is_no_time_is_not_taken_for_one() {
        for text in [
            "",
            "yesterday",
            "-5",
            "-1.5",
            "NaN",
            "inf",
            "1e300",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn the_payload_and_the_headers_both_serve() {
        let headers = Headers::from_iter([("Time".into(), "1700000000".into())]);
        let header = EventTime::Header("time".to_owned());
        assert_eq!(
            header.extract(&headers, b""),
            Some(1_700_000_000_000_000_000)
        );
        let pointer = Pointer::parse("/at").ok().map(EventTime::JsonPointer);
        let payload = br#"{"at": "2023-11-14T22:13:20Z"}"#;
        assert_eq!(
            pointer.and_then(|time| time.extract(&headers, payload)),
            Some(1_700_000_000_000_000_000)
        );
    }
}
