//! Builds Rust plugins with `cargo build`, and finds the results.

use super::build::Built;
use super::command;
use super::toolchain::Toolchain;
use crate::report::ResultExt;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Builds the plugin whose `Cargo.toml` is in `folder`, in the release profile.
///
/// Blocks as long as cargo runs: a second, or a minute the first time.
///
/// # Errors
/// There is no crate or no toolchain, or the crate does not compile or builds no component. Exit code 2 if
/// there is no crate.
pub(super) fn build_plugin(folder: &Path) -> Result<Built> {
    let name = folder.display();
    let manifest = folder.join("Cargo.toml");
    let manifest = manifest
        .canonicalize()
        .with_context(|| format!("cannot find a plugin's source in `{name}`"))
        .hint(|| "create one with `weir plugin new NAME`, or name its folder")
        .usage()?;
    let built =
        build(folder, &[]).with_context(|| format!("cannot build the plugin in `{name}`"))?;
    let of_this_crate = |artifact: &Artifact| artifact.manifest_path == manifest;
    built
        .into_iter()
        .find(of_this_crate)
        .and_then(Artifact::built)
        .with_context(|| format!("the crate in `{name}` builds no component"))
        .hint(|| "add `crate-type = [\"cdylib\"]` under `[lib]` in its Cargo.toml")
}

/// Builds every plugin of the workspace in `folder`, with `target` as its target directory.
///
/// # Errors
/// When cargo cannot build them.
pub fn build_all(folder: &Path, target: &Path) -> Result<Vec<Built>> {
    let target = target.to_string_lossy();
    let artifacts = build(folder, &["--target-dir", &target])
        .with_context(|| format!("cannot build the plugins in `{}`", folder.display()))?;
    Ok(artifacts.into_iter().filter_map(Artifact::built).collect())
}

/// A line of `cargo build --message-format=json` about an artifact.
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
    let stdout = command::run(cargo, "install Rust from https://rustup.rs")?;
    Ok(stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
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
}
