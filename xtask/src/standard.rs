//! `cargo xtask std`: builds the standard plugins and puts them where the host's build embeds them.
//!
//! They are the default members of `plugins/`. A folder of `target/std` has the component of one, and what the host
//! says of it: its manifest, the schema of its configuration and its example. A file is written only when its
//! contents change, so that a host that has them already is not compiled again.

use std::path::Path;

use anyhow::{Context, Result};

use crate::layout;
use crate::process;
use crate::setup::{self, Tools};
use crate::ui::say;

/// What the host says of a plugin, by the names in its folder.
const ABOUT: [&str; 3] = ["Cargo.toml", "config.schema.json", "pipeline.yaml"];

/// Sets up and builds them.
pub(crate) fn run() -> Result<()> {
    set_up().map(|_| ())
}

/// As [`setup::run`], with the standard plugins, for tasks that build the host.
///
/// # Errors
/// As [`setup::run`], and when a plugin does not compile.
pub(crate) fn set_up() -> Result<Tools> {
    let tools = setup::run()?;
    build(&tools)?;
    Ok(tools)
}

/// Builds them.
///
/// # Errors
/// When one does not compile, or `target/std` cannot be written.
pub(crate) fn build(tools: &Tools) -> Result<()> {
    let root = layout::root();
    let (plugins, built) = (root.join("plugins"), root.join("target/guests"));
    say("std", "building the standard plugins");
    let mut cargo = tools.wasm_cargo()?;
    cargo.current_dir(&plugins).arg("--target-dir").arg(&built);
    process::run(cargo.arg("--quiet"))?;
    let built = built.join(tools.wasm.target()).join("release");
    let folder = root.join("target/std");
    let manifest = plugins.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest)
        .with_context(|| format!("cannot read `{}`", manifest.display()))?;
    let names = default_members(&text);
    for name in &names {
        let (source, to) = (plugins.join(name), folder.join(name));
        let component = built.join(format!("{}.wasm", name.replace('-', "_")));
        copy(&component, &to.join("plugin.wasm"))?;
        for file in ABOUT {
            copy(&source.join(file), &to.join(file))?;
        }
    }
    copy(&manifest, &folder.join("Cargo.toml"))?;
    remove_others(&folder, &names)
}

/// The names between the brackets of `default-members`.
fn default_members(manifest: &str) -> Vec<&str> {
    let list = manifest.split_once("\ndefault-members = [");
    let list = list.and_then(|(_, rest)| rest.split(']').next());
    list.unwrap_or_default()
        .split('"')
        .skip(1)
        .step_by(2)
        .collect()
}

/// Makes `to` a file like `from`, or none if there is none.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = || match std::fs::read(from) {
        Ok(bytes) if std::fs::read(to).is_ok_and(|there| there == bytes) => Ok(()),
        Ok(bytes) => {
            std::fs::create_dir_all(to.parent().unwrap_or(to))?;
            std::fs::write(to, bytes)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && to.exists() => {
            std::fs::remove_file(to)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    copied().with_context(|| format!("cannot copy `{}` to `{}`", from.display(), to.display()))
}

/// Removes the folders of plugins that are no more.
fn remove_others(folder: &Path, names: &[&str]) -> Result<()> {
    let removed = || {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let is_other = !names.iter().any(|name| entry.file_name() == *name);
            if is_other && entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok::<_, std::io::Error>(())
    };
    removed().with_context(|| format!("cannot clear `{}`", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_member_is_a_standard_plugin() {
        let manifest = "[workspace]\nmembers = [\"a\", \"sdk/b\"]\ndefault-members = [\n  \"a\",\n  \"c\",\n]\n";
        assert_eq!(default_members(manifest), ["a", "c"]);
        let plugins = layout::root().join("plugins");
        let text = std::fs::read_to_string(plugins.join("Cargo.toml")).unwrap_or_default();
        let names = default_members(&text);
        assert!(names.contains(&"filter"), "{names:?}");
        for name in names {
            assert!(plugins.join(name).join("pipeline.yaml").is_file(), "{name}");
        }
    }

    #[test]
    fn a_file_is_written_only_when_its_contents_change() -> std::io::Result<()> {
        let folder = std::env::temp_dir().join(format!("weir-std-{}", std::process::id()));
        let (from, to) = (folder.join("from"), folder.join("std/to"));
        std::fs::create_dir_all(&folder)?;
        let copied = || copy(&from, &to).map_err(std::io::Error::other);
        std::fs::write(&from, "one")?;
        copied()?;
        let written = std::fs::metadata(&to)?.modified()?;
        copied()?;
        assert_eq!(std::fs::metadata(&to)?.modified()?, written);
        std::fs::write(&from, "two")?;
        copied()?;
        assert_eq!(std::fs::read(&to)?, b"two");
        std::fs::remove_file(&from)?;
        copied()?;
        assert!(!to.exists());
        std::fs::remove_dir_all(&folder)
    }
}
