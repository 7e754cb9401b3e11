//! Components for the tests, built from their sources.
//!
//! Each workspace of guests is built once per test process, all members at a time; cargo's own lock
//! keeps concurrent processes apart, and a second build of the same sources does nothing. All share
//! `target/guests`, so that their dependencies are compiled once.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A misbehaving or minimal guest of `tests/guests/`, by its folder's name.
pub fn guest(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    component(BUILT.get_or_init(|| build("tests/guests")), name)
}

/// A standard plugin of `plugins/`, by its folder's name.
pub fn plugin(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    component(BUILT.get_or_init(|| build("plugins")), name)
}

/// The plugin of an example, by the name that the folder and the crate share. A workspace each.
pub fn example(name: &str) -> PathBuf {
    component(&build(&format!("examples/{name}/plugin")), name)
}

/// Runs the unit tests of a plugin, natively.
pub fn unit_tests(folder: &Path) {
    let target = repository().join("target/guests");
    let mut cargo = cargo(folder);
    // `--release` because what the macros are made of was compiled so for WebAssembly already.
    cargo
        .args(["test", "--release", "--target-dir"])
        .arg(&target);
    let output = cargo.output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn component(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(format!("{}.wasm", name.replace('-', "_")));
    assert!(
        path.is_file(),
        "there is no guest `{name}`: {} is missing",
        path.display()
    );
    path
}

/// Builds a workspace of guests; returns the folder of its components.
fn build(workspace: &str) -> PathBuf {
    let target = repository().join("target/guests");
    let mut cargo = cargo(&repository().join(workspace));
    cargo
        .args([
            "build",
            "--release",
            "--target",
            "wasm32-wasip2",
            "--target-dir",
        ])
        .arg(&target);
    let output = cargo.output().unwrap();
    assert!(
        output.status.success(),
        "cannot build the guests of `{workspace}`:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    target.join("wasm32-wasip2/release")
}

/// A cargo that runs as if started by hand in `folder`: what the cargo that runs this test put into
/// the environment (its flags, its target, its package's name) is not the guests' business.
pub fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if is_of_a_build(&name) {
            cargo.env_remove(name);
        }
    }
    cargo.current_dir(folder);
    cargo
}

fn is_of_a_build(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let kept = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
    ];
    (name.starts_with("CARGO") && !kept.iter().any(|prefix| name.starts_with(prefix)))
        || [
            "RUSTFLAGS",
            "RUSTDOCFLAGS",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
        ]
        .contains(&name)
}
