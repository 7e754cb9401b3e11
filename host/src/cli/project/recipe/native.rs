//! C, C++ and Zig, with the Zig toolchain, which includes a C library for WASI.
//!
//! The plugin's files and those of the SDK are compiled together: a plugin is small, and Zig caches what has
//! not changed.

use super::super::command;
use super::super::language::Language;
use super::super::manifest::Project;
use crate::plugin::World;
use crate::report::{self, ResultExt};
use anyhow::{Context, Result, anyhow};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that the SDKs are tested with; the hint installs it.
const ZIG: &str = "get Zig 0.17: `pip install ziglang==0.17.0`, or https://ziglang.org/download";

/// Stack in bytes. Zig's own default is 16 MiB, for each instance.
const STACK: &str = "262144";

/// Flags for C++. WASI has no exceptions, and an index out of range ends the instance.
const CPP: [&str; 4] = [
    "-std=c++23",
    "-fno-exceptions",
    "-U_LIBCPP_HARDENING_MODE",
    "-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_FAST",
];

pub(super) fn build(project: &Project) -> Result<PathBuf> {
    let module = project.work().join("module.wasm");
    let command = match project.language {
        Language::Zig => zig(project, &module)?,
        Language::Cpp => cpp(project, &module)?,
        _ => c(project, &module)?,
    };
    command::run(command, ZIG)?;
    Ok(module)
}

/// How Zig is started.
struct Compiler {
    program: PathBuf,
    /// Arguments before Zig's own: none, or those with which Python starts it.
    before: &'static [&'static str],
}

impl Compiler {
    /// Zig in the project's folder, without further arguments.
    fn zig(&self, project: &Project) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&project.folder).args(self.before);
        command
    }

    /// Compiles or links C or, with `cpp`, C++; without further arguments.
    fn command(&self, project: &Project, cpp: bool) -> Command {
        let mut command = self.zig(project);
        command.arg(if cpp { "c++" } else { "cc" });
        command.args(["-target", "wasm32-wasi"]);
        command.args(["-O2", "-Wall", "-Wextra", "-msimd128", "-I."]);
        command.args(match cpp {
            true => CPP.as_slice(),
            false => &["-std=c17"],
        });
        // With these the SDK has the exports of another world than the usual one.
        command.args(match project.world {
            World::Operator => None,
            World::StatefulOperator => Some("-DWEIR_STATEFUL"),
            World::Aggregator => Some("-DWEIR_AGGREGATOR"),
        });
        command
    }
}

fn c(project: &Project, module: &Path) -> Result<Command> {
    let own = own_sources(project, &["c"])?;
    let mut command = find(project)?.command(project, false);
    command.args(own);
    command.args(sources(&project.folder.join("sdk"), &["c"])?);
    link(&mut command, project, module);
    Ok(command)
}

/// The C++ SDK contains C. A compiler accepts one standard at a time, so C is compiled first.
fn cpp(project: &Project, module: &Path) -> Result<Command> {
    let own = own_sources(project, &["cc", "cpp"])?;
    let compiler = find(project)?;
    let objects = super::folder(project, "objects")?;
    let mut command = compiler.command(project, true);
    command.args(own);
    for source in sources(&project.folder.join("sdk"), &["c"])? {
        let object = objects.join(source.with_extension("o").file_name().unwrap_or_default());
        let mut one = compiler.command(project, false);
        one.arg("-c").arg(source).arg("-o").arg(&object);
        command::run(one, ZIG)?;
        command.arg(object);
    }
    link(&mut command, project, module);
    Ok(command)
}

fn link(command: &mut Command, project: &Project, module: &Path) {
    command.args(["-mexec-model=reactor", "-s"]);
    command.arg(format!("-Wl,-z,stack-size={STACK}"));
    command.args(&project.flags).arg("-o").arg(module);
}

fn zig(project: &Project, module: &Path) -> Result<Command> {
    let mut command = find(project)?.zig(project);
    command.args([
        "build-exe",
        "-fno-entry",
        "-rdynamic",
        "-mexec-model=reactor",
    ]);
    command.args(["--stack", STACK]);
    // The options apply to the next module only. `ReleaseSafe`: undefined behaviour ends the instance with a
    // message, instead of corrupting the next message.
    let flags = ["-target", "wasm32-wasi", "-mcpu=baseline+simd128"];
    let flags = flags.iter().chain(&["-OReleaseSafe", "-fstrip"]);
    let main = project.main_or("plugin.zig");
    command.args(flags.clone()).args(&project.flags);
    command.args(["--dep", "weir"]);
    command.arg(format!("-Mroot={}", main.display()));
    command.args(flags).arg("-Mweir=sdk/weir.zig");
    command.arg(format!("-femit-bin={}", module.display()));
    Ok(command)
}

/// Zig from the project, or from PATH.
fn find(project: &Project) -> Result<Compiler> {
    let through = |program| Compiler {
        program,
        before: &["-m", "ziglang"],
    };
    let own = project.folder.join(".venv/bin/python");
    if command::is_executable(&own) && has_ziglang(&own) {
        return Ok(through(own));
    }
    if let Some(program) = command::find("zig") {
        return Ok(Compiler {
            program,
            before: &[],
        });
    }
    command::find("python3")
        .filter(|python| has_ziglang(python))
        .map(through)
        .context("there is no `zig` on PATH")
        .hint(|| ZIG)
}

fn has_ziglang(python: &Path) -> bool {
    let found = Command::new(python).args(["-c", "import ziglang"]).output();
    found.is_ok_and(|output| output.status.success())
}

/// The plugin's own files: those beside `plugin.yaml`.
fn own_sources(project: &Project, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let found = sources(&project.folder, extensions)?;
    for source in &found {
        has_world(project, source)?;
    }
    if found.is_empty() {
        let shown = project.folder.display();
        let error = anyhow!("there is no source in `{shown}`");
        let action = format!("write `plugin.{}` there", extensions.last().unwrap_or(&"c"));
        return Err(report::hint(error, action));
    }
    Ok(found)
}

/// The header of a world of its own is of use only where `plugin.yaml` names the world: the linker would say no more than
/// that functions are missing.
fn has_world(project: &Project, source: &Path) -> Result<()> {
    let what = || format!("cannot read `{}`", source.display());
    let text = std::fs::read(source).with_context(what)?;
    let text = String::from_utf8_lossy(&text);
    for (header, name) in [
        ("weir_window.h", "aggregator"),
        ("weir_state.h", "stateful-operator"),
    ] {
        let includes =
            |line: &str| line.trim_start().starts_with("#include") && line.contains(header);
        if project.world == World::Operator && text.lines().any(includes) {
            let file = source.file_name().unwrap_or_default().to_string_lossy();
            let error = anyhow!(
                "`{file}` includes `{header}`, and `plugin.yaml` does not say `world: {name}`"
            );
            return Err(report::usage(report::hint(
                error,
                format!("add `world: {name}` to plugin.yaml"),
            )));
        }
    }
    Ok(())
}

/// The files directly in `folder` with one of these extensions, relative to the project's folder.
fn sources(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let what = || format!("cannot list `{}`", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(what)? {
        let path = entry.with_context(what)?.path();
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        if extensions.contains(&&*extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
