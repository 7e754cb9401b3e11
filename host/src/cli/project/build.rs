//! `cargo build` of a plugin, and where its result is.
//!
//! On a terminal cargo speaks for itself, with its progress bar and its colours. Elsewhere it is
//! silent, and what it said is part of the error when it fails.

use super::toolchain::Toolchain;
use crate::report::{self, ResultExt};
use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One component, or core module that the host encodes as it loads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The crate's name.
    pub name: String,
    /// Where cargo left it, absolute. The next build overwrites it.
    pub path: PathBuf,
    /// Whether it was there already, made of the same sources.
    pub fresh: bool,
}

/// Builds the plugin whose `Cargo.toml` is in `folder`, in the release profile.
///
/// Blocks for as long as cargo takes: a second, or a minute the first time.
///
/// # Errors
/// There is no crate, no toolchain, the crate does not compile or makes no component. Exit code 2
/// where there is no crate at all.
pub fn build_plugin(folder: &Path) -> Result<Built> {
    let name = folder.display();
    let manifest = folder.join("Cargo.toml");
    let manifest = manifest
        .canonicalize()
        .with_context(|| format!("cannot find a plugin's source in `{name}`"))
        .hint(|| "make one with `weir plugin new NAME`, or give its folder")
        .usage()?;
    let built =
        build(folder, &[]).with_context(|| format!("cannot build the plugin in `{name}`"))?;
    let of_this_crate = |artifact: &Artifact| artifact.manifest_path == manifest;
    built
        .into_iter()
        .find(of_this_crate)
        .and_then(Artifact::built)
        .with_context(|| format!("the crate in `{name}` makes no component"))
        .hint(|| "add `crate-type = [\"cdylib\"]` under `[lib]` in its Cargo.toml")
}

/// Builds every plugin of the workspace in `folder`, with `target` as its target directory.
///
/// # Errors
/// As [`build_plugin`].
pub fn build_all(folder: &Path, target: &Path) -> Result<Vec<Built>> {
    let target = target.to_string_lossy();
    let artifacts = build(folder, &["--target-dir", &target])
        .with_context(|| format!("cannot build the plugins in `{}`", folder.display()))?;
    Ok(artifacts.into_iter().filter_map(Artifact::built).collect())
}

/// Copies what was built to `destination`, in one step: whoever reads or watches it finds the old
/// component or the new one, never half of one.
///
/// # Errors
/// The destination cannot be written.
pub fn place(built: &Built, destination: &Path) -> Result<()> {
    let copy = || {
        let bytes = std::fs::read(&built.path)?;
        if std::fs::read(destination).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        let folder = destination
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        std::io::Write::write_all(&mut file, &bytes)?;
        let readable = std::fs::metadata(&built.path)?.permissions();
        file.as_file().set_permissions(readable)?;
        file.persist(destination).map_err(|error| error.error)?;
        Ok::<_, std::io::Error>(())
    };
    copy().with_context(|| format!("cannot write `{}`", destination.display()))
}

/// A line of `cargo build --message-format=json` about something it made.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    filenames: Vec<PathBuf>,
    fresh: bool,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

impl Artifact {
    /// The component, if it is one.
    fn built(self) -> Option<Built> {
        if !self.target.crate_types.iter().any(|kind| kind == "cdylib") {
            return None;
        }
        let is_wasm = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "wasm");
        let path = self.filenames.into_iter().find(is_wasm)?;
        Some(Built {
            name: self.target.name,
            path,
            fresh: self.fresh,
        })
    }
}

fn build(folder: &Path, arguments: &[&str]) -> Result<Vec<Artifact>> {
    let mut cargo = Toolchain::find(folder)?.cargo_build(folder);
    cargo
        .arg("--message-format=json-render-diagnostics")
        .args(arguments);
    let stdout = run(cargo)?;
    Ok(stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

/// Runs cargo to its end and returns what it wrote to stdout.
fn run(mut cargo: Command) -> Result<String> {
    let watched = std::io::stderr().is_terminal();
    cargo.stdin(Stdio::null()).stdout(Stdio::piped());
    cargo.stderr(if watched {
        Stdio::inherit()
    } else {
        Stdio::piped()
    });
    let mut child = cargo.spawn().map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let error = anyhow!(error).context("cannot start `cargo`");
        if missing {
            report::hint(error, "install Rust from https://rustup.rs")
        } else {
            error
        }
    })?;
    // Both pipes are read at the same time: cargo would block on the one that nobody empties.
    let said = child.stderr.take().map(|mut pipe| {
        std::thread::spawn(move || {
            let mut said = Vec::new();
            pipe.read_to_end(&mut said).map(|_| said)
        })
    });
    let output = child
        .wait_with_output()
        .context("cannot wait for `cargo`")?;
    let said = said
        .and_then(|thread| thread.join().ok())
        .and_then(Result::ok)
        .unwrap_or_default();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        let failed = anyhow!("cargo ended with {}", output.status);
        return Err(if said.is_empty() {
            failed
        } else {
            anyhow!(said).context(failed)
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
mod tests {
    use super::*;

    #[test]
    fn only_components_count() {
        let line = |kind: &str, file: &str| {
            let text = format!(
                r#"{{"reason": "compiler-artifact", "manifest_path": "/p/Cargo.toml",
                   "target": {{"name": "p", "crate_types": ["{kind}"]}},
                   "filenames": ["/p/target/{file}"], "fresh": true}}"#
            );
            serde_json::from_str::<Artifact>(&text).unwrap().built()
        };
        let path = PathBuf::from("/p/target/p.wasm");
        assert_eq!(
            line("cdylib", "p.wasm"),
            Some(Built {
                name: "p".into(),
                path,
                fresh: true
            })
        );
        assert_eq!(line("rlib", "libp.rlib"), None);
        assert_eq!(line("cdylib", "libp.so"), None);
    }

    #[test]
    fn a_folder_without_a_crate_is_wrong_usage() {
        let folder = tempfile::tempdir().unwrap();
        let error = build_plugin(folder.path()).unwrap_err();
        assert_eq!(report::exit_code(&error), report::USAGE);
    }

    #[test]
    fn what_was_built_is_placed_whole_and_only_when_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, "one").unwrap();
        let built = Built {
            name: "a".into(),
            path: path.clone(),
            fresh: false,
        };
        let destination = folder.path().join("b.wasm");
        place(&built, &destination).unwrap();
        assert_eq!(std::fs::read(&destination).unwrap(), b"one");
        let placed = std::fs::metadata(&destination).unwrap().modified().unwrap();
        place(&built, &destination).unwrap();
        assert_eq!(
            std::fs::metadata(&destination).unwrap().modified().unwrap(),
            placed
        );
        std::fs::write(&path, "two").unwrap();
        place(&built, &destination).unwrap();
        assert_eq!(std::fs::read(&destination).unwrap(), b"two");
    }
}
