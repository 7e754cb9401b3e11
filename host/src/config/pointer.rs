//! JSON pointers (RFC 6901) that read one scalar out of a payload.
//!
//! The payload is parsed once, and values off the path are skipped without being built, because this runs
//! for every message of a pipeline whose key or event time is in the payload.

mod spans;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::ops::Range;

/// A compiled pointer, for example `/order/customer`.
#[derive(Clone, PartialEq, Eq)]
pub struct Pointer {
    text: Box<str>,
    /// Unescaped reference tokens, outermost first.
    tokens: Box<[Box<str>]>,
}

impl Pointer {
    /// Parses a pointer.
    ///
    /// # Errors
    ///
    /// Says in one sentence what is wrong: it is empty (which means the whole document and never a
    /// scalar), does not begin with a slash, or has a stray `~`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err("a JSON pointer begins with `/`".to_owned());
        };
        let tokens = rest
            .split('/')
            .map(|token| {
                let escapes_end_well = token
                    .split('~')
                    .skip(1)
                    .all(|after| after.starts_with(['0', '1']));
                escapes_end_well
                    .then(|| token.replace("~1", "/").replace("~0", "~").into_boxed_str())
                    .ok_or("in a JSON pointer `~` is written `~0`, and `/` in a name `~1`")
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.into(),
            tokens,
        })
    }

    /// The pointer as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scalar that it points at, as text: a string's content, or a number or boolean as it is written, so
    /// that numbers which differ in any digit are different texts.
    ///
    /// `None` if the payload is not JSON, or if there is nothing, null, a list or an object at that
    /// position. If a name occurs twice, the last one counts, as in most JSON parsers.
    #[must_use]
    pub fn find(&self, payload: &[u8]) -> Option<String> {
        let mut reader = serde_json::Deserializer::from_slice(payload);
        let found = Step(&self.tokens).deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        found
    }
}

impl Pointer {
    /// Where the values lie in a payload that it points at; a token `*` is every member of an object and every
    /// element of a list, and if a name occurs twice, both are meant. `None` if the payload is not JSON, or a name on the
    /// way is no text.
    #[must_use]
    pub fn spans(&self, payload: &[u8]) -> Option<Vec<Range<usize>>> {
        let whole: &RawValue = serde_json::from_slice(payload).ok()?;
        spans::all(&self.tokens, whole.get(), payload)
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, formatter)
    }
}

/// What is left of the path at one level of the document.
struct Step<'p>(&'p [Box<str>]);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        match self.0.is_empty() {
            true => <&RawValue>::deserialize(reader).map(|raw| scalar(raw.get())),
            false => reader.deserialize_any(self),
        }
    }
}

/// A value as text, if it is a scalar.
fn scalar(raw: &str) -> Option<String> {
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str(raw).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.to_owned()),
    }
}

/// A scalar before the end of the path is not what it leads to.
impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        // An index has no leading zeros (RFC 6901, section 4).
        let wanted = self.0.split_first().and_then(|(token, rest)| {
            let plain = token.len() == 1 || !token.starts_with('0');
            Some((plain.then(|| token.parse::<usize>().ok())??, rest))
        });
        let mut found = None;
        let mut index = 0;
        loop {
            match wanted {
                Some((at, rest)) if at == index => match items.next_element_seed(Step(rest))? {
                    Some(value) => found = value,
                    None => return Ok(found),
                },
                _ => {
                    if items.next_element::<IgnoredAny>()?.is_none() {
                        return Ok(found);
                    }
                }
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = entries.next_key::<std::borrow::Cow<'_, str>>()? {
            match self.0.split_first() {
                Some((token, rest)) if **token == *name => {
                    found = entries.next_value_seed(Step(rest))?;
                }
                _ => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn find(pointer: &str, payload: &str) -> Option<String> {
        Pointer::parse(pointer)
            .expect(pointer)
            .find(payload.as_bytes())
    }

    #[test]
    fn a_pointer_finds_scalars_anywhere_in_a_payload() {
        let payload =
            r#"{"a": {"b/c": [1, "two", {"~": 2.5}]}, "t": true, "n": null, "": "empty"}"#;
        assert_eq!(find("/a/b~1c/0", payload).as_deref(), Some("1"));
        assert_eq!(find("/a/b~1c/1", payload).as_deref(), Some("two"));
        assert_eq!(find("/a/b~1c/2/~0", payload).as_deref(), Some("2.5"));
        assert_eq!(find("/t", payload).as_deref(), Some("true"));
        assert_eq!(find("/", payload).as_deref(), Some("empty"));
        assert_eq!(
            find("/x", r#"{"x": "first", "x": "esc\naped"}"#).as_deref(),
            Some("esc\naped")
        );
    }

    #[test]
    fn a_number_keeps_all_its_digits() {
        for number in [
            "12345678901234567890123",
            "12345678901234567890124",
            "-0.10000000000000000000001",
            "1e400",
            "2.50",
            "18446744073709551616",
        ] {
            let payload = format!("{{\"id\": [{number}, 1]}}");
            assert_eq!(find("/id/0", &payload).as_deref(), Some(number));
        }
    }

    #[test]
    fn what_is_no_scalar_is_not_found() {
        let payload = r#"{"a": {"b": [1]}, "n": null}"#;
        for pointer in [
            "/a", "/a/b", "/n", "/a/b/1", "/a/b/00", "/a/b/-", "/a/b/0/x", "/missing",
        ] {
            assert_eq!(find(pointer, payload), None, "{pointer}");
        }
        for payload in ["", "{", "not json", r#"{"a": 1} trailing"#, "\u{feff}{}"] {
            assert_eq!(find("/a", payload), None, "{payload}");
        }
        assert_eq!(
            Pointer::parse("/a")
                .expect("pointer")
                .find(b"{\"a\": \"\xff\"}"),
            None
        );
    }

    #[test]
    fn a_malformed_pointer_is_refused() {
        assert!(Pointer::parse("").is_err());
        assert!(Pointer::parse("order/id").is_err());
        assert!(Pointer::parse("/a~2").is_err());
        assert!(Pointer::parse("/a~").is_err());
    }
}
