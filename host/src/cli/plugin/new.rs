//! `weir plugin new NAME`: creates a folder with a plugin that builds as it is.

use crate::cli::Console;
use crate::cli::project::{self, Language};
use crate::plugin::World;
use crate::report;
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The plugin's name: lower-case letters, digits and `-`.
    name: String,

    /// The language of the plugin.
    #[arg(long, value_enum, default_value_t)]
    lang: Language,

    /// Create a plugin with state and timers, for a pipeline with exactly-once delivery.
    #[arg(long)]
    stateful: bool,

    /// Create a plugin that aggregates windows of time, for a pipeline with exactly-once delivery.
    #[arg(long, conflicts_with = "stateful")]
    aggregator: bool,

    /// The folder to create. [default: NAME]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(in crate::cli) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let folder = arguments
        .folder
        .clone()
        .unwrap_or_else(|| PathBuf::from(&arguments.name));
    let world = match (arguments.stateful, arguments.aggregator) {
        (_, true) => World::Aggregator,
        (true, false) => World::StatefulOperator,
        (false, false) => World::Operator,
    };
    project::create(&folder, &arguments.name, arguments.lang, world)?;
    let shown = folder.display();
    console.answer(
        &json!({"name": arguments.name, "language": arguments.lang.name(), "folder": folder}),
        &format!(
            "created {shown}\n\n  cd {shown}\n  weir plugin test    builds it and runs input.jsonl through it\n"
        ),
    )?;
    Ok(report::DONE)
}
