//! `cargo xtask test [ARGS...]`: set up, then run every test of every workspace.
//!
//! The guests' own unit tests run first, on this machine's target; the host's tests, which load
//! the same guests as components and talk to a real server, run last, so that the last lines
//! are the test runner's own.

use anyhow::{Result, bail};

use crate::layout::{self, Workspace};
use crate::process;
use crate::setup::{self, Tools};
use crate::ui::{Skipped, say};

/// Guests that are material for the tests and the benches, and have no tests of their own.
const GUESTS_WITHOUT_TESTS: [&str; 2] = ["benches/guests", "tests/guests"];

/// Sets up and runs the tests; `arguments` go to `cargo test`.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let tools = setup::run()?;
    let mut skipped = Skipped::default();
    let guests = layout::workspaces()?.into_iter().filter(has_unit_tests);
    let guests: Vec<Workspace> = match has_options(arguments) {
        false => guests.collect(),
        true => {
            for guest in guests {
                skipped.add(format!("the tests of `{}`: options were given", guest.name));
            }
            Vec::new()
        }
    };
    skipped.print("test");
    everything(&tools, &guests, arguments)
}

/// Runs the tests of all workspaces, for `cargo xtask ci`, which has set up already.
pub(crate) fn run_all(tools: &Tools) -> Result<()> {
    let guests: Vec<_> = layout::workspaces()?
        .into_iter()
        .filter(has_unit_tests)
        .collect();
    everything(tools, &guests, &[])
}

fn has_unit_tests(workspace: &Workspace) -> bool {
    !workspace.is_host() && !GUESTS_WITHOUT_TESTS.contains(&workspace.name.as_str())
}

/// Whether there are options for cargo (`--package weir`), which make sense in the host's
/// workspace only; a bare word is a filter and goes to every workspace, and what comes after
/// `--` is the test runner's.
fn has_options(arguments: &[&str]) -> bool {
    arguments
        .iter()
        .take_while(|word| **word != "--")
        .any(|word| word.starts_with('-'))
}

/// Runs each workspace's tests although an earlier one failed, and fails if any did.
fn everything(tools: &Tools, guests: &[Workspace], arguments: &[&str]) -> Result<()> {
    let mut failed = Vec::new();
    for guest in guests {
        say(
            "test",
            format_args!("the guests' own tests in `{}`", guest.name),
        );
        let mut cargo = tools.guest_cargo(guest)?;
        cargo
            .args(["test", "--workspace", "--no-fail-fast"])
            .args(arguments);
        failed.extend(process::run(&mut cargo).err().map(|_| guest.name.clone()));
    }
    say("test", "the host's tests, with a real nats-server");
    let mut cargo = tools.cargo()?;
    cargo
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(arguments);
    failed.extend(
        process::run(&mut cargo)
            .err()
            .map(|_| "the host".to_owned()),
    );
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("tests failed in: {}", failed.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_not_an_option_and_the_runners_options_are_not_cargos() {
        assert!(!has_options(&[]));
        assert!(!has_options(&["delivery"]));
        assert!(!has_options(&["delivery", "--", "--nocapture"]));
        assert!(has_options(&["-p", "weir"]));
        assert!(has_options(&["--lib", "--", "--nocapture"]));
    }
}
