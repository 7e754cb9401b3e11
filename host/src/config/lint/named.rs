//! Checks names of sources in the configurations of standard plugins. Their schemas say where such names are.

use crate::config::cursor::Cursor;
use crate::config::model;
use crate::config::resolve::Context;
use crate::config::resolved::NamedSource;
use crate::standard;
use serde_json::Value;

/// What a schema says of a text that is the name of a source of the pipeline.
const SOURCE: &str = "x-weir-source";

/// What a standard plugin is told of a source must be the name of one.
pub(in crate::config) fn named_sources(
    models: &[model::Operator],
    sources: &[NamedSource],
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) {
    let known: Vec<&str> = sources
        .iter()
        .filter_map(|one| one.name.as_deref())
        .collect();
    for (index, model) in models.iter().enumerate() {
        let plugin = model
            .plugin
            .as_deref()
            .and_then(|it| it.strip_prefix("std:"));
        let name = plugin.map(|it| it.split_once('@').map_or(it, |(name, _)| name));
        let schema = name.and_then(|name| standard::find(name, None).ok()?.schema());
        if let Some(schema) = schema {
            let at = at.field("operators").item(index).field("config");
            check(&schema, &model.config, &known, &at, context);
        }
    }
}

/// Compares a value and what is in it with its schema.
fn check(
    schema: &Value,
    value: &Value,
    known: &[&str],
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) {
    if let (Some(_), Some(name)) = (schema.get(SOURCE), value.as_str())
        && !known.contains(&name)
    {
        let message = format!("`{}`: there is no source `{name}`", at.path());
        context
            .findings
            .add_hint(at.location(), message, hint(known));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        if let Some(value) = value.get(name) {
            check(schema, value, known, &at.field(name), context);
        }
    }
}

fn hint(known: &[&str]) -> String {
    match known {
        [] => "give the sources names: `sources:` in place of `source:`".to_owned(),
        known => format!("the sources are `{}`", known.join("`, `")),
    }
}
