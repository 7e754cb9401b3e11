//! `weir-bench`: how fast weir moves messages, beside a native loop with the same promises.
//!
//! Answers one question: what does running a plugin cost, against writing the same thing in Rust?
//! Both sides pull from the same stream of the same server, publish with message ids, await every
//! publish ack within the same window and then ack the input explicitly. Rates on a shared machine
//! drift by half; so runs come in pairs, one of each side, and what counts is the ratio within a
//! pair. `cargo xtask bench` builds and starts it.

mod atomic;
mod bench;
mod case;
mod delay;
mod feed;
mod hosts;
mod ingest;
mod jobs;
mod native;
mod pipelines;
mod profile;
mod server;
mod soak;
mod start;
mod swap;
mod throughput;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

use bench::Bench;

#[derive(Parser)]
#[command(about = "Measures weir against a native loop with the same promises")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure sections, print their tables and write their files
    Measure(Measure),
    /// Put the pages together from the files of the sections
    Pages(Pages),
    /// The native loop; `measure` starts it as a process of its own
    Native(native::Options),
    /// A query of NEXMark by hand; `measure` starts it as a process of its own
    Nexmark(jobs::nexmark::lane::Options),
}

/// What is measured, and where everything is.
#[derive(clap::Args)]
struct Measure {
    /// The `weir` to measure
    #[arg(long)]
    weir: PathBuf,
    /// The `nats-server` to measure on
    #[arg(long)]
    nats_server: PathBuf,
    /// The folder of the plugins
    #[arg(long)]
    plugins: PathBuf,
    /// Where the server's files and the logs go
    #[arg(long)]
    out: PathBuf,
    /// Where the figures go, a file for each section
    #[arg(long)]
    figures: PathBuf,
    /// What the binaries were compiled with, for the record
    #[arg(long)]
    profile: String,
    /// Fewer messages and one pair of runs: to see that it works
    #[arg(long)]
    quick: bool,
    #[arg(required = true)]
    sections: Vec<Chosen>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Chosen {
    Throughput,
    Delay,
    Start,
    Swap,
    Pipelines,
    Hosts,
    Jobs,
    JobsDelay,
    JobsRecovery,
    JobsFailover,
    JobsWindows,
    Nexmark,
    Profile,
    Soak,
}

#[derive(clap::Args)]
struct Pages {
    /// The folder of the sections' files
    #[arg(long)]
    figures: PathBuf,
    /// Where the pages go
    #[arg(long)]
    to: PathBuf,
}

impl Measure {
    /// Messages in each run.
    fn messages(&self) -> u64 {
        if self.quick { 20_000 } else { 100_000 }
    }

    /// Runs of each side, of so many that there should be.
    fn pairs(&self, count: usize) -> usize {
        if self.quick { 1 } else { count }
    }
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Measure(arguments) => measure(&arguments),
        Command::Pages(arguments) => pages(&arguments),
        Command::Native(options) => native::run(options),
        Command::Nexmark(options) => jobs::nexmark::lane::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn pages(arguments: &Pages) -> Result<()> {
    for page in [
        weir_figures::FIGURES,
        weir_figures::JOBS,
        weir_figures::SOAK,
    ] {
        page.write(&arguments.figures, &arguments.to)?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn measure(arguments: &Measure) -> Result<()> {
    std::fs::create_dir_all(&arguments.out).context("cannot create the folder of the logs")?;
    for section in &arguments.sections {
        // Each has a server of its own, which knows nothing of the one before.
        let bench = Bench::start(arguments).await?;
        match section {
            Chosen::Throughput => throughput::measure(&bench).await,
            Chosen::Delay => delay::measure(&bench).await,
            Chosen::Start => start::measure(&bench).await,
            Chosen::Swap => swap::measure(&bench).await,
            Chosen::Pipelines => pipelines::measure(&bench).await,
            Chosen::Hosts => hosts::measure(&bench).await,
            Chosen::Jobs => jobs::measure(&bench).await,
            Chosen::JobsDelay => jobs::latency::measure(&bench).await,
            Chosen::JobsRecovery => jobs::recovery::measure(&bench).await,
            Chosen::JobsFailover => jobs::failover::measure(&bench).await,
            Chosen::JobsWindows => jobs::windows::measure(&bench).await,
            Chosen::Nexmark => jobs::nexmark::measure(&bench).await,
            Chosen::Profile => profile::measure(&bench).await,
            Chosen::Soak => soak::measure(&bench).await,
        }?;
    }
    Ok(())
}
