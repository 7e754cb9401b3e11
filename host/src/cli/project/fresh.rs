//! Whether a component is up to date with its sources.
//!
//! Only for languages other than Rust: cargo tracks this itself. A change of the language's tool is not
//! detected; delete `.weir` to force a build.

use super::manifest::Project;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Folders without sources of the plugin.
const FOREIGN: [&str; 4] = ["__pycache__", "node_modules", "target", "zig-out"];

/// Extensions of files that a build does not read.
const UNREAD: [&str; 5] = ["jsonl", "log", "md", "pyc", "wasm"];

/// Files that belong to the pipeline and not to the plugin; the first that exists is used.
const PIPELINE: [&str; 2] = ["pipeline.yaml", "pipeline.yml"];

/// BLAKE3 over this build of weir and the paths and contents of all sources, in hex.
///
/// # Errors
/// A source cannot be read.
pub(super) fn digest(project: &Project) -> Result<String> {
    let mut files = Vec::new();
    collect(&project.folder, &mut files)?;
    files.sort();
    let mut hasher = blake3::Hasher::new();
    hasher.update(this_weir().as_bytes());
    for file in files {
        let name = file.strip_prefix(&project.folder).unwrap_or(&file);
        let contents =
            std::fs::read(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        for part in [name.as_os_str().as_encoded_bytes(), &contents] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Identifies this build of weir: the recipes are part of it and affect the result.
fn this_weir() -> String {
    let program = std::env::current_exe().and_then(std::fs::metadata);
    let built = program.and_then(|program| Ok((program.len(), program.modified()?)));
    format!("{} {:?}", env!("CARGO_PKG_VERSION"), built.ok())
}

/// The digest of the sources that the component in `.weir` was built from.
pub(super) fn last(project: &Project) -> Option<String> {
    std::fs::read_to_string(record(project)).ok()
}

/// Records that the component was built from the sources with this digest.
///
/// # Errors
/// The record cannot be written.
pub(super) fn remember(project: &Project, digest: &str) -> Result<()> {
    let path = record(project);
    std::fs::write(&path, digest).with_context(|| format!("cannot write `{}`", path.display()))
}

fn record(project: &Project) -> PathBuf {
    project.work().join("sources.blake3")
}

/// Whether a file or folder of this name can contain sources, unlike files of builds, pipelines and editors.
pub(in crate::cli) fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let aside = name.starts_with('.') || name.ends_with('~');
    !aside
        && !FOREIGN.contains(&&*name)
        && !UNREAD.contains(&&*extension)
        && !PIPELINE.contains(&&*name)
}

/// The pipeline's file in a folder, if there is one.
pub(in crate::cli) fn pipeline(folder: &Path) -> Option<PathBuf> {
    let files = PIPELINE.iter().map(|name| folder.join(name));
    files.into_iter().find(|file| file.is_file())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let what = || format!("cannot list `{}`", folder.display());
    for entry in std::fs::read_dir(folder).with_context(what)? {
        let path = entry.with_context(what)?.path();
        if !is_source(&path) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_build_reads_changes_the_digest() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("plugin.yaml", "name: a\nlanguage: c\n");
        write("plugin.c", "one");
        let project = Project::find(folder.path()).unwrap().unwrap();
        let first = digest(&project).unwrap();
        for aside in [
            ".weir/a.wasm",
            "input.jsonl",
            "pipeline.yaml",
            "node_modules/a/b.js",
            "__pycache__/a.pyc",
        ] {
            write(aside, "new");
            assert_eq!(digest(&project).unwrap(), first, "{aside}");
        }
        write("sdk/weir.h", "new");
        let second = digest(&project).unwrap();
        assert_ne!(second, first);
        write("plugin.c", "two");
        assert_ne!(digest(&project).unwrap(), second);
    }
}
