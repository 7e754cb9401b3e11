//! What the same plugin costs in each language.
//!
//! Makes a new plugin in every language, builds it with the language's own tool, and calls it in
//! weir's runtime, without a broker: the differences between languages, not the rate of a pipeline,
//! which `weir-bench` measures.

mod measure;
pub(crate) mod project;
mod table;

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use weir::cli::project::Language;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The `weir` that makes and builds the plugins
    #[arg(long)]
    weir: PathBuf,
    /// Where the plugins' folders go
    #[arg(long)]
    out: PathBuf,
    /// The folder of npm packages for JavaScript and TypeScript
    #[arg(long)]
    node_modules: Option<PathBuf>,
    /// Where the table goes, as Markdown
    #[arg(long)]
    table: Option<PathBuf>,
    /// Where every figure goes, as JSON
    #[arg(long)]
    json: PathBuf,
    /// Messages that each plugin is called with
    #[arg(long, default_value_t = 100_000)]
    messages: usize,
    /// What the binaries were compiled with, for the record
    #[arg(long)]
    profile: String,
    /// Only these languages
    #[arg(long, value_enum)]
    only: Vec<Language>,
    /// Measure this component in place of all that, and print it
    #[arg(long, conflicts_with = "only")]
    component: Option<PathBuf>,
}

impl Arguments {
    fn tools(&self) -> project::Tools<'_> {
        project::Tools {
            weir: &self.weir,
            out: &self.out,
            node_modules: self.node_modules.as_deref(),
        }
    }
}

/// Measures every language, or those that were chosen.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(component) = &arguments.component {
        let cost = measure::measure(component, arguments.messages)?;
        println!("{}", serde_json::to_string_pretty(&cost)?);
        return Ok(());
    }
    let mut report = table::Report::new(arguments.messages, &arguments.profile)?;
    let mut failed = Vec::new();
    for language in Language::ALL {
        if !arguments.only.is_empty() && !arguments.only.contains(&language) {
            continue;
        }
        if let Some(reason) = project::skipped(language) {
            eprintln!("bench     {language} skipped: {reason}");
            report.skipped.push((language.name().to_owned(), reason));
            continue;
        }
        eprintln!("bench     {language}");
        let measured = project::build(&arguments.tools(), language).and_then(|build| {
            let cost = measure::measure(&build.component, arguments.messages)?;
            report.add(language, &build, cost);
            Ok(())
        });
        if let Err(error) = measured {
            eprintln!("error: {language}: {error:#}");
            failed.push(language.name());
        }
    }
    print!("{}", report.markdown());
    if let Some(file) = &arguments.table {
        std::fs::write(file, report.page())
            .with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    let json = serde_json::to_string_pretty(&report).context("cannot write the record")?;
    std::fs::write(&arguments.json, json + "\n")
        .with_context(|| format!("cannot write `{}`", arguments.json.display()))?;
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("not measured: {}", failed.join(", ")),
    }
}
