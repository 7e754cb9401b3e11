//! `cargo xtask setup --languages`: the tools of the languages that plugins are written in.
//!
//! Everything goes to `target/tools`: a Python environment with componentize-py and Zig, and the
//! npm packages that JavaScript and TypeScript are built with. Go, Python and Node.js themselves are
//! looked for and never installed. A language that cannot be had is not an error here: it is named,
//! with the reason, and the tests that need it count as skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::layout;
use crate::process;
use crate::ui::{Skipped, say};
use crate::version::Version;

/// Makes components of Python sources; 72 MB, Python itself among it.
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";

/// Checks the types of plugins in Python, for the tests; 40 MB.
const MYPY: &str = "mypy==2.4.1";

/// The Zig toolchain, which compiles C and C++ too; 438 MB unpacked.
const ZIGLANG: &str = "ziglang==0.17.0";

/// Plugins are Go libraries for WASI, which plain Go makes since 1.24; tried from 1.25.
const LEAST_GO: Version = Version::new(1, 25, 0);

/// What esbuild and componentize-js ask for.
const LEAST_NODE: Version = Version::new(20, 0, 0);

/// Languages that cannot be had on this machine, each with the reason.
#[derive(Default)]
pub(crate) struct Languages {
    missing: Vec<(&'static str, String)>,
}

impl Languages {
    /// The name and the reason of each.
    pub(crate) fn all_missing(&self) -> impl Iterator<Item = (&str, &str)> {
        let missing = self.missing.iter();
        missing.map(|(name, reason)| (*name, reason.as_str()))
    }

    /// Adds a line for each that is missing.
    pub(crate) fn tell(&self, skipped: &mut Skipped) {
        for (name, reason) in &self.missing {
            skipped.add(format!("the language {name}: {reason}"));
        }
    }

    /// Why the language `name` cannot be had, if it cannot.
    pub(crate) fn missing(&self, name: &str) -> Option<&str> {
        let mut missing = self.missing.iter();
        missing
            .find(|(missing, _)| *missing == name)
            .map(|(_, reason)| reason.as_str())
    }

