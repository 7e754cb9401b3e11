//! Tells the crate which wasmtime it is built with, for `weir --version`: the crate has no constant
//! for it, and a second copy of the number would drift. And embeds the standard plugins that `cargo xtask std` has
//! built; without them the crate builds as well.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The level at which components are packed: a third of their size, at about 20 MB a second.
const LEVEL: u8 = 6;

fn main() -> Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let lock = repository.join("Cargo.lock");
    // `weir plugin new` embeds the SDKs: compile anew when a file of one comes or goes.
    println!("cargo::rerun-if-changed=../plugins/sdk");
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = std::fs::read_to_string(lock).unwrap_or_default();
    let version = text
        .split_once("name = \"wasmtime\"\nversion = \"")
        .and_then(|(_, rest)| rest.split('"').next())
        .unwrap_or("unknown");
    println!("cargo::rustc-env=WEIR_WASMTIME_VERSION={version}");

    // Beside the repository, also where cargo's own target directory is elsewhere.
    println!("cargo::rerun-if-env-changed=WEIR_STD");
    let usual = || repository.join("target/std");
    let folder = std::env::var_os("WEIR_STD").map_or_else(usual, PathBuf::from);
    if !folder.exists() {
        // What is not there would run this anew at each build, and so would a folder that is newer than this run.
        std::fs::create_dir_all(&folder)?;
        File::open(&folder)?.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1))?;
    }
    println!("cargo::rerun-if-changed={}", folder.display());
    embed(
        &folder,
        Path::new(&std::env::var_os("OUT_DIR").unwrap_or_default()),
    )
}

/// Packs the components below `folder`, and writes the table of them that `src/standard.rs` includes.
fn embed(folder: &Path, out: &Path) -> Result<()> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.join("plugin.wasm").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    let manifest = read(&folder.join("Cargo.toml")).unwrap_or_default();
    let version = value(&manifest, "version");
    let mut table = String::from("&[\n");
    for folder in folders {
        let manifest = read(&folder.join("Cargo.toml"))?;
        let (name, description) = (value(&manifest, "name"), value(&manifest, "description"));
        let component = std::fs::read(folder.join("plugin.wasm"))?;
        let packed = out.join(format!("{name}.packed"));
        std::fs::write(
            &packed,
            miniz_oxide::deflate::compress_to_vec(&component, LEVEL),
        )?;
        let schema = match read(&folder.join("config.schema.json")) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            schema => Some(schema?),
        };
        let example = read(&folder.join("pipeline.yaml"))?;
        table += &format!(
            "Standard {{ name: {name:?}, version: {version:?}, description: {description:?}, schema: {schema:?}, \
             example: {example:?}, size: {size}, packed: include_bytes!({packed:?}) }},\n",
            size = component.len(),
        );
    }
    std::fs::write(out.join("standard.rs"), table + "]\n")
}

fn read(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file);
    text.map_err(|error| Error::new(error.kind(), format!("{}: {error}", file.display())))
}

/// The value of a line `key = "value"`.
fn value<'m>(manifest: &'m str, key: &str) -> &'m str {
    let mut lines = manifest.lines().filter_map(|line| line.strip_prefix(key));
    let value = lines.find_map(|rest| rest.strip_prefix(" = \"")?.strip_suffix('"'));
    value.unwrap_or_default()
}
