//! The sources of a job, by name, and which of them its event time waits for.

use crate::job::log::{Checkpoint, Progress};
use crate::nats::jobs::Job;
use crate::nats::{Connection, job_admin, job_input};
use serde::Serialize;

/// A source of a job.
#[derive(Serialize)]
pub(super) struct Source {
    /// None with `source:`.
    name: Option<String>,
    stream: String,
}

/// Those of a job; none where its definition cannot be read: the rest is shown all the same.
pub(super) async fn of(connection: &Connection, job: &str) -> Vec<Source> {
    let defined = job_admin::definition(connection, job).await;
    let defined = defined.ok().flatten();
    let sources = defined
        .iter()
        .flat_map(|defined| defined.definition.sources());
    let source = |source: &crate::nats::job::DefinedSource| Source {
        name: source.name.clone(),
        stream: source.stream().to_owned(),
    };
    sources.map(source).collect()
}

/// The names of the sources of an input, which may be a stream of the job's own.
pub(super) fn names<'s>(sources: &'s [Source], job: &Job, input: &Progress) -> Vec<&'s str> {
    let stream = input.stream();
    let is_it = |source: &&Source| {
        let own = job_input::name(&job.stream, Some(&source.stream));
        source.stream == stream || own == stream
    };
    let sources = sources.iter().filter(is_it);
    sources
        .filter_map(|source| source.name.as_deref())
        .collect()
}

/// Whether event time of a partition with several inputs would go on if it did in this one.
pub(super) fn holds_back(
    sources: &[Source],
    job: &Job,
    input: &Progress,
    checkpoint: &Checkpoint,
) -> bool {
    let is_read = |input: &&Progress| !names(sources, job, input).is_empty();
    let read: Vec<&Progress> = checkpoint.inputs.iter().filter(is_read).collect();
    let marks = read.iter().map(|input| input.watermark);
    let (least, any) = (marks.clone().min().flatten(), marks.flatten().next());
    read.len() > 1 && any.is_some() && read.contains(&input) && input.watermark == least
}
