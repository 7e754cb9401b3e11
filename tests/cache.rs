//! A plugin is compiled once for a host's user, and the compiled code is trusted only as far as the
//! directory it lies in: what is damaged, foreign or open to others is compiled again.

use crate::harness::repository;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use weir::plugin::{Runtime, RuntimeOptions};

/// Loads the same plugin in a new engine, as a new process would; whether it came from the cache.
fn load(folder: &Path) -> bool {
    let options = RuntimeOptions {
        cache_dir: Some(folder.to_owned()),
        max_instances: 2,
        compiler: Some(env!("CARGO_BIN_EXE_weir").into()),
    };
    let runtime = Runtime::new(options).unwrap();
    let plugin = runtime.load(&repository().join("tests/witness/operator-0.1.0.wasm"));
    plugin.unwrap().from_cache()
}

/// A directory of the test's own, whose `cache` does not exist yet.
fn fresh() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("deeper/cache");
    (directory, folder)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    // Components as they were given are kept beside them.
    let is_compiled = |path: &PathBuf| path.extension().is_none_or(|ending| ending != "wasm");
    paths.filter(is_compiled).collect()
}

/// The only file of a cache.
fn entry(folder: &Path) -> PathBuf {
    let entries = entries(folder);
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries[0].clone()
}

#[test]
fn a_plugin_that_was_compiled_before_is_not_compiled_again() {
    let (_directory, folder) = fresh();
    assert!(!load(&folder));
    assert!(load(&folder));
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    entry(&folder);
}

#[test]
fn a_damaged_entry_is_compiled_again_and_replaced() {
    let (_directory, folder) = fresh();
    assert!(!load(&folder));
    let whole = fs::read(entry(&folder)).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for damaged in [&changed[..], &whole[..whole.len() / 2], b""] {
        fs::write(entry(&folder), damaged).unwrap();
        assert!(!load(&folder));
        assert_eq!(fs::read(entry(&folder)).unwrap().len(), whole.len());
        assert!(load(&folder));
    }
}

#[test]
fn an_entry_that_wasmtime_did_not_write_is_compiled_again() {
    let (_directory, folder) = fresh();
    assert!(!load(&folder));
    let path = entry(&folder);
    let name = path.file_name().unwrap().to_str().unwrap();
    let (key, _) = name.split_once('-').unwrap();
    fs::remove_file(&path).unwrap();
    let foreign = b"\x7fELF not native code of a component";
    let digest = blake3::hash(foreign);
    fs::write(folder.join(format!("{key}-{digest}.cwasm")), foreign).unwrap();
    assert!(!load(&folder));
    assert_eq!(entry(&folder), path);
}

#[test]
fn an_entry_that_is_a_link_is_not_followed() {
    let (directory, folder) = fresh();
    assert!(!load(&folder));
    let path = entry(&folder);
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(!load(&folder));
    assert!(fs::symlink_metadata(entry(&folder)).unwrap().is_file());
}

#[test]
fn a_directory_that_others_may_enter_is_not_used() {
    let (_directory, folder) = fresh();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&folder)
        .unwrap();
    assert!(!load(&folder));
    assert!(!load(&folder));
    assert_eq!(entries(&folder), [] as [PathBuf; 0]);
}

#[test]
fn a_link_to_a_directory_is_not_used() {
    let (directory, folder) = fresh();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .unwrap();
    let link = directory.path().join("link");
    symlink(&folder, &link).unwrap();
    assert!(!load(&link));
    assert_eq!(entries(&folder), [] as [PathBuf; 0]);
}
