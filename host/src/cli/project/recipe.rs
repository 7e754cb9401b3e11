//! How each language is built into a component: one file per tool.
//!
//! A recipe finds the language's tool, or says how to install it. It runs the tool in the project's folder
//! with the results in `.weir`, and returns the bytes. It installs nothing.

mod go;
mod javascript;
mod native;
mod python;

use super::language::Language;
use super::manifest::Project;
use crate::plugin::{self, WITH_HTTP, World};
use crate::report::ResultExt;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Builds `project` and returns the component.
///
/// # Errors
/// The tool is missing or failed, or its result is not a plugin.
pub(super) fn component(project: &Project) -> Result<Vec<u8>> {
    let built = match project.language {
        Language::Rust => bail!("a plugin in Rust is built by cargo"),
        Language::Go => go::build(project)?,
        Language::Python => python::build(project)?,
        Language::Js | Language::Ts => javascript::build(project)?,
        Language::C | Language::Cpp | Language::Zig => native::build(project)?,
    };
    let bytes =
        std::fs::read(&built).with_context(|| format!("cannot read `{}`", built.display()))?;
    let component = plugin::componentize(&bytes, project.world)
        .context("cannot turn the build result into a component");
    match project.world {
        World::Operator if names(&bytes, b"weir:state/") => {
            component.hint(|| "add `world: stateful-operator` to plugin.yaml")
        }
        World::Operator if names(&bytes, b"weir:window/") => {
            component.hint(|| "add `world: aggregator` to plugin.yaml")
        }
        _ => component,
    }
}

/// Whether a build result names an interface of this package.
fn names(bytes: &[u8], package: &[u8]) -> bool {
    bytes.windows(package.len()).any(|window| window == package)
}

/// Writes the world that the project is built for to `.weir/wit`, for tools that read WIT: its package, and in
/// `deps` those that it uses. Returns the folder and the name of the world. With `http` it imports `wasi:http`.
///
/// # Errors
/// The files cannot be written.
fn write_wit(project: &Project, http: bool) -> Result<(PathBuf, &'static str)> {
    let root = folder(project, "wit")?;
    // What an earlier build for another world has left would be another package in the folder.
    std::fs::remove_dir_all(&root).with_context(|| format!("cannot empty `{}`", root.display()))?;
    let write = |folder: &Path, package: &[(&str, &str)]| {
        std::fs::create_dir_all(folder)?;
        for (name, text) in package {
            std::fs::write(folder.join(name), text)?;
        }
        Ok::<_, std::io::Error>(())
    };
    let (text, with_http) = project.world.with_http();
    let (own, used) = project.world.packages();
    let (written, used, name) = match http {
        true => (
            write(&root, &[("build.wit", text.as_str())]),
            with_http.as_slice(),
            WITH_HTTP,
        ),
        false => (write(&root, own), used, project.world.name()),
    };
    let deps = used.iter().enumerate();
    let mut deps =
        deps.map(|(number, package)| (root.join("deps").join(number.to_string()), package));
    written
        .and_then(|()| deps.try_for_each(|(folder, package)| write(&folder, package)))
        .with_context(|| format!("cannot write to `{}`", root.display()))?;
    Ok((root, name))
}

/// A folder in `.weir`, created if it is missing.
///
/// # Errors
/// It cannot be created.
fn folder(project: &Project, name: &str) -> Result<PathBuf> {
    let path = project.work().join(name);
    std::fs::create_dir_all(&path)
        .with_context(|| format!("cannot create `{}`", path.display()))?;
    Ok(path)
}
