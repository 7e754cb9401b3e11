//! The plugins of a folder that are built from source.

use crate::cli::project::{MANIFEST, build_plugin, place};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Folders with a plugin's source, and the folder for their components, beside the pipeline.
pub(in crate::cli) struct Projects {
    beside: PathBuf,
    folders: Vec<PathBuf>,
}

impl Projects {
    /// Searches `folder` and one level below.
    pub(in crate::cli) fn find(folder: &Path) -> Result<Self> {
        let mut candidates = vec![folder.to_owned()];
        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read the folder `{}`", folder.display()))?;
        candidates.extend(
            entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.is_dir()),
        );
        candidates.retain(|path| is_plugin(path));
        candidates.sort();
        Ok(Self {
            beside: folder.to_owned(),
            folders: candidates,
        })
    }

    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.folders.is_empty()
    }

    /// Builds all and writes each component beside the pipeline, as `<name>.wasm` with underscores.
    pub(in crate::cli) fn build(&self) -> Result<()> {
        for folder in &self.folders {
            let built = build_plugin(folder)?;
            place(&built, &self.beside.join(built.file_name()))?;
        }
        Ok(())
    }
}

/// Whether a folder has a `plugin.yaml` or a crate that builds a component, unlike the vendored SDK or a
/// tool.
fn is_plugin(folder: &Path) -> bool {
    let is_component = |text: String| text.contains("\"cdylib\"");
    folder.join(MANIFEST).is_file()
        || std::fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(is_component)
}
