//! The command line: one file a verb, and here what they share.
//!
//! A verb gets its own arguments and a [`Console`], and returns an exit code or an error. It prints
//! results on stdout and nothing else there; errors and logs go to stderr. Exit codes are fixed:
//! 0 done, 1 the run failed, 2 wrong usage or configuration.

mod bench;
mod check;
mod completions;
mod config;
mod dev;
mod differences;
mod dlq;
mod files;
mod metrics;
mod offline;
mod pipe;
mod plugin;
pub mod project;
mod replay;
mod run;
mod server;
mod status;
mod trace;

use crate::report;
use crate::telemetry::logs;
use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

/// What `--version` prints behind the name.
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
    verb: Verb,
}

/// Options that every verb understands.
#[derive(clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Print results and errors as JSON.
    #[arg(long, global = true)]
    json: bool,

    /// How log entries look on stderr.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "WEIR_LOG_FORMAT"
    )]
    log_format: logs::Format,

    /// The least severe entries to log: error, warn, info, debug, trace, or directives such as
    /// `info,weir::pipeline=debug`. [default: info for `run`, warn and what plugins say elsewhere]
    #[arg(long, global = true, value_name = "LEVEL", env = "WEIR_LOG")]
    log_level: Option<String>,
}

#[derive(Subcommand)]
enum Verb {
    /// Run pipelines until told to stop.
    Run(run::Arguments),
    /// Look for mistakes in pipeline files and plugins, without any traffic.
    Check(check::Arguments),
    /// Run a pipeline from stdin to stdout, as lines of JSON, without a broker.
    Pipe(pipe::Arguments),
    /// Bring a folder with a pipeline to life: build, serve, feed, show; again at every change.
    Dev(dev::Arguments),
    /// Measure a pipeline with messages of your own: rate, delay, processor time, what bounds it.
    Bench(bench::Arguments),
    /// List, show, replay and purge dead letters.
    #[command(subcommand)]
    Dlq(dlq::Verb),
    /// Run any version over stored messages, and write its outputs or compare them with the live ones.
    Replay(replay::Arguments),
    /// Show the hosts that run, their pipelines, lag and plugins.
    Status(status::Arguments),
    /// Walk from a result back to the messages that it was made of.
    Trace(trace::Arguments),
    /// Build, test and look into plugins.
    #[command(subcommand)]
    Plugin(plugin::Verb),
    /// Print the JSON Schema or the reference page of pipeline files.
    #[command(subcommand)]
    Config(config::Verb),
    /// Print the reference page of all metrics, in Markdown.
    Metrics(metrics::Arguments),
    /// Print a completion script for a shell.
    Completions(completions::Arguments),
}

/// Parses, runs, reports.
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
    let level = level.unwrap_or_else(|| cli.verb.log_level());
    let done = logs::start(cli.global.log_format, level).and_then(|()| cli.verb.run(&console));
    ExitCode::from(done.unwrap_or_else(|error| report::print(&error, console.json)))
}

impl Verb {
    /// What is logged unless asked otherwise: a host tells what it does, an answer on a terminal is
    /// not to be lost between connections made. Plugins are heard either way.
    fn log_level(&self) -> &'static str {
        match self {
            Self::Run(_) => "info",
            // What plugins say a thousand times over is no part of the answer.
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
            Self::Dlq(verb) => verb.run(console),
            Self::Replay(arguments) => replay::run(&arguments, console),
            Self::Status(arguments) => status::run(&arguments, console),
            Self::Trace(arguments) => trace::run(&arguments, console),
            Self::Config(verb) => verb.run(console),
            Self::Plugin(verb) => verb.run(console),
            Self::Metrics(arguments) => metrics::run(&arguments, console),
            Self::Completions(arguments) => completions::run(&arguments, console),
        }
    }
}

/// Help and version are answers, everything else is wrong usage. Arguments that cannot be parsed
/// say nothing about `--json`, so that is looked for by itself.
fn refused(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args().any(|argument| argument == "--json") {
        return ExitCode::from(report::print(&wrong_usage(error), true));
    }
    // Nobody is left to be told when the terminal is gone.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() {
        report::USAGE
    } else {
        report::DONE
    })
}

/// What clap says, without the label, the usage and the way to the help, which are for terminals: the
/// first paragraph, and a tip as the hint.
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

/// Where results go.
pub struct Console {
    /// Whether a machine reads them.
    pub json: bool,
}

impl Console {
    /// Prints text on stdout as it is, with a line break at its end.
    ///
    /// # Errors
    ///
    /// When stdout cannot be written.
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

    /// Shows that something takes long, on a terminal and to people only. Gone when dropped.
    pub fn progress(&self, what: &str) -> Progress {
        let bar = if self.json || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner().with_message(what.to_owned())
        };
        // Drawn here and now: what ends before the ticking thread has begun was shown all the same.
        bar.tick();
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }

    /// A bar that fills up to `length`, on a terminal and to people only.
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
    /// As [`Console::print`].
    pub fn value(&self, value: &impl Serialize) -> anyhow::Result<()> {
        self.print(&serde_json::to_string(value).context("cannot print as JSON")?)
    }
}

/// A line on a terminal that says what is going on.
pub struct Progress(ProgressBar);

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The whole command line, for completions.
fn command() -> clap::Command {
    Cli::command()
}
