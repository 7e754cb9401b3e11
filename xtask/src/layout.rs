//! Where things are in the repository: its root, the folder of installed tools, its workspaces.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the repository. Baked in at compile time, which is right: xtask is always
/// compiled in the clone it runs in.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where `setup` keeps what it installs; inside `target`, so that git ignores it and deleting it
/// undoes every installation. `WEIR_SETUP_TOOLS` names another folder, for the tests of xtask.
pub(crate) fn tools() -> PathBuf {
    std::env::var_os("WEIR_SETUP_TOOLS").map_or_else(|| root().join("target/tools"), PathBuf::from)
}

/// The programs among them.
pub(crate) fn tools_bin() -> PathBuf {
    tools().join("bin")
}

/// A file of the system, by its path without the first slash; `WEIR_SETUP_SYSTEM` names a folder to
/// take for the root, for the tests of xtask.
pub(crate) fn system(path: &str) -> PathBuf {
    std::env::var_os("WEIR_SETUP_SYSTEM")
        .map_or_else(|| "/".into(), PathBuf::from)
        .join(path)
}

/// One Cargo workspace of the repository.
pub(crate) struct Workspace {
    /// The folder of its `Cargo.toml`.
    pub(crate) folder: PathBuf,
    /// The folder relative to the root, for messages; `.` is the host's own workspace.
    pub(crate) name: String,
}

impl Workspace {
    /// The host's workspace is the root; every other one holds guests for WebAssembly.
    pub(crate) fn is_host(&self) -> bool {
        self.name == "."
    }
}

/// Every workspace of the repository, the host's first and the rest by name. Found by looking,
/// not listed, so that a new example cannot be forgotten by the checks.
pub(crate) fn workspaces() -> Result<Vec<Workspace>> {
    let root = root();
    let mut found = Vec::new();
    collect(&root, &mut found)?;
    found.sort();
    Ok(found
        .into_iter()
        .map(|folder| {
            let name = folder
                .strip_prefix(&root)
                .map(|path| path.display().to_string());
            let name = name
                .ok()
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| ".".to_owned());
            Workspace { folder, name }
        })
        .collect())
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let manifest = folder.join("Cargo.toml");
    if manifest.is_file() {
        let text = std::fs::read_to_string(&manifest)
            .with_context(|| format!("cannot read `{}`", manifest.display()))?;
        if declares_workspace(&text) {
            found.push(folder.to_owned());
        }
    }
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list `{}`", folder.display()))?;
        let name = entry.file_name();
        let hidden = name.to_string_lossy().starts_with('.');
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !hidden && name != "target" {
            collect(&entry.path(), found)?;
        }
    }
    Ok(())
}

/// Whether a manifest is the root of a workspace rather than a member of one.
fn declares_workspace(manifest: &str) -> bool {
    manifest
        .lines()
        .any(|line| line.trim() == "[workspace]" || line.starts_with("[workspace."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_a_workspace_is_not_one() {
        assert!(declares_workspace(
            "[package]\nname = \"a\"\n\n[workspace]\n"
        ));
        assert!(declares_workspace(
            "[workspace.package]\nversion = \"1.0.0\"\n"
        ));
        assert!(!declares_workspace(
            "[package]\nversion.workspace = true\n# [workspace]\n"
        ));
    }

    #[test]
    fn the_hosts_workspace_comes_first() {
        let names = workspaces().map(|found| found.into_iter().map(|one| one.name).collect());
        let names: Vec<String> = names.unwrap_or_default();
        assert_eq!(names.first().map(String::as_str), Some("."));
    }
}
