//! What is kept of each group of a window, and between two calls as JSON: an object of the groups, each an object of
//! what its figures have by their ids, both in the order of the names.

use crate::function::Partial;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// The groups: each is named by the fields that its messages are alike in, as a JSON object.
pub type Groups = BTreeMap<Name, Partials>;

/// The name of a group or a figure, in the order of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(pub String);

/// What the figures of a group have, in the order of their ids. There are few.
#[derive(Clone, Debug, Default)]
pub struct Partials(Vec<(Name, Partial)>);

impl Ord for Name {
    /// Eight bytes at a time: what compares bytes in WebAssembly takes them one by one.
    fn cmp(&self, other: &Self) -> Ordering {
        let (chunks, rest) = self.0.as_bytes().as_chunks::<8>();
        let (others, other_rest) = other.0.as_bytes().as_chunks::<8>();
        let number = |chunk: &[u8; 8]| u64::from_be_bytes(*chunk);
        let mut pairs = chunks.iter().zip(others);
        let order = pairs.find_map(|(one, other)| {
            let order = number(one).cmp(&number(other));
            order.is_ne().then_some(order)
        });
        order.unwrap_or_else(|| match chunks.len() == others.len() {
            true => rest.cmp(other_rest),
            false => self.0.cmp(&other.0),
        })
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Partials {
    fn place(&self, id: &Name) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(id))
    }

    /// What a figure has, which begins as `empty`.
    pub fn entry(
        &mut self,
        id: &Name,
        empty: impl FnOnce() -> Result<Partial, String>,
    ) -> Result<&mut Partial, String> {
        let place = match self.place(id) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, (id.clone(), empty()?));
                place
            }
        };
        let entry = self.0.get_mut(place).map(|(_, partial)| partial);
        entry.ok_or_else(|| "a figure has no place".to_owned())
    }

    /// What a figure had.
    pub fn remove(&mut self, id: &Name) -> Option<Partial> {
        let place = self.place(id).ok()?;
        Some(self.0.remove(place).1)
    }
}

impl Serialize for Partials {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, partial)| (id, partial)))
    }
}

impl<'de> Deserialize<'de> for Partials {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Partials;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("what figures have by their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Partials, A::Error> {
                let mut partials = Vec::with_capacity(map.size_hint().unwrap_or(1));
                while let Some(entry) = map.next_entry()? {
                    partials.push(entry);
                }
                partials.sort_by(|(one, _): &(Name, _), (other, _)| one.cmp(other));
                Ok(Partials(partials))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
