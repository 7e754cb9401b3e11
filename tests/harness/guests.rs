//! Components for the tests, built from their sources as `weir plugin build` does.
//!
//! Each workspace of guests is built once per test process, all members at a time; cargo's own lock
//! keeps concurrent processes apart, and a second build of the same sources does nothing. All share
//! `target/guests`, so that their dependencies are compiled once.

use super::Weir;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use weir::cli::project::{Built, build_all};

/// A misbehaving or minimal guest of `tests/guests/`, by its folder's name.
pub fn guest(name: &str) -> PathBuf {
    static BUILT: OnceLock<Vec<Built>> = OnceLock::new();
    find(BUILT.get_or_init(|| build("tests/guests")), name)
}

/// A guest's component.
pub fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(guest(name)).expect("cannot read the guest")
}

/// The guest `versions` as this version: at most 16 characters.
pub fn versions(name: &str) -> Vec<u8> {
    version("versions", name)
}

/// The guest `stateful` as this version.
pub fn stateful(name: &str) -> Vec<u8> {
    version("stateful", name)
}

fn version(guest: &str, name: &str) -> Vec<u8> {
    let mut bytes = bytes(guest);
    let mark = b"version-of-this-:";
    let at = bytes.windows(mark.len()).position(|part| part == mark);
    let at = at.expect("the guest holds its version") + mark.len();
    bytes[at..at + 16].copy_from_slice(format!("{name:_<16}").as_bytes());
    bytes
}

/// The same guest compiled to a core module, for `wasm32-unknown-unknown`: with Debian's toolchain
/// where that is the machine's own, else with the active one.
pub fn core_module(name: &str) -> PathBuf {
    const DEBIAN: &str = "debian-build-std";
    let folder = repository().join("tests/guests").join(name);
    let output = target().join(format!("{name}.core.wasm"));
    let (folder, file) = (folder.to_str(), output.to_str());
    let arguments = ["plugin", "build", folder.unwrap(), "-o", file.unwrap()];
    let own = std::env::var("WEIR_WASM_TOOLCHAIN").ok();
    let own = own.filter(|own| own == DEBIAN);
    let toolchain = own.unwrap_or_else(|| "wasm32-unknown-unknown".to_owned());
    let shared = target();
    let environment = [
        ("WEIR_WASM_TOOLCHAIN", &*toolchain),
        ("CARGO_TARGET_DIR", shared.to_str().unwrap()),
    ];
    let build = Weir::start_with(&repository(), &arguments, &environment, Stdio::null()).finish();
    assert_eq!(build.code, Some(0), "{}", build.stderr);
    output
}

/// A standard plugin of `plugins/`, by its folder's name.
pub fn plugin(name: &str) -> PathBuf {
    static BUILT: OnceLock<Vec<Built>> = OnceLock::new();
    find(BUILT.get_or_init(|| build("plugins")), name)
}

/// The plugin of an example, by the name that the folder and the crate share. A workspace each.
pub fn example(name: &str) -> PathBuf {
    example_plugin(&format!("{name}/plugin"), name)
}

/// A plugin of an example that has several, by its folder below `examples/` and its crate's name.
pub fn example_plugin(folder: &str, name: &str) -> PathBuf {
    find(&build(&format!("examples/{folder}")), name)
}

/// Runs the unit tests of a plugin, natively.
pub fn unit_tests(folder: &Path) {
    let mut cargo = Command::new("cargo");
    // `--release` because what the macros are made of was compiled so for WebAssembly already.
    cargo
        .args(["test", "--release", "--target-dir"])
        .arg(target())
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(folder);
    let output = cargo.output().expect("cannot start cargo");
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
        .expect("the package is in the repository")
        .to_owned()
}

/// The folder that guests are compiled in, shared by all.
pub fn target() -> PathBuf {
    repository().join("target/guests")
}

fn find(built: &[Built], name: &str) -> PathBuf {
    let found = built
        .iter()
        .find(|built| built.name.replace('_', "-") == name);
    found
        .unwrap_or_else(|| panic!("there is no guest `{name}` among {built:?}"))
        .path
        .clone()
}

fn build(workspace: &str) -> Vec<Built> {
    build_all(&repository().join(workspace), &target()).unwrap_or_else(|error| panic!("{error:?}"))
}
