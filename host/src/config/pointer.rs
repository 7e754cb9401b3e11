//! JSON pointers (RFC 6901) that read one scalar out of a payload.
//!
//! The payload is parsed once, and values off the path are skipped without being built, because this runs
//! for every message of a pipeline whose key or event time is in the payload.

mod spans;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;
use std::borrow::Cow;
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
    /// that numbers which differ in any digit are different texts. Text without an escape is a part of the payload.
    ///
    /// `None` if the payload is not JSON, or if there is nothing, null, a list or an object at that
    /// position. If a name occurs twice, the last one counts, as in most JSON parsers.
    #[must_use]
    pub fn find<'d>(&self, payload: &'d [u8]) -> Option<Cow<'d, str>> {
        let [found] = Self::find_each([self], payload);
        found
    }

    /// The same of several pointers, for which the payload is read once.
    #[must_use]
    pub fn find_each<'d, const N: usize>(
        pointers: [&Self; N],
        payload: &'d [u8],
    ) -> [Option<Cow<'d, str>>; N] {
        let mut found = [const { None }; N];
        let paths = pointers.iter().enumerate();
        let paths = paths.map(|(place, pointer)| (place, &*pointer.tokens));
        let step = Step {
            paths: paths.collect(),
            found: &mut found,
        };
        let mut reader = serde_json::Deserializer::from_slice(payload);
        let read = step.deserialize(&mut reader);
        match read.and_then(|()| reader.end()) {
            Ok(()) => found,
            Err(_) => [const { None }; N],
        }
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

/// What is left of each path at one level of the document, with its place in what is found.
type Paths<'p> = SmallVec<[(usize, &'p [Box<str>]); 2]>;

/// One level of the document.
struct Step<'p, 'f, 'd> {
    paths: Paths<'p>,
    found: &'f mut [Option<Cow<'d, str>>],
}

impl<'d> Step<'_, '_, 'd> {
    fn set(&mut self, paths: &Paths<'_>, value: &Option<Cow<'d, str>>) {
        for (place, _) in paths {
            if let Some(found) = self.found.get_mut(*place) {
                found.clone_from(value);
            }
        }
    }
}

impl<'d> DeserializeSeed<'d> for Step<'_, '_, 'd> {
    type Value = ();

    fn deserialize<D: Deserializer<'d>>(mut self, reader: D) -> Result<(), D::Error> {
        let paths = self.paths.iter().copied();
        let (here, below): (Paths<'_>, Paths<'_>) = paths.partition(|(_, path)| path.is_empty());
        if here.is_empty() {
            return reader.deserialize_any(self);
        }
        let raw = <&RawValue>::deserialize(reader)?.get();
        self.set(&here, &scalar(raw));
        if below.is_empty() {
            return Ok(());
        }
        self.paths = below;
        let mut reader = serde_json::Deserializer::from_str(raw);
        self.deserialize(&mut reader).map_err(D::Error::custom)
    }
}

/// A value as text, if it is a scalar.
fn scalar(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' if raw.contains('\\') => serde_json::from_str(raw).ok().map(Cow::Owned),
        b'"' => raw.get(1..raw.len() - 1).map(Cow::Borrowed),
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.into()),
    }
}

/// A scalar before the end of the path is not what it leads to.
impl<'d> Visitor<'d> for Step<'_, '_, 'd> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'d>>(self, mut items: A) -> Result<(), A::Error> {
        // An index has no leading zeros (RFC 6901, section 4).
        let index = |token: &str| {
            let plain = token.len() == 1 || !token.starts_with('0');
            plain.then(|| token.parse::<usize>().ok())?
        };
        for at in 0.. {
            let paths = rest(&self.paths, |token| index(token) == Some(at));
            let next = match paths.is_empty() {
                true => items.next_element::<IgnoredAny>()?.map(drop),
                false => items.next_element_seed(Step {
                    paths,
                    found: &mut *self.found,
                })?,
            };
            if next.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'d>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(paths) = entries.next_key_seed(Name(&self.paths))? {
            if paths.is_empty() {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            self.set(&paths, &None);
            entries.next_value_seed(Step {
                paths,
                found: &mut *self.found,
            })?;
        }
        Ok(())
    }
}

/// What is left of the paths that begin with such a token.
fn rest<'p>(paths: &[(usize, &'p [Box<str>])], is_next: impl Fn(&str) -> bool) -> Paths<'p> {
    let rest = paths.iter().filter_map(|(place, path)| {
        let (token, rest) = path.split_first()?;
        is_next(token).then_some((*place, rest))
    });
    rest.collect()
}

/// The name of a member: what is left of the paths that begin with it. It is not copied.
struct Name<'p, 's>(&'s [(usize, &'p [Box<str>])]);

impl<'p, 'd> DeserializeSeed<'d> for Name<'p, '_> {
    type Value = Paths<'p>;

    fn deserialize<D: Deserializer<'d>>(self, reader: D) -> Result<Paths<'p>, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Name<'p, '_> {
    type Value = Paths<'p>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Paths<'p>, E> {
        Ok(rest(self.0, |token| token == name))
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn find(pointer: &str, payload: &str) -> Option<String> {
        let pointer = Pointer::parse(pointer).expect(pointer);
        let found = pointer.find(payload.as_bytes());
        found.map(Cow::into_owned)
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
    fn several_pointers_find_what_each_finds_alone() {
        let texts = ["/a", "/a/b", "/a/c/1", "/t", "/a/b"];
        let pointers = texts.map(|text| Pointer::parse(text).expect(text));
        for payload in [
            r#"{"a": {"b": 1, "c": [2, "x"]}, "t": "2015-07-15T00:00:00Z"}"#,
            r#"{"a": {"b": 1}, "t": 5, "a": {"c": [0, true]}}"#,
            r#"{"t": null, "a": 7}"#,
            r#"{"t": 1, "a": {"b": 2}"#,
        ] {
            let payload = payload.as_bytes();
            let alone = pointers.each_ref().map(|pointer| pointer.find(payload));
            assert_eq!(Pointer::find_each(pointers.each_ref(), payload), alone);
        }
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
