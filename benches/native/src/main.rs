//! `weir-bench`: how fast weir moves messages, beside a native loop with the same promises.
//!
//! Answers one question: what does running a plugin cost, against writing the same thing in Rust?
//! Both sides pull from the same stream of the same server, publish with message ids, await every
//! publish ack within the same window and then ack the input explicitly. Rates on a shared machine
//! drift by half; so runs come in pairs, one of each side, and what counts is the ratio within a
//! pair. `cargo xtask bench` builds and starts it.

mod drive;
mod feed;
mod latency;
mod native;
#[path = "../../guests/json/src/order.rs"]
mod order;
mod report;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures weir against a native loop with the same promises")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run pairs of weir and the native loop, print the table and write the JSON
    Compare(Compare),
    /// The native loop; `compare` starts it as a process of its own
    Native(native::Options),
}

/// What is compared, and how often.
#[derive(clap::Args)]
struct Compare {
    /// The `weir` to measure
    #[arg(long)]
    weir: PathBuf,
    /// The `nats-server` to measure on
    #[arg(long)]
    nats_server: PathBuf,
    /// The folder of `identity.wasm` and `json.wasm`
    #[arg(long)]
    plugins: PathBuf,
    /// Where `bench.json` and the servers' files go
    #[arg(long)]
    out: PathBuf,
    /// The folder of the pages that quote the figures, to write them anew
    #[arg(long)]
    pages: Option<PathBuf>,
    /// Messages in each run
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// Pairs of runs for each kind of work
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// What the binaries were compiled with, for the record
    #[arg(long)]
    profile: String,
}

fn main() -> ExitCode {
    match start(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> Result<()> {
    // One thread, like a lane.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    match command {
        Command::Compare(compare) => runtime.block_on(drive::run(&compare)),
        Command::Native(options) => runtime.block_on(native::run(&options)),
    }
}
