//! A Rust toolchain that compiles to WebAssembly: found, added with rustup, or Debian's.
//!
//! The name of what was found is handed to `weir` and to the tests in `WEIR_WASM_TOOLCHAIN`;
//! `weir plugin build` looks for the same three by itself where the variable is not set.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::debian;
use crate::layout;
use crate::process;
use crate::ui::say;

/// A way of compiling a Rust plugin to WebAssembly, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wasm {
    /// The active toolchain has `wasm32-wasip2`: cargo's result is a finished component.
    Wasip2,
    /// The active toolchain has `wasm32-unknown-unknown`: the host encodes the core module.
    Unknown,
    /// Debian's `rustc-web` builds the standard library itself for `wasm32-unknown-unknown`.
    DebianBuildStd,
}

/// The programs that Debian's way consists of; all of them present means it is installed.
const DEBIAN_PROGRAMS: [&str; 3] = ["usr/bin/rustc", "usr/bin/cargo", "usr/bin/wasm-ld-22"];
/// Settings that are meant for this machine and not for WebAssembly.
const NATIVE_SETTINGS: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_WARNINGS",
    "RUSTC_LINKER",
];
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];

impl Wasm {
    /// The value of `WEIR_WASM_TOOLCHAIN`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Wasm::Wasip2 => "wasm32-wasip2",
            Wasm::Unknown => "wasm32-unknown-unknown",
            Wasm::DebianBuildStd => "debian-build-std",
        }
    }

    /// `cargo build --release` for this target, as `weir plugin build` does it: `cargo` is the active toolchain's.
    pub(super) fn cargo_build(self, mut cargo: Command) -> Command {
        if self == Wasm::DebianBuildStd {
            let [rustc, own, linker] = DEBIAN_PROGRAMS.map(layout::system);
            cargo = Command::new(own);
            cargo
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTC", rustc)
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                .arg("-Zbuild-std=std,panic_abort");
        }
        for name in NATIVE_SETTINGS {
            cargo.env_remove(name);
        }
        cargo.args(["build", "--release", "--target", self.target()]);
        cargo
    }

    /// The Rust target that plugins are compiled for.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Wasm::Wasip2 => "wasm32-wasip2",
            Wasm::Unknown | Wasm::DebianBuildStd => "wasm32-unknown-unknown",
        }
    }
}

/// The first way that is there, installed if need be.
pub(super) fn find_or_install() -> Result<Wasm> {
    if let Some(wasm) = found() {
        let what = match wasm {
            Wasm::Wasip2 | Wasm::Unknown => "found in the active Rust toolchain",
            Wasm::DebianBuildStd => "compiled by Debian's rustc-web, found in /usr/bin",
        };
        say("setup", format_args!("{} {what}", wasm.target()));
        return Ok(wasm);
    }
    let mut tried = Vec::new();
    let add_wasip2 = || add_with_rustup(Wasm::Wasip2.target());
    let ways: [fn() -> Result<()>; 2] = [add_wasip2, install_debians];
    for way in ways {
        let done = way()
            .and_then(|()| found().context("the toolchain still has no target for WebAssembly"));
        match done {
            Ok(wasm) => return Ok(wasm),
            Err(error) => {
                say("setup", format_args!("Rust for WebAssembly: {error:#}"));
                tried.push(format!("{error:#}"));
            }
        }
    }
    bail!(no_way(&tried))
}

/// Sees to it that core modules can be compiled, for the tests that load them: with the machine's
/// own `wasm`, or with a second target of the active toolchain.
pub(super) fn core_modules(wasm: Wasm) -> Result<()> {
    let target = Wasm::Unknown.target();
    if wasm != Wasm::Wasip2 || has_standard_library(target) {
        say("setup", format_args!("{target} found, for the tests"));
        return Ok(());
    }
    add_with_rustup(target)
}

fn no_way(tried: &[String]) -> String {
    format!(
        "cannot find or install a Rust toolchain for WebAssembly\n  tried: {}\n\n\
         hint: any one of these is enough\n  \
         1. rustup target add wasm32-wasip2\n  \
         2. a toolchain of your own that has wasm32-wasip2 or wasm32-unknown-unknown\n  \
         3. on Debian, as root: apt-get install --no-install-recommends {}",
        tried.join("\n  tried: "),
        DEBIAN_PACKAGES.join(" ")
    )
}

/// What is there already. Debian's toolchain counts before rustup is asked to add a target: where it
/// is installed nothing is missing, and nothing is installed that is not needed. It comes last among
/// those found, for the active toolchain is the one that a person chose.
fn found() -> Option<Wasm> {
    [Wasm::Wasip2, Wasm::Unknown]
        .into_iter()
        .find(|wasm| has_standard_library(wasm.target()))
        .or_else(|| has_debians().then_some(Wasm::DebianBuildStd))
}

/// Whether the active toolchain has a compiled standard library for `target`. The compiler
/// itself knows every target; the library is what `rustup target add` brings.
fn has_standard_library(target: &str) -> bool {
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(layout::root());
    process::output(&mut rustc).is_ok_and(|folder| holds_standard_library(Path::new(folder.trim())))
}

fn holds_standard_library(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

fn has_debians() -> bool {
    let mut rustc = Command::new(layout::system("usr/bin/rustc"));
    DEBIAN_PROGRAMS
        .iter()
        .all(|program| layout::system(program).is_file())
        && process::output(rustc.args(["--print", "sysroot"])).is_ok_and(|sysroot| {
            Path::new(sysroot.trim())
                .join("lib/rustlib/src/rust/library/std")
                .is_dir()
        })
}

fn add_with_rustup(target: &str) -> Result<()> {
    let Some(rustup) = process::find("rustup") else {
        bail!("rustup is not on PATH, so it cannot add a target");
    };
    say(
        "setup",
        format_args!("adding the target {target} to the active toolchain with rustup"),
    );
    process::run(
        Command::new(rustup)
            .args(["target", "add", target])
            .current_dir(layout::root()),
    )
    .context("cannot add the target with rustup")
}

fn install_debians() -> Result<()> {
    let packages = DEBIAN_PACKAGES.join(", ");
    say(
        "setup",
        format_args!("Rust for WebAssembly: installing Debian's {packages}"),
    );
    debian::install(&DEBIAN_PACKAGES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_the_standard_library_is_no_target() {
        assert!(!holds_standard_library(Path::new("/nowhere")));
        assert!(!holds_standard_library(Path::new("/etc")));
        assert!(!has_standard_library("no-such-target"));
    }

    #[test]
    fn when_nothing_works_the_message_has_the_commands() {
        let text = no_way(&["rustup is not on PATH".to_owned()]);
        assert!(text.contains("tried: rustup is not on PATH\n"));
        assert!(text.contains("rustup target add wasm32-wasip2"));
        assert!(text.contains("rustc-web cargo-web rust-web-src lld-22"));
    }
}
