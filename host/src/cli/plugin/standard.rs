//! What `weir plugin list --std` and `weir plugin inspect std:NAME` say of standard plugins.

use crate::cli::files;
use crate::cli::shown::short;
use crate::config::component::InBinary;
use crate::plugin;
use crate::report::ResultExt;
use crate::standard::{self, Standard};
use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// The standard plugin that a path is meant for, if it is the reference of one.
pub(super) fn named(path: &Path) -> Option<Result<&'static Standard>> {
    let reference = InBinary::parse(path.to_str()?)?;
    let find = |it: InBinary| standard::find(&it.name, it.version.as_deref());
    Some(reference.map_err(|why| anyhow!(why)).and_then(find).usage())
}

/// The bytes of a component: of a standard plugin, or of a file.
pub(super) fn component(path: &Path) -> Result<Vec<u8>> {
    match named(path) {
        Some(standard) => standard?.component(),
        None => std::fs::read(path).map_err(|error| files::unreadable(path, &error)),
    }
}

/// All of them: as JSON, and as text.
pub(super) fn list() -> Result<(Value, String)> {
    let mut text = String::new();
    let mut rows = Vec::new();
    let all = standard::all()?;
    let width = all
        .iter()
        .map(|one| one.name.len())
        .max()
        .unwrap_or_default();
    for one in all {
        let (name, version, description) =
            (format!("std:{}", one.name), one.version, one.description);
        let found = plugin::inspect(&one.component()?)
            .with_context(|| format!("cannot inspect `{name}`"))?;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{name:<width$}  {version}  {}  {description}",
            short(&found.digest),
            width = width + "std:".len(),
        );
        rows.push(json!({
            "name": name,
            "version": version,
            "contract": found.contract.ok(),
            "digest": found.digest,
            "size": one.size,
            "description": description,
        }));
    }
    text += "\n`weir plugin inspect NAME` shows the configuration and an example of one";
    Ok((rows.into(), text))
}

/// What is known of one beside its component, to add to the JSON of an inspection.
pub(super) fn about(standard: &Standard) -> serde_json::Map<String, Value> {
    let about = json!({
        "name": format!("std:{}", standard.name),
        "version": standard.version,
        "description": standard.description,
        "config_schema": standard.schema(),
        "example": standard.example(),
    });
    about.as_object().cloned().unwrap_or_default()
}

/// The keys of its `config:` with what they mean, and its example.
pub(super) fn explained(standard: &Standard) -> String {
    let mut out = String::new();
    if let Some(schema) = standard.schema() {
        out += "\nconfig:\n";
        fields(&mut out, &schema, 1);
    }
    let example = standard.example();
    let _ = write!(out, "\nexample:\n{}", indented(&example));
    out
}

/// Each field of an object on a line, and those below it deeper.
fn fields(out: &mut String, schema: &Value, depth: usize) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|it| it == name));
    for (name, field) in properties.into_iter().flatten() {
        let mut notes = Vec::new();
        notes.extend(is_required(name).then(|| "required".to_owned()));
        let words = words(field);
        notes.extend((!words.is_empty()).then(|| words.join(", ")));
        if let Some(default) = field
            .get("default")
            .filter(|it| !it.is_null() && !it.is_object())
        {
            let default = default
                .as_str()
                .map_or_else(|| default.to_string(), str::to_owned);
            notes.push(format!("default {default}"));
        }
        let notes = match notes.is_empty() {
            true => String::new(),
            false => format!(" ({})", notes.join("; ")),
        };
        let description = field.get("description").and_then(Value::as_str);
        let description = description.unwrap_or_default().replace('\n', " ");
        let pad = "  ".repeat(depth);
        let _ = writeln!(out, "{pad}{name}{notes}: {description}");
        fields(out, field, depth + 1);
    }
}

/// The words that a field may have.
fn words(field: &Value) -> Vec<String> {
    let branches = ["oneOf", "anyOf"]
        .iter()
        .filter_map(|it| field.get(it)?.as_array());
    let branches: Vec<&Value> = branches.flatten().collect();
    let word = |schema: &&Value| Some(schema.get("const")?.as_str()?.to_owned());
    let listed = |schema: &&Value| schema.get("enum").and_then(Value::as_array).cloned();
    let all = || branches.iter().copied().chain([field]);
    let listed = all().filter_map(|it| listed(&it)).flatten();
    let listed = listed.filter_map(|it| Some(it.as_str()?.to_owned()));
    all().filter_map(|it| word(&it)).chain(listed).collect()
}

fn indented(text: &str) -> String {
    let line = |line: &str| match line {
        "" => "\n".to_owned(),
        line => format!("  {line}\n"),
    };
    text.lines().map(line).collect()
}
