//! `weir plugin new`: a folder with a plugin that compiles as it is, its pipeline, its input and
//! what is expected of it.
//!
//! The SDK is copied beside it, under `sdk/`, so that the folder needs nothing but Rust and stays
//! as it is when weir moves on. Everything is embedded in the binary.

use crate::report;
use anyhow::{Context, Result, anyhow};
use std::path::Path;

/// The template: paths in the new folder, and what stands in them. `NAME` and `CRATE` are replaced
/// by the plugin's name and by the same with underscores.
const TEMPLATE: [(&str, &str); 8] = [
    ("Cargo.toml", include_str!("rust/Cargo.toml.in")),
    ("src/lib.rs", include_str!("rust/lib.rs.in")),
    ("pipeline.yaml", include_str!("rust/pipeline.yaml")),
    ("input.jsonl", include_str!("rust/input.jsonl")),
    ("expected.jsonl", include_str!("rust/expected.jsonl")),
    ("README.md", include_str!("rust/README.md")),
    (".gitignore", include_str!("rust/gitignore")),
    (".cargo/config.toml", include_str!("rust/config.toml")),
];

macro_rules! sdk {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../../../plugins/sdk/rust/", $path)))),*]
    };
}

/// The SDK, as it is in the repository.
const SDK: [(&str, &str); 14] = sdk![
    "Cargo.toml",
    "src/bindings.rs",
    "src/config.rs",
    "src/error.rs",
    "src/glue.rs",
    "src/lib.rs",
    "src/log.rs",
    "src/message.rs",
    "src/metrics.rs",
    "src/output.rs",
    "src/testing.rs",
    "src/tests.rs",
    "wit/operator.wit",
    "wit/types.wit",
];

/// Makes the folder `folder` for a plugin named `name`.
///
/// # Errors
/// The name is no name for a crate, or the folder exists and is not empty (both exit code 2), or it
/// cannot be written.
pub fn create(folder: &Path, name: &str) -> Result<()> {
    check(name)?;
    let shown = folder.display();
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        let error = anyhow!("cannot make a plugin in `{shown}`: the folder is not empty");
        return Err(report::usage(report::hint(
            error,
            "give another name or folder",
        )));
    }
    let sdk = SDK
        .iter()
        .map(|&(path, text)| (format!("sdk/{path}"), text));
    let files = TEMPLATE
        .iter()
        .map(|&(path, text)| (path.to_owned(), text))
        .chain(sdk);
    for (path, text) in files {
        let path = folder.join(path);
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
            std::fs::write(&path, fill(text, name))
        };
        write().with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

fn fill(text: &str, name: &str) -> String {
    text.replace("{{name}}", name)
        .replace("{{crate}}", &name.replace('-', "_"))
}

/// A crate's name that is also an operator's.
fn check(name: &str) -> Result<()> {
    let starts_right = name.starts_with(|first: char| first.is_ascii_lowercase());
    let is_part = |part: char| part.is_ascii_lowercase() || part.is_ascii_digit() || part == '-';
    if starts_right && name.len() <= 64 && name.chars().all(is_part) && name != "weir-sdk" {
        return Ok(());
    }
    let error = anyhow!("`{name}` cannot be the name of a plugin");
    let action = "use lower-case letters, digits and `-`, beginning with a letter, at most 64";
    Err(report::usage(report::hint(error, action)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_whole_sdk_is_embedded() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/sdk/rust");
        let mut there = BTreeSet::from(["Cargo.toml".to_owned()]);
        for folder in ["src", "wit"] {
            for entry in std::fs::read_dir(sdk.join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                there.insert(format!("{folder}/{name}"));
            }
        }
        let embedded: BTreeSet<_> = SDK.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(embedded, there);
    }

    #[test]
    fn a_new_plugin_has_its_name_in_every_place() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = folder.path().join("hot-rooms");
        create(&plugin, "hot-rooms").unwrap();
        for (path, _) in TEMPLATE {
            let text = std::fs::read_to_string(plugin.join(path)).unwrap();
            assert!(!text.contains("{{"), "{path}");
        }
        let manifest = std::fs::read_to_string(plugin.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("name = \"hot-rooms\""));
        let error = create(&plugin, "hot-rooms").unwrap_err();
        assert_eq!(report::exit_code(&error), report::USAGE);
    }

    #[test]
    fn a_name_that_is_no_crate_is_refused() {
        for name in ["", "Upper", "1st", "a b", "../up", "weir-sdk", "umlaut-ä"] {
            let error = create(Path::new("/nonexistent"), name).unwrap_err();
            assert_eq!(report::exit_code(&error), report::USAGE, "{name}");
        }
    }
}
