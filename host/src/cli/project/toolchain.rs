//! Finds a Rust toolchain that compiles to WebAssembly.
//!
//! There are three, in order of preference; `WEIR_WASM_TOOLCHAIN` selects one. The search runs in the
//! plugin's folder, so that a `rust-toolchain.toml` there is respected. Nothing is installed.

use crate::report::{self, ResultExt};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// A way to compile a Rust plugin to WebAssembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The active toolchain has `wasm32-wasip2`: cargo's result is a component, with a clock, and
    /// with panic messages on stderr.
    Wasip2,
    /// The active toolchain has `wasm32-unknown-unknown`: the result is a core module, which the host
    /// encodes on load.
    Unknown,
    /// Debian's `rustc-web` builds the standard library itself, for `wasm32-unknown-unknown`.
    DebianBuildStd,
}

/// The parts of Debian's toolchain.
const DEBIAN_PROGRAMS: [&str; 3] = ["/usr/bin/rustc", "/usr/bin/cargo", "/usr/bin/wasm-ld-22"];

/// Environment variables that are meant for the local machine and not for WebAssembly. A plugin's own flags
/// are in its `.cargo/config.toml`.
const NATIVE_SETTINGS: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_WARNINGS",
    "RUSTC_LINKER",
];

impl Toolchain {
    /// The first available toolchain for a crate in `folder`.
    ///
    /// # Errors
    /// There is none, or no Rust; the hint has the command that installs it.
    pub fn find(folder: &Path) -> Result<Self> {
        if let Some(name) = std::env::var_os("WEIR_WASM_TOOLCHAIN").filter(|name| !name.is_empty())
        {
            return Self::named(&name.to_string_lossy());
        }
        for toolchain in [Self::Wasip2, Self::Unknown] {
            if has_standard_library(folder, toolchain.target())? {
                return Ok(toolchain);
            }
        }
        if has_debians() {
            return Ok(Self::DebianBuildStd);
        }
        Err(report::hint(
            anyhow::anyhow!("the active Rust toolchain has no target for WebAssembly"),
            "run `rustup target add wasm32-wasip2`",
        ))
    }

    fn named(name: &str) -> Result<Self> {
        [Self::Wasip2, Self::Unknown, Self::DebianBuildStd]
            .into_iter()
            .find(|toolchain| toolchain.name() == name)
            .with_context(|| {
                format!("`WEIR_WASM_TOOLCHAIN` is `{name}`, which is not a known toolchain")
            })
            .hint(|| "use `wasm32-wasip2`, `wasm32-unknown-unknown` or `debian-build-std`")
            .usage()
    }

    /// The value of `WEIR_WASM_TOOLCHAIN`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wasip2 | Self::Unknown => self.target(),
            Self::DebianBuildStd => "debian-build-std",
        }
    }

    /// The Rust target.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::Wasip2 => "wasm32-wasip2",
            Self::Unknown | Self::DebianBuildStd => "wasm32-unknown-unknown",
        }
    }

    /// `cargo build --release` for this target in `folder`, without further arguments.
    #[must_use]
    pub fn cargo_build(self, folder: &Path) -> Command {
        let mut cargo = match self {
            Self::Wasip2 | Self::Unknown => Command::new("cargo"),
            Self::DebianBuildStd => {
                let mut cargo = Command::new("/usr/bin/cargo");
                cargo
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("RUSTC", "/usr/bin/rustc")
                    .env(
                        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
                        "/usr/bin/wasm-ld-22",
                    );
                cargo
            }
        };
        for name in NATIVE_SETTINGS {
            cargo.env_remove(name);
        }
        cargo.current_dir(folder);
        cargo.args(["build", "--release", "--target", self.target()]);
        if self == Self::DebianBuildStd {
            cargo.arg("-Zbuild-std=std,panic_abort");
        }
        cargo
    }
}

/// Whether the active toolchain in `folder` has a compiled standard library for `target`. The compiler knows
/// every target; `rustup target add` installs the library.
fn has_standard_library(folder: &Path, target: &str) -> Result<bool> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(folder)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !has_debians() => {
            let error = anyhow::anyhow!("there is no `rustc` on PATH");
            bail!(report::hint(error, "install Rust from https://rustup.rs"));
        }
        Err(_) => return Ok(false),
    };
    let folder = String::from_utf8_lossy(&output.stdout);
    let files = std::fs::read_dir(folder.trim())
        .into_iter()
        .flatten()
        .flatten();
    let is_std = |name: &str| name.starts_with("libstd-");
    Ok(files
        .map(|file| file.file_name())
        .any(|name| is_std(&name.to_string_lossy())))
}

fn has_debians() -> bool {
    let sysroot = || {
        Command::new("/usr/bin/rustc")
            .args(["--print", "sysroot"])
            .output()
            .ok()
    };
    DEBIAN_PROGRAMS
        .iter()
        .all(|program| Path::new(program).is_file())
        && sysroot().is_some_and(|output| {
            let sysroot = String::from_utf8_lossy(&output.stdout);
            Path::new(sysroot.trim())
                .join("lib/rustlib/src/rust/library/std")
                .is_dir()
        })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_is_found_by_its_name() {
        for toolchain in [
            Toolchain::Wasip2,
            Toolchain::Unknown,
            Toolchain::DebianBuildStd,
        ] {
            assert_eq!(Toolchain::named(toolchain.name()).unwrap(), toolchain);
        }
        let error = Toolchain::named("wasm64").unwrap_err();
        assert_eq!(report::exit_code(&error), report::USAGE);
    }

    #[test]
    fn a_target_without_a_standard_library_is_not_there() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(!has_standard_library(here, "no-such-target").unwrap());
    }
}
