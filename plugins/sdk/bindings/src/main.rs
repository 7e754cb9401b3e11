//! Writes the SDK's bindings from its WIT: `cargo run -p weir-sdk-bindings` in `plugins/`. Its test
//! holds that they have not drifted.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_rust::{Opts, WithOption};

/// What every plugin has. Two worlds in one crate must not export the same.
const PLUGIN: &str = "
package weir:sdk;

world plugin {
  import weir:plugin/log@0.1.0;
  import weir:plugin/metrics@0.1.0;
  import weir:plugin/config@0.1.0;
  import weir:plugin/types@0.1.0;
  export weir:plugin/configurable@0.1.0;
}
";

/// What an operator has besides.
const HANDLER: &str = "
package weir:sdk;

world operator {
  export weir:plugin/handler@0.1.0;
}
";

/// What an operator with state has besides.
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

/// What one that aggregates windows has, beside what every plugin has.
const WINDOW: &str = "
package weir:sdk;

world window {
  export weir:window/aggregation@0.2.0;
}
";

/// What any plugin may import besides.
const SOURCES: &str = "
package weir:sdk;

world asks-for-sources {
  import weir:sources/sources@0.1.0;
}
";

/// What any plugin imports that sends requests.
const HTTP: &str = "
package weir:sdk;

world sends-requests {
  import wasi:http/outgoing-handler@0.2.1;
}
";

/// A module of the SDK.
struct Module {
    /// Its file is below `src/`.
    name: &'static str,
    /// The folders with the packages of its world.
    packages: &'static [&'static str],
    world: (&'static str, &'static str),
    /// The name of the macro that exports it.
    export: &'static str,
}

const MODULES: [Module; 7] = [
    Module {
        name: "bindings",
        packages: &["wit"],
        world: (PLUGIN, "plugin"),
        export: "export_configurable",
    },
    Module {
        name: "handler_bindings",
        packages: &["wit"],
        world: (HANDLER, "operator"),
        export: "export_handler",
    },
    Module {
        name: "state_bindings",
        packages: &["wit", "wit-state"],
        world: (STATE, "state"),
        export: "export_timer_handler",
    },
    Module {
        name: "migration_bindings",
        packages: &["wit-migration"],
        world: (MIGRATION, "migrates"),
        export: "export_migration",
    },
    Module {
        name: "window_bindings",
        packages: &["wit", "wit-window"],
        world: (WINDOW, "window"),
        export: "export_aggregation",
    },
    Module {
        name: "sources_bindings",
        packages: &["wit-sources"],
        world: (SOURCES, "asks-for-sources"),
        export: "export_nothing",
    },
    Module {
        name: "http_bindings",
        packages: &["wit-http"],
        world: (HTTP, "sends-requests"),
        export: "export_no_server",
    },
];

fn main() -> Result<()> {
    for module in &MODULES {
        let path = module.path();
        std::fs::write(&path, module.generate()?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn sdk() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rust")
}

impl Module {
    fn path(&self) -> PathBuf {
        sdk().join("src").join(self.name).with_extension("rs")
    }

    fn generate(&self) -> Result<String> {
        let mut resolve = Resolve::default();
        for package in self.packages {
            resolve.push_path(sdk().join(package))?;
        }
        let (text, world) = self.world;
        let package = resolve.push_str("sdk.wit", text)?;
        let world = resolve.select_world(&[package], Some(world))?;
        // The records of messages are the same in all of them.
        let types = WithOption::Path("crate::bindings::weir::plugin::types".into());
        let shares = self.name != "bindings" && self.packages.contains(&"wit");
        let with = shares.then(|| ("weir:plugin/types@0.1.0".into(), types));
        let options = Opts {
            with: with.into_iter().collect(),
            pub_export_macro: true,
            export_macro_name: Some(self.export.into()),
            default_bindings_module: Some(format!("weir_sdk::{}", self.name)),
            additional_derive_attributes: vec!["PartialEq".into(), "Eq".into()],
            // It holds a resource.
            additional_derive_ignore: vec!["stream-error".into()],
            runtime_path: Some("wit_bindgen::rt".into()),
            generate_all: true,
            ..Default::default()
        };
        let mut files = Files::default();
        options.build().generate(&mut resolve, world, &mut files)?;
        let (_, bytes) = files.iter().next().context("the generator made no file")?;
        Ok(String::from_utf8(bytes.to_vec())?)
    }
}

#[test]
fn the_bindings_are_those_of_the_wit() {
    for module in &MODULES {
        let written = std::fs::read_to_string(module.path()).unwrap();
        assert!(
            written == module.generate().unwrap(),
            "{} drifted: `cargo run -p weir-sdk-bindings`",
            module.name
        );
    }
}
