//! `plugin.yaml`: what `weir plugin build` must know about a plugin that is not written in Rust.
//!
//! A Rust plugin has its `Cargo.toml` instead.

use super::language::Language;
use crate::plugin::World;
use crate::report::{self, ResultExt};
use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The file's name.
pub const FILE: &str = "plugin.yaml";

/// The content of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Manifest {
    /// The plugin's name; the component has the same name, with underscores.
    name: String,
    language: Language,
    /// The world of the contract that it is built for: `operator`, `stateful-operator` for a plugin that
    /// keeps state and sets timers, or `aggregator` for one that aggregates windows.
    #[serde(default)]
    world: World,
    /// Whether it sends HTTP requests, in JavaScript, TypeScript and Python: everything that could be called is
    /// in their components. In the other languages it is there if it is called.
    #[serde(default)]
    http: bool,
    /// The main source file, relative to the folder. Each language has a default: `plugin.` and its
    /// extension, or the folder itself for Go.
    #[serde(default)]
    main: Option<PathBuf>,
    /// Additional arguments for the language's compiler.
    #[serde(default)]
    flags: Vec<String>,
}

/// A plugin's source folder, and how it is to be built.
#[derive(Debug)]
pub(super) struct Project {
    /// Where `plugin.yaml` is, absolute.
    pub(super) folder: PathBuf,
    /// The plugin's name.
    pub(super) name: String,
    pub(super) language: Language,
    /// The world of the contract that it is built for.
    pub(super) world: World,
    /// Whether a component of a language that has all in it has what sends HTTP requests.
    pub(super) http: bool,
    /// The main source file, relative to the folder, if it is not the default.
    pub(super) main: Option<PathBuf>,
    /// More arguments for the language's compiler.
    pub(super) flags: Vec<String>,
}

impl Project {
    /// Reads the `plugin.yaml` in `folder`; `None` if there is none.
    ///
    /// # Errors
    /// The file cannot be read, or it is invalid (exit code 2).
    pub(super) fn find(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let shown = path.display();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{shown}`")),
        };
        let manifest: Manifest = serde_saphyr::from_str(&text)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("cannot read `{shown}`"))
            .hint(
                || "it needs `name:` and `language:`; `world:`, `http:`, `main:` and `flags:` are optional",
            )
            .usage()?;
        super::scaffold::check(&manifest.name).with_context(|| format!("cannot use `{shown}`"))?;
        if manifest.language == Language::Rust {
            let error = anyhow!("cannot use `{shown}`: a plugin in Rust has a Cargo.toml instead");
            return Err(report::usage(report::hint(error, "delete the file")));
        }
        let has_all = matches!(
            manifest.language,
            Language::Js | Language::Ts | Language::Python
        );
        if manifest.http && !has_all {
            let language = manifest.language;
            let error = anyhow!(
                "cannot use `{shown}`: `http` has no effect in {language}, because its build detects HTTP calls"
            );
            return Err(report::usage(report::hint(error, "remove it")));
        }
        let folder = folder
            .canonicalize()
            .with_context(|| format!("cannot find `{}`", folder.display()))?;
        Ok(Some(Self {
            folder,
            name: manifest.name,
            language: manifest.language,
            world: manifest.world,
            http: manifest.http,
            main: manifest.main,
            flags: manifest.flags,
        }))
    }

    /// The folder for build results: `.weir`. Deleting it forces a build.
    #[must_use]
    pub(super) fn work(&self) -> PathBuf {
        self.folder.join(".weir")
    }

    /// The component's name without `.wasm`: the plugin's name with underscores.
    #[must_use]
    pub(super) fn stem(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The main source file, relative to the folder.
    #[must_use]
    pub(super) fn main_or(&self, usual: &str) -> PathBuf {
        self.main.clone().unwrap_or_else(|| PathBuf::from(usual))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Project>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), text).unwrap();
        Project::find(folder.path())
    }

    #[test]
    fn a_manifest_names_the_plugin_and_its_language() {
        let project = read("name: hot-rooms\nlanguage: zig\nflags: [-Dx]\n")
            .unwrap()
            .unwrap();
        assert_eq!(project.stem(), "hot_rooms");
        assert_eq!(project.language, Language::Zig);
        assert_eq!(project.main_or("plugin.zig"), Path::new("plugin.zig"));
        assert_eq!(project.flags, ["-Dx"]);
        assert_eq!(project.world, World::Operator);
        for (world, expected) in [
            ("stateful-operator", World::StatefulOperator),
            ("aggregator", World::Aggregator),
        ] {
            let text = format!("name: a\nlanguage: c\nworld: {world}\n");
            assert_eq!(read(&text).unwrap().unwrap().world, expected);
        }
    }

    #[test]
    fn http_is_said_where_a_component_has_all_that_could_be_called() {
        for language in ["js", "ts", "python"] {
            let text = format!("name: a\nlanguage: {language}\nhttp: true\n");
            assert!(read(&text).unwrap().unwrap().http);
        }
        assert!(!read("name: a\nlanguage: js\n").unwrap().unwrap().http);
    }

    #[test]
    fn a_folder_without_a_manifest_is_no_project() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Project::find(folder.path()).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_said() {
        for (text, says) in [
            ("name: a\nlanguage: cobol\n", "cobol"),
            ("name: a\nlanguage: c\ncolour: red\n", "colour"),
            ("name: a\nlanguage: c\nworld: flat\n", "flat"),
            ("language: c\n", "name"),
            ("name: A\nlanguage: c\n", "`A`"),
            ("name: a\nlanguage: rust\n", "Cargo.toml"),
            ("name: a\nlanguage: zig\nhttp: true\n", "no effect in zig"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(report::exit_code(&error), report::USAGE, "{text}");
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
    }
}
