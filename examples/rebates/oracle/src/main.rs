//! `rebates-oracle`: writes the input of the rebates example and checks its output.
//!
//! Exit codes: 0 done and in agreement, 1 a difference or a failure, 2 wrong usage.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use rebates_oracle::{Check, generate, jsonl, totals};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Generates shop events, and computes independently what a pipeline must make of them.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write events as JSON lines, as `weir dev` and `weir pipe` read them
    Generate {
        #[command(flatten)]
        run: Run,
        /// Where to write; standard output by default
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Compare what a pipeline published with what the events must lead to, to the cent
    Verify {
        #[command(flatten)]
        run: Run,
        /// The messages on `rebates.>` as JSON lines
        #[arg(long, value_name = "FILE")]
        outputs: PathBuf,
        /// The dead letters as JSON lines, such as the stderr of `weir pipe`; not needed when FILE of
        /// --outputs holds them as well
        #[arg(long, value_name = "FILE")]
        dead: Option<PathBuf>,
        /// How many messages the host says that the plugin dropped, as `weir dev` ends with
        #[arg(long, value_name = "N")]
        dropped: Option<u64>,
        /// Print the report as JSON, with every difference
        #[arg(long)]
        json: bool,
    },
    /// Compare the running totals that `pipeline-exactly-once.yaml` published, to the cent and in order
    VerifyTotals {
        #[command(flatten)]
        run: Run,
        /// The messages on `totals.>` as JSON lines
        #[arg(long, value_name = "FILE")]
        outputs: PathBuf,
    },
}

/// Which events; the same numbers give the same bytes on every machine.
#[derive(clap::Args)]
struct Run {
    /// What the randomness starts from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many events
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    count: u64,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            error
                .chain()
                .skip(1)
                .for_each(|cause| eprintln!("  cause: {cause}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Generate { run, out } => {
            match out {
                Some(path) => {
                    let name = path.display();
                    let file =
                        File::create(&path).with_context(|| format!("cannot create `{name}`"))?;
                    write(&run, file).with_context(|| format!("cannot write `{name}`"))?;
                }
                None => match write(&run, io::stdout().lock()) {
                    // A reader such as `head` that has seen enough.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                    result => result.context("cannot write to standard output")?,
                },
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify {
            run,
            outputs,
            dead,
            dropped,
            json,
        } => {
            let mut check = Check::new(run.seed, run.count);
            each_line(&outputs, |line| check.output_line(line))?;
            if let Some(dead) = dead {
                each_line(&dead, |line| check.dead_line(line))?;
            }
            if let Some(dropped) = dropped {
                check.dropped(dropped);
            }
            let report = check.finish();
            if json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            } else {
                println!("{report}");
            }
            Ok(if report.agree {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Command::VerifyTotals { run, outputs } => {
            let mut published = Vec::new();
            each_line(&outputs, |line| {
                if let jsonl::Line::Message(message) = line {
                    published.push((message.subject, message.payload));
                }
            })?;
            let differences = totals::differences(run.seed, run.count, &published);
            differences
                .iter()
                .for_each(|difference| println!("- {difference}"));
            Ok(if differences.is_empty() {
                println!("{} totals agree to the cent", published.len());
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}

fn write(run: &Run, output: impl Write) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    for event in generate(run.seed, run.count) {
        jsonl::write(&mut output, &event.subject, &event.payload)?;
    }
    output.flush()
}

fn each_line(path: &Path, mut take: impl FnMut(jsonl::Line)) -> Result<()> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("cannot open `{name}`"))?;
    for line in jsonl::read(BufReader::new(file)) {
        take(line.with_context(|| format!("cannot read `{name}`"))?);
    }
    Ok(())
}
