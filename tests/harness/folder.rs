//! A folder with a pipeline and its plugin, as a person would have it.

use super::guests::guest;
use std::path::Path;
use tempfile::TempDir;

/// A folder with `pipeline.yaml` and the guest of this name as `plugin.wasm`.
pub fn pipeline_folder(name: &str, pipeline: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("cannot create a folder");
    put(folder.path(), "pipeline.yaml", pipeline);
    std::fs::copy(guest(name), folder.path().join("plugin.wasm")).expect("cannot copy the guest");
    folder
}

/// Writes a file of a folder.
pub fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    std::fs::write(folder.join(name), content).expect("cannot write a file");
}
