//! `weir plugin new`: creates a folder with a plugin that builds as it is, its pipeline, its input and its
//! expected output.
//!
//! The language's SDK is copied to `sdk/`, so that the folder needs only the language's own tools and is not
//! affected by upgrades of weir. Everything is embedded in the binary: `plugins/sdk/<language>` is the SDK,
//! except for its folders of templates and conformance plugins. The files of its `template` are added to, or
//! replace, those of all languages in `plugins/sdk/template`. For a plugin that keeps state, those of both
//! folders `template-stateful` are added to them in the same way, and for one that aggregates windows those of
//! `template-aggregator`.
//!
//! In every file `{{name}}` is replaced by the plugin's name and `{{crate}}` by the name with underscores. A
//! file `x.in` becomes `x`, and `gitignore` becomes `.gitignore`.

use super::language::Language;
use crate::plugin::World;
use crate::report;
use anyhow::{Context, Result, anyhow};
use include_dir::{Dir, File, include_dir};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

static SHARED: Dir = include_dir!("$CARGO_MANIFEST_DIR/../plugins/sdk/template");
static SHARED_STATEFUL: Dir = include_dir!("$CARGO_MANIFEST_DIR/../plugins/sdk/template-stateful");
static SHARED_AGGREGATOR: Dir =
    include_dir!("$CARGO_MANIFEST_DIR/../plugins/sdk/template-aggregator");
static RUST: Dir = include_dir!("$CARGO_MANIFEST_DIR/../plugins/sdk/rust");
static GO: Dir = include_dir!("$CARGO_MANIFEST_DIR/../plugins/sdk/go");
static PYTHON: Dir = include_dir!("$CARGO_MANIFEST_DIR/../plugins/sdk/python");
static JS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../plugins/sdk/js");
static TS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../plugins/sdk/ts");
static C: Dir = include_dir!("$CARGO_MANIFEST_DIR/../plugins/sdk/c");
static CPP: Dir = include_dir!("$CARGO_MANIFEST_DIR/../plugins/sdk/cpp");
static ZIG: Dir = include_dir!("$CARGO_MANIFEST_DIR/../plugins/sdk/zig");

/// Folders in a language's SDK that are not part of it.
const ASIDE: [&str; 6] = [
    "conformance",
    "conformance-aggregator",
    "conformance-stateful",
    TEMPLATE,
    TEMPLATE_STATEFUL,
    TEMPLATE_AGGREGATOR,
];

const TEMPLATE: &str = "template";
const TEMPLATE_STATEFUL: &str = "template-stateful";
const TEMPLATE_AGGREGATOR: &str = "template-aggregator";

/// The language's own folder, and those of other languages that its SDK uses.
fn folders(language: Language) -> (&'static Dir<'static>, Option<&'static Dir<'static>>) {
    match language {
        Language::Rust => (&RUST, None),
        Language::Go => (&GO, None),
        Language::Python => (&PYTHON, None),
        Language::Js => (&JS, None),
        Language::Ts => (&TS, Some(&JS)),
        Language::C => (&C, None),
        Language::Cpp => (&CPP, Some(&C)),
        Language::Zig => (&ZIG, None),
    }
}

/// Creates `folder` for a plugin in `language` named `name`, which is of `world`.
///
/// # Errors
/// The name is invalid, or the folder exists and is not empty (both exit code 2), or it cannot be written.
pub fn create(folder: &Path, name: &str, language: Language, world: World) -> Result<()> {
    check(name)?;
    let shown = folder.display();
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        let error = anyhow!("cannot create a plugin in `{shown}`: the folder is not empty");
        return Err(report::usage(report::hint(
            error,
            "choose another name or folder",
        )));
    }
    for (path, contents) in files(language, world) {
        let path = folder.join(path);
        let contents = match std::str::from_utf8(contents) {
            Ok(text) => fill(text, name).into_bytes(),
            Err(_) => contents.to_vec(),
        };
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
            std::fs::write(&path, contents)
        };
        write().with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

