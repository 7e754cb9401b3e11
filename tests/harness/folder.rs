//! A folder with a pipeline and its plugin, as a person would have it, and texts that are changed in it.

use super::guests::guest;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with `pipeline.yaml` and the guest of this name as `plugin.wasm`.
pub fn pipeline_folder(name: &str, pipeline: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("cannot create a folder");
    put(folder.path(), "pipeline.yaml", pipeline);
    std::fs::copy(guest(name), folder.path().join("plugin.wasm")).expect("cannot copy the guest");
    folder
}

/// Writes a file of a folder. One that is there is replaced as a whole, so that nobody reads half of it.
pub fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let (path, beside) = (folder.join(name), folder.join(format!("{name}.new")));
    std::fs::write(&beside, content).expect("cannot write a file");
    std::fs::rename(&beside, &path).expect("cannot replace a file");
    path
}

/// A text with parts of it replaced. Fails when one of them is not there.
#[track_caller]
pub fn replaced(text: &str, changes: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "there is no {from:?} in:\n{text}");
        text = text.replace(from, to);
    }
    text
}

#[test]
#[should_panic(expected = "there is no \"lane:\" in:\nlanes: 1")]
fn a_change_of_what_is_not_there_fails() {
    assert_eq!(replaced("lanes: 1", &[("1", "2")]), "lanes: 2");
    replaced("lanes: 1", &[("lane:", "lanes:")]);
}
