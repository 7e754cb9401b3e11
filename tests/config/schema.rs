//! The schema has every key that a pipeline file may have, and says what it is for.

use super::{entries, inputs};
use std::collections::BTreeSet;
use weir::config;

/// Every field of the schema with its description, `source.create.subjects` say; sections in lists
/// have `[]`.
fn described(schema: &serde_json::Value, path: &str, found: &mut Vec<(String, bool)>) {
    for branches in ["anyOf", "oneOf"] {
        for branch in schema
            .get(branches)
            .and_then(|b| b.as_array())
            .into_iter()
            .flatten()
        {
            described(branch, path, found);
        }
    }
    if let Some(items) = schema.get("items") {
        described(items, &format!("{path}[]"), found);
    }
    // Under names that the user gives.
    if let Some(named) = schema
        .get("additionalProperties")
        .filter(|it| it.is_object())
    {
        described(named, &format!("{path}.*"), found);
    }
    let Some(fields) = schema
        .get("properties")
        .and_then(|fields| fields.as_object())
    else {
        return;
    };
    assert_eq!(
        schema.get("additionalProperties"),
        Some(&false.into()),
        "{path} is open"
    );
    for (name, field) in fields {
        let path = format!("{path}.{name}");
        described(field, &path, found);
        found.push((path, field.get("description").is_some()));
    }
}

/// The paths of a document in the same form. What is under `config:` belongs to the plugin.
fn written(document: &serde_json::Value, path: &str, found: &mut BTreeSet<String>) {
    match document {
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                if path == ".sources" {
                    written(field, &format!("{path}.*"), found);
                    continue;
                }
                let path = format!("{path}.{name}");
                if name != "config" {
                    written(field, &path, found);
                }
                found.insert(path);
            }
        }
        serde_json::Value::Array(items) => {
            items
                .iter()
                .for_each(|item| written(item, &format!("{path}[]"), found));
        }
        _ => {}
    }
}

#[test]
fn the_schema_knows_and_describes_every_key_that_is_accepted() {
    let mut known = Vec::new();
    described(&config::schema(), "", &mut known);
    assert!(known.len() > 70, "only {} fields", known.len());
    for (path, described) in &known {
        assert!(described, "{path} has no description");
    }
    let known: BTreeSet<&str> = known.iter().map(|(path, _)| path.as_str()).collect();
    let mut used = BTreeSet::new();
    for file in entries(&inputs().join("valid"), Some("yaml")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).unwrap();
        documents
            .iter()
            .for_each(|document| written(document, "", &mut used));
    }
    let unknown: Vec<_> = used
        .iter()
        .filter(|path| !known.contains(path.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "accepted, and not in the schema: {unknown:?}"
    );
    let unused: Vec<_> = known
        .iter()
        .filter(|path| !used.contains(**path) && !path.contains(".create."))
        .collect();
    assert!(
        unused.is_empty(),
        "in the schema, and in no good file: {unused:?}"
    );
}
