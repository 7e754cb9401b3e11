//! Tells the crate which wasmtime it is built with, for `weir --version`: the crate has no constant
//! for it, and a second copy of the number would drift.

use std::path::Path;

fn main() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    // `weir plugin new` embeds the SDKs: compile anew when a file of one comes or goes.
    println!("cargo::rerun-if-changed=../plugins/sdk");
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = std::fs::read_to_string(lock).unwrap_or_default();
    let version = text
        .split_once("name = \"wasmtime\"\nversion = \"")
        .and_then(|(_, rest)| rest.split('"').next())
        .unwrap_or("unknown");
    println!("cargo::rustc-env=WEIR_WASMTIME_VERSION={version}");
}
