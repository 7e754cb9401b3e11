//! `weir check FILE...`: all checks that are possible without processing messages.

mod notes;

use super::shown::short;
use super::{Console, files};
use crate::config::resolved::{Operator, Pipeline};
use crate::config::{Draft, Finding, Findings, Loader, Located, Location};
use crate::plugin::{NotGranted, Plugin, Refusal, Runtime, Worker};
use crate::process::plugin_set;
use crate::report;
use crate::telemetry::metrics::Metrics;
use crate::threads;
use anyhow::{Result, anyhow};
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

/// Pipeline files, and what is wrong with them.
pub(super) struct Survey<'f> {
    files: &'f [PathBuf],
    drafts: Vec<Draft>,
    findings: Findings,
}

/// The result for one operator.
struct Checked<'d> {
    draft: &'d Draft,
    placed: &'d Located,
    /// The first error, if there is any.
    result: Result<Arc<Plugin>>,
    findings: Vec<Finding>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let mut survey = Survey::of(&arguments.trust.loader(), &arguments.files);
    let checked = check_all(&survey.drafts, &files::runtime(1)?, console);
    let refused = checked.iter().flat_map(|one| one.findings.clone());
    survey.findings.add(refused.collect(), survey.files);
    let Survey {
        drafts, findings, ..
    } = &survey;
    let code = match findings.is_empty() {
        true => report::DONE,
        false => report::USAGE,
    };
    if console.json {
        console.value(&json(drafts, findings, &checked))?;
        return Ok(code);
    }
    console.print(&text(drafts, &checked))?;
    match findings.is_empty() {
        true => Ok(code),
        false => Err(report::usage(findings.clone())),
    }
}

impl<'f> Survey<'f> {
    /// Reads the files.
    pub(super) fn of(loader: &Loader<'_>, files: &'f [PathBuf]) -> Self {
        let (drafts, findings) = loader.survey(files);
        Self {
            files,
            drafts,
            findings,
        }
    }

    /// The pipelines.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the files and their plugins, if the files have mistakes.
    pub(super) fn pipelines(&self, console: &Console) -> Result<Vec<Pipeline>> {
        if self.findings.is_empty() {
            let pipelines = self.drafts.iter().map(|draft| draft.pipeline.clone());
            return Ok(pipelines.flatten().collect());
        }
        Err(report::usage(self.all(console)?))
    }

    /// If a grant is missing or a plugin has refused its configuration, everything that is wrong with the files and their
    /// plugins; any other error as it is.
    pub(super) fn explain(&self, error: anyhow::Error, console: &Console) -> anyhow::Error {
        if report::find::<NotGranted>(&error).is_none() && report::find::<Refusal>(&error).is_none()
        {
            return error;
        }
        match self.all(console) {
            Ok(findings) if !findings.is_empty() => report::usage(findings),
            _ => error,
        }
    }

    fn all(&self, console: &Console) -> Result<Findings> {
        let checked = check_all(&self.drafts, &files::runtime(1)?, console);
        let mut findings = self.findings.clone();
        let refused = checked.into_iter().flat_map(|one| one.findings);
        findings.add(refused.collect(), self.files);
        Ok(findings)
    }
}

fn check_all<'d>(drafts: &'d [Draft], runtime: &Runtime, console: &Console) -> Vec<Checked<'d>> {
    let metrics = Metrics::new();
    let operators = drafts
        .iter()
        .flat_map(|draft| draft.operators.iter().map(move |placed| (draft, placed)));
    let checked = operators.map(|(draft, placed)| {
        let _progress = console.progress(&format!("checking `{}`", placed.operator.name));
        check(draft, placed, runtime, &metrics)
    });
    checked.collect()
}

/// Loads an operator's plugin and starts one instance of it: also without a grant that is missing, and with the sound part of
/// a configuration that its schema refuses, to find what else is wrong.
fn check<'d>(
    draft: &'d Draft,
    placed: &'d Located,
    runtime: &Runtime,
    metrics: &Metrics,
) -> Checked<'d> {
    let Located {
        operator, given, ..
    } = placed;
    let stateful = draft.pipeline.as_ref();
    let stateful = stateful.is_none_or(plugin_set::keeps_state);
    let load = |ungranted| {
        let nats = draft.nats.as_ref();
        plugin_set::plugin(operator, nats, stateful, ungranted, runtime)
    };
    let granted = load(false);
    let refusal = granted.as_ref().err();
    let is_ungranted = refusal.is_some_and(|error| report::find::<NotGranted>(error).is_some());
    let mut findings = Vec::new();
    findings.extend(refusal.map(|error| whole(draft, placed.plugin, error)));
    let plugin = match is_ungranted {
        true => load(true).ok(),
        false => granted.as_ref().ok().cloned(),
    };
    let started = plugin.map_or(Ok(()), |plugin| {
        start(draft, operator, plugin, runtime, metrics)
    });
    if let Err(error) = &started {
        let refusal = report::find::<Refusal>(error);
        let places = refusal.and_then(|refusal| given.findings(&draft.file, &refusal.0));
        match places {
            Some(places) => findings.extend(places),
            // It may follow from what is known already.
            None if is_ungranted || given.is_mistaken() => {}
            None => {
                // A usage error is about the configuration; any other error is about the plugin.
                let location = match report::exit_code(error) {
                    report::USAGE => placed.config,
                    _ => placed.plugin,
                };
                findings.push(whole(draft, location, error));
            }
        }
    }
    let result = match given.is_mistaken() {
        true => granted.and(Err(report::usage(anyhow!("its `config` has mistakes")))),
        false => granted.and_then(|plugin| started.map(|()| plugin)),
    };
    Checked {
        draft,
        placed,
        result,
        findings,
    }
}

/// Starts one instance, which runs its `configure`.
fn start(
    draft: &Draft,
    operator: &Operator,
    plugin: Arc<Plugin>,
    runtime: &Runtime,
    metrics: &Metrics,
) -> Result<()> {
    let name = draft.name.as_deref().unwrap_or_default();
    let settings = plugin_set::operator(name, operator, metrics);
    let mut worker = Worker::new(runtime, plugin, Arc::new(settings));
    threads::runtime()?.block_on(worker.warm())
}

/// A finding about a plugin or its whole configuration.
fn whole(draft: &Draft, location: Location, error: &anyhow::Error) -> Finding {
    Finding {
        file: draft.file.clone(),
        location,
        message: report::line(error),
        hint: Some(report::hints(error).join("; ")).filter(|hint| !hint.is_empty()),
        excerpt: None,
    }
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
            "problem": result.as_ref().err().map(report::json),
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
