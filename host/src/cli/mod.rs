//! The command line: one file per command, and here what they share.
//!
//! A command gets its arguments and a [`Console`], and returns an exit code or an error. It prints only
//! results on stdout; errors and logs go to stderr. Exit codes are fixed: 0 done, 1 the run failed, 2 wrong
//! usage or configuration.

mod bench;
mod check;
mod compile_component;
mod completions;
mod config;
mod dev;
mod differences;
mod dlq;
mod files;
mod job;
mod metrics;
mod offline;
mod pipe;
mod plugin;
pub mod project;
mod replay;
mod run;
mod server;
mod shown;
mod status;
mod trace;

use crate::plugin::CompileJob;
use crate::report::{self, escape};
use crate::telemetry::logs;
use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

/// What `--version` prints after the name.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncontract weir:plugin@0.1.0",
    "\nwasmtime ",
    env!("WEIR_WASMTIME_VERSION"),
);

/// Runs WebAssembly components as stream processors on NATS JetStream.
#[derive(Parser)]
#[command(
    name = "weir",
    version = env!("CARGO_PKG_VERSION"),
    long_version = VERSION,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 the run failed, 2 wrong usage or configuration."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Print results and errors as JSON.
    #[arg(long, global = true)]
    json: bool,

    /// The format of log entries on stderr.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "WEIR_LOG_FORMAT"
    )]
    log_format: logs::Format,

    /// The log level: error, warn, info, debug, trace, or directives such as `info,weir::delivery=debug`.
    /// [default: info for `run`; otherwise warn, and info for plugins]
    #[arg(long, global = true, value_name = "LEVEL", env = "WEIR_LOG")]
    log_level: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run pipelines until stopped.
    Run(run::Arguments),
    /// Check pipeline files and plugins, without processing messages.
    Check(check::Arguments),
    /// Run a pipeline from stdin to stdout, as lines of JSON, without a broker.
    Pipe(pipe::Arguments),
    /// Build the plugins of a folder, run its pipeline with example input, and restart at every change.
    Dev(dev::Arguments),
    /// Measure a pipeline with your own messages: rate, delay, processor time and bottleneck.
    Bench(bench::Arguments),
    /// List, show, resend and purge dead letters.
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Run any version over stored messages, and write its outputs or compare them with the live outputs.
    Replay(replay::Arguments),
    /// Show the running hosts, their pipelines, lag and plugins.
    Status(status::Arguments),
    /// List, show, pause and reset jobs, read their state, and take savepoints.
    #[command(subcommand)]
    Job(job::Command),
    /// Trace a result back to its inputs.
    Trace(trace::Arguments),
    /// Create, build, test, inspect and deploy plugins.
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Print the JSON Schema or the reference page of pipeline files.
    #[command(subcommand)]
    Config(config::Command),
    /// Print the reference page of all metrics, in Markdown.
    Metrics(metrics::Arguments),
    /// Print a completion script for a shell.
    Completions(completions::Arguments),
    /// Compile one component: for a host, which runs it as a child.
    #[command(hide = true)]
    CompileComponent(CompileJob),
}

/// Parses the arguments, runs the command, reports its error.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    let console = Console {
        json: cli.global.json,
    };
    let level = cli.global.log_level.as_deref();
    let level = level.unwrap_or_else(|| cli.command.log_level());
    let done = logs::start(cli.global.log_format, level).and_then(|()| cli.command.run(&console));
    ExitCode::from(done.unwrap_or_else(|error| report::print(&error, console.json)))
}

