//! `weir plugin test PATH`: runs a plugin or a pipeline over `input.jsonl` and compares the output with
//! `expected.jsonl`, without a broker.

use super::difference;
use super::input::{self, Input};
use crate::cli::dev::projects::Projects;
use crate::cli::offline::{self, Offline};
use crate::cli::{Console, files, project};
use crate::jsonl::{self, Line, Record};
use crate::report::{self, ResultExt, count};
use anyhow::{Context, Result, anyhow};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "\
PATH is a folder with a `pipeline.yaml`, a pipeline file, a component, or a standard plugin as `std:NAME`. `expected.jsonl` has a line \
for each result, dead letter and retry, in the order of the messages. The test compares \
a field such as `key` or `sequence` only if a line of the same kind in the file has it.

The clock of the test starts in 1970 and follows the event times of the messages. A line {\"advance\": \"5m\"} \
in the input advances the clock by five minutes, and timers and windows become due. At the end the remaining \
windows are emitted.

Without `expected.jsonl`, the output is printed; `--bless` keeps it.

Exit codes: 0 as expected, 1 different or nothing to compare with, 2 wrong usage or configuration.")]
pub(in crate::cli) struct Arguments {
    /// What to test.
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,

    /// The messages. [default: input.jsonl beside the pipeline file, or here for a component]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// The expected output. [default: expected.jsonl beside the input]
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,

    /// The configuration of a plugin without a pipeline, as JSON.
    #[arg(long, value_name = "JSON")]
    config: Option<String>,

    /// The pipeline, if the file has several.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,

    /// Do not build. By default, the plugins whose source is in the folder, or one level below, are built
    /// first.
    #[arg(long)]
    no_build: bool,

    /// Write the output to `expected.jsonl` instead of comparing it, without tracebacks. The command refuses if the
    /// plugin fails on a message: an uncaught exception, a trap, or an exceeded limit.
    #[arg(long)]
    bless: bool,

    /// With `--bless`: write the output even if the plugin fails.
    #[arg(long, requires = "bless")]
    failures: bool,
}

pub(in crate::cli) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let subject = Subject::find(&arguments.path)?;
    let input = arguments
        .input
        .clone()
        .unwrap_or_else(|| subject.folder().join("input.jsonl"));
    let beside = || input.with_file_name("expected.jsonl");
    let expected_file = arguments.expected.clone().unwrap_or_else(beside);
    let inputs = files::read_lines(&input, input::parse)?;
    // Nothing to compare with is no reason not to show what comes out.
    let is_first = arguments.expected.is_none() && !expected_file.exists();
    let expected = match arguments.bless || is_first {
        true => Vec::new(),
        false => files::read_lines(&expected_file, jsonl::parse)
            .hint(|| "create the file with `--bless`, and review it")?,
    };
    if arguments.path.is_dir() && !arguments.no_build {
        Projects::find(&arguments.path)?.build()?;
    }
    let runtime = files::runtime(1)?;
    let chain = {
        let _progress = console.progress("compiling the plugins");
        let (config, name) = (arguments.config.as_deref(), arguments.pipeline.as_deref());
        offline::plugin::or_pipeline(subject.path(), config, name, &runtime)?
    };
    let is_message = |input: &&Input| matches!(input, Input::Message(_));
    let messages = inputs.iter().filter(is_message).count();
    let got = run_all(chain.with_virtual_clock(), inputs);
    if arguments.bless {
        return bless(got, &expected_file, arguments.failures, console);
    }
    if is_first {
        return show(&got, messages, &expected_file, console);
    }
    let found = difference::compare(&expected, &got);
    if console.json {
        console.value(&json!({
            "passed": found.is_empty(),
            "messages": messages,
            "lines": got.len(),
            "differences": found.pairs(),
        }))?;
    } else if found.is_empty() {
        let messages = count(messages, "message");
        console.print(&format!("ok: {messages}, {}", counts(&got)))?;
    } else {
        console.print(&found.text(&expected_file.display().to_string()))?;
    }
    Ok(if found.is_empty() {
        report::DONE
    } else {
        report::FAILED
    })
}

