//! A new plugin in each language, built twice: from nothing, and after a change.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use weir::cli::project::Language;

/// What the plugins are called.
const NAME: &str = "hot-rooms";

/// What makes and builds plugins, and where.
#[derive(Clone, Copy)]
pub(crate) struct Tools<'a> {
    pub(crate) weir: &'a Path,
    /// The folder of the plugins' folders.
    pub(crate) out: &'a Path,
    /// The folder of npm packages for JavaScript and TypeScript.
    pub(crate) node_modules: Option<&'a Path>,
}

/// What a build left and how long it took, by the clock.
pub(crate) struct Build {
    pub(crate) component: PathBuf,
    /// With nothing there but the language's tool.
    pub(crate) first: Duration,
    /// After a change of the plugin's source.
    pub(crate) again: Duration,
}

/// Why the language cannot be had on this machine, if the set-up found that out.
pub(crate) fn skipped(language: Language) -> Option<String> {
    let skipped = std::env::var("WEIR_SKIPPED_LANGUAGES").unwrap_or_default();
    skipped.split(';').find_map(|entry| {
        let (name, reason) = entry.split_once('=')?;
        (name.trim() == language.name()).then(|| reason.trim().to_owned())
    })
}

/// Makes the plugin anew and builds it, twice.
pub(crate) fn build(tools: &Tools<'_>, language: Language) -> Result<Build> {
    let folder = make(tools, language)?;
    let first = timed(tools, &folder)?;
    change(&folder, language)?;
    let again = timed(tools, &folder)?;
    Ok(Build {
        component: component(&folder),
        first,
        again,
    })
}

/// Makes the plugin anew and builds it once; the component.
pub(crate) fn build_once(tools: &Tools<'_>, language: Language) -> Result<PathBuf> {
    let folder = make(tools, language)?;
    timed(tools, &folder)?;
    Ok(component(&folder))
}

fn component(folder: &Path) -> PathBuf {
    folder.join(format!("{}.wasm", NAME.replace('-', "_")))
}

fn make(tools: &Tools<'_>, language: Language) -> Result<PathBuf> {
    let folder = tools.out.join(language.name());
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(tools.out)
        .with_context(|| format!("cannot create `{}`", tools.out.display()))?;
    let mut new = Command::new(tools.weir);
    new.args(["plugin", "new", NAME, "--lang", language.name(), "--folder"]);
    finish(new.arg(&folder))?;
    if let Some(packages) = tools.node_modules
        && matches!(language, Language::Js | Language::Ts)
    {
        std::os::unix::fs::symlink(packages, folder.join("node_modules"))
            .context("cannot link the npm packages")?;
    }
    Ok(folder)
}

/// An empty line at the end of the source changes it, in every language.
fn change(folder: &Path, language: Language) -> Result<()> {
    let main = match language {
        Language::Rust => "src/lib.rs",
        Language::Go => "main.go",
        Language::Python => "plugin.py",
        Language::Js => "plugin.js",
        Language::Ts => "plugin.ts",
        Language::C => "plugin.c",
        Language::Cpp => "plugin.cpp",
        Language::Zig => "plugin.zig",
    };
    let file = folder.join(main);
    let shown = file.display();
    let source =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read `{shown}`"))?;
    std::fs::write(&file, source + "\n").with_context(|| format!("cannot write `{shown}`"))
}

fn timed(tools: &Tools<'_>, folder: &Path) -> Result<Duration> {
    let mut build = Command::new(tools.weir);
    build
        .current_dir(folder)
        .args(["plugin", "build", "."])
        .env("CARGO_TARGET_DIR", folder.join("target"));
    let began = Instant::now();
    finish(&mut build)?;
    Ok(began.elapsed())
}

fn finish(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
