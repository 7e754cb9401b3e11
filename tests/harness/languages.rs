//! Plugins in every language, made by `weir plugin new` and built by `weir plugin build`.
//!
//! What a language needs is installed by `cargo xtask setup --languages`, in `target/tools`.

use super::guests::{repository, target};
use super::{Finished, cache};
use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use weir::cli::project::Language;
use weir::plugin::World;

/// The folder of an installed language's packages.
fn tools() -> PathBuf {
    repository().join("target/tools")
}

/// PATH with the installed tools in front.
pub fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", tools().join("bin").display())
}

/// Runs `weir` in `folder` with the languages' tools on PATH, to its end: a first build may take
/// minutes, in which a compiler compiles its own libraries.
pub fn weir(folder: &Path, arguments: &[&str]) -> Finished {
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.args(arguments)
        .current_dir(folder)
        .env("PATH", path())
        .env("CARGO_TARGET_DIR", target())
        .env("XDG_CACHE_HOME", cache())
        .env_remove("WEIR_LOG");
    let output = weir.output().expect("cannot start `weir`");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// A plugin's folder. Whoever holds it has it alone: tests that use the same wait for each other.
pub struct Project {
    folder: PathBuf,
    /// Locked until it is closed.
    _alone: File,
}

impl Deref for Project {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.folder
    }
}

/// A new plugin's folder, as `weir plugin new` makes it, with what its language's package manager
/// would install put in place. Kept between runs, so that what has not changed is not built again.
pub fn scaffold(language: Language, name: &str) -> Project {
    scaffold_of(World::Operator, language, name)
}

/// The same for a plugin of this world.
pub fn scaffold_of(world: World, language: Language, name: &str) -> Project {
    let fresh = tempfile::tempdir().unwrap();
    let made = fresh.path().join(name);
    let folder = made.to_str().unwrap();
    let mut arguments = vec!["plugin", "new", name, "--lang", language.name()];
    arguments.extend(["--folder", folder]);
    arguments.extend(match world {
        World::Operator => None,
        World::StatefulOperator => Some("--stateful"),
        World::Aggregator => Some("--aggregator"),
    });
    let finished = weir(fresh.path(), &arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let all = repository().join("target/languages");
    std::fs::create_dir_all(&all).unwrap();
    let alone = File::create(all.join(format!("{language}-{name}.lock"))).unwrap();
    alone.lock().unwrap();
    let kept = all.join(format!("{language}-{name}"));
    for entry in std::fs::read_dir(&kept).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let built = name.ends_with(".wasm");
        if built || [".weir", "target", "node_modules", ".venv"].contains(&&*name) {
            continue;
        }
        match entry.file_type().unwrap().is_dir() {
            true => std::fs::remove_dir_all(entry.path()).unwrap(),
            false => std::fs::remove_file(entry.path()).unwrap(),
        }
    }
    copy(&made, &kept);
    let packages = tools().join("node/node_modules");
    let place = kept.join("node_modules");
    if matches!(language, Language::Js | Language::Ts) && packages.is_dir() && !place.exists() {
        std::os::unix::fs::symlink(packages, place).unwrap();
    }
    Project {
        folder: kept,
        _alone: alone,
    }
}

/// Builds the plugin in `folder`, whose name is `name`.
pub fn build(folder: &Path, name: &str) -> PathBuf {
    let finished = weir(folder, &["plugin", "build", "."]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    folder.join(format!("{}.wasm", name.replace('-', "_")))
}

/// The language's plugin of the conformance suite for this world, built from source.
pub fn conformance(world: World, language: Language) -> PathBuf {
    let name = match world {
        World::Operator => "conformance",
        World::StatefulOperator => "conformance-stateful",
        World::Aggregator => "conformance-aggregator",
    };
    let folder = scaffold_of(world, language, name);
    let sources = repository().join("plugins/sdk").join(language.name());
    let main = match language {
        Language::Rust => folder.join("src"),
        _ => folder.to_path_buf(),
    };
    copy(&sources.join(name), &main);
    build(&folder, name)
}

/// Copies a folder with everything in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}