    fn need(&mut self, names: &[&'static str], what: Result<()>) {
        if let Err(error) = what {
            for name in names {
                say("setup", format_args!("language {name} skipped: {error:#}"));
                self.missing.push((name, format!("{error:#}")));
            }
        }
    }
}

/// Finds or installs what each language needs.
pub(super) fn find_or_install() -> Languages {
    let mut languages = Languages::default();
    languages.need(&["go"], go());
    let python = environment();
    let package = |requirement, program: &str, inside: &str| {
        python
            .as_ref()
            .map_err(|error| anyhow::anyhow!("{error:#}"))
            .and_then(|folder| installed(folder, requirement, program, inside))
    };
    let componentize = package(COMPONENTIZE_PY, "componentize-py", "bin/componentize-py");
    languages.need(
        &["python"],
        componentize.and(package(MYPY, "mypy", "bin/mypy")),
    );
    let zig = package(ZIGLANG, "zig", "lib/python3*/site-packages/ziglang/zig");
    languages.need(&["c", "cpp", "zig"], zig);
    languages.need(&["js", "ts"], node());
    languages
}

fn go() -> Result<()> {
    let text = process::output(Command::new("go").arg("version"))
        .context("Go is not on PATH: https://go.dev/dl")?;
    let version = Version::find(&text.replace("version go", ""))
        .context("`go version` does not say its version")?;
    if version < LEAST_GO {
        bail!("Go {version} is older than {LEAST_GO}");
    }
    say("setup", format_args!("Go {version} found"));
    Ok(())
}

/// The folder of the Python environment, made if need be.
fn environment() -> Result<PathBuf> {
    let folder = layout::tools().join("python");
    if folder.join("bin/python").is_file() {
        return Ok(folder);
    }
    say(
        "setup",
        format_args!("making a Python environment in {}", folder.display()),
    );
    let venv = process::run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    if venv.is_err() {
        // Half an environment would be taken for a whole one.
        let _ = std::fs::remove_dir_all(&folder);
    }
    venv.context("cannot make a Python environment (on Debian: apt-get install python3-venv)")?;
    Ok(folder)
}

/// Has `requirement` in the environment and links its program, `inside` the environment, into
/// `target/tools/bin` under the name `program`.
fn installed(folder: &Path, requirement: &str, program: &str, inside: &str) -> Result<()> {
    let python = folder.join("bin/python");
    let (name, version) = requirement.split_once("==").unwrap_or((requirement, ""));
    let there = process::output(Command::new(&python).args([
        "-c",
        "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))",
        name,
    ]));
    if there.is_ok_and(|there| there.trim() == version) {
        say("setup", format_args!("{name} {version} found"));
    } else {
        say("setup", format_args!("installing {requirement} with pip"));
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        process::run(pip.arg(requirement))
            .with_context(|| format!("cannot install {requirement} with pip"))?;
    }
    let file = match inside.split_once("python3*") {
        None => folder.join(inside),
        Some((before, after)) => {
            let lib = folder.join(before);
            let versions = std::fs::read_dir(&lib)
                .with_context(|| format!("cannot list `{}`", lib.display()))?;
            let mut files = versions
                .flatten()
                .map(|entry| entry.path().join(after.trim_start_matches('/')));
            files
                .find(|file| file.is_file())
                .with_context(|| format!("{requirement} has no program `{program}`"))?
        }
    };
    link(&file, program)
}

fn link(file: &Path, program: &str) -> Result<()> {
    let bin = layout::tools_bin();
    let place = bin.join(program);
    if std::fs::read_link(&place).is_ok_and(|there| there == file) {
        return Ok(());
    }
    let make = || {
        std::fs::create_dir_all(&bin)?;
        if place.symlink_metadata().is_ok() {
            std::fs::remove_file(&place)?;
        }
        std::os::unix::fs::symlink(file, &place)
    };
    make().with_context(|| format!("cannot link `{}`", place.display()))
}

/// The npm packages that the template of TypeScript asks for, which are those of JavaScript and more.
fn node() -> Result<()> {
    let text = process::output(Command::new("node").arg("--version"))
        .context("Node.js is not on PATH: https://nodejs.org")?;
    let version = Version::find(&text).context("`node --version` does not say its version")?;
    if version < LEAST_NODE {
        bail!("Node.js {version} is older than {LEAST_NODE}");
    }
    let wanted = layout::root().join("plugins/sdk/ts/template/package.json.in");
    let wanted = std::fs::read_to_string(&wanted)
        .with_context(|| format!("cannot read `{}`", wanted.display()))?
        .replace("{{name}}", "weir-tools");
    let folder = layout::tools().join("node");
    let manifest = folder.join("package.json");
    let done = folder.join("node_modules/.package-lock.json");
    if done.is_file() && std::fs::read_to_string(&manifest).is_ok_and(|there| there == wanted) {
        say(
            "setup",
            format_args!("Node.js {version} and its packages found"),
        );
        return Ok(());
    }
    say(
        "setup",
        format_args!("installing npm packages into {}", folder.display()),
    );
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&manifest, wanted))
        .with_context(|| format!("cannot write `{}`", manifest.display()))?;
    let mut npm = Command::new("npm");
    npm.current_dir(&folder);
    let quiet = [
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ];
    process::run(npm.arg("install").args(quiet)).context("cannot install the npm packages")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_known_by_name() {
        let mut languages = Languages::default();
        languages.need(&["go"], Ok(()));
        languages.need(&["c", "zig"], Err(anyhow::anyhow!("no Python")));
        let missing: Vec<_> = languages.all_missing().collect();
        assert_eq!(missing, [("c", "no Python"), ("zig", "no Python")]);
        assert_eq!(languages.missing("go"), None);
    }

    #[test]
    fn the_quickstarts_install_the_versions_that_are_tested() {
        let read =
            |name: &str| std::fs::read_to_string(layout::root().join("docs/languages").join(name));
        for (page, requirement) in [
            ("python.md", COMPONENTIZE_PY),
            ("zig.md", ZIGLANG),
            ("c.md", ZIGLANG),
            ("cpp.md", ZIGLANG),
        ] {
            let text = read(page).unwrap_or_default();
            assert!(
                text.contains(requirement),
                "{page} does not install {requirement}"
            );
        }
    }
}
