//! `cargo xtask ci`: everything that must hold before a change is taken in.
//!
//! Every check runs although an earlier one failed, so that one run shows all there is to mend;
//! the tests come last, so that a good run ends with the test runner's own lines. What cannot be
//! checked on this machine is named, counted and never counted as passed.

use anyhow::{Result, bail};

use crate::layout::{self, Workspace};
use crate::process;
use crate::setup::{self, Tools, Wasm};
use crate::test::LeftOut;
use crate::ui::{Skipped, Steps};
use crate::{deny, instructions, readme, standard, test};

/// Runs the steps in order.
///
/// # Errors
/// When any step failed; the message names each. Where only the host's tests did, the test runner's
/// own lines have said so and are the last.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::new("ci");
    let mut skipped = Skipped::default();
    let mut tools = steps.step("setup", setup::run)?;
    steps.step("languages", || {
        tools.find_languages();
        Ok(())
    })?;
    steps.step("standard plugins", || standard::build(&tools))?;
    steps.check("format", || format(&tools));
    steps.check("clippy", || clippy(&tools));
    steps.check("documentation", || documentation(&tools));
    steps.check("dependencies", || deny::check(&tools, &mut skipped));
    steps.check("README commands", || readme::check(&tools, &mut skipped));
    steps.check("instructions", || instructions::check(&tools, &mut skipped));
    let left_out = LeftOut::find(&tools, &mut skipped);
    steps.print_times();
    skipped.print("ci");
    let tests = steps.last("tests", || test::run_all(&tools, &left_out));
    steps.print_failures();
    match (&*steps.failed(), tests) {
        ([], tests) => tests,
        (failed, Ok(())) => bail!("failed steps: {}", failed.join(", ")),
        (failed, Err(_)) => bail!("failed steps: {}, tests", failed.join(", ")),
    }
}

fn format(tools: &Tools) -> Result<()> {
    in_every_workspace(|workspace| {
        let mut cargo = tools.cargo()?;
        let check = ["fmt", "--all", "--check"];
        process::run(cargo.current_dir(&workspace.folder).args(check))
    })
}

/// The host for this machine with its tests; the guests for the target they are shipped for.
fn clippy(tools: &Tools) -> Result<()> {
    in_every_workspace(|workspace| {
        let mut cargo = match workspace.is_host() {
            true => tools.cargo()?,
            false => tools.guest_cargo(workspace)?,
        };
        cargo.args(["clippy", "--workspace", "--quiet"]);
        match workspace.is_host() {
            true => cargo.arg("--all-targets"),
            // Debian's toolchain has no clippy: there the guests are linted for this machine.
            false if tools.wasm == Wasm::DebianBuildStd => &mut cargo,
            false => cargo.args(["--target", tools.wasm.target()]),
        };
        process::run(cargo.args(["--", "--deny", "warnings"]))
    })
}

/// Does the same in every workspace although one fails, and names those that did.
fn in_every_workspace(work: impl Fn(&Workspace) -> Result<()>) -> Result<()> {
    let mut failed = Vec::new();
    for workspace in layout::workspaces()? {
        if work(&workspace).is_err() {
            failed.push(format!("`{}`", workspace.name));
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("in the workspaces {}", failed.join(", ")),
    }
}

/// Links in doc comments that lead nowhere are errors.
fn documentation(tools: &Tools) -> Result<()> {
    let mut cargo = tools.cargo()?;
    cargo.env("RUSTDOCFLAGS", "--deny warnings");
    process::run(cargo.args(["doc", "--workspace", "--no-deps", "--quiet"]))
}
