//! `cargo xtask nemesis [--minutes N] [--seed S]`: kills and stops hosts and servers of a job for as long as one likes,
//! and compares every result.
//!
//! These are the promises of `tests/exactly_once/nemesis.rs`, of counts and of NEXMark's windows, timers and joins.
//! `cargo xtask test` runs a few rounds of each. The last lines say what has happened.

use anyhow::{Context, Result, bail};

use crate::process;
use crate::standard;

/// How long it runs, unless the command line says otherwise.
const MINUTES: u64 = 10;

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let (mut minutes, mut seed) = (MINUTES, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let value = words
            .next()
            .with_context(|| format!("`{word}` needs a value"))?;
        let number: u64 = value
            .parse()
            .with_context(|| format!("`{value}` is no number"))?;
        match *word {
            "--minutes" => minutes = number,
            "--seed" => seed = Some(number),
            other => bail!("this task takes `--minutes` and `--seed`, and got `{other}`"),
        }
    }
    let tools = standard::set_up()?;
    let mut cargo = tools.cargo()?;
    cargo
        .env("WEIR_NEMESIS_MINUTES", minutes.to_string())
        .args(["test", "--package", "weir", "--test", "promises", "--"])
        .args(["exactly_once::nemesis", "--nocapture"]);
    if let Some(seed) = seed {
        cargo.env("WEIR_NEMESIS_SEED", seed.to_string());
    }
    process::run(&mut cargo)
}
