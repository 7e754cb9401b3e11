//! `weir config ...`: the schema and the reference page of pipeline files.

use super::Console;
use crate::config;
use crate::report;
use anyhow::Context;
use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Print the JSON Schema of pipeline files; an editor checks and completes with it.
    #[command(after_help = "\
In an editor with a YAML language server, begin a file with:
  # yaml-language-server: $schema=weir.schema.json")]
    Schema,
    /// Print the reference page of pipeline files, in Markdown.
    Reference,
}

impl Command {
    pub(super) fn run(&self, console: &Console) -> anyhow::Result<u8> {
        match self {
            Self::Schema => {
                let text = serde_json::to_string_pretty(&config::schema());
                console.print(&text.context("cannot print the schema")?)?;
            }
            Self::Reference => console.print(&config::reference())?,
        }
        Ok(report::DONE)
    }
}