/// Prints what came out, where nothing says what is expected.
fn show(got: &[Line], messages: usize, file: &Path, console: &Console) -> Result<u8> {
    if console.json {
        let lines = got
            .iter()
            .map(|line| serde_json::from_str(&line.to_string()));
        let lines: Vec<serde_json::Value> = lines.collect::<Result<_, _>>()?;
        console.value(&json!({ "passed": false, "messages": messages, "output": lines }))?;
        return Ok(report::FAILED);
    }
    let text: String = got.iter().map(|line| format!("{line}\n")).collect();
    console.print(&text)?;
    let (messages, counts, file) = (count(messages, "message"), counts(got), file.display());
    report::note(&format!(
        "{messages}, {counts}; there is no `{file}` to compare with\n\nhint: review the output, and keep it with `--bless`"
    ));
    Ok(report::FAILED)
}

/// Writes what is expected from now on.
fn bless(mut got: Vec<Line>, file: &Path, failures: bool, console: &Console) -> Result<u8> {
    let failed = got.iter().filter_map(Line::failure);
    if let (false, [first, others @ ..]) = (failures, &*failed.collect::<Vec<_>>()) {
        let error = match others.len() {
            0 => anyhow!("the plugin fails on a message: {first}"),
            more => anyhow!("the plugin fails on {} messages, first: {first}", more + 1),
        };
        return Err(error)
            .with_context(|| format!("`{}` is as it was", file.display()))
            .hint(
                || "see all with `weir plugin test`; add `--failures` if this is what is expected",
            );
    }
    for line in &mut got {
        if let Line::Dead(dead) = line {
            // Lines of code move with every change.
            dead.traceback.clear();
        }
    }
    let text: String = got.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
    let lines = count(got.len(), "line");
    console.print(&format!(
        "wrote {lines} to {}: {}",
        file.display(),
        counts(&got)
    ))?;
    Ok(report::DONE)
}

/// The subject of the test.
enum Subject {
    Pipeline(PathBuf),
    Component(PathBuf),
}

impl Subject {
    fn find(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return project::pipeline(path).map(Self::Pipeline).ok_or_else(|| {
                let error = anyhow!("there is no `pipeline.yaml` in `{}`", path.display());
                report::hint(
                    report::usage(error),
                    "name a pipeline file or a `.wasm` file",
                )
            });
        }
        Ok(if offline::plugin::is_plugin(path) {
            Self::Component(path.to_owned())
        } else {
            Self::Pipeline(path.to_owned())
        })
    }

    /// The default folder of the data.
    fn folder(&self) -> &Path {
        match self {
            // `input.jsonl` is shorter than `./input.jsonl`.
            Self::Pipeline(file) => match file.parent() {
                Some(folder) if folder != Path::new(".") => folder,
                _ => Path::new(""),
            },
            Self::Component(_) => Path::new(""),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Pipeline(path) | Self::Component(path) => path,
        }
    }
}

fn run_all(mut chain: Offline, inputs: Vec<Input>) -> Vec<Line> {
    // What is due between two messages comes between their results.
    let most = if chain.has_timers() {
        1
    } else {
        chain.batch.messages
    };
    let (mut got, mut batch) = (Vec::new(), Vec::new());
    let run = |chain: &mut Offline, batch: &mut Vec<Record>| {
        let lines = chain.run(std::mem::take(batch), chain.now());
        lines.into_iter().flatten().collect::<Vec<_>>()
    };
    for input in inputs {
        match input {
            Input::Message(record) => batch.push(record),
            Input::Advance(by) => {
                got.extend(run(&mut chain, &mut batch));
                got.extend(chain.advance(by));
            }
        }
        if batch.len() >= most {
            got.extend(run(&mut chain, &mut batch));
        }
    }
    got.extend(run(&mut chain, &mut batch));
    got.extend(chain.finish());
    chain.note_skipped();
    got
}

/// `3 results, 1 dead letter`.
fn counts(lines: &[Line]) -> String {
    let of = |is: fn(&Line) -> bool| lines.iter().filter(|line| is(line)).count();
    let results = of(|line| matches!(line, Line::Message(_)));
    let dead = of(|line| matches!(line, Line::Dead(_)));
    let retries = of(|line| matches!(line, Line::Retry(_)));
    let mut text = count(results, "result");
    if dead > 0 {
        text = format!("{text}, {}", count(dead, "dead letter"));
    }
    if retries > 0 {
        text = format!("{text}, {}", count(retries, "retry"));
    }
    text
}
