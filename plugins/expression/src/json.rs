//! JSON text straight into the values that CEL computes with, and back.
//!
//! Not through `cel::to_value`, which makes every integer that is not negative a `uint`: CEL does
//! not add an `int` to a `uint`, and `payload.total + 1` would fail.

use crate::why::kind;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cel::Value;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use cel::objects::{Map, Opaque};
use fields::{Node, Payload, Wanted};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error, Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

/// A value that was read.
pub struct Json(pub Box<dyn Val>);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ToValue).map(Self)
    }
}

impl Json {
    /// Reads a payload, and of an object the wanted fields, if not all.
    pub fn read(payload: &[u8], wanted: Option<&Wanted>) -> Result<Self, String> {
        let Some(wanted) = wanted else {
            let whole = || {
                let mut all = Wanted::default();
                all.all();
                Self::read(payload, Some(&all))
            };
            return serde_json::from_slice(payload).or_else(|_| whole());
        };
        let not_json = |error| format!("the payload is not JSON: {error}");
        match wanted.read(payload).map_err(not_json)? {
            Payload::Whole(json) => value(json, String::new),
            Payload::Fields(fields) => object(fields.into_iter(), ""),
        }
        .map(Self)
    }
}

/// The value of JSON at this place of a payload.
fn value(json: &str, place: impl Fn() -> String) -> Result<Box<dyn Val>, String> {
    match serde_json::from_str(json) {
        Ok(Json(value)) => Ok(value),
        // The only thing that may be wrong with what is JSON.
        Err(_) => around(json, &place()),
    }
}

/// The same of a value in which a number is out of the range of doubles.
fn around(json: &str, place: &str) -> Result<Box<dyn Val>, String> {
    match Node::read(json.as_bytes())?.open()? {
        Node::Object(fields) => {
            let fields = fields.iter().map(|(name, node)| (&**name, node));
            object(
                fields.filter_map(|(name, node)| Some((name, node.raw()?))),
                place,
            )
        }
        Node::Array(elements) => {
            let elements = elements.iter().filter_map(Node::raw).enumerate();
            let elements = elements.map(|(index, json)| value(json, || format!("{place}/{index}")));
            Ok(list(elements.collect::<Result<_, _>>()?))
        }
        _ => {
            let number = Value::Opaque(Arc::new(OutOfRange(place.to_owned())));
            let number: Result<_, cel::ExecutionError> = number.try_into();
            number.map_err(|error| error.to_string())
        }
    }
}

fn object<'j>(
    fields: impl Iterator<Item = (&'j str, &'j str)>,
    place: &str,
) -> Result<Box<dyn Val>, String> {
    let field = |(name, json): (&'j str, &'j str)| {
        let step = || name.replace('~', "~0").replace('/', "~1");
        let value = value(json, || format!("{place}/{}", step()))?;
        Ok((key(name.to_owned()), value))
    };
    let map: HashMap<_, _> = fields.map(field).collect::<Result<_, String>>()?;
    Ok(Box::new(CelMap::from(map)))
}

fn list(elements: Vec<Box<dyn Val>>) -> Box<dyn Val> {
    Box::new(CelList::from(elements))
}

fn key(name: String) -> CelMapKey<'static> {
    CelMapKey::String(CelString::from(name))
}

/// A number that is out of the range of doubles, with its place in the payload. No operator works with it.
#[derive(Debug, PartialEq, Eq)]
pub struct OutOfRange(String);

impl Opaque for OutOfRange {
    fn runtime_type_name(&self) -> &'static str {
        "number out of range"
    }
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "number out of range at {}", self.0)
    }
}

struct ToValue;

impl<'de> Visitor<'de> for ToValue {
    type Value = Box<dyn Val>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Box::new(CelNull))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Box::new(CelBool::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Box::new(CelInt::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => Box::new(CelInt::from(value)),
            Err(_) => Box::new(CelUInt::from(value)),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Box::new(CelDouble::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Box::new(CelString::from(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(Box::new(CelString::from(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::with_capacity(elements.size_hint().unwrap_or(0));
        while let Some(Json(element)) = elements.next_element()? {
            all.push(element);
        }
        Ok(list(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = HashMap::with_capacity(entries.size_hint().unwrap_or(0));
        while let Some((name, Json(value))) = entries.next_entry()? {
            map.insert(key(name), value);
        }
        Ok(Box::new(CelMap::from(map)))
    }
}

/// What an expression yields, which is written as JSON: bytes in Base64, the fields of an object in alphabetical
/// order.
pub struct Computed(pub(crate) Value);

impl Serialize for Computed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Borrowed(&self.0).serialize(serializer)
    }
}

struct Borrowed<'v>(&'v Value);

impl Serialize for Borrowed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::UInt(value) => serializer.serialize_u64(*value),
            Value::Float(value) if !value.is_finite() => Err(S::Error::custom(format!(
                "the expression yields {value}, which JSON has no word for"
            ))),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::String(value) => serializer.serialize_str(value),
            Value::Bytes(value) => serializer.serialize_str(&STANDARD.encode(value.as_slice())),
            Value::List(elements) => serializer.collect_seq(elements.iter().map(Borrowed)),
            Value::Map(Map { map }) => {
                let fields = map.iter();
                let fields = fields.map(|(name, value)| (name.to_string(), Borrowed(value)));
                serializer.collect_map(fields.collect::<BTreeMap<_, _>>())
            }
            Value::Opaque(opaque) if let Some(number) = opaque.downcast_ref::<OutOfRange>() => {
                Err(S::Error::custom(number))
            }
            Value::Opaque(_) => Err(S::Error::custom(
                "the expression yields a value that may be missing: end it with `.orValue(...)`",
            )),
            other => Err(S::Error::custom(format!(
                "the expression yields {}, which JSON has no word for",
                kind(other)
            ))),
        }
    }
}
