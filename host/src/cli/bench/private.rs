//! Adapts a pipeline to the private server: other servers and no credentials, and no settings that a single
//! server does not support.

use crate::cli::offline;
use crate::config::resolved::{Auth, Pipeline, Start, StreamSettings, Tls};
use crate::config::template::SubjectFilter;
use crate::nats::targets::default_stream;
use crate::report::ResultExt;
use crate::shutdown::{Shutdown, Stage};
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeSet;
use std::io::Read;

/// The maximum number of literal subjects of a created stream.
const SUBJECTS: usize = 1000;

/// The measured pipeline, adapted to the private server. Its servers already come from the command line.
///
/// # Errors
///
/// If there is no pipeline of that name.
pub(in crate::cli) fn alone(pipelines: Vec<Pipeline>, name: &str) -> Result<Pipeline> {
    let mut pipeline = offline::choose(pipelines, Some(name))?;
    make_private(&mut pipeline);
    Ok(pipeline)
}

/// Requests a hard stop when stdin ends. The kernel closes it even if the bench is killed.
///
/// # Errors
///
/// If no thread can be started.
pub(in crate::cli) fn stop_with_stdin(shutdown: &Shutdown) -> Result<()> {
    let shutdown = shutdown.clone();
    let watch = move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        shutdown.ask(Stage::Hard);
    };
    let started = std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(watch);
    started.map(drop).context("cannot start a thread")
}

/// Removes credentials and TLS, and starts at the beginning of the stream. The root certificates stay,
/// because the plugins' HTTP requests use them.
pub(super) fn make_private(pipeline: &mut Pipeline) {
    pipeline.nats.auth = Auth::None;
    pipeline.nats.tls = Tls {
        ca: pipeline.nats.tls.ca.take(),
        ..Tls::default()
    };
    pipeline.source.start = Start::All;
    let dead = pipeline.dead_letter.as_mut();
    let creates = [
        pipeline.source.create.as_mut(),
        pipeline.sink.create.as_mut(),
        dead.and_then(|dead| dead.create.as_mut()),
    ];
    for settings in creates.into_iter().flatten() {
        settings.replicas = Some(1);
    }
    if let Some(settings) = &mut pipeline.source.create {
        // Limits must not remove messages before they are measured.
        (settings.max_age, settings.max_bytes) = (None, None);
    }
    set_source(pipeline);
}

/// What was changed of its source holds wherever the source is looked for.
fn set_source(pipeline: &mut Pipeline) {
    for named in &mut pipeline.sources {
        named.source.clone_from(&pipeline.source);
    }
}

/// Adds the settings of the streams to create that the file does not have. `inputs` are the subjects of the
/// messages; `results` are the subjects of the results, if the sink's template allows any subject.
///
/// # Errors
///
/// If a stream would have too many subjects.
pub(super) fn create_streams(
    pipeline: &mut Pipeline,
    inputs: &BTreeSet<String>,
    results: &BTreeSet<String>,
) -> Result<()> {
    let (source, sink) = (&mut pipeline.source, &mut pipeline.sink);
    let settings = source.create.get_or_insert_with(|| {
        let subjects = source.subjects.iter().map(ToString::to_string);
        default_stream(subjects.collect())
    });
    if settings.subjects.is_empty() {
        for subject in few(inputs, "source.subjects")? {
            add(settings, subject);
        }
    }
    // Sections that name the same stream share it.
    let reach = sink.subject.reach().map(|reach| reach.as_str().to_owned());
    let of_sink: Vec<&str> = match &reach {
        Some(reach) => vec![reach],
        None => few(results, "sink.subject")?.collect(),
    };
    let dead = pipeline.dead_letter.as_mut();
    if let (Some(name), Some(dead)) = (&sink.stream, &dead)
        && dead.stream.as_ref() == Some(name)
    {
        let settings = sink
            .create
            .get_or_insert_with(|| default_stream(Vec::new()));
        of_sink.iter().for_each(|subject| add(settings, subject));
        add(settings, &dead.subject);
    }
    if sink.stream.as_ref() == Some(&source.stream) || reach.is_none() {
        // If the sink's template allows any subject, no other section creates a stream for it.
        of_sink.iter().for_each(|subject| add(settings, subject));
    }
    if let Some(dead) = dead
        && dead.stream.as_ref() == Some(&source.stream)
    {
        add(settings, &dead.subject);
    }
    set_source(pipeline);
    Ok(())
}

fn few<'s>(
    subjects: &'s BTreeSet<String>,
    key: &str,
) -> Result<impl Iterator<Item = &'s str> + use<'s>> {
    let count = subjects.len();
    if count > SUBJECTS {
        return Err(anyhow!(
            "there are {count} subjects, and `{key}` does not have a literal part that they share"
        ))
        .context("cannot create the streams of the pipeline")
        .hint(|| format!("write their common literal part in `{key}`"))
        .usage();
    }
    Ok(subjects.iter().map(String::as_str))
}

/// Adds a subject to those of a stream; subjects of a stream must not overlap.
fn add(settings: &mut StreamSettings, subject: &str) {
    let Ok(new) = SubjectFilter::parse(subject) else {
        return;
    };
    let filter = |text: &String| SubjectFilter::parse(text).ok();
    let there = settings.subjects.iter().filter_map(filter);
    if there.into_iter().any(|there| there.covers(&new)) {
        return;
    }
    let apart = |text: &String| filter(text).is_none_or(|there| !there.overlaps(&new));
    settings.subjects.retain(apart);
    settings.subjects.push(subject.to_owned());
}

#[cfg(test)]
mod tests {
    use super::{add, default_stream};

    #[test]
    fn no_two_subjects_of_a_stream_overlap() {
        let mut settings = default_stream(vec!["orders.new".to_owned(), "other".to_owned()]);
        add(&mut settings, "orders.done");
        assert_eq!(settings.subjects, ["orders.new", "other", "orders.done"]);
        add(&mut settings, "orders.>");
        add(&mut settings, "orders.late");
        assert_eq!(settings.subjects, ["other", "orders.>"]);
    }
}
