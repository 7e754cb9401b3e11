//! `weir check FILE...`: all checks that are possible without processing messages.

mod notes;

use super::shown::short;
use super::{Console, files};
use crate::config::{Draft, Finding, Findings, Located, Location};
use crate::plugin::{Plugin, Refusal, Runtime, Worker};
use crate::process::plugin_set;
use crate::report;
use crate::telemetry::metrics::Metrics;
use crate::threads;
use anyhow::Result;
use notes::notes;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(clap::Args)]
#[command(after_help = "\
Reads the files, loads every plugin and runs its `configure`. Sends nothing to a server. \
Exit code 2 if there is a mistake.")]
pub(super) struct Arguments {
    /// Pipeline files that would run in one process.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    trust: files::Trust,
}

/// The result for one operator.
struct Checked<'d> {
    draft: &'d Draft,
    placed: &'d Located,
    result: Result<Arc<Plugin>, Refused>,
}

/// Why a plugin cannot be used, and the location for the finding.
struct Refused {
    error: anyhow::Error,
    location: Location,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let (drafts, mut findings) = arguments.trust.loader().survey(&arguments.files);
    let runtime = files::runtime(1)?;
    let metrics = Metrics::new();
    let mut checked = Vec::new();
    for draft in &drafts {
        for placed in &draft.operators {
            let _progress = console.progress(&format!("checking `{}`", placed.operator.name));
            let result = check(draft, placed, &runtime, &metrics);
            checked.push(Checked {
                draft,
                placed,
                result,
            });
        }
    }
    let refused = checked.iter().flat_map(found).collect();
    findings.add(refused, &arguments.files);
    if console.json {
        console.value(&json(&drafts, &findings, &checked))?;
    } else {
        console.print(&text(&drafts, &checked))?;
        if !findings.is_empty() {
            return Err(report::usage(findings));
        }
    }
    Ok(if findings.is_empty() {
        report::DONE
    } else {
        report::USAGE
    })
}

/// Loads an operator's plugin and starts one instance of it.
fn check(
    draft: &Draft,
    placed: &Located,
    runtime: &Runtime,
    metrics: &Metrics,
) -> Result<Arc<Plugin>, Refused> {
    let operator = &placed.operator;
    let at = |location| move |error| Refused { error, location };
    let stateful = draft.pipeline.as_ref();
    let stateful = stateful.is_none_or(plugin_set::keeps_state);
    let plugin = plugin_set::plugin(operator, draft.nats.as_ref(), stateful, runtime)
        .map_err(at(placed.plugin))?;
    let name = draft.name.as_deref().unwrap_or_default();
    let settings = plugin_set::operator(name, operator, metrics);
    let mut worker = Worker::new(runtime, Arc::clone(&plugin), Arc::new(settings));
    let started = threads::runtime().and_then(|tokio| tokio.block_on(worker.warm()));
    match started {
        Ok(()) => Ok(plugin),
        // A usage error is about the configuration; any other error is about the plugin.
        Err(error) if report::exit_code(&error) == report::USAGE => Err(at(placed.config)(error)),
        Err(error) => Err(at(placed.plugin)(error)),
    }
}

/// Why an operator's plugin cannot be used; each mistake that it names in its configuration is a finding of its own.
fn found(checked: &Checked<'_>) -> Vec<Finding> {
    let Err(Refused { error, location }) = &checked.result else {
        return Vec::new();
    };
    let (file, given) = (&checked.draft.file, &checked.placed.given);
    let refusal = report::find::<Refusal>(error);
    let placed = refusal.and_then(|refusal| given.findings(file, &refusal.0));
    placed.unwrap_or_else(|| {
        vec![Finding {
            file: file.clone(),
            location: *location,
            message: report::line(error),
            hint: Some(report::hints(error).join("; ")).filter(|hint| !hint.is_empty()),
            excerpt: None,
        }]
    })
}

fn text(drafts: &[Draft], checked: &[Checked<'_>]) -> String {
    let mut out = String::new();
    for draft in drafts.iter().filter(is_shown) {
        let (file, name) = (draft.file.display(), draft.name.as_deref().unwrap_or("?"));
        // Writing to a string does not fail.
        let _ = writeln!(out, "{file}: pipeline `{name}`");
        for note in notes(draft, checked) {
            let _ = writeln!(out, "  note: {note}");
        }
        for Checked { placed, result, .. } in of(draft, checked) {
            let operator = &placed.operator;
            let name = &operator.name;
            let _ = match result {
                Ok(plugin) => {
                    let (file, digest) = (&operator.plugin, short(plugin.digest()));
                    writeln!(
                        out,
                        "  `{name}`: ok, {}, {digest}, compiling limited to {}, {file}",
                        plugin.contract(),
                        operator.limits.compile
                    )
                }
                Err(_) => writeln!(out, "  `{name}`: refused"),
            };
        }
    }
    out
}

/// A pipeline with mistakes may have nothing to show.
fn is_shown(draft: &&Draft) -> bool {
    draft.pipeline.is_some() || !draft.operators.is_empty()
}

fn of<'c, 'd>(
    draft: &'c Draft,
    checked: &'c [Checked<'d>],
) -> impl Iterator<Item = &'c Checked<'d>> {
    let mine = move |checked: &&Checked<'d>| std::ptr::eq(checked.draft, draft);
    checked.iter().filter(mine)
}

fn json(drafts: &[Draft], findings: &Findings, checked: &[Checked<'_>]) -> Value {
    let operator = |Checked { placed, result, .. }: &Checked<'_>| {
        let plugin = result.as_ref().ok();
        json!({
            "name": placed.operator.name,
            "plugin": placed.operator.plugin.to_string(),
            "contract": plugin.map(|plugin| plugin.contract()),
            "digest": plugin.map(|plugin| plugin.digest()),
            "compile": {
                "seconds": placed.operator.limits.compile.time.as_secs_f64(),
                "bytes": placed.operator.limits.compile.memory_bytes,
            },
            "problem": result.as_ref().err().map(|refused| report::json(&refused.error)),
        })
    };
    let pipelines = drafts.iter().filter(is_shown).map(|draft| {
        json!({
            "name": draft.name,
            "file": draft.file,
            "notes": notes(draft, checked),
            "operators": of(draft, checked).map(operator).collect::<Vec<_>>(),
        })
    });
    json!({
        "sound": findings.is_empty(),
        "pipelines": pipelines.collect::<Vec<_>>(),
        "findings": findings,
    })
}
