//! The event time of a message, read from the message itself.

use super::model::OnInvalid;
use super::pointer::Pointer;
use crate::headers::Headers;
use crate::time::parse::{self, Unit};
use serde::de::IgnoredAny;

/// Where the event time is, other than the time of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTime {
    pub place: Place,
    /// Of a number.
    pub unit: Unit,
    /// What becomes of a message of a job that has none which is valid.
    pub on_invalid: OnInvalid,
}

/// A place in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A header's first value.
    Header(String),
    /// A scalar inside a JSON payload.
    JsonPointer(Pointer),
}

impl EventTime {
    /// The event time in nanoseconds since the Unix epoch, before 2262.
    ///
    /// # Errors
    /// Says in a sentence what is wrong with it.
    pub fn extract(&self, headers: &Headers, payload: &[u8]) -> Result<u64, String> {
        match &self.place {
            Place::Header(name) => self.read(headers.get(name), payload),
            Place::JsonPointer(pointer) => self.read(pointer.find(payload).as_deref(), payload),
        }
    }

    /// Where it is in a payload, if it is there.
    #[must_use]
    pub fn pointer(&self) -> Option<&Pointer> {
        match &self.place {
            Place::Header(_) => None,
            Place::JsonPointer(pointer) => Some(pointer),
        }
    }

    /// The event time of a message with this payload, from the text at its place.
    ///
    /// # Errors
    /// As [`EventTime::extract`].
    pub fn read(&self, found: Option<&str>, payload: &[u8]) -> Result<u64, String> {
        let found = found.map(|text| parse::event_time(text, self.unit));
        let why = match &found {
            Some(Ok(time)) => return Ok(*time),
            Some(Err(why)) => why.as_str(),
            None => "is missing",
        };
        if let (None, Place::JsonPointer(pointer)) = (&found, &self.place)
            && let Err(error) = serde_json::from_slice::<IgnoredAny>(payload)
        {
            let place = pointer.as_str();
            return Err(format!(
                "its event time at `{place}` cannot be read: the payload is not JSON: {error}"
            ));
        }
        Err(match &self.place {
            Place::Header(name) => format!("its event time in header `{name}` {why}"),
            Place::JsonPointer(pointer) => {
                format!("its event time at `{}` {why}", pointer.as_str())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_and_the_headers_both_serve_and_what_is_wrong_is_said() {
        let of = |place, unit| EventTime {
            place,
            unit,
            on_invalid: OnInvalid::default(),
        };
        let headers = Headers::from_iter([("Time".into(), "1700000000".into())]);
        let expected = Ok(1_700_000_000_000_000_000);
        let header = of(Place::Header("time".to_owned()), Unit::Seconds);
        assert_eq!(header.extract(&headers, b""), expected);
        assert_eq!(
            header.extract(&Headers::default(), b""),
            Err("its event time in header `time` is missing".to_owned())
        );
        let pointer = Pointer::parse("/at").ok().map(Place::JsonPointer);
        let pointer = pointer.map(|place| of(place, Unit::default()));
        let extract = |payload: &[u8]| pointer.as_ref()?.extract(&headers, payload).err();
        assert_eq!(extract(br#"{"at": "2023-11-14T22:13:20Z"}"#), None);
        for (payload, why) in [
            (&br#"{"at": -1}"#[..], "is before 1970"),
            (
                br#"{"at": "soon"}"#,
                "is neither RFC 3339 text nor a number",
            ),
            (br#"{"at": null}"#, "is missing"),
            (
                b"no json",
                "cannot be read: the payload is not JSON: expected ident at line 1 column 2",
            ),
            (
                b"",
                "cannot be read: the payload is not JSON: EOF while parsing a value at line 1 column 0",
            ),
            (br#"{"other": 1e400}"#, "is missing"),
        ] {
            let expected = format!("its event time at `/at` {why}");
            assert_eq!(extract(payload), Some(expected));
        }
    }
}
