//! The destinations of a job's results and dead letters: streams that source them from the job's stream, subjects
//! to which owners forward them, or the job's stream itself. Also what is to be removed from the job's stream:
//! what the others have stored, and what is too old.

use super::job::JobPlace;
use super::sourcing::{self, Transform};
use super::stored::{self, Which};
use super::streams::{Context, jetstream, may_create};
use super::targets::{default_stream, ensure_target};
use super::{Connection, by_subject, failed, permitted, unless_refused, views};
use crate::config::resolved::{Pipeline, StreamSettings};
use crate::config::template::{SubjectFilter, Template};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::response::Response;
use serde_json::json;
use std::time::Duration;

/// The stream of a job.
#[derive(Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) stream: &'a str,
    /// What its subjects begin with.
    pub(super) prefix: &'a str,
    /// What streams that are made have, unless the pipeline says otherwise.
    pub(super) replicas: usize,
}

/// Where the results or the dead letters of a job go.
#[derive(Clone, Debug)]
pub enum Target {
    /// A stream sources them.
    Sourced(SourcedBy),
    /// The owners of the partitions forward what matches this.
    Forwarded(String),
    /// The job's stream keeps what matches these, until it is so old.
    Kept(Vec<String>, Duration),
}

/// The stream that sources something from that of a job.
#[derive(Clone, Debug)]
pub struct SourcedBy {
    stream: String,
    /// What their subjects in the job's stream begin with, before the partition.
    of: String,
    /// The only subject that they have there; none if each has its own.
    subject: Option<String>,
    /// What they begin with where they are sourced, if it is not what they have behind the partition.
    to: String,
}

impl Target {
    /// What is sourced under this prefix instead of what it has there, up to the partition.
    pub(super) fn under(to: String, of: String, stream: String) -> Self {
        Self::Sourced(SourcedBy {
            stream,
            of,
            subject: None,
            to,
        })
    }
}

/// Sequences between the first and the last message that are removed at once, at most: the server stores nothing
/// meanwhile.
const STEP: u64 = 50_000;

/// The subjects of the results that the stream of a job keeps itself, without those that others cover.
#[must_use]
pub(super) fn kept(pipeline: &Pipeline) -> Vec<String> {
    let results = pipeline.sink.in_job_stream.map(|_| &pipeline.sink.subject);
    let late = results.and(pipeline.late.as_ref());
    let all: Vec<_> = results
        .into_iter()
        .chain(late)
        .filter_map(Template::reach)
        .collect();
    let others = |place: usize| {
        all.iter()
            .enumerate()
            .filter(move |(other, _)| *other != place)
    };
    let is_covered = |(place, subject): &(usize, &SubjectFilter)| {
        // Of two that are the same, the first stays.
        others(*place)
            .any(|(other, it)| it.covers(subject) && (other < *place || !subject.covers(it)))
    };
    let own = all.iter().enumerate().filter(|it| !is_covered(it));
    own.map(|(_, subject)| subject.to_string()).collect()
}

/// Refuses results that the stream of a job is to keep while another one captures them.
///
/// # Errors
/// If one does.
pub(super) async fn refuse_captured(
    connection: &Connection,
    context: &Context,
    subject: &str,
    job: &str,
) -> Result<()> {
    let asked = by_subject::all_by_subject(context, subject);
    // Who may not look for it hears of it from the server.
    let asked = unless_refused(connection, &connection.api.stream_names(), asked).await;
    let Ok(Ok(found)) = asked else { return Ok(()) };
    match found.iter().find(|found| *found != job) {
        None => Ok(()),
        Some(other) => Err(anyhow!(
            "stream `{other}` captures `{subject}`, so the stream of the job cannot keep the results"
        ))
        .hint(|| "begin `sink.subject` with a token of its own, or remove `sink.in-job-stream`"),
    }
}

/// A section of a pipeline that says where something goes.
struct Section<'a> {
    role: &'static str,
    stream: Option<&'a str>,
    create: Option<&'a StreamSettings>,
    forward: bool,
    /// What its stream captures, as far as that is known.
    subject: Option<&'a str>,
    /// Subjects in the job's stream, before and behind the partition; and what they become.
    of: String,
    behind: &'static str,
    to: &'a str,
}

