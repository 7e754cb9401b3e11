//! The dependencies of every workspace, checked by cargo-deny: licences, bans, sources, and
//! published advisories where their database can be fetched.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::layout::{self, Workspace};
use crate::process;
use crate::setup::Tools;
use crate::ui::{Skipped, say};
use crate::version::Version;

const PINNED: &str = "0.20.2";
const LEAST: Version = Version::new(0, 20, 2);

/// How long the advisories may take to come over the network.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// Checks every workspace against `deny.toml`.
///
/// # Errors
/// When cargo-deny cannot be installed or finds something. An advisory database that cannot be
/// fetched is not an error: it is skipped by name.
pub(crate) fn check(tools: &Tools, skipped: &mut Skipped) -> Result<()> {
    let deny = find_or_install(tools)?;
    let workspaces = layout::workspaces()?;
    for workspace in &workspaces {
        let mut check = run(tools, &deny, workspace)?;
        check.args(["check", "licenses", "bans", "sources"]);
        // One list of duplicates serves all workspaces, and none has all of them.
        check.args(["--allow", "unmatched-skip", "--allow", "unnecessary-skip"]);
        process::run(&mut check)?;
    }
    say("ci", "fetching the database of advisories");
    let Some(host) = workspaces.first() else {
        return Ok(());
    };
    if let Err(error) =
        process::run_for(FETCH_LIMIT, run(tools, &deny, host)?.args(["fetch", "db"]))
    {
        skipped.add(format!(
            "cargo-deny advisories: cannot fetch the database: {error:#}"
        ));
        return Ok(());
    }
    for workspace in &workspaces {
        process::run(run(tools, &deny, workspace)?.args(["check", "advisories"]))?;
    }
    Ok(())
}

fn run(tools: &Tools, deny: &Path, workspace: &Workspace) -> Result<Command> {
    let mut command = tools.command(deny)?;
    command
        .arg("--manifest-path")
        .arg(workspace.folder.join("Cargo.toml"))
        .arg("--config")
        .arg(layout::root().join("deny.toml"));
    Ok(command)
}

fn find_or_install(tools: &Tools) -> Result<PathBuf> {
    let installed = layout::tools_bin().join("cargo-deny");
    for candidate in std::iter::once(installed.clone()).chain(process::find("cargo-deny")) {
        if !candidate.is_file() {
            continue;
        }
        let text = process::output(Command::new(&candidate).arg("--version"))?;
        if let Some(version) = Version::find(&text).filter(|version| *version >= LEAST) {
            say(
                "ci",
                format_args!("cargo-deny {version} found at {}", candidate.display()),
            );
            return Ok(candidate);
        }
    }
    say(
        "ci",
        format_args!("cargo-deny: installing {PINNED} into target/tools"),
    );
    let mut cargo = tools.cargo()?;
    cargo
        .args(["install", "--locked", "--quiet", "--root"])
        .arg(layout::tools());
    // It runs for seconds: compiling it without optimisation is what saves time.
    cargo.args(["--debug", "--config", "profile.dev.debug=false"]);
    process::run(cargo.arg(format!("cargo-deny@{PINNED}"))).context("cannot install cargo-deny")?;
    Ok(installed)
}
