//! What a result shows of a message.

use crate::config::{fields, pointer};
use crate::payload::Payload;
use serde_json::{Map, Value};

/// See the top of this file.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// What this pointer names; the empty one is the whole payload.
    Field(String),
    /// An object of these names and fields.
    Fields(Vec<(String, String)>),
}

impl Shown {
    /// Reads it from JSON: a pointer, or a map of names to pointers.
    pub fn read(name: &str, value: &Value) -> Result<Self, String> {
        Ok(match value {
            Value::Object(_) => Self::Fields(fields(name, value)?),
            _ => Self::Field(pointer(name, value)?),
        })
    }

    /// The pointers in it.
    pub fn pointers(&self) -> Vec<&str> {
        match self {
            Self::Field(field) => vec![field],
            Self::Fields(fields) => fields.iter().map(|(_, field)| field.as_str()).collect(),
        }
    }

    /// What it is of this payload; null in place of what is missing.
    pub fn of(&self, payload: &Payload<'_>) -> Value {
        match self {
            Self::Field(field) => payload.pointer(field).cloned().unwrap_or_default(),
            Self::Fields(fields) => Value::Object(named(fields, payload)),
        }
    }
}

/// Fields of a payload by their names in a result; null in place of what is missing.
fn named(fields: &[(String, String)], payload: &Payload<'_>) -> Map<String, Value> {
    let fields = fields.iter().map(|(name, field)| {
        let value = payload.pointer(field).cloned();
        (name.clone(), value.unwrap_or_default())
    });
    fields.collect()
}

/// What is shown, with its rank as a field more.
pub fn ranked(shown: Value, name: &str, rank: usize) -> Value {
    let mut object = object(shown);
    object.insert(name.to_owned(), rank.into());
    Value::Object(object)
}

/// An object; what is none stands in it as `value`.
pub fn object(shown: Value) -> Map<String, Value> {
    match shown {
        Value::Object(object) => object,
        value => Map::from_iter([("value".to_owned(), value)]),
    }
}
