//! Go: standard Go 1.25 or later for WASI preview 1, as a library; the host adds the contract.

use super::super::command;
use super::super::manifest::Project;
use crate::plugin::World;
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

pub(super) fn build(project: &Project) -> Result<PathBuf> {
    let module = project.work().join("module.wasm");
    let mut go = Command::new("go");
    go.current_dir(&project.folder)
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .args(["build", "-buildmode=c-shared", "-trimpath"])
        .args(tags(project.world))
        .arg("-ldflags=-s -w")
        .arg("-o")
        .arg(&module)
        .args(&project.flags)
        .arg(project.main_or("."));
    command::run(go, "install Go 1.25 or later from https://go.dev/dl")?;
    Ok(module)
}

/// With these tags the SDK has the exports of another world than the usual one.
fn tags(world: World) -> Option<&'static str> {
    match world {
        World::Operator => None,
        World::StatefulOperator => Some("-tags=weir_stateful"),
        World::Aggregator => Some("-tags=weir_aggregator"),
    }
}
