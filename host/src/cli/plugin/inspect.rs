//! `weir plugin inspect FILE`: shows what a component is and what it needs, without running it.

use super::deploy::component;
use super::standard;
use crate::cli::{Console, files};
use crate::plugin::{self, Grant, Inspection};
use crate::report;
use crate::standard::Standard;
use anyhow::{Context, anyhow};
use bytesize::ByteSize;
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A component, a core module with a component-type section, or a reference: std:NAME,
    /// nats://BUCKET/NAME@VERSION or oci://REGISTRY/REPOSITORY:TAG.
    #[arg(value_name = "FILE")]
    component: PathBuf,

    #[command(flatten)]
    reach: files::Reach,

    /// Print only the component's world and interfaces, as WIT.
    #[arg(long, conflicts_with = "json")]
    wit: bool,

    /// Print only the example of a standard plugin, a pipeline.
    #[arg(long, conflicts_with_all = ["json", "wit"])]
    example: bool,
}

pub(in crate::cli) fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<u8> {
    let name = arguments.component.display();
    let standard = standard::named(&arguments.component).transpose()?;
    if arguments.example {
        let standard = standard.ok_or_else(|| {
            let error = anyhow!("`{name}` is not a standard plugin, so it has no example");
            report::usage(report::hint(
                error,
                "name one that `weir plugin list --std` lists",
            ))
        })?;
        console.print(&standard.example())?;
        return Ok(report::DONE);
    }
    let reference = arguments
        .component
        .to_str()
        .filter(|text| text.contains("://"));
    let bytes = match reference {
        Some(reference) => component(reference, &arguments.reach.settings()?)?.bytes,
        None => standard::component(&arguments.component)?,
    };
    let found = plugin::inspect(&bytes).with_context(|| format!("cannot inspect `{name}`"))?;
    match arguments.wit {
        true => console.print(&found.wit)?,
        false => console.answer(&json(&found, standard), &text(&found, standard))?,
    }
    Ok(report::DONE)
}

fn json(found: &Inspection, standard: Option<&Standard>) -> serde_json::Value {
    let mut value = json!({
        "contract": found.contract.as_ref().ok(),
        "refused": found.contract.as_ref().err(),
        "digest": found.digest,
        "size": found.size,
        "core_module": found.core_module,
        "imports": found.imports,
        "exports": found.exports,
        "grants_needed": found.grant_names(),
        "ungranted": found.ungranted,
    });
    if let (Some(value), Some(standard)) = (value.as_object_mut(), standard) {
        value.extend(standard::about(standard));
    }
    value
}

fn text(found: &Inspection, standard: Option<&Standard>) -> String {
    let mut out = String::new();
    let mut row = |name: &str, values: &[String]| {
        for (position, value) in values.iter().enumerate() {
            let name = if position == 0 { name } else { "" };
            // Writing to a string does not fail.
            let _ = writeln!(out, "{name:<10}{value}");
        }
    };
    if let Some(standard) = standard {
        let name = format!("std:{} {}", standard.name, standard.version);
        row("plugin", &[name, standard.description.to_owned()]);
    }
    let contract = match &found.contract {
        Ok(contract) => (*contract).to_owned(),
        Err(reason) => format!("none that this host runs: {reason}"),
    };
    let form = if found.core_module {
        "core module, encoded as a component on load"
    } else {
        "component"
    };
    row("contract", &[contract]);
    row("form", &[form.to_owned()]);
    row(
        "size",
        &[format!(
            "{} ({} bytes)",
            ByteSize(found.size).display().iec(),
            found.size
        )],
    );
    row("digest", &[format!("blake3:{}", found.digest)]);
    row("exports", &or_none(&found.exports));
    row("imports", &or_none(&found.imports));
    let needed = |grant: &&Grant| format!("{}, as in `{}`", grant.name, grant.line());
    let grants = found.grants.iter().map(needed);
    let impossible = found
        .ungranted
        .iter()
        .map(|import| format!("impossible: {import}"));
    row(
        "grants",
        &or_none(&grants.chain(impossible).collect::<Vec<_>>()),
    );
    out.extend(standard.map(standard::explained));
    out
}

fn or_none(names: &[String]) -> Vec<String> {
    if names.is_empty() {
        vec!["none".to_owned()]
    } else {
        names.to_vec()
    }
}
