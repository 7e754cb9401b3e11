//! The positions of values in the text of a payload, so that a value can be replaced and the rest stays
//! unchanged.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// The spans of the values that lie at `tokens` below `value`, a part of `payload`; `None` if a level cannot be
/// read, as one with half of a surrogate pair in a name.
pub(super) fn all(tokens: &[Box<str>], value: &str, payload: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut found = Vec::new();
    collect(tokens, value, payload, &mut found)?;
    Some(found)
}

fn collect(
    tokens: &[Box<str>],
    value: &str,
    payload: &[u8],
    found: &mut Vec<Range<usize>>,
) -> Option<()> {
    let Some((token, rest)) = tokens.split_first() else {
        // Both are parts of one allocation, because the parser borrows.
        let start = value
            .as_ptr()
            .addr()
            .saturating_sub(payload.as_ptr().addr());
        found.push(start..start + value.len());
        return Some(());
    };
    let is_meant = |name: &str| **token == *"*" || **token == *name;
    let children: Vec<&RawValue> = match value.as_bytes().first() {
        Some(b'{') => {
            let members: Members<'_> = serde_json::from_str(value).ok()?;
            let meant = members.0.into_iter().filter(|(name, _)| is_meant(name));
            meant.map(|(_, value)| value).collect()
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(value).ok()?;
            let numbered = elements.into_iter().enumerate();
            let meant = numbered.filter(|(index, _)| is_meant(&index.to_string()));
            meant.map(|(_, value)| value).collect()
        }
        _ => Vec::new(),
    };
    for child in children {
        collect(rest, child.get(), payload, found)?;
    }
    Some(())
}

/// The members of an object in their order, each as often as it occurs.
struct Members<'de>(Vec<(Cow<'de, str>, &'de RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        reader.deserialize_map(Collect)
    }
}