/// Lets streams source the results and the dead letters, unless these are forwarded, and makes what is missing
/// and may be made.
///
/// # Errors
/// What is missing or is not to be there, or what the server refuses.
pub(super) async fn ensure(
    connection: &Connection,
    context: &Context,
    pipeline: &Pipeline,
    own: Own<'_>,
    create: bool,
) -> Result<Vec<Target>> {
    let sink = &pipeline.sink;
    let reach = sink.subject.reach();
    let results = sink.in_job_stream.is_none().then(|| Section {
        role: "sink",
        stream: sink.stream.as_deref(),
        create: sink.create.as_ref(),
        forward: sink.forward,
        subject: reach.as_ref().map(|reach| reach.as_str()),
        of: format!("{}.out", own.prefix),
        behind: ".*.>",
        to: ">",
    });
    let dead = pipeline.dead_letter.as_ref().map(|dead| Section {
        role: "dead-letter",
        stream: dead.stream.as_deref(),
        create: dead.create.as_ref(),
        forward: dead.forward,
        subject: Some(&*dead.subject),
        of: format!("{}.dead", own.prefix),
        behind: ".*",
        to: &dead.subject,
    });
    let kept = sink
        .in_job_stream
        .map(|age| Target::Kept(kept(pipeline), age));
    let mut targets = Vec::from_iter(kept);
    let mut by_stream: Vec<(String, Vec<Transform>)> = Vec::new();
    for section in [results, dead].into_iter().flatten() {
        let transform = Transform {
            from: format!("{}{}", section.of, section.behind),
            to: section.to.to_owned(),
        };
        if section.forward {
            forwarded(connection, context, &section, own, &transform).await?;
            targets.push(Target::Forwarded(format!("{}.>", section.of)));
            continue;
        }
        let stream = target(connection, context, &section, own, create).await?;
        match by_stream.iter_mut().find(|(known, _)| *known == stream) {
            Some((_, transforms)) => transforms.push(transform),
            None => by_stream.push((stream.clone(), vec![transform])),
        }
        targets.push(Target::Sourced(SourcedBy {
            stream,
            of: section.of,
            subject: (section.to != ">").then(|| section.to.to_owned()),
            to: String::new(),
        }));
    }
    let may = may_create(pipeline, create);
    for (stream, transforms) in by_stream {
        let ensured =
            sourcing::ensure(connection, context, &stream, own.stream, &transforms, may).await;
        ensured.hint(
            || "where the stream may not be changed, let the job publish there: `forward: true` in its section",
        )?;
    }
    targets.extend(views::ensure(connection, context, pipeline, own, may).await?);
    Ok(targets)
}

/// The stream that sources the outputs of a section.
async fn target(
    connection: &Connection,
    context: &Context,
    section: &Section<'_>,
    own: Own<'_>,
    create: bool,
) -> Result<String> {
    let role = section.role;
    let mut found = None;
    if let Some(subject) = section.subject {
        let usual = || create.then(|| default_stream(vec![subject.to_owned()]));
        let settings = section.create.cloned().or_else(usual);
        let settings = settings.map(|settings| StreamSettings {
            replicas: settings.replicas.or(Some(own.replicas)),
            ..settings
        });
        let (name, settings) = (section.stream, settings.as_ref());
        let looked = ensure_target(connection, context, subject, name, settings, create, role);
        found = looked
            .await
            .hint(|| format!("for a stream of another account, set `{role}.forward: true`"))?;
    }
    let found = found.or(section.stream.map(ToOwned::to_owned));
    found
        .ok_or_else(|| anyhow!("cannot determine the stream for the results of the job"))
        .hint(|| format!("name it: `{role}.stream`; or set `{role}.forward: true`"))
}

/// What is forwarded needs no stream that is known here; one is made only if the section says so.
async fn forwarded(
    connection: &Connection,
    context: &Context,
    section: &Section<'_>,
    own: Own<'_>,
    transform: &Transform,
) -> Result<()> {
    let Some(subject) = section.subject else {
        return Ok(());
    };
    if let Some(settings) = section.create {
        let (name, role) = (section.stream, section.role);
        let settings = Some(settings);
        ensure_target(connection, context, subject, name, settings, false, role).await?;
    }
    sourcing::refuse(connection, context, subject, own.stream, transform).await
}

