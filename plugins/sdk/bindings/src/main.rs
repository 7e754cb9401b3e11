//! Writes the SDK's bindings from its WIT: `cargo run -p weir-sdk-bindings` in `plugins/`. Its test
//! holds that they have not drifted.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use wit_bindgen_core::wit_parser::{Resolve, WorldId};
use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_rust::{Opts, WithOption};

/// What a plugin with state has besides `operator`. Two worlds in one crate must not export the same.
const STATE: &str = "
package weir:sdk;

world state {
  import weir:state/state@0.2.0;
  import weir:state/timers@0.2.0;
  export weir:state/timer-handler@0.2.0;
}
";

/// What one that takes over values in older formats has besides.
const MIGRATION: &str = "
package weir:sdk;

world migrates {
  export weir:migration/migration@0.1.0;
}
";

/// Generates a module of the SDK.
type Generate = fn() -> Result<String>;

/// The generated files, below `src/`.
const MODULES: [(&str, Generate); 3] = [
    ("bindings.rs", operator),
    ("state_bindings.rs", state),
    ("migration_bindings.rs", migration),
];

fn main() -> Result<()> {
    for (name, generate) in MODULES {
        let path = path(name);
        std::fs::write(&path, generate()?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn sdk() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rust")
}

fn path(name: &str) -> PathBuf {
    sdk().join("src").join(name)
}

fn operator() -> Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(sdk().join("wit"))?;
    let world = resolve.select_world(&[package], Some("operator"))?;
    generate(resolve, world, options("export_component", "bindings"))
}

fn state() -> Result<String> {
    let mut resolve = Resolve::default();
    resolve.push_path(sdk().join("wit"))?;
    resolve.push_path(sdk().join("wit-state"))?;
    let package = resolve.push_str("state.wit", STATE)?;
    let world = resolve.select_world(&[package], Some("state"))?;
    let types = WithOption::Path("crate::bindings::weir::plugin::types".into());
    let options = Opts {
        with: vec![("weir:plugin/types@0.1.0".into(), types)],
        ..options("export_timer_handler", "state_bindings")
    };
    generate(resolve, world, options)
}

fn migration() -> Result<String> {
    let mut resolve = Resolve::default();
    resolve.push_path(sdk().join("wit-migration"))?;
    let package = resolve.push_str("migration.wit", MIGRATION)?;
    let world = resolve.select_world(&[package], Some("migrates"))?;
    generate(
        resolve,
        world,
        options("export_migration", "migration_bindings"),
    )
}

fn options(export: &str, module: &str) -> Opts {
    Opts {
        pub_export_macro: true,
        export_macro_name: Some(export.into()),
        default_bindings_module: Some(format!("weir_sdk::{module}")),
        additional_derive_attributes: vec!["PartialEq".into(), "Eq".into()],
        runtime_path: Some("wit_bindgen::rt".into()),
        generate_all: true,
        ..Default::default()
    }
}

fn generate(mut resolve: Resolve, world: WorldId, options: Opts) -> Result<String> {
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let (_, bytes) = files.iter().next().context("the generator made no file")?;
    Ok(String::from_utf8(bytes.to_vec())?)
}

#[test]
fn the_bindings_are_those_of_the_wit() {
    for (name, generate) in MODULES {
        let written = std::fs::read_to_string(path(name)).unwrap();
        assert!(
            written == generate().unwrap(),
            "{name} drifted: `cargo run -p weir-sdk-bindings`"
        );
    }
}
