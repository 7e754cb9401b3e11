//! The fields of a payload that somebody asks for. The others are read over without a value, and judged all the same:
//! a payload is JSON, or refused with the same reason, whatever is asked of it.

#[cfg(test)]
mod tests;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

/// Which fields of an object are wanted: none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    all: bool,
    names: BTreeSet<String>,
}

/// A payload that was read.
#[derive(Debug)]
pub enum Payload<'w, T> {
    /// The wanted fields of an object, in their order. A name may be there more than once: the last one counts.
    Fields(Vec<(&'w str, T)>),
    /// What is no object, or all of one.
    Whole(T),
}

impl Wanted {
    /// Wants a field with this name.
    pub fn field(&mut self, name: &str) {
        self.names.insert(name.to_owned());
    }

    /// Wants all fields.
    pub fn all(&mut self) {
        self.all = true;
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// Those of [`serde_json::from_slice`] for a `T` that may be any JSON.
    pub fn read<T: for<'de> Deserialize<'de>>(
        &self,
        json: &[u8],
    ) -> serde_json::Result<Payload<'_, T>> {
        let is_space = |byte: &&u8| !b" \t\r\n".contains(byte);
        if self.all || json.iter().find(is_space) != Some(&b'{') {
            return serde_json::from_slice(json).map(Payload::Whole);
        }
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let fields = deserializer.deserialize_map(Fields(self, PhantomData))?;
        deserializer.end()?;
        Ok(Payload::Fields(fields))
    }
}

/// Reads the wanted fields of an object.
struct Fields<'w, T>(&'w Wanted, PhantomData<T>);

impl<'de, 'w, T: Deserialize<'de>> Visitor<'de> for Fields<'w, T> {
    type Value = Vec<(&'w str, T)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(self.0.names.len());
        while let Some(name) = map.next_key_seed(Name(self.0))? {
            match name {
                Some(name) => fields.push((name, map.next_value()?)),
                None => {
                    map.next_value::<Skipped>()?;
                }
            }
        }
        Ok(fields)
    }
}

/// Reads a name: that of a wanted field, or none.
struct Name<'w>(&'w Wanted);

impl<'de, 'w> DeserializeSeed<'de> for Name<'w> {
    type Value = Option<&'w str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'w> Visitor<'_> for Name<'w> {
    type Value = Option<&'w str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.names.get(name).map(String::as_str))
    }
}

/// A value that was read, and not kept. `serde::de::IgnoredAny` would not do: with it serde_json checks neither text
/// nor numbers nor how deep a payload is.
struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Skipped {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}
