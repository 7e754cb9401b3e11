//! The JSON Schema of a pipeline file: for editors, for `shape.rs`, and for the reference page.
//!
//! Generated from `model.rs`, so that the editor's suggestions, `weir check` and the page always agree.

use super::model::Pipeline;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// The schema of one document of a pipeline file, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    shared().clone()
}

/// The schema, generated once.
pub(super) fn shared() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let settings = SchemaSettings::draft2020_12()
            .with(|settings| settings.inline_subschemas = true)
            .with_transform(simplify);
        let mut schema = settings.into_generator().into_root_schema_for::<Pipeline>();
        schema.insert("title".to_owned(), "weir pipeline".into());
        schema.to_value()
    })
}

/// The schema of a plugin's configuration, without what only concerns serde.
pub(super) fn of_plugin(schema: Value) -> Option<Value> {
    let mut schema = Schema::try_from(schema).ok()?;
    simplify(&mut schema);
    Some(schema.to_value())
}

/// Removes what only concerns serde: a missing value has no key and is never null, and the default of a
/// section is that of its fields.
fn simplify(schema: &mut Schema) {
    transform_subschemas(&mut simplify, schema);
    let Some(map) = schema.as_object_mut() else {
        return;
    };
    if matches!(map.get("default"), Some(Value::Null | Value::Object(_))) {
        map.remove("default");
    }
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(branches)) = map.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            map.remove("anyOf");
            // The field's own description, if it has one, is more specific.
            for (name, value) in only {
                map.entry(name).or_insert(value);
            }
        }
    }
}

/// The alternatives for a value: the branches of `anyOf` and `oneOf`, or the schema itself.
pub(super) fn branches(schema: &Value) -> Vec<&Value> {
    for name in ["anyOf", "oneOf"] {
        if let Some(Value::Array(parts)) = schema.get(name) {
            return parts.iter().flat_map(branches).collect();
        }
    }
    vec![schema]
}

/// The schemas of items, of each way in which a list may be written.
pub(super) fn items(schema: &Value) -> impl Iterator<Item = &Value> {
    let branches = branches(schema).into_iter();
    branches.filter_map(|branch| branch.get("items"))
}

/// The schema of the values of a map whose keys are names that the user gives, if it is one.
pub(super) fn named(schema: &Value) -> Option<&Value> {
    let mut branches = branches(schema).into_iter();
    branches.find_map(|branch| {
        branch
            .get("additionalProperties")
            .filter(|it| it.is_object())
    })
}

/// Whether a schema names the type, alone or among others.
pub(super) fn has_type(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

/// The words that a schema allows, if it is an enumeration.
pub(super) fn words(schema: &Value) -> Vec<&str> {
    let listed = schema
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    schema
        .get("const")
        .into_iter()
        .chain(listed)
        .filter_map(Value::as_str)
        .collect()
}

/// The default of a field, which is empty if there is none; `None` if the field must be there.
pub(super) fn default(parent: &Value, name: &str, schema: &Value) -> Option<String> {
    let required = branches(parent)
        .into_iter()
        .filter_map(|branch| branch.get("required")?.as_array())
        .flatten()
        .any(|required| required == name);
    (!required).then(|| match schema.get("default") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.is_empty() => String::new(),
        Some(value) => value.to_string(),
        None => String::new(),
    })
}

/// The fields of the object that a schema allows, if it allows one.
pub(super) fn fields(schema: &Value) -> Option<&Map<String, Value>> {
    branches(schema)
        .into_iter()
        .find_map(|branch| branch.get("properties")?.as_object())
}

/// The fields that an object must have.
pub(super) fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}
