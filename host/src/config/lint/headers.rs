//! Headers that a plugin reads but its operator does not request: the plugin never sees them, so a rule for
//! them never applies.
//!
//! The schema of a standard plugin says where its configuration names headers, with the keyword `x-weir-headers`:
//! `names` for the names themselves, `mentions` for a template or an expression in which they occur.

use crate::config::component::Reference;
use crate::config::resolved::{HeaderSelection, Operator};
use crate::standard;
use serde_json::Value;
use std::collections::BTreeSet;

/// Where the names of headers are.
const KEYWORD: &str = "x-weir-headers";

/// What stands in front of a name in a template and in an expression, and what may follow it.
const MENTIONS: [(&str, &[char]); 4] = [
    ("header:", &['}']),
    ("headers[\"", &['"']),
    ("headers['", &['\'']),
    // In jq.
    ("headers.\"", &['"']),
];

/// What stands in front of a name that is an identifier, as in `headers.Name`.
const FIELD: &str = "headers.";

/// What is wrong if the configuration of a standard plugin names headers that its operator does not ask for.
pub fn unseen_headers(operator: &Operator) -> Option<String> {
    let schema = match &operator.plugin {
        Reference::Standard(named) => standard::find(&named.name, None).ok(),
        _ => None,
    };
    let mut found = BTreeSet::new();
    if let Some(schema) = schema.and_then(standard::Standard::schema) {
        collect(&schema, &operator.config, &mut found);
    }
    let is_seen = |name: &str| match &operator.headers {
        HeaderSelection::All => true,
        HeaderSelection::None => false,
        HeaderSelection::Named(names) => names.iter().any(|it| it.eq_ignore_ascii_case(name)),
    };
    found.retain(|name| !is_seen(name));
    let (name, list) = (&operator.name, Vec::from_iter(found).join(", "));
    (!list.is_empty()).then(|| {
        format!("`{name}` has headers in its `config` that it does not get: add `headers: [{list}]` to the operator")
    })
}

fn collect(schema: &Value, value: &Value, found: &mut BTreeSet<String>) {
    if let Some(kind) = schema.get(KEYWORD).and_then(Value::as_str) {
        return texts(value, &mut |text| match kind {
            "names" => drop(found.insert(text.to_owned())),
            _ => mentioned(text, found),
        });
    }
    for branches in ["oneOf", "anyOf", "allOf"] {
        let branches = schema.get(branches).and_then(Value::as_array);
        for branch in branches.into_iter().flatten() {
            collect(branch, value, found);
        }
    }
    match value {
        Value::Array(elements) => {
            if let Some(items) = schema.get("items") {
                elements
                    .iter()
                    .for_each(|element| collect(items, element, found));
            }
        }
        Value::Object(fields) => {
            let properties = schema.get("properties");
            for (name, field) in fields {
                let own = properties.and_then(|properties| properties.get(name));
                if let Some(schema) = own.or_else(|| schema.get("additionalProperties")) {
                    collect(schema, field, found);
                }
            }
        }
        _ => {}
    }
}

/// All texts in a value.
fn texts(value: &Value, take: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => take(text),
        Value::Array(elements) => elements.iter().for_each(|element| texts(element, take)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, take)),
        _ => {}
    }
}

fn mentioned(text: &str, found: &mut BTreeSet<String>) {
    for (before, after) in MENTIONS {
        let names = text.split(before).skip(1);
        let names = names.filter_map(|rest| rest.split(after).next());
        found.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    for (at, _) in text.match_indices(FIELD) {
        let (before, behind) = text.split_at(at);
        let behind = behind.strip_prefix(FIELD).unwrap_or_default();
        let (name, after) = behind.split_at(behind.find(|it| !is_part(it)).unwrap_or(behind.len()));
        // `payload.headers.x` is a field of the payload, and `headers.size()` is a call.
        let is_own = !before.ends_with(|it: char| is_part(it) || it == '.');
        if is_own && !name.is_empty() && !after.starts_with('(') {
            found.insert(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_found_where_the_schema_says_and_nowhere_else() {
        let schema = json!({ "properties": {
            "rules": { "items": { "properties": {
                "headers": { KEYWORD: "names" },
                "note": { "type": "string" },
            } } },
            "to": { "oneOf": [{ "const": "x" }, { "properties": { "subject": { KEYWORD: "mentions" } } }] },
            "fields": { "additionalProperties": { KEYWORD: "mentions" } },
        } });
        let value = json!({
            "rules": [{ "headers": ["A", "B"], "note": "header:No" }, { "headers": null }],
            "to": { "subject": "{header:C}.{key}.{header:D}" },
            "fields": { "x": "headers[\"E\"] + headers['F']", "y": "header:G", "z": "\"H\" in headers",
                "cel": "has(headers.I) && headers.size() > 1 && payload.headers.No == 1",
                "jq": "$headers.J + $headers.\"K-L\"" },
        });
        let mut found = BTreeSet::new();
        collect(&schema, &value, &mut found);
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        assert_eq!(found, ["A", "B", "C", "D", "E", "F", "G", "I", "J", "K-L"]);
    }
}
