//! JavaScript and TypeScript: componentize-js, which packs the source and a JavaScript engine into a
//! component. The SDK's `build.mjs` calls it from the project's own Node.js packages.

use super::super::command;
use super::super::language::Language;
use super::super::manifest::Project;
use crate::report;
use anyhow::{Result, anyhow};
use std::path::PathBuf;
use std::process::Command;

/// The packages that the build needs. npm installs a package in the project or in a parent folder.
const PACKAGES: [&str; 2] = ["@bytecodealliance/componentize-js", "esbuild"];

/// The additional packages for TypeScript.
const TYPES: &str = "typescript";

pub(super) fn build(project: &Project) -> Result<PathBuf> {
    if !project.flags.is_empty() {
        let error = anyhow!(
            "`flags` in plugin.yaml has no effect in {}",
            project.language
        );
        let action = "remove it; configure TypeScript in tsconfig.json";
        return Err(report::usage(report::hint(error, action)));
    }
    let is_typed = project.language == Language::Ts;
    for package in PACKAGES.into_iter().chain(is_typed.then_some(TYPES)) {
        if !is_installed(project, package) {
            let error = anyhow!("the package `{package}` is not installed in the project");
            return Err(report::hint(error, "run `npm install` in its folder"));
        }
    }
    let (wit, _) = super::write_wit(project, project.http)?;
    let component = project.work().join("built.wasm");
    let usual = if is_typed { "plugin.ts" } else { "plugin.js" };
    let mut node = Command::new("node");
    node.current_dir(&project.folder)
        .arg("sdk/build.mjs")
        .arg(project.main_or(usual))
        .arg(wit)
        .arg(&component)
        .arg(project.world.name())
        .args(project.http.then_some("http"));
    command::run(
        node,
        "install Node.js 20 or later, with npm, from https://nodejs.org",
    )?;
    Ok(component)
}

fn is_installed(project: &Project, package: &str) -> bool {
    let mut folders = project.folder.ancestors();
    folders.any(|folder| folder.join("node_modules").join(package).is_dir())
}