impl Command {
    /// The default log level. A host logs what it does. For other commands, log entries about connections
    /// would hide the result. Entries of plugins are always shown.
    fn log_level(&self) -> &'static str {
        match self {
            Self::Run(_) => "info",
            // Plugins process thousands of messages here, and their entries are not part of the result.
            Self::Bench(_) => "warn,weir::plugin=error",
            _ => "warn,weir::plugin=info",
        }
    }

    fn run(self, console: &Console) -> anyhow::Result<u8> {
        match self {
            Self::Run(arguments) => run::run(&arguments, console),
            Self::Check(arguments) => check::run(&arguments, console),
            Self::Pipe(arguments) => pipe::run(&arguments, console),
            Self::Dev(arguments) => dev::run(&arguments, console),
            Self::Bench(arguments) => bench::run(&arguments, console),
            Self::Dlq(command) => command.run(console),
            Self::Replay(arguments) => replay::run(&arguments, console),
            Self::Status(arguments) => status::run(&arguments, console),
            Self::Job(command) => command.run(console),
            Self::Trace(arguments) => trace::run(&arguments, console),
            Self::Config(command) => command.run(console),
            Self::Plugin(command) => command.run(console),
            Self::Metrics(arguments) => metrics::run(&arguments, console),
            Self::Completions(arguments) => completions::run(&arguments, console),
            Self::CompileComponent(job) => compile_component::run(&job),
        }
    }
}

/// Handles what clap returns instead of arguments: help and version, or wrong usage. Arguments that cannot
/// be parsed do not tell whether `--json` was given, so it is looked up separately.
fn refused(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args().any(|argument| argument == "--json") {
        return ExitCode::from(report::print(&wrong_usage(error), true));
    }
    // It repeats arguments, of which one may be an address with a password.
    let rendered = error.render().to_string();
    match report::secrets::hide(&rendered) {
        // If the terminal is gone, nobody can be told.
        Cow::Borrowed(_) => drop(error.print()),
        Cow::Owned(hidden) => report::note(hidden.trim_end()),
    }
    ExitCode::from(if error.use_stderr() {
        report::USAGE
    } else {
        report::DONE
    })
}

/// Clap's message without the label, the usage and the reference to the help, which are for terminals: the
/// first paragraph, and the tip as a hint.
fn wrong_usage(error: &clap::Error) -> anyhow::Error {
    let rendered = error.render().to_string();
    let mut paragraphs = rendered.trim().split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let lines: Vec<&str> = first.lines().map(str::trim).collect();
    let text = lines.join(" ");
    let text = text.strip_prefix("error: ").unwrap_or(&text).to_owned();
    let error = report::usage(anyhow::anyhow!(text));
    let mut rest = paragraphs.flat_map(str::lines);
    match rest.find_map(|line| line.trim().strip_prefix("tip: ")) {
        Some(tip) => report::hint(error, tip),
        None => error,
    }
}

/// The output of commands.
pub struct Console {
    /// Whether results are printed as JSON.
    pub json: bool,
}

impl Console {
    /// Prints text on stdout, with a final newline.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written.
    pub fn print(&self, text: &str) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.write_all(end.as_bytes()))
            .and_then(|()| stdout.flush())
            .context("cannot write to stdout")
    }

    /// Prints the answer of a command: the value with `--json`, else the text.
    ///
    /// # Errors
    ///
    /// Like [`Console::print`].
    pub fn answer(&self, value: &impl Serialize, text: &str) -> anyhow::Result<()> {
        match self.json {
            true => self.value(value),
            false => self.print(text),
        }
    }

    /// Shows a spinner while something takes long, only on a terminal and without `--json`. Removed when
    /// dropped.
    pub fn progress(&self, what: &str) -> Progress {
        let bar = if self.json || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner().with_message(what.to_owned())
        };
        // Drawn immediately, so that it is shown even if the work ends before the ticking thread starts.
        bar.tick();
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }

    /// A progress bar of `length` steps, only on a terminal and without `--json`.
    pub fn bar(&self, what: &str, length: u64) -> ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(length).with_message(what.to_owned());
        match ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    /// Prints a value on stdout as one line of JSON.
    ///
    /// # Errors
    ///
    /// See [`Console::print`].
    pub fn value(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string(value).context("cannot print as JSON")?;
        self.print(&escape::json(&text))
    }
}

/// A spinner on a terminal.
pub struct Progress(ProgressBar);

impl Progress {
    /// What takes long now.
    pub fn say(&self, what: String) {
        self.0.set_message(what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The whole command line, for completions, and for tests that are about every command.
#[must_use]
pub fn command_line() -> clap::Command {
    Cli::command()
}
