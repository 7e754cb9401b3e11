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
use crate::plugin;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

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
    plugin::componentize(&bytes).context("cannot turn the build result into a component")
}

/// Writes the contract to `.weir/wit`, for tools that read WIT.
///
/// # Errors
/// The files cannot be written.
fn write_wit(project: &Project) -> Result<PathBuf> {
    let folder = folder(project, "wit")?;
    for (name, text) in plugin::CONTRACT {
        let file = folder.join(name);
        std::fs::write(&file, text)
            .with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    Ok(folder)
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
