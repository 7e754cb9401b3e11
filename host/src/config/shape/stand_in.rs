//! The values that replace invalid and missing ones, so that the rest can be read.

use crate::config::schema::{branches, fields, has_type, required, words};
use serde_json::{Map, Value};

/// The replacement for an invalid item of a list in a pipeline file: nothing in it is required.
pub(super) fn empty(schema: &Value) -> Value {
    match has_type(schema, "object") {
        true => Value::Object(Map::new()),
        false => Value::String(String::new()),
    }
}

/// A value that fits the schema of a plugin's configuration, as far as the types go.
pub(super) fn stand_in(schema: &Value) -> Value {
    let Some(branch) = branches(schema).into_iter().next() else {
        return Value::Null;
    };
    if let Some(word) = words(branch).first() {
        return Value::from(*word);
    }
    if has_type(branch, "object") {
        let known = fields(branch);
        let value = |name: &str| known.and_then(|known| known.get(name)).map(stand_in);
        let fields = required(branch).map(|name| (name.to_owned(), value(name).into()));
        return Value::Object(fields.collect());
    }
    if has_type(branch, "array") {
        return Value::Array(Vec::new());
    }
    if has_type(branch, "integer") || has_type(branch, "number") {
        return branch.get("minimum").cloned().unwrap_or(0.into());
    }
    match has_type(branch, "boolean") {
        true => Value::Bool(false),
        false => Value::String(String::new()),
    }
}
