//! A plugin without a pipeline, with its configuration from the command line.

use super::Offline;
use crate::cli::plugin::standard;
use crate::config::Given;
use crate::plugin::{Refusal, Runtime};
use crate::report::{self, ResultExt};
use anyhow::{Result, anyhow};
use std::path::Path;

/// The option in findings.
const OPTION: &str = "--config";

/// Whether a path names a component, or a standard plugin as `std:NAME`, and no pipeline file.
pub(in crate::cli) fn is_plugin(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "wasm")
        || standard::named(path).is_some()
}

/// The plugin, with its `--config` as JSON. That of a standard plugin is compared with its schema.
///
/// # Errors
///
/// If the plugin cannot be loaded, or its configuration is refused.
pub(in crate::cli) fn start(
    plugin: &Path,
    config: Option<&str>,
    runtime: &Runtime,
) -> Result<Offline> {
    let bytes = standard::component(plugin)?;
    let config = config.unwrap_or("null");
    serde_json::from_str::<serde_json::Value>(config)
        .map_err(|error| anyhow!("`{OPTION}` is not JSON: {error}"))
        .usage()?;
    let schema = standard::named(plugin).transpose()?;
    let schema = schema.and_then(|standard| standard.schema());
    let option = Path::new(OPTION);
    let (given, sound, mut findings) = Given::of_json(config, option, schema);
    let started = Offline::of_plugin(plugin, &bytes, &sound, runtime);
    let refusal = started.as_ref().err().and_then(report::find::<Refusal>);
    if let Some(found) = refusal.and_then(|it| given.findings(option, &it.0)) {
        findings.add(found, &[option.to_owned()]);
    }
    match findings.is_empty() {
        true => started,
        false => Err(report::usage(findings)),
    }
}

/// The plugin, if there is no pipeline, and the pipeline of the file otherwise.
///
/// # Errors
///
/// If an option is for the other, and see [`start`] and [`Offline::of_pipeline`].
pub(in crate::cli) fn or_pipeline(
    path: &Path,
    config: Option<&str>,
    pipeline: Option<&str>,
    runtime: &Runtime,
) -> Result<Offline> {
    let refuse =
        |option: &str, other: &str| Err(report::usage(anyhow!("`{option}` is for {other}")));
    match (is_plugin(path), config, pipeline) {
        (true, _, Some(_)) => refuse("--pipeline", "a pipeline file"),
        (true, config, None) => start(path, config, runtime),
        (false, Some(_), _) => refuse(OPTION, "a plugin; a pipeline has its own"),
        (false, None, name) => {
            let pipelines = crate::cli::files::load(&[path.to_owned()])?;
            Offline::of_pipeline(&super::choose(pipelines, name)?, runtime)
        }
    }
}
