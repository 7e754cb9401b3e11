//! `weir plugin build [FOLDER]`: builds a plugin's source into the `.wasm` file that its pipeline names.

use super::standard;
use crate::cli::Console;
use crate::cli::project::{self, Built};
use crate::report;
use anyhow::{Result, anyhow};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "\
Runs the language's own tool (cargo for a folder with a Cargo.toml, otherwise the tool of the language in \
`plugin.yaml`) and prints the path of the component. It installs nothing, and names missing tools.")]
pub(in crate::cli) struct Arguments {
    /// The folder with the plugin's Cargo.toml or plugin.yaml.
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,

    /// Where to write the component. [default: NAME.wasm beside the `pipeline.yaml` in FOLDER or in
    /// its parent folder; in FOLDER if there is none]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(in crate::cli) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    if let Some(standard) = standard::named(&arguments.folder) {
        let name = format!("std:{}", standard?.name);
        let error = anyhow!("`{name}` is part of weir, there is nothing to build");
        let hint = format!("write `plugin: {name}` in a pipeline");
        return Err(report::usage(report::hint(error, hint)));
    }
    if !arguments.folder.is_dir() {
        let what = if arguments.folder.exists() {
            "is not a folder"
        } else {
            "does not exist"
        };
        let error = anyhow!("`{}` {what}", arguments.folder.display());
        let hint = "name the folder with the plugin's Cargo.toml or plugin.yaml";
        return Err(report::usage(report::hint(error, hint)));
    }
    let built = project::build_plugin(&arguments.folder)?;
    let beside = || destination(&arguments.folder, &built);
    let file = arguments.output.clone().unwrap_or_else(beside);
    project::place(&built, &file)?;
    console.answer(
        &json!({"name": built.name, "component": file, "fresh": built.fresh}),
        &file.display().to_string(),
    )?;
    Ok(report::DONE)
}

fn destination(folder: &Path, built: &Built) -> PathBuf {
    let above = folder.join("..");
    let has_pipeline = |place: &Path| project::pipeline(place).is_some();
    let place = match (has_pipeline(folder), folder.parent()) {
        (false, Some(parent)) if !parent.as_os_str().is_empty() && has_pipeline(parent) => parent,
        (false, _) if has_pipeline(&above) => &above,
        _ => folder,
    };
    let file = built.file_name();
    // `a.wasm` is shorter than `./a.wasm`.
    if place == Path::new(".") {
        PathBuf::from(file)
    } else {
        place.join(file)
    }
}
