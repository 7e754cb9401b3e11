//! A registry of OCI artifacts for the tests: Debian's `docker-registry`, found or unpacked.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{debian, nats, path_with_tools};
use crate::layout;
use crate::process;
use crate::ui::say;

/// The program, and the package that has it.
const NAME: &str = "docker-registry";

/// The registry, installed into `target/tools/bin` if need be.
pub(super) fn find_or_install() -> Result<PathBuf> {
    let found = process::find_all(NAME, &path_with_tools()?);
    if let Some(found) = found.into_iter().next() {
        let place = found.display();
        say("setup", format_args!("{NAME} found at {place}"));
        return Ok(found);
    }
    let bin = layout::tools_bin();
    nats::create(&bin)?;
    let program = bin.join(NAME);
    // Of the machine's own release: it is linked against the libraries of that.
    debian::unpack(NAME, &debian::codename()?, |unpacked| {
        let file = unpacked.join("usr/bin").join(NAME);
        std::fs::copy(&file, &program)
            .with_context(|| format!("cannot copy the program to `{}`", program.display()))?;
        Ok(())
    })
    .context("cannot take it from Debian")?;
    let said = process::output(Command::new(&program).arg("--version"))?;
    if !said.contains(NAME) {
        bail!("`{}` does not say what it is", program.display());
    }
    say(
        "setup",
        format_args!("{NAME} unpacked at {}", program.display()),
    );
    Ok(program)
}
