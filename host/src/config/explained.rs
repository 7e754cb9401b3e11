//! The keys of a plugin's configuration in words, from its schema: for `weir plugin inspect`.

use super::schema::{branches, default, fields, has_type, items, named, of_plugin, words};
use serde_json::Value;
use std::fmt::Write;

/// Stands for a name that the user gives.
const NAME: &str = "NAME";

/// A line for each key, also below others, with its type, its default and its bounds. Empty if there are no keys.
#[must_use]
pub fn explained(schema: Value) -> String {
    let mut out = String::new();
    if let Some(schema) = of_plugin(schema) {
        keys(&mut out, &schema, 1);
    }
    out
}

fn keys(out: &mut String, schema: &Value, depth: usize) {
    for (name, field) in fields(schema).into_iter().flatten() {
        let mut notes = vec![kind(field)];
        match default(schema, name, field) {
            None => notes.push("required".to_owned()),
            Some(default) if !default.is_empty() => notes.push(format!("default {default}")),
            Some(_) => {}
        }
        let bound = |name| {
            branches(field)
                .into_iter()
                .find_map(|branch| branch.get(name))
        };
        let bounds = [("minimum", "at least"), ("maximum", "at most")];
        let bounds = bounds.iter().filter_map(|(name, words)| {
            let value = bound(name).filter(|value| value.as_f64() != Some(0.0))?;
            Some(format!("{words} {value}"))
        });
        notes.extend(bounds);
        line(out, name, &notes.join("; "), field, depth);
        keys(out, field, depth + 1);
        items(field).for_each(|item| keys(out, item, depth + 1));
        if let Some(value) = named(field).filter(|value| fields(value).is_some()) {
            line(out, NAME, &kind(value), value, depth + 1);
            keys(out, value, depth + 2);
        }
    }
}

fn line(out: &mut String, name: &str, notes: &str, field: &Value, depth: usize) {
    let description = field.get("description").and_then(Value::as_str);
    let description = description.map(|text| format!(": {}", text.replace('\n', " ")));
    let (pad, description) = ("  ".repeat(depth), description.unwrap_or_default());
    // Writing to a string does not fail.
    let _ = writeln!(out, "{pad}{name} ({notes}){description}");
}

/// The possible values, in words.
fn kind(schema: &Value) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for branch in branches(schema) {
        let allowed = words(branch);
        let found = match branch.get("items") {
            _ if !allowed.is_empty() => allowed.into_iter().map(str::to_owned).collect(),
            Some(item) => vec![format!("list of {}", kind(item))],
            None => scalars(branch),
        };
        for kind in found {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    match kinds.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "anything".to_owned(),
    }
}

fn scalars(branch: &Value) -> Vec<String> {
    let types = [
        ("string", "text"),
        ("integer", "whole number"),
        ("number", "number"),
        ("boolean", "true or false"),
        ("array", "list"),
    ];
    let types = types.iter().filter(|(name, _)| has_type(branch, name));
    let mut kinds: Vec<_> = types.map(|(_, words)| (*words).to_owned()).collect();
    if has_type(branch, "object") {
        kinds.push(match named(branch) {
            // They have a line of their own.
            Some(value) if fields(value).is_some() => "names".to_owned(),
            Some(value) => format!("names with {}", kind(value)),
            None => "section".to_owned(),
        });
    }
    if kinds.is_empty() {
        kinds.push("anything".to_owned());
    }
    kinds
}
