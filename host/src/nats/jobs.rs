//! The content of the streams of jobs, for people: found by their subjects, and read whatever it is.

use super::by_subject::all_by_subject;
use super::job::{JobPlace, PREFIX};
use super::job_admin;
use super::stored::{self, StoredMessage, Which};
use super::streams::{Context, jetstream};
use super::{Connection, failed, passes, permitted};
use crate::config::resolved::Pipeline;
use anyhow::{Context as _, Result};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Partitions that are looked at: no job has more.
const MOST: usize = 1024;

/// A job, as its stream shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    pub name: String,
    pub stream: String,
    /// Whether its operator has paused it; none where that cannot be read.
    pub paused: Option<bool>,
    /// Those that were ever claimed, as far as the job still has them.
    pub partitions: BTreeSet<u16>,
    /// Messages and bytes of the stream: checkpoints, deltas, snapshots and results.
    pub messages: u64,
    pub bytes: u64,
}

/// Records of a partition in the stream.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Records {
    /// Parts of deltas.
    pub log: u64,
    /// Key groups with a snapshot.
    pub snapshots: u64,
}

/// All jobs, or the one of this name.
///
/// # Errors
/// When the server does not answer.
pub async fn list(connection: &Connection, name: Option<&str>) -> Result<Vec<Job>> {
    let mut jobs = find(connection, name).await?;
    for job in &mut jobs {
        // Whatever of it cannot be read, the rest is shown.
        match job_admin::control(connection, &job.name).await {
            Ok((control, _)) => job.paused = Some(control.paused),
            // The next question would wait as long.
            Err(error) if passes(&error) => continue,
            Err(_) => {}
        }
        if let Ok(Some(defined)) = job_admin::definition(connection, &job.name).await {
            // After a restore with fewer partitions those that are left have a checkpoint.
            let partitions = defined.definition.partitions;
            job.partitions.retain(|partition| *partition < partitions);
        }
    }
    Ok(jobs)
}

/// How many partitions of a job there ever were, as far as its stream shows.
///
/// # Errors
/// When the server does not answer.
pub async fn claimed(connection: &Connection, name: &str) -> Result<u16> {
    let jobs = find(connection, Some(name)).await?;
    let last = jobs.iter().filter_map(|job| job.partitions.last()).max();
    Ok(last.map_or(0, |last| last.saturating_add(1)))
}

async fn find(connection: &Connection, name: Option<&str>) -> Result<Vec<Job>> {
    let context = jetstream(connection);
    let filter = format!("{PREFIX}.{}.ckpt.*", name.unwrap_or("*"));
    let streams = all_by_subject(&context, &filter);
    let streams = permitted(connection, &connection.api.stream_names(), streams).await?;
    let mut jobs: BTreeMap<String, Job> = BTreeMap::new();
    for stream in streams.context("cannot look for the streams of jobs")? {
        let Some(state) = state(connection, &context, &stream, &filter).await? else {
            continue;
        };
        for subject in state.subjects.keys() {
            let Some((name, "ckpt", partition)) = parts(subject) else {
                continue;
            };
            let job = jobs.entry(name.to_owned()).or_insert_with(|| Job {
                name: name.to_owned(),
                stream: stream.clone(),
                paused: None,
                partitions: BTreeSet::new(),
                messages: state.messages,
                bytes: state.bytes,
            });
            if job.partitions.len() < MOST {
                job.partitions.insert(partition);
            }
        }
    }
    Ok(jobs.into_values().collect())
}

/// The last message on the checkpoint's subject of a partition.
///
/// # Errors
/// `Ok(None)` when it is gone; an error when the server does not say.
pub async fn checkpoint(
    connection: &Connection,
    job: &Job,
    partition: u16,
) -> Result<Option<StoredMessage>> {
    let subject = format!("{PREFIX}.{}.ckpt.{partition}", job.name);
    let context = jetstream(connection);
    let found = stored::get(connection, &context, &job.stream, &Which::last(&subject)).await;
    found.with_context(|| format!("cannot read the checkpoint of partition `{partition}`"))
}

/// Up to where the inputs of a partition are in its last checkpoint: `<stream>@<incarnation>` and the sequence. Empty if
/// that cannot be read.
///
/// # Errors
/// When the server does not say.
pub async fn positions(
    connection: &Connection,
    place: &JobPlace,
    partition: u16,
) -> Result<Vec<(String, u64)>> {
    let (context, subject) = (
        jetstream(connection),
        format!("{}.ckpt.{partition}", place.prefix),
    );
    let which = Which::last(&subject);
    let found = stored::get(connection, &context, &place.stream, &which).await?;
    Ok(found.as_ref().map(read_positions).unwrap_or_default())
}

