//! What a result shows of a message.

use crate::config::{fields, pointer};
use crate::payload::Payload;
use crate::value::{Kept, Named, kept, node};
use fields::Node;
use serde_json::Value;
use serde_json::value::to_raw_value;
use std::collections::BTreeMap;
use weir_sdk::Refusal;

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
    pub fn read(refusal: &mut Refusal, value: &Value) -> Option<Self> {
        Some(match value {
            Value::Object(_) => Self::Fields(fields(refusal, value)?),
            _ => Self::Field(pointer(refusal, &[], value)?),
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
    pub fn of(&self, payload: &Payload<'_>) -> Result<Kept, String> {
        let value = |field: &str| payload.pointer(field).unwrap_or("null");
        match self {
            Self::Field(field) => kept(value(field)),
            Self::Fields(fields) => {
                let named = fields
                    .iter()
                    .map(|(name, field)| (name, kept(value(field))));
                let named = named.map(|(name, value)| Ok((name, value?)));
                let named = named.collect::<Result<BTreeMap<_, _>, String>>()?;
                to_raw_value(&named).map_err(|error| error.to_string())
            }
        }
    }
}

/// What is shown, with its rank as a field more.
pub fn ranked(shown: Kept, name: &str, rank: usize) -> Node<'static> {
    let mut object = object(Node::New(shown));
    object.insert(name.to_owned(), node(&rank));
    self::node(&object)
}

/// An object; what is none stands in it as `value`.
pub fn object(mut shown: Node<'static>) -> Named {
    if let Ok(Node::Object(fields)) = shown.open() {
        let fields = std::mem::take(fields).into_iter();
        return fields
            .map(|(name, value)| (name.into_owned(), value))
            .collect();
    }
    Named::from([("value".to_owned(), shown)])
}
