//! JSON that is changed in place. What nobody looks into stays the text that it was: numbers keep their
//! digits, fields their order, and reading costs what is on the way to the fields that are asked for.

use crate::depth::{DEPTH, too_deep};
use crate::pointer::{Pattern, Pointer, Step, index};
use crate::{not_json, not_text};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A JSON value.
#[derive(Debug, Clone)]
pub enum Node<'a> {
    /// As it was written.
    Raw(&'a RawValue),
    /// Made by the plugin.
    New(Box<RawValue>),
    /// One whose elements were looked at.
    Array(Vec<Node<'a>>),
    /// One whose fields were looked at. A name may be there twice.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// Where it is not JSON.
    pub fn read(payload: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(payload)
            .map(Node::Raw)
            .map_err(|error| not_json(&error))
    }

    /// Any value as JSON.
    ///
    /// # Errors
    /// If JSON cannot say it.
    pub fn new(value: &(impl Serialize + ?Sized)) -> Result<Self, String> {
        to_raw_value(value)
            .map(Node::New)
            .map_err(|error| error.to_string())
    }

    /// A number by its digits.
    ///
    /// # Errors
    /// If it is no JSON.
    pub fn digits(text: String) -> Result<Self, String> {
        RawValue::from_string(text)
            .map(Node::New)
            .map_err(|error| error.to_string())
    }

    /// The text of a value that is not looked into.
    #[must_use]
    pub fn raw(&self) -> Option<&str> {
        match self {
            Node::Raw(raw) => Some(raw.get()),
            Node::New(raw) => Some(raw.get()),
            Node::Array(_) | Node::Object(_) => None,
        }
    }

    /// The content of a string; `None` for other values.
    ///
    /// # Errors
    /// If its escapes are no text.
    pub fn text(&self) -> Result<Option<Cow<'_, str>>, String> {
        match self.raw() {
            Some(raw) if raw.starts_with('"') => {
                let Name(text) = serde_json::from_str(raw).map_err(|error| not_text(&error))?;
                Ok(Some(text))
            }
            _ => Ok(None),
        }
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.raw() == Some("null")
    }

    /// Looks into it, so that an array is [`Node::Array`] and an object [`Node::Object`].
    ///
    /// # Errors
    /// If a name in it is no text.
    pub fn open(&mut self) -> Result<&mut Self, String> {
        let opened = match self {
            Node::Raw(raw) => open(raw.get(), Node::Raw, |name| name),
            Node::New(raw) => open(raw.get(), Node::New, |name| Cow::Owned(name.into_owned())),
            Node::Array(_) | Node::Object(_) => Ok(None),
        };
        if let Some(opened) = opened.map_err(|error| not_text(&error))? {
            *self = opened;
        }
        Ok(self)
    }

    /// The field at this place; of several with the same name the last, as most readers have it.
    ///
    /// # Errors
    /// As for [`Node::open`].
    pub fn get(&mut self, pointer: &Pointer) -> Result<Option<&mut Self>, String> {
        let mut node = self;
        for step in pointer.steps() {
            let inner = match node.open()? {
                Node::Array(elements) => index(step).and_then(|index| elements.get_mut(index)),
                Node::Object(fields) => fields
                    .iter_mut()
                    .rfind(|(name, _)| name == step)
                    .map(|(_, node)| node),
                _ => None,
            };
            match inner {
                Some(inner) => node = inner,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// Puts a value at this place, with objects on the way to it that are not there yet.
    ///
    /// # Errors
    /// If something on the way is neither an object nor an array that is long enough.
    pub fn set(&mut self, pointer: &Pointer, value: Node<'a>) -> Result<(), String> {
        let no_place =
            |step: &str| format!("cannot write {pointer}: there is no place for `{step}`");
        let mut node = self;
        for step in pointer.steps() {
            if node.is_null() {
                *node = Node::Object(Vec::new());
            }
            node = match node.open()? {
                Node::Array(elements) => index(step)
                    .and_then(|index| elements.get_mut(index))
                    .ok_or_else(|| no_place(step))?,
                Node::Object(fields) => {
                    let place = fields.iter().rposition(|(name, _)| name == step);
                    let place = place.unwrap_or_else(|| {
                        fields.push((Cow::Owned(step.clone()), Node::Object(Vec::new())));
                        fields.len() - 1
                    });
                    &mut fields[place].1
                }
                _ => return Err(no_place(step)),
            };
        }
        *node = value;
        Ok(())
    }

    /// Calls `change` for each field of the pattern, also for those whose name is there twice.
    ///
    /// # Errors
    /// As for [`Node::open`], and those of `change`.
    pub fn each<F>(&mut self, pattern: &Pattern, change: &mut F) -> Result<(), String>
    where
        F: FnMut(&mut Node<'a>) -> Result<(), String>,
    {
        self.each_of(pattern.steps(), change)
    }

    fn each_of<F>(&mut self, steps: &[Step], change: &mut F) -> Result<(), String>
    where
        F: FnMut(&mut Node<'a>) -> Result<(), String>,
    {
        let Some((step, rest)) = steps.split_first() else {
            return change(self);
        };
        match self.open()? {
            Node::Array(elements) => match step {
                Step::Every => elements
                    .iter_mut()
                    .try_for_each(|element| element.each_of(rest, change)),
                Step::Named(name) => match index(name).and_then(|index| elements.get_mut(index)) {
                    Some(element) => element.each_of(rest, change),
                    None => Ok(()),
                },
            },
            Node::Object(fields) => fields
                .iter_mut()
                .filter(|(name, _)| step.is(name))
                .try_for_each(|(_, node)| node.each_of(rest, change)),
            _ => Ok(()),
        }
    }

    /// Takes out the fields of the pattern; says how many.
    ///
    /// # Errors
    /// As for [`Node::open`].
    pub fn remove(&mut self, pattern: &Pattern) -> Result<u64, String> {
        let Some((step, parents)) = pattern.steps().split_last() else {
            return Ok(0);
        };
        let mut removed = 0;
        self.each_of(parents, &mut |parent| {
            match parent.open()? {
                Node::Array(elements) => match step {
                    Step::Every => removed += elements.drain(..).len() as u64,
                    Step::Named(name) => {
                        if let Some(index) = index(name).filter(|index| *index < elements.len()) {
                            elements.remove(index);
                            removed += 1;
                        }
                    }
                },
                Node::Object(fields) => {
                    let before = fields.len();
                    fields.retain(|(name, _)| !step.is(name));
                    removed += (before - fields.len()) as u64;
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(removed)
    }

    /// Leaves the fields of the patterns, with the objects and arrays around them, and takes out all others.
    ///
    /// # Errors
    /// As for [`Node::open`].
    pub fn keep(&mut self, patterns: &[Pattern]) -> Result<(), String> {
        let patterns: Vec<&[Step]> = patterns.iter().map(Pattern::steps).collect();
        self.retain(&patterns).map(|_| ())
    }

    /// As [`Node::keep`]; whether it may stay itself.
    fn retain(&mut self, patterns: &[&[Step]]) -> Result<bool, String> {
        if patterns.iter().any(|steps| steps.is_empty()) {
            return Ok(true);
        }
        let rest = |name: &str| -> Vec<&[Step]> {
            let steps = patterns.iter().filter_map(|steps| steps.split_first());
            let steps = steps.filter(|(step, _)| step.is(name));
            steps.map(|(_, rest)| rest).collect()
        };
        let mut kept = Ok(true);
        let mut stays = |name: &str, node: &mut Self| match rest(name) {
            rest if rest.is_empty() => false,
            rest => node.retain(&rest).unwrap_or_else(|error| {
                kept = Err(error);
                false
            }),
        };
        match self.open()? {
            Node::Array(elements) => {
                let mut index = 0_usize..;
                elements.retain_mut(|element| {
                    let name = index.next().unwrap_or_default().to_string();
                    stays(&name, element)
                });
            }
            Node::Object(fields) => fields.retain_mut(|(name, node)| stays(name, node)),
            _ => kept = Ok(false),
        }
        kept
    }

    /// Calls `change` for each value in it that is neither an array nor an object.
    ///
    /// # Errors
    /// If it is nested deeper than [`DEPTH`] levels; as for [`Node::open`], and those of `change`.
    pub fn each_leaf<F>(&mut self, change: &mut F) -> Result<(), String>
    where
        F: FnMut(&mut Node<'a>) -> Result<(), String>,
    {
        // A leaf is inside of that many levels.
        self.leaves(DEPTH + 1, change)
    }

    fn leaves<F>(&mut self, depth: usize, change: &mut F) -> Result<(), String>
    where
        F: FnMut(&mut Node<'a>) -> Result<(), String>,
    {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(too_deep());
        };
        match self.open()? {
            Node::Array(elements) => elements
                .iter_mut()
                .try_for_each(|element| element.leaves(depth, change)),
            Node::Object(fields) => fields
                .iter_mut()
                .try_for_each(|(_, node)| node.leaves(depth, change)),
            leaf => change(leaf),
        }
    }

    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Text in memory takes whatever a node has.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Raw(raw) => raw.serialize(serializer),
            Node::New(raw) => raw.serialize(serializer),
            Node::Array(elements) => serializer.collect_seq(elements),
            Node::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, node) in fields {
                    map.serialize_entry(name, node)?;
                }
                map.end()
            }
        }
    }
}

/// What is in an array or an object; `None` for other values.
fn open<'t, 'a, R: Deserialize<'t>>(
    text: &'t str,
    node: impl Fn(R) -> Node<'a>,
    name: impl Fn(Cow<'t, str>) -> Cow<'a, str>,
) -> Result<Option<Node<'a>>, serde_json::Error> {
    Ok(match text.as_bytes().first() {
        Some(b'[') => {
            let elements: Vec<R> = serde_json::from_str(text)?;
            Some(Node::Array(elements.into_iter().map(node).collect()))
        }
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text)?;
            let fields = members.into_iter();
            let fields = fields.map(|(Name(text), value)| (name(text), node(value)));
            Some(Node::Object(fields.collect()))
        }
        _ => None,
    })
}

/// Text that is borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The fields of an object, in their order.
struct Members<'a, R>(Vec<(Name<'a>, R)>);

impl<'de, R: Deserialize<'de>> Deserialize<'de> for Members<'de, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<R>(PhantomData<R>);
        impl<'de, R: Deserialize<'de>> Visitor<'de> for Object<R> {
            type Value = Members<'de, R>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object(PhantomData))
    }
}
