//! Pipeline files and the plugin runtime, as the verbs get them.

use crate::config::{self, resolved};
use crate::plugin::{Runtime, RuntimeOptions};
use crate::report;
use anyhow::Result;
use std::path::PathBuf;

/// Reads pipeline files with the process's environment.
///
/// # Errors
///
/// Everything that is wrong with them, as one error of usage.
pub(super) fn load(files: &[PathBuf]) -> Result<Vec<resolved::Pipeline>> {
    config::load(files, &environment).map_err(report::usage)
}

/// What `${NAME}` in a file stands for.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A runtime that keeps compiled plugins in the user's cache directory.
///
/// # Errors
///
/// When wasmtime does not support this machine.
pub(super) fn runtime(instances: usize) -> Result<Runtime> {
    let usual = RuntimeOptions::default();
    let instances = u32::try_from(instances).unwrap_or(u32::MAX);
    Runtime::new(RuntimeOptions {
        max_instances: usual.max_instances.max(instances),
        ..usual
    })
}
