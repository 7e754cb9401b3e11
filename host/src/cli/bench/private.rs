//! A pipeline as it runs on the private server: the same in everything but where NATS is, how to sign
//! in there, and what a lone server cannot have.

use crate::cli::offline;
use crate::config::resolved::{Auth, Pipeline, Start, StreamSettings, Tls};
use crate::config::template::SubjectFilter;
use crate::nats::streams::default_stream;
use crate::report::ResultExt;
use crate::shutdown::{Shutdown, Stage};
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeSet;
use std::io::Read;

/// The most subjects that a stream is created with one by one.
const SUBJECTS: usize = 1000;

/// The one pipeline that is measured, for the private server. Its servers are those of the command
/// line already.
///
/// # Errors
///
/// When there is none of that name.
pub(in crate::cli) fn alone(pipelines: Vec<Pipeline>, name: &str) -> Result<Pipeline> {
    let mut pipeline = offline::choose(pipelines, Some(name))?;
    make_private(&mut pipeline);
    Ok(pipeline)
}

/// Asks for a hard stop when stdin ends, which the kernel sees to even for a bench that was killed.
///
/// # Errors
///
/// When no thread can be started.
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

/// Without credentials and TLS, from the beginning of the stream. The authorities to trust stay: the
/// plugins' own requests are checked with them.
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
        settings.replicas = 1;
    }
    if let Some(settings) = &mut pipeline.source.create {
        // What is to be measured must not go before.
        (settings.max_age, settings.max_bytes) = (None, None);
    }
}

/// Says of each stream what it is created with, as far as the file leaves it open: `inputs` are the
/// subjects of the messages, `results` those of what the plugins made of them, if the sink may send
/// them anywhere.
///
/// # Errors
///
/// When a stream would have more subjects than a stream should.
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
    // Streams that the file gives one name are one.
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
        // Where the sink may send anywhere, nobody else creates a stream for it.
        of_sink.iter().for_each(|subject| add(settings, subject));
    }
    if let Some(dead) = dead
        && dead.stream.as_ref() == Some(&source.stream)
    {
        add(settings, &dead.subject);
    }
    Ok(())
}

fn few<'s>(
    subjects: &'s BTreeSet<String>,
    key: &str,
) -> Result<impl Iterator<Item = &'s str> + use<'s>> {
    let count = subjects.len();
    if count > SUBJECTS {
        return Err(anyhow!(
            "there are {count} subjects, and `{key}` does not say what they have in common"
        ))
        .context("cannot create the streams of the pipeline")
        .hint(|| format!("write the literal part of them in `{key}`"))
        .usage();
    }
    Ok(subjects.iter().map(String::as_str))
}

/// Adds a subject to those of a stream, none of which may overlap another.
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
