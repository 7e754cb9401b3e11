//! Python: componentize-py, which runs the plugin's imports and snapshots the interpreter.

use super::super::command;
use super::super::manifest::Project;
use crate::report::{self, ResultExt};
use anyhow::{Context, Result, anyhow};
use std::path::{Path, PathBuf};
use std::process::Command;

const TOOL: &str = "componentize-py";

const INSTALL: &str = "run `python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1` \
                       in the plugin's folder, or have it on PATH";

/// The entry module for componentize-py: it has the exports and imports the plugin.
const ENTRY: &str = "weir_entry";

/// What the SDK calls interfaces that are both named `types`.
const INTERFACES: [(&str, &str); 2] = [
    ("weir:plugin/types@0.1.0", "types"),
    ("wasi:http/types@0.2.12", "http_types"),
];

pub(super) fn build(project: &Project) -> Result<PathBuf> {
    let tool = tool(project)?;
    let (wit, world) = super::write_wit(project, project.http)?;
    let main = project.folder.join(project.main_or("plugin.py"));
    let module = module(&main)?;
    let source = format!(
        "# Written by `weir plugin build`.\nimport {module}\n\
         from weir import _component\n\
         from weir._component import Aggregation, Configurable, Handler, TimerHandler\n\n\
         _component.start({module})\n"
    );
    let entry = super::folder(project, "python")?;
    std::fs::write(entry.join(format!("{ENTRY}.py")), source)
        .context("cannot write the entry module")?;
    let component = project.work().join("python.wasm");
    let mut python = Command::new(tool);
    python.current_dir(&project.folder).arg("--quiet");
    python.arg("--wit-path").arg(wit).args(["--world", world]);
    if project.http {
        // Of two interfaces with one name, neither would keep it.
        for (interface, name) in INTERFACES {
            python.args(["--import-interface-name", &format!("{interface}={name}")]);
        }
    }
    python.args(["componentize", ENTRY]);
    for path in [
        main.parent().unwrap_or(&project.folder),
        &project.folder.join("sdk"),
        &entry,
    ] {
        python.arg("--python-path").arg(path);
    }
    python.args(&project.flags).arg("--output").arg(&component);
    python.env("VIRTUAL_ENV", environment(project)?);
    command::run(python, INSTALL)?;
    Ok(component)
}

/// componentize-py from the project's `.venv`, or from PATH.
fn tool(project: &Project) -> Result<PathBuf> {
    let own = project.folder.join(".venv/bin").join(TOOL);
    let found = match command::is_executable(&own) {
        true => Some(own),
        false => command::find(TOOL),
    };
    found
        .with_context(|| format!("there is no `{TOOL}`"))
        .hint(|| INSTALL)
}

/// The source of packages: the project's `.venv`, or the active environment. Without either, an empty
/// environment; otherwise componentize-py would use the packages of the whole machine.
fn environment(project: &Project) -> Result<PathBuf> {
    let own = project.folder.join(".venv");
    if own.is_dir() {
        return Ok(own);
    }
    match std::env::var_os("VIRTUAL_ENV").filter(|path| !path.is_empty()) {
        Some(active) => Ok(active.into()),
        None => {
            super::folder(project, "no-venv/lib/site-packages")?;
            Ok(project.work().join("no-venv"))
        }
    }
}

/// The name under which Python imports the plugin's file.
fn module(main: &Path) -> Result<String> {
    let shown = main.display();
    if !main.is_file() {
        let error = anyhow!("there is no `{shown}`");
        return Err(report::hint(
            error,
            "name the plugin's file as `main:` in plugin.yaml",
        ));
    }
    let stem = main.file_stem().unwrap_or_default().to_string_lossy();
    let begins = stem.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let is_part = |part: char| part.is_ascii_alphanumeric() || part == '_';
    if begins && stem.chars().all(is_part) && stem != "weir" {
        return Ok(stem.into_owned());
    }
    let error = anyhow!("Python cannot import a file named `{shown}`");
    Err(report::hint(
        error,
        "use letters, digits and `_`, and a name other than `weir.py`",
    ))
}
