//! `weir-runtime-bench`: what calls into plugins cost, in one process and without a broker.
//!
//! Times are those of the processor, and what is compared takes turns in the same process. The rate of
//! whole pipelines is measured by `weir-bench`. `cargo xtask bench` builds and starts both.

mod border;
mod chain;
mod clock;
mod instances;
mod languages;
mod load;
mod native;
mod plugins;
mod race;
mod safety;
mod scene;
mod soak;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use weir_figures::{Section, Setting, Table};

/// As in `weir`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Measures the plugin runtime in one process, without a broker")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure sections, print their tables and write their files
    Measure(Measure),
    /// What the same plugin costs in each language
    Languages(languages::Arguments),
    /// Load plugins into this process; `measure` starts it
    Load(load::Arguments),
    /// Call one plugin with many messages; `measure` starts it
    Calls(soak::Arguments),
}

/// What is measured, and where everything is.
#[derive(clap::Args)]
struct Measure {
    /// The `weir` that makes and builds plugins
    #[arg(long)]
    weir: PathBuf,
    /// The folder of the plugins
    #[arg(long)]
    plugins: PathBuf,
    /// Where compiled plugins and projects go
    #[arg(long)]
    out: PathBuf,
    /// The folder of npm packages for JavaScript and TypeScript
    #[arg(long)]
    node_modules: Option<PathBuf>,
    /// Where the figures go, a file for each section
    #[arg(long)]
    figures: PathBuf,
    /// What the binaries were compiled with, for the record
    #[arg(long)]
    profile: String,
    /// Fewer rounds and smaller counts: to see that it works
    #[arg(long)]
    quick: bool,
    #[arg(required = true)]
    sections: Vec<Chosen>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Chosen {
    Border,
    Safety,
    Instances,
    Chain,
    Plugins,
    Soak,
}

impl Measure {
    /// Prints a section of what was measured here, and writes it.
    fn write(
        &self,
        name: &str,
        title: &str,
        method: &str,
        tables: Vec<Table>,
        notes: &[&str],
        runs: &impl Serialize,
    ) -> Result<()> {
        let section = Section {
            name: name.to_owned(),
            title: title.to_owned(),
            setting: Setting::here(&[&self.weir], &self.profile)?,
            method: method.to_owned(),
            tables,
            notes: notes.iter().map(|&note| note.to_owned()).collect(),
            runs: serde_json::to_value(runs).context("cannot write the runs")?,
        };
        println!("{section}\n");
        section.write(&self.figures)
    }
}

fn main() -> ExitCode {
    // As under `weir run`, entries of plugins are formatted; nobody reads them.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::io::sink)
        .init();
    let done = match Arguments::parse().command {
        Command::Measure(arguments) => measure(&arguments),
        Command::Languages(arguments) => languages::run(&arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Calls(arguments) => soak::call(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Measure) -> Result<()> {
    for section in &arguments.sections {
        eprintln!("bench: {section:?}");
        match section {
            Chosen::Border => border::measure(arguments),
            Chosen::Safety => safety::measure(arguments),
            Chosen::Instances => instances::measure(arguments),
            Chosen::Chain => chain::measure(arguments),
            Chosen::Plugins => plugins::measure(arguments),
            Chosen::Soak => soak::measure(arguments),
        }?;
    }
    Ok(())
}
