//! The JSON Schema of what stands under a plugin's `config:`, in the plugin's folder.
//!
//! The schema comes from the type that the plugin reads its configuration into: names, defaults and doc comments.
//! A unit test of each plugin compares it with the file. `BLESS=1 cargo test` writes the file. The host embeds it:
//! `weir plugin inspect` shows it, and `weir check` checks configurations with it.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use std::path::Path;

/// The name of the file in the plugin's folder.
pub const FILE: &str = "config.schema.json";

/// Compares the schema of a configuration with the file in a plugin's `folder`, or writes it if `BLESS` is set.
/// The error says what to do.
pub fn check<C: JsonSchema>(folder: &str) -> Result<(), String> {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let current = text(&settings.into_generator().into_root_schema_for::<C>())?;
    let file = Path::new(folder).join(FILE);
    if std::env::var_os("BLESS").is_some() {
        return std::fs::write(&file, current)
            .map_err(|error| format!("cannot write `{}`: {error}", file.display()));
    }
    let stored = std::fs::read_to_string(&file).unwrap_or_default();
    if stored == current {
        return Ok(());
    }
    Err(format!(
        "`{}` is not the schema of the configuration: run `BLESS=1 cargo test`",
        file.display()
    ))
}

fn text(schema: &Schema) -> Result<String, String> {
    serde_json::to_string_pretty(schema)
        .map(|text| text + "\n")
        .map_err(|error| error.to_string())
}
