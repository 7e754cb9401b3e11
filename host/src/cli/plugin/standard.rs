//! The output of `weir plugin list --std` and `weir plugin inspect std:NAME`.

use crate::cli::files;
use crate::cli::shown::short;
use crate::config;
use crate::config::component::InBinary;
use crate::plugin;
use crate::report::ResultExt;
use crate::standard::{self, Standard};
use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// The standard plugin that a path is meant for, if it is the reference of one.
pub(in crate::cli) fn named(path: &Path) -> Option<Result<&'static Standard>> {
    let reference = InBinary::parse(path.to_str()?)?;
    let find = |it: InBinary| standard::find(&it.name, it.version.as_deref());
    Some(reference.map_err(|why| anyhow!(why)).and_then(find).usage())
}

/// The bytes of a component: of a standard plugin, or of a file.
pub(in crate::cli) fn component(path: &Path) -> Result<Vec<u8>> {
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
    let keys = standard.schema().map(config::explained).unwrap_or_default();
    if !keys.is_empty() {
        let _ = write!(out, "\nconfig:\n{keys}");
    }
    let example = standard.example();
    let _ = write!(out, "\nexample:\n{}", indented(&example));
    out
}

fn indented(text: &str) -> String {
    let line = |line: &str| match line {
        "" => "\n".to_owned(),
        line => format!("  {line}\n"),
    };
    text.lines().map(line).collect()
}
