//! The instructions that a message costs, counted under valgrind and held to the limits that stand in
//! `benches/instructions`. `cargo xtask bench --instructions`, and a step of `cargo xtask ci`.
//!
//! The counts are of the development profile, which the tests have compiled already: what they guard
//! is that a change does not make the way of a message longer, and that shows there too.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::layout;
use crate::process;
use crate::setup::{Tools, Wasm};
use crate::standard;
use crate::ui::{Skipped, say};
use crate::version::Version;

/// Of the library in Cargo.lock; runner and library must be the same.
const RUNNER: &str = "0.20.0";

pub(crate) fn run() -> Result<()> {
    let mut skipped = Skipped::default();
    check(&standard::set_up()?, &mut skipped)?;
    skipped.print("bench");
    Ok(())
}

/// Counts, and compares with the limits.
///
/// # Errors
/// When a count is above its limit, or the counting fails. A machine without valgrind is not an error:
/// the check is skipped by name.
pub(crate) fn check(tools: &Tools, skipped: &mut Skipped) -> Result<()> {
    if process::find("valgrind").is_none() {
        let how = "no `valgrind` on PATH (on Debian: apt-get install valgrind)";
        skipped.add(format!("the instruction counts: {how}"));
        return Ok(());
    }
    if tools.wasm == Wasm::DebianBuildStd {
        let why = "the bench's plugins need wasm32-wasip2 or wasm32-unknown-unknown";
        skipped.add(format!("the instruction counts: {why}"));
        return Ok(());
    }
    let runner = find_or_install(tools)?;
    build_plugins(tools)?;
    let mut cargo = tools.cargo()?;
    cargo.env("GUNGRAUN_RUNNER", runner);
    // The whole workspace, so that no dependency is compiled again with fewer features.
    cargo.args(["bench", "--workspace", "--bench", "instructions"]);
    process::run(cargo.args(["--profile", "dev", "--quiet"]))
}

/// Compiles the plugins of the benches.
///
/// # Errors
/// When they do not compile.
pub(crate) fn build_plugins(tools: &Tools) -> Result<()> {
    let root = layout::root();
    let mut guests = tools.cargo()?;
    guests
        .current_dir(root.join("benches/guests"))
        .env("CARGO_TARGET_DIR", root.join("target/guests"));
    let target = tools.wasm.target();
    process::run(guests.args(["build", "--release", "--quiet", "--target", target]))
}

fn find_or_install(tools: &Tools) -> Result<PathBuf> {
    let installed = layout::tools_bin().join("gungraun-runner");
    if installed.is_file() {
        let text = process::output(Command::new(&installed).arg("--version"))?;
        if Version::find(&text).is_some_and(|version| version.to_string() == RUNNER) {
            say("bench", format_args!("gungraun-runner {RUNNER} found"));
            return Ok(installed);
        }
    }
    say(
        "bench",
        format_args!("gungraun-runner: installing {RUNNER} into target/tools"),
    );
    let mut cargo = tools.cargo()?;
    cargo
        .args(["install", "--locked", "--quiet", "--force", "--root"])
        .arg(layout::tools());
    // It runs for seconds: compiling it without optimisation is what saves time.
    cargo.args(["--debug", "--config", "profile.dev.debug=false"]);
    process::run(cargo.arg(format!("gungraun-runner@{RUNNER}")))
        .context("cannot install gungraun-runner")?;
    Ok(installed)
}
