//! Whether a version accepts the configuration of an operator, tried here with the pipeline's file. Hosts do
//! not reveal their configuration, because it may contain secrets.

use crate::cli::offline::{self, Offline};
use crate::cli::plugin::fleet::OperatorPath;
use crate::cli::{Console, files};
use crate::config::component::Reference;
use crate::report::{self, ResultExt};
use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use std::path::Path;

/// What came of it.
#[derive(Serialize)]
pub(super) struct Configuration {
    /// Of the configuration in the file, as hosts report theirs.
    pub(super) config_hash: String,
    /// Why the version did not start with it.
    pub(super) refused: Option<String>,
}

impl Configuration {
    /// Starts the pipeline of the file with the version in the operator's place.
    ///
    /// # Errors
    /// If the file is wrong, or does not have the operator.
    pub(super) fn try_out(
        file: &Path,
        operator_path: &OperatorPath,
        reference: &str,
        console: &Console,
    ) -> Result<Self> {
        let OperatorPath { pipeline, operator } = operator_path;
        let pipelines = files::load(&[file.to_owned()])?;
        let mut pipeline = offline::choose(pipelines, Some(pipeline))?;
        let mut operators = pipeline.operators.iter_mut();
        let operator = operators
            .find(|each| each.name == *operator)
            .ok_or_else(|| anyhow!("`{}` has no operator `{operator}`", file.display()))
            .usage()?;
        let folder = std::env::current_dir().context("there is no working directory")?;
        operator.plugin =
            Reference::parse(reference, &folder).map_err(|why| report::usage(anyhow!(why)))?;
        let config = operator.config.to_string();
        let runtime = files::runtime(1)?;
        let _progress = console.progress("trying the configuration");
        let refused = Offline::of_pipeline(&pipeline, &runtime).err();
        Ok(Self {
            config_hash: blake3::hash(config.as_bytes()).to_hex().to_string(),
            refused: refused.map(|error| report::line(&error)),
        })
    }
}