/// Every file of a new plugin, by its path.
fn files(language: Language, world: World) -> BTreeMap<PathBuf, &'static [u8]> {
    let (own, base) = folders(language);
    let mut found = BTreeMap::new();
    for sdk in base.into_iter().chain([own]) {
        let is_part = |file: &&File| !ASIDE.iter().any(|aside| file.path().starts_with(aside));
        for file in all(sdk).into_iter().filter(is_part) {
            found.insert(Path::new("sdk").join(file.path()), file.contents());
        }
    }
    let (more, of_world) = match world {
        World::Operator => (None, None),
        World::StatefulOperator => (Some(&SHARED_STATEFUL), Some(TEMPLATE_STATEFUL)),
        World::Aggregator => (Some(&SHARED_AGGREGATOR), Some(TEMPLATE_AGGREGATOR)),
    };
    let own_of_world = of_world.and_then(|folder| own.get_dir(folder));
    for (folder, root) in [
        (Some(&SHARED), ""),
        (more, ""),
        (own.get_dir(TEMPLATE), TEMPLATE),
        (own_of_world, of_world.unwrap_or_default()),
    ] {
        for file in folder.map(all).unwrap_or_default() {
            let path = file.path().strip_prefix(root).unwrap_or(file.path());
            found.insert(renamed(path), file.contents());
        }
    }
    found
}

/// The files of a folder and its subfolders.
fn all(folder: &'static Dir<'static>) -> Vec<&'static File<'static>> {
    let below = folder.dirs().flat_map(all);
    folder.files().chain(below).collect()
}

fn renamed(path: &Path) -> PathBuf {
    match path.extension() {
        Some(extension) if extension == "in" => path.with_extension(""),
        _ if path.file_name().is_some_and(|name| name == "gitignore") => {
            path.with_file_name(".gitignore")
        }
        _ => path.to_owned(),
    }
}

fn fill(text: &str, name: &str) -> String {
    text.replace("{{name}}", name)
        .replace("{{crate}}", &name.replace('-', "_"))
}

/// Checks a plugin's name, which is also the name of a crate and of an operator.
pub(super) fn check(name: &str) -> Result<()> {
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

    #[test]
    fn a_new_plugin_of_every_language_has_its_name_in_every_place_and_its_sdk_beside_it() {
        let all = Language::ALL.into_iter();
        let all = all.flat_map(|language| {
            let worlds = [World::Operator, World::StatefulOperator, World::Aggregator];
            worlds.map(|world| (language, world))
        });
        for (language, world) in all {
            let folder = tempfile::tempdir().unwrap();
            let plugin = folder.path().join("hot-rooms");
            create(&plugin, "hot-rooms", language, world).unwrap();
            for (path, _) in files(language, world) {
                let text = String::from_utf8(std::fs::read(plugin.join(&path)).unwrap()).unwrap();
                let shown = path.display();
                assert!(
                    !text.contains("{{name}}") && !text.contains("{{crate}}"),
                    "{shown}"
                );
            }
            let manifest = match language {
                Language::Rust => "Cargo.toml",
                _ => super::super::MANIFEST,
            };
            let manifest = std::fs::read_to_string(plugin.join(manifest)).unwrap();
            assert!(manifest.contains("hot-rooms"), "{language}");
            let pipeline = std::fs::read_to_string(plugin.join("pipeline.yaml")).unwrap();
            let is_stateful = world != World::Operator;
            assert_eq!(pipeline.contains("exactly-once"), is_stateful, "{language}");
            let is_windowed = world == World::Aggregator;
            assert_eq!(pipeline.contains("window:"), is_windowed, "{language}");
            assert!(plugin.join("sdk").is_dir(), "{language}");
            assert!(plugin.join(".gitignore").is_file(), "{language}");
            for aside in ASIDE {
                assert!(!plugin.join("sdk").join(aside).exists(), "{language}");
            }
            let error = create(&plugin, "hot-rooms", language, world).unwrap_err();
            assert_eq!(report::exit_code(&error), report::USAGE);
        }
    }

    #[test]
    fn a_name_that_is_no_crate_is_refused() {
        for name in ["", "Upper", "1st", "a b", "../up", "weir-sdk", "umlaut-ä"] {
            let error = create(
                Path::new("/nonexistent"),
                name,
                Language::Rust,
                World::Operator,
            )
            .unwrap_err();
            assert_eq!(report::exit_code(&error), report::USAGE, "{name}");
        }
    }
}
