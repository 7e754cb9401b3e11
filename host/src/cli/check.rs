//! `weir check FILE...`: everything that can be known before traffic, and no traffic.

use super::{Console, files};
use crate::config::{self, Findings, resolved};
use crate::pipeline::start;
use crate::plugin::{Plugin, Runtime, Worker};
use crate::report;
use crate::telemetry::metrics::Metrics;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(clap::Args)]
#[command(after_help = "\
Reads the files, loads every plugin and runs its `configure`. Nothing is sent to a server. \
Exit code 2 when anything is wrong.")]
pub(super) struct Arguments {
    /// Pipeline files that would run in one process.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// What became of one operator.
struct Checked<'p> {
    pipeline: &'p resolved::Pipeline,
    operator: &'p resolved::Operator,
    result: Result<Arc<Plugin>>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let (pipelines, findings) = load(&arguments.files);
    let runtime = files::runtime(1)?;
    let metrics = Metrics::new();
    let mut checked = Vec::new();
    for pipeline in &pipelines {
        for operator in &pipeline.operators {
            let _progress = console.progress(&format!("checking `{}`", operator.name));
            let result = check(pipeline, operator, &runtime, &metrics);
            checked.push(Checked {
                pipeline,
                operator,
                result,
            });
        }
    }
    let sound = findings.is_none() && checked.iter().all(|checked| checked.result.is_ok());
    if console.json {
        console.value(&json(&pipelines, findings.as_ref(), &checked, sound))?;
    } else {
        console.print(&text(&pipelines, &checked))?;
        for error in checked
            .iter()
            .filter_map(|checked| checked.result.as_ref().err())
        {
            let _ = report::print(error, false);
        }
        if let Some(findings) = findings {
            return Err(report::usage(findings));
        }
    }
    Ok(if sound { report::DONE } else { report::USAGE })
}

/// All pipelines; or what is wrong, and the pipelines of the files in which nothing is, so that
/// their plugins are looked at all the same.
fn load(files: &[PathBuf]) -> (Vec<resolved::Pipeline>, Option<Findings>) {
    match config::load(files, &files::environment) {
        Ok(pipelines) => (pipelines, None),
        Err(findings) => {
            let alone = |file| config::load(std::slice::from_ref(file), &files::environment);
            let sound = files.iter().filter_map(|file| alone(file).ok());
            (sound.flatten().collect(), Some(findings))
        }
    }
}

/// Loads an operator's plugin and starts one instance of it.
fn check(
    pipeline: &resolved::Pipeline,
    operator: &resolved::Operator,
    runtime: &Runtime,
    metrics: &Metrics,
) -> Result<Arc<Plugin>> {
    let settings = start::operator(pipeline, operator, metrics);
    let plugin = start::plugin(pipeline, operator, runtime)?;
    let mut worker = Worker::new(runtime, Arc::clone(&plugin), Arc::new(settings));
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?
        .block_on(worker.warm())?;
    Ok(plugin)
}

fn text(pipelines: &[resolved::Pipeline], checked: &[Checked<'_>]) -> String {
    let mut out = String::new();
    for pipeline in pipelines {
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{}: pipeline `{}`",
            pipeline.file.display(),
            pipeline.name
        );
        for Checked {
            operator, result, ..
        } in of(pipeline, checked)
        {
            let name = &operator.name;
            let _ = match result {
                Ok(plugin) => {
                    let (file, digest) = (operator.plugin.display(), short(plugin.digest()));
                    writeln!(
                        out,
                        "  `{name}`: ok, {}, {digest}, {file}",
                        plugin.contract()
                    )
                }
                Err(_) => writeln!(out, "  `{name}`: refused"),
            };
        }
    }
    out
}

/// Enough of a digest to tell two apart by eye.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn of<'c, 'p>(
    pipeline: &'c resolved::Pipeline,
    checked: &'c [Checked<'p>],
) -> impl Iterator<Item = &'c Checked<'p>> {
    let mine = move |checked: &&Checked<'p>| std::ptr::eq(checked.pipeline, pipeline);
    checked.iter().filter(mine)
}

fn json(
    pipelines: &[resolved::Pipeline],
    findings: Option<&Findings>,
    checked: &[Checked<'_>],
    sound: bool,
) -> Value {
    let operator = |checked: &Checked<'_>| {
        let plugin = checked.result.as_ref().ok();
        json!({
            "name": checked.operator.name,
            "plugin": checked.operator.plugin,
            "contract": plugin.map(|plugin| plugin.contract()),
            "digest": plugin.map(|plugin| plugin.digest()),
            "problem": checked.result.as_ref().err().map(report::json),
        })
    };
    let pipelines = pipelines.iter().map(|pipeline| {
        json!({
            "name": pipeline.name,
            "file": pipeline.file,
            "operators": of(pipeline, checked).map(operator).collect::<Vec<_>>(),
        })
    });
    json!({
        "sound": sound,
        "pipelines": pipelines.collect::<Vec<_>>(),
        "findings": findings.map_or_else(|| json!([]), |findings| json!(findings)),
    })
}