/// How far the streams of a pipeline are with what its job has published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sourced {
    /// What is behind, if anything is.
    pub behind: Option<Behind>,
    /// Sequences of the job's stream that are known to be sourced or forwarded, added up: it grows as they are.
    pub upto: u64,
}

/// What does not take over what a job has published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behind {
    /// A stream does not source it.
    Sourcing(String),
    /// It is not forwarded.
    Forwarding,
}

/// Removes results and dead letters from the stream of a job after the streams of the pipeline have stored
/// them, or when they are too old. Forwarded ones are removed by their forwarder.
///
/// # Errors
/// When the server does not answer, or refuses.
pub(super) async fn sweep(connection: &Connection, place: &JobPlace) -> Result<Sourced> {
    let (context, job) = (jetstream(connection), &*place.stream);
    let mut all = Sourced::default();
    for target in &place.targets {
        match target {
            Target::Sourced(by) => remove_sourced(connection, &context, job, by, &mut all).await?,
            Target::Forwarded(filter) => {
                let first = Which::next(1, filter);
                if let Some(first) = stored::get(connection, &context, job, &first).await? {
                    all.behind = Some(Behind::Forwarding);
                    all.upto += first.sequence;
                }
            }
            Target::Kept(filters, max_age) => {
                for filter in filters {
                    expire(connection, &context, job, filter, *max_age).await?;
                }
            }
        }
    }
    Ok(all)
}

/// Removes what a stream has sourced.
async fn remove_sourced(
    connection: &Connection,
    context: &Context,
    job: &str,
    by: &SourcedBy,
    all: &mut Sourced,
) -> Result<()> {
    let SourcedBy {
        stream,
        of,
        subject,
        to,
    } = by;
    let filter = format!("{of}.>");
    let last = Which::last(&filter);
    let Some(last) = stored::get(connection, context, job, &last).await? else {
        return Ok(());
    };
    let own = last.subject.strip_prefix(of);
    let own = own.and_then(|rest| rest.splitn(3, '.').nth(2));
    let own = own.map(|own| format!("{to}{own}"));
    let subject = subject.as_deref().or(own.as_deref()).unwrap_or_default();
    let sourced = sourcing::sourced(connection, context, stream, job, subject).await;
    // A bucket that is gone, or may not be read, keeps no other from being swept.
    let sourced = match to.is_empty() {
        true => sourced?,
        false => sourced.unwrap_or_default(),
    };
    let sourced = sourced.unwrap_or_default();
    all.upto += sourced;
    if sourced < last.sequence {
        all.behind = Some(Behind::Sourcing(stream.clone()));
    }
    if sourced > 0 {
        purge(connection, context, job, &filter, sourced + 1).await?;
    }
    Ok(())
}

/// Removes what matches `filter` and is older than that.
async fn expire(
    connection: &Connection,
    context: &Context,
    job: &str,
    filter: &str,
    max_age: Duration,
) -> Result<()> {
    let age = jiff::SignedDuration::try_from(max_age).context("there is no such age")?;
    // Before that time, there was nothing.
    let Ok(oldest) = jiff::Timestamp::now().checked_sub(age) else {
        return Ok(());
    };
    let last = Which::last(filter);
    let Some(last) = stored::get(connection, context, job, &last).await? else {
        return Ok(());
    };
    let since = stored::get(connection, context, job, &Which::since(oldest, filter)).await?;
    let end = since.map_or(last.sequence + 1, |since| since.sequence);
    loop {
        let first = stored::get(connection, context, job, &Which::next(1, filter)).await?;
        let Some(first) = first.filter(|first| first.sequence < end) else {
            return Ok(());
        };
        let before = end.min(first.sequence + STEP);
        purge(connection, context, job, filter, before).await?;
    }
}

/// Removes what matches `filter` before this sequence.
pub(super) async fn purge(
    connection: &Connection,
    context: &Context,
    stream: &str,
    filter: &str,
    before: u64,
) -> Result<()> {
    let question = json!({ "filter": filter, "seq": before });
    let api = connection.api.stream_purge(stream);
    let asked = context.request(format!("STREAM.PURGE.{stream}"), &question);
    let answer: Response<serde_json::Value> = permitted(connection, &api, asked)
        .await?
        .map_err(|error| failed(&error))?;
    match answer {
        Response::Ok(_) => Ok(()),
        Response::Err { error } => Err(error.into()),
    }
}