fn read_positions(checkpoint: &StoredMessage) -> Vec<(String, u64)> {
    #[derive(Deserialize)]
    struct Checkpoint {
        inputs: Vec<Progress>,
    }
    #[derive(Deserialize)]
    struct Progress {
        source: String,
        position: u64,
    }
    let read: Option<Checkpoint> = serde_json::from_slice(&checkpoint.payload).ok();
    let inputs = read.into_iter().flat_map(|checkpoint| checkpoint.inputs);
    inputs.map(|input| (input.source, input.position)).collect()
}

/// The last message of each stream that a job has processed; there may be others before it that are still to be
/// processed. None if it has no stream of its own.
///
/// # Errors
/// When the server does not say.
pub async fn furthest(
    connection: &Connection,
    pipeline: &Pipeline,
) -> Result<Option<BTreeMap<String, u64>>> {
    let jobs = list(connection, Some(&pipeline.name)).await?;
    let Some(job) = jobs.into_iter().next() else {
        return Ok(None);
    };
    let mut furthest: BTreeMap<String, u64> = BTreeMap::new();
    for partition in &job.partitions {
        let found = checkpoint(connection, &job, *partition).await?;
        for (source, position) in found.iter().flat_map(read_positions) {
            let (stream, _) = source.rsplit_once('@').unwrap_or_default();
            let of_stream = furthest.entry(stream.to_owned()).or_default();
            *of_stream = position.max(*of_stream);
        }
    }
    Ok(Some(furthest))
}

/// The place of the first result or dead letter in the stream of a job: earlier ones are sourced or
/// forwarded.
///
/// # Errors
/// When the server does not answer.
pub async fn first_output(connection: &Connection, name: &str) -> Result<Option<u64>> {
    let (prefix, stream) = super::job::names(name);
    let context = jetstream(connection);
    let mut first = None;
    for kind in ["out", "dead"] {
        let which = Which::next(1, &format!("{prefix}.{kind}.>"));
        let found = stored::get(connection, &context, &stream, &which).await?;
        first = first
            .into_iter()
            .chain(found.map(|found| found.sequence))
            .min();
    }
    Ok(first)
}

/// How many records there are of each partition.
///
/// # Errors
/// When the server does not answer.
pub async fn records(connection: &Connection, job: &Job) -> Result<BTreeMap<u16, Records>> {
    let context = jetstream(connection);
    let mut records: BTreeMap<u16, Records> = BTreeMap::new();
    for kind in ["log.*", "snap.*.*"] {
        let filter = format!("{PREFIX}.{}.{kind}", job.name);
        let state = state(connection, &context, &job.stream, &filter).await?;
        for (subject, count) in state.into_iter().flat_map(|state| state.subjects) {
            let Some((_, kind, partition)) = parts(&subject) else {
                continue;
            };
            let of = records.entry(partition).or_default();
            match kind {
                "log" => of.log += count,
                _ => of.snapshots += 1,
            }
        }
    }
    Ok(records)
}

/// The last sequence of a stream.
///
/// # Errors
/// `Ok(None)` when there is no such stream; an error when the server does not say.
pub async fn last_sequence(connection: &Connection, stream: &str) -> Result<Option<u64>> {
    let context = jetstream(connection);
    // No subject matches: their number is not asked for.
    let state = state(connection, &context, stream, PREFIX).await?;
    Ok(state.map(|state| state.last_seq))
}

/// A stream's state, with the subjects that match and how many messages each has.
#[derive(Deserialize)]
struct State {
    messages: u64,
    bytes: u64,
    last_seq: u64,
    #[serde(default)]
    subjects: BTreeMap<String, u64>,
}

async fn state(
    connection: &Connection,
    context: &Context,
    stream: &str,
    filter: &str,
) -> Result<Option<State>> {
    #[derive(Deserialize)]
    struct Info {
        state: State,
    }
    let what = || format!("cannot read stream `{stream}`");
    let question = json!({ "subjects_filter": filter });
    let asked = context.request(format!("STREAM.INFO.{stream}"), &question);
    let api = connection.api.stream_info(stream);
    let answer = permitted(connection, &api, asked)
        .await
        .with_context(what)?;
    let answer = answer.map_err(|error| failed(&error));
    match answer.with_context(what)? {
        Response::Ok(Info { state }) => Ok(Some(state)),
        Response::Err { error } if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
        Response::Err { error } => Err(error).with_context(what),
    }
}

/// Job, kind and partition of a subject.
fn parts(subject: &str) -> Option<(&str, &str, u16)> {
    let rest = subject.strip_prefix(PREFIX)?.strip_prefix('.')?;
    let mut tokens = rest.split('.');
    let (job, kind, partition) = (tokens.next()?, tokens.next()?, tokens.next()?);
    Some((job, kind, partition.parse().ok()?))
}
