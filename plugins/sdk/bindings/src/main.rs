//! Writes the SDK's bindings from its WIT: `cargo run -p weir-sdk-bindings` in `plugins/`. Its test
//! holds that they have not drifted.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};

fn main() -> Result<()> {
    std::fs::write(path(), generate()?)
        .with_context(|| format!("cannot write {}", path().display()))
}

fn sdk() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rust")
}

fn path() -> PathBuf {
    sdk().join("src/bindings.rs")
}

fn generate() -> Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(sdk().join("wit"))?;
    let world = resolve.select_world(&[package], Some("operator"))?;
    let options = wit_bindgen_rust::Opts {
        pub_export_macro: true,
        export_macro_name: Some("export_component".into()),
        default_bindings_module: Some("weir_sdk::bindings".into()),
        additional_derive_attributes: vec!["PartialEq".into(), "Eq".into()],
        runtime_path: Some("wit_bindgen::rt".into()),
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let (_, bytes) = files.iter().next().context("the generator made no file")?;
    Ok(String::from_utf8(bytes.to_vec())?)
}

#[test]
fn the_bindings_are_those_of_the_wit() {
    let written = std::fs::read_to_string(path()).unwrap();
    assert!(
        written == generate().unwrap(),
        "drifted: `cargo run -p weir-sdk-bindings`"
    );
}
