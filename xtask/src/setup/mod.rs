//! `cargo xtask setup`: finds what the tests and the demo need, and installs what is missing.
//!
//! Needed are a `nats-server` and a Rust toolchain that compiles to WebAssembly. Every step
//! says what it found or what it is about to do; a second run finds everything and does nothing.
//! What is installed goes to `target/tools`, with two exceptions that are said aloud: a target
//! added to the rustup toolchain, and Debian's Rust packages where rustup cannot help.

mod debian;
mod docker_registry;
mod languages;
mod nats;
mod old_nats;
mod wasm;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::layout::{self, Workspace};
use crate::ui::say;

pub(crate) use languages::Languages;
pub(crate) use wasm::Wasm;

/// What the set-up found or installed.
pub(crate) struct Tools {
    /// A `nats-server` of at least 2.12.1.
    pub(crate) nats_server: PathBuf,
    /// How Rust is compiled to WebAssembly on this machine.
    pub(crate) wasm: Wasm,
    /// Which of the other languages cannot be had; nothing is known before
    /// [`Tools::find_languages`].
    pub(crate) languages: Languages,
}

/// Finds or installs everything, one line a step.
///
/// # Errors
/// When something cannot be found and no way of installing it worked; the message names every
/// way out.
pub(crate) fn run() -> Result<Tools> {
    let nats_server = nats::find_or_install()?;
    let wasm = wasm::find_or_install()?;
    Ok(Tools {
        nats_server,
        wasm,
        languages: Languages::default(),
    })
}

/// As [`run`], with what only the tests need; what cannot be had is said here, and skipped there.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_for_tests() -> Result<Tools> {
    let tools = run()?;
    if let Err(error) = old_nats_server() {
        say("setup", format_args!("old nats-server: {error:#}"));
    }
    if let Err(error) = docker_registry() {
        say("setup", format_args!("docker-registry: {error:#}"));
    }
    if let Err(error) = tools.core_modules() {
        say("setup", format_args!("core modules: {error:#}"));
    }
    Ok(tools)
}

/// A server that is too old, in `target/tools/old`, where the test looks for it.
///
/// # Errors
/// When neither Debian nor Go has one.
pub(crate) fn old_nats_server() -> Result<PathBuf> {
    old_nats::find_or_install()
}

/// A registry of OCI artifacts, on PATH or in `target/tools/bin`.
///
/// # Errors
/// When it is not there and Debian has none.
pub(crate) fn docker_registry() -> Result<PathBuf> {
    docker_registry::find_or_install()
}

impl Tools {
    /// Finds or installs the tools of every language that plugins are written in. One that cannot
    /// be had is told and remembered, and its tests count as skipped.
    pub(crate) fn find_languages(&mut self) {
        self.languages = languages::find_or_install();
    }

    /// Sees to it that plugins can be compiled to core modules, which single tests need.
    ///
    /// # Errors
    /// When there is no target for it, and rustup cannot add one.
    pub(crate) fn core_modules(&self) -> Result<()> {
        wasm::core_modules(self.wasm)
    }

    /// A command that will find the tools: `target/tools/bin` is first on its PATH,
    /// `WEIR_NATS_SERVER` names the server and `WEIR_WASM_TOOLCHAIN` the way of compiling
    /// plugins. It starts in the root of the repository.
    ///
    /// # Errors
    /// When PATH has an entry that cannot be joined again.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Result<Command> {
        let mut command = Command::new(program.into());
        command
            .current_dir(layout::root())
            .env("PATH", path_with_tools()?)
            .env("WEIR_NATS_SERVER", &self.nats_server)
            .env("WEIR_WASM_TOOLCHAIN", self.wasm.name());
        Ok(command)
    }

    /// `cargo` itself, the one that runs this task.
    ///
    /// # Errors
    /// As [`Tools::command`].
    pub(crate) fn cargo(&self) -> Result<Command> {
        self.command(cargo_program())
    }

    /// `cargo build --release` for WebAssembly.
    ///
    /// # Errors
    /// As [`Tools::command`].
    pub(crate) fn wasm_cargo(&self) -> Result<Command> {
        Ok(self.wasm.cargo_build(self.cargo()?))
    }

    /// `cargo` in a workspace of guests. They all build into `target/guests`, so that the
    /// libraries they share are compiled once.
    ///
    /// # Errors
    /// As [`Tools::command`].
    pub(crate) fn guest_cargo(&self, workspace: &Workspace) -> Result<Command> {
        let mut cargo = self.cargo()?;
        cargo
            .current_dir(&workspace.folder)
            .env("CARGO_TARGET_DIR", layout::root().join("target/guests"));
        Ok(cargo)
    }
}

/// The cargo that runs this task, or the one on PATH when xtask was started by hand.
pub(crate) fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// This process's PATH with `target/tools/bin` in front.
pub(crate) fn path_with_tools() -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(layout::tools_bin()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("cannot put target/tools/bin on PATH")
}
