//! The sources of a job by name, and those for which its event time waits.

use crate::job::log::{Checkpoint, Progress};
use crate::nats::jobs::Job;
use crate::nats::{self, Connection, job_admin, job_input};
use crate::report::escape;
use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// A source of a job.
#[derive(Serialize)]
pub(super) struct Source {
    /// None with `source:`.
    name: Option<String>,
    stream: String,
    table: bool,
}

/// Those of a job; none where its definition cannot be read: the rest is shown all the same.
///
/// # Errors
/// JetStream does not answer.
pub(super) async fn of(connection: &Connection, job: &str) -> Result<Vec<Source>> {
    let defined = match job_admin::definition(connection, job).await {
        Err(error) if nats::passes(&error) => return Err(error),
        defined => defined.ok().flatten(),
    };
    let sources = defined
        .iter()
        .flat_map(|defined| defined.definition.sources());
    let source = |source: &crate::nats::job::DefinedSource| Source {
        name: source.name.clone(),
        stream: source.stream().to_owned(),
        table: source.table,
    };
    Ok(sources.map(source).collect())
}

/// Those of an input, which may be a stream of the job's own.
fn of_input<'s>(
    sources: &'s [Source],
    job: &Job,
    input: &Progress,
) -> impl Iterator<Item = &'s Source> {
    let stream = input.stream();
    sources.iter().filter(move |source| {
        let own = job_input::name(&job.stream, Some(&source.stream));
        source.stream == stream || own == stream
    })
}

/// Their names.
pub(super) fn names<'s>(sources: &'s [Source], job: &Job, input: &Progress) -> Vec<&'s str> {
    let sources = of_input(sources, job, input);
    sources
        .filter_map(|source| source.name.as_deref())
        .collect()
}

/// Whether they are tables.
pub(super) fn is_table(sources: &[Source], job: &Job, input: &Progress) -> bool {
    of_input(sources, job, input).any(|source| source.table)
}

/// Writes which tables a host loads for a partition, as it says of it.
pub(super) fn loading(held: &Value, out: &mut String) {
    for table in held["loading"].as_array().into_iter().flatten() {
        let name = table["table"].as_str().unwrap_or_default();
        let number = |name: &str| table[name].as_u64().unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "    loading table {}: {} of {}",
            escape::line(name),
            number("position"),
            number("upto"),
        );
    }
}

/// Whether event time of a partition with several inputs would go on if it did in this one.
pub(super) fn holds_back(
    sources: &[Source],
    job: &Job,
    input: &Progress,
    checkpoint: &Checkpoint,
) -> bool {
    let is_read = |input: &&Progress| {
        !names(sources, job, input).is_empty() && !is_table(sources, job, input)
    };
    let read: Vec<&Progress> = checkpoint.inputs.iter().filter(is_read).collect();
    let marks = read.iter().map(|input| input.watermark);
    let (least, any) = (marks.clone().min().flatten(), marks.flatten().next());
    read.len() > 1 && any.is_some() && read.contains(&input) && input.watermark == least
}
