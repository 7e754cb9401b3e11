//! `weir metrics`: the reference page `docs/metrics.md`.

use super::Console;
use crate::report;
use crate::telemetry::names::{self, Name};
use serde_json::{Value, json};

#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments, console: &Console) -> anyhow::Result<u8> {
    if console.json {
        let rows = Name::ALL.iter().map(|name| {
            let spec = name.spec();
            json!({
                "name": name.full(),
                "type": spec.kind.as_str(),
                "labels": spec.labels,
                "help": spec.help,
            })
        });
        console.value(&rows.collect::<Vec<Value>>())?;
    } else {
        console.print(&names::reference())?;
    }
    Ok(report::DONE)
}
