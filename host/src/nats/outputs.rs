//! The streams that contain a pipeline's outputs: results and dead letters.

use super::history::History;
use super::stored::{self, Which};
use super::{Connection, by_subject, job, sourcing, streams};
use crate::config::resolved::Pipeline;
use crate::config::template::SubjectFilter;
use crate::report::ResultExt;
use anyhow::{Context, Result, anyhow};

/// A stream that holds outputs of a pipeline, among others perhaps.
pub struct OutputStream {
    pub stream: History,
    /// What of it is of interest; all if `None`.
    pub filter: Option<String>,
    pub results: bool,
    pub dead_letters: bool,
}

impl OutputStream {
    fn new(stream: History, wanted: Option<SubjectFilter>, results: bool) -> Self {
        // A consumer may not ask for what its stream does not capture, nor need for all that it does.
        let captures = |filter: &SubjectFilter| {
            let captured = stream.captured.iter();
            let mut captured = captured.filter_map(|subject| SubjectFilter::parse(subject).ok());
            captured.any(|subject| subject.covers(filter))
        };
        let filter = wanted.filter(captures).map(|filter| filter.to_string());
        Self {
            stream,
            filter,
            results,
            dead_letters: !results,
        }
    }
}

/// Finds the streams; `given` are those of the results, where they are known.
///
/// # Errors
/// When it cannot be told where the results are, or the server does not say.
pub async fn output_streams(
    connection: &Connection,
    pipeline: &Pipeline,
    given: &[String],
) -> Result<Vec<OutputStream>> {
    let mut output_streams = Vec::new();
    // Messages that come too late are stored with the results, on subjects of their own.
    let reach = pipeline.sink.subject.reach();
    let reach = reach.filter(|_| pipeline.late.is_none());
    for name in results(connection, pipeline, given).await? {
        let stream = find(connection, &name).await?;
        output_streams.push(OutputStream::new(stream, reach.clone(), true));
    }
    let Some(dead) = &pipeline.dead_letter else {
        return Ok(output_streams);
    };
    let context = streams::jetstream(connection);
    let name = by_subject::find_by_subject(&context, &dead.subject).await;
    let what = || format!("cannot look up the stream of `{}`", dead.subject);
    let Some(name) = name.with_context(what)? else {
        return Ok(output_streams);
    };
    match output_streams
        .iter_mut()
        .find(|output| output.stream.name == name)
    {
        Some(output) => {
            output.dead_letters = true;
            output.filter = None;
        }
        None => {
            let filter = SubjectFilter::parse(&dead.subject).ok();
            output_streams.push(OutputStream::new(
                find(connection, &name).await?,
                filter,
                false,
            ));
        }
    }
    Ok(output_streams)
}

/// Whether these streams have all outputs that a job has committed, as far as they say what they have sourced. Of outputs
/// that are forwarded they do not say it.
///
/// # Errors
/// When the server does not say.
pub async fn have_arrived(
    connection: &Connection,
    pipeline: &Pipeline,
    given: &[String],
) -> Result<bool> {
    let context = streams::jetstream(connection);
    let (prefix, own) = job::names(&pipeline.name);
    for OutputStream {
        stream, results, ..
    } in output_streams(connection, pipeline, given).await?
    {
        let kind = if results { "out" } else { "dead" };
        let last = Which::last(&format!("{prefix}.{kind}.>"));
        let Some(last) = stored::get(connection, &context, &own, &last).await? else {
            continue;
        };
        let dead = pipeline.dead_letter.as_ref().map(|dead| &*dead.subject);
        let subject = job::result_subject(&last.subject).or(dead);
        let subject = subject.unwrap_or_default();
        let sourced = sourcing::sourced(connection, &context, &stream.name, &own, subject).await?;
        if sourced.is_some_and(|sourced| sourced < last.sequence) {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn results(
    connection: &Connection,
    pipeline: &Pipeline,
    given: &[String],
) -> Result<Vec<String>> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let context = streams::jetstream(connection);
    let template = &pipeline.sink.subject;
    let found = match template.reach() {
        Some(reach) => by_subject::all_by_subject(&context, reach.as_str())
            .await
            .with_context(|| format!("cannot look up the streams of `{reach}`"))?,
        None => pipeline.sink.stream.iter().cloned().collect(),
    };
    if found.is_empty() {
        return Err(anyhow!(
            "the sink's subject `{}` does not determine the stream of the results",
            template.as_str()
        ))
        .hint(|| "name it in the file with `sink.stream`, or for a replay with `--results STREAM`")
        .usage();
    }
    Ok(found)
}

async fn find(connection: &Connection, name: &str) -> Result<History> {
    let found = History::find(connection, name).await?;
    found.ok_or_else(|| anyhow!("there is no stream `{name}`"))
}
