//! `weir job`: the jobs of a server, and the progress of each of their partitions.
//!
//! The data comes from streams and a bucket to which anybody may have written. The commands report what they
//! cannot read, and escape everything before it reaches a terminal.

mod confirm;
mod control;
mod savepoint;
mod sources;
mod state;
mod stopped;
mod text;

pub(super) use savepoint::plain as savepoint_name;

use super::{Console, files};
use crate::job::log::Checkpoint;
use crate::nats::jobs::{self, Job, Records};
use crate::nats::members::{Member, Members, Trouble};
use crate::nats::service;
use crate::nats::{self, Connection};
use crate::report::{self, ResultExt};
use anyhow::{Result, anyhow};
use serde::Serialize;
use serde_json::Value;
use sources::Source;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use text::{line, text};

/// How long hosts have to say what they hold.
const WAIT: Duration = Duration::from_millis(500);

/// What to do when JetStream does not answer.
const UNANSWERED: &str = "try again in some seconds: servers that elect a leader answer nothing for up to 10 s; then look \
                          at their logs and at the replicas of the stream";

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List the jobs that have a stream.
    Ls(List),
    /// Show a job: its hosts, and the owner, commits, positions and lag of each partition.
    Show(Show),
    /// List and get the state of a job's plugins: values, timers, and waiting messages.
    #[command(subcommand)]
    State(state::Command),
    /// Pause a job on all hosts, until it is resumed.
    Pause(control::Named),
    /// Resume a paused job.
    Resume(control::Named),
    /// Continue a job from another message with an empty state, or from a savepoint. Asks for confirmation.
    Reset(control::Reset),
    /// Create, list, restore and remove savepoints: copies of the state and the positions of a job.
    #[command(subcommand)]
    Savepoint(savepoint::Command),
}

#[derive(clap::Args)]
#[command(after_help = "\
Needs permission for $JS.API.STREAM.NAMES, and for STREAM.INFO of the streams of jobs.")]
pub(super) struct List {
    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
#[command(after_help = "\
The lag is the number of messages in the source's stream after the position, including those of other partitions. Needs \
permission for $JS.API.STREAM.NAMES, for STREAM.INFO of the job's stream and of its sources, for STREAM.MSG.GET \
of the job's stream, for DIRECT.GET.KV_weir-members, and for $SRV.STATS.weir: hosts report the size of the state.")]
pub(super) struct Show {
    /// The name of the job, which is the name of its pipeline.
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    reach: files::Reach,
}

/// A job as it is shown.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    job: Job,
    /// Hosts that have said something in the last half minute; none where the bucket cannot be read.
    hosts: Vec<Member>,
    /// Why the hosts are not known.
    hosts_unknown: Option<String>,
    /// The request that JetStream did not answer. What is asked of it after that is unknown.
    unanswered: Option<String>,
    /// By stream, why the lag in it is not known.
    lag_unknown: BTreeMap<String, String>,
    /// What it reads.
    sources: Vec<Source>,
    state: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    partition: u16,
    /// Names of the hosts that say that they own it: one, unless it is just moving.
    owners: Vec<String>,
    /// The hosts that stand by for it.
    standbys: Vec<Standby>,
    /// None where it cannot be read, or JetStream does not answer.
    checkpoint: Option<Checkpoint>,
    /// What of each input is behind the position; none where its stream does not say.
    lag: Vec<Option<u64>>,
    /// How far the watermark of each input is behind the clock of this machine, in seconds: event time that is to
    /// come. Less than 0 where it is ahead; none before there is a watermark.
    event_time_lag_seconds: Vec<Option<f64>>,
    /// None where JetStream does not answer.
    records: Option<Records>,
    /// What its owner says of it; none where nobody answers.
    held: Option<Value>,
}

/// A host that follows the log of a partition.
#[derive(Serialize)]
struct Standby {
    host: String,
    /// Records that it did not have when it last said so, up to two seconds ago; none where the checkpoint cannot
    /// be read.
    behind: Option<u64>,
}

impl Command {
    pub(super) fn run(self, console: &Console) -> Result<u8> {
        match self {
            Self::Ls(arguments) => list(&arguments, console),
            Self::Show(arguments) => show(&arguments, console),
            Self::State(command) => command.run(console),
            Self::Pause(arguments) => control::pause(&arguments, true, console),
            Self::Resume(arguments) => control::pause(&arguments, false, console),
            Self::Reset(arguments) => control::reset(&arguments, console),
            Self::Savepoint(command) => command.run(console),
        }
    }
}

fn list(arguments: &List, console: &Console) -> Result<u8> {
    let jobs = arguments.reach.connected("job", async |connection| {
        jobs::list(&connection, None).await.map_err(advised)
    })?;
    let lines: String = jobs.iter().map(line).collect();
    console.answer(&jobs, &lines)?;
    Ok(report::DONE)
}

fn show(arguments: &Show, console: &Console) -> Result<u8> {
    let name = &arguments.name;
    let shown = arguments.reach.connected("job", async |connection| {
        let found = jobs::list(&connection, Some(name)).await;
        let mut found = found.map_err(advised)?;
        found.retain(|job| job.name == *name);
        let Some(job) = found.pop() else {
            return Err(anyhow!("there is no job `{name}`")).hint(|| "see `weir job ls`");
        };
        look(&connection, job).await
    })?;
    console.answer(&shown, &text(&shown))?;
    Ok(report::DONE)
}

/// With a hint, if it is a request that JetStream does not answer.
fn advised(error: anyhow::Error) -> anyhow::Error {
    match nats::passes(&error) {
        true => report::hint(error, UNANSWERED),
        false => error,
    }
}

/// None if JetStream does not answer, which is noted: nothing else is asked then, because each question would wait as
/// long.
async fn answered<T>(
    silence: &mut Option<String>,
    question: impl Future<Output = Result<T>>,
) -> Result<Option<T>> {
    if silence.is_some() {
        return Ok(None);
    }
    match question.await {
        Err(error) if nats::passes(&error) => {
            *silence = Some(report::line(&error));
            Ok(None)
        }
        answer => answer.map(Some),
    }
}

async fn look(connection: &Connection, job: Job) -> Result<Shown> {
    let members = Members::open(connection, &job.name).await?;
    let (hosts, hosts_unknown) = match members.read().await {
        Ok(hosts) => (hosts, None),
        // No host has ever joined.
        Err(Trouble::Missing) => (Vec::new(), None),
        Err(trouble) => (Vec::new(), Some(trouble.to_string())),
    };
    let hosts: Vec<Member> = hosts.into_iter().filter(|host| !host.left).collect();
    let mut unanswered = None;
    let records = answered(&mut unanswered, jobs::records(connection, &job)).await?;
    let held = match hosts.is_empty() {
        true => Vec::new(),
        // Without permission the rest is shown all the same.
        false => service::discover(connection, WAIT)
            .await
            .unwrap_or_default(),
    };
    let of_job = held
        .iter()
        .flat_map(|host| host["pipelines"].as_array())
        .flatten();
    let of_job = of_job.filter(|pipeline| pipeline["name"] == job.name.as_str());
    let held: Vec<&Value> = of_job
        .filter_map(|pipeline| pipeline.pointer("/job/state")?.as_array())
        .flatten()
        .collect();
    let sources = answered(&mut unanswered, sources::of(connection, &job.name)).await?;
    let (mut ends, mut lag_unknown) = (BTreeMap::new(), BTreeMap::new());
    let mut state = Vec::new();
    for &partition in &job.partitions {
        let stored = jobs::checkpoint(connection, &job, partition);
        let stored = answered(&mut unanswered, stored).await?.flatten();
        let checkpoint: Option<Checkpoint> =
            stored.and_then(|stored| serde_json::from_slice(&stored.payload).ok());
        let mut lag = Vec::new();
        for input in checkpoint.iter().flat_map(|checkpoint| &checkpoint.inputs) {
            let stream = input.source.split('@').next().unwrap_or_default();
            let end = match ends.get(stream) {
                Some(end) => *end,
                None => {
                    let end = last_sequence(connection, stream);
                    let end = answered(&mut unanswered, end).await;
                    let end = end.unwrap_or_else(|error| {
                        lag_unknown.insert(stream.to_owned(), report::line(&error));
                        None
                    });
                    let end = end.flatten();
                    ends.insert(stream.to_owned(), end);
                    end
                }
            };
            lag.push(end.map(|end: u64| end.saturating_sub(input.position)));
        }
        let marks = checkpoint.iter().flat_map(|checkpoint| &checkpoint.inputs);
        let marks = marks.map(|input| input.watermark.map(behind_now));
        let owners = hosts.iter().filter(|host| host.owned.contains(&partition));
        state.push(Partition {
            partition,
            owners: owners.map(|host| host.name.clone()).collect(),
            standbys: standbys(&hosts, partition, checkpoint.as_ref()),
            event_time_lag_seconds: marks.collect(),
            checkpoint,
            lag,
            records: records
                .as_ref()
                .map(|of| of.get(&partition).copied().unwrap_or_default()),
            held: held
                .iter()
                .find(|held| held["partition"] == partition)
                .map(|held| (*held).clone()),
        });
    }
    Ok(Shown {
        job,
        hosts,
        hosts_unknown,
        unanswered,
        lag_unknown,
        sources: sources.unwrap_or_default(),
        state,
    })
}

/// How many seconds this time lies behind the clock.
fn behind_now(nanoseconds: i64) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i128::try_from(now.unwrap_or_default().as_nanos()).unwrap_or(i128::MAX);
    (now - i128::from(nanoseconds)) as f64 / 1e9
}

fn standbys(hosts: &[Member], partition: u16, checkpoint: Option<&Checkpoint>) -> Vec<Standby> {
    let standbys = hosts.iter().filter_map(|host| {
        let record = *host.standby.get(&partition)?;
        let behind = checkpoint.map(|checkpoint| checkpoint.log.saturating_sub(record));
        let host = host.name.clone();
        Some(Standby { host, behind })
    });
    standbys.collect()
}

/// None where there is no such stream. A name from a checkpoint may be no name of a stream.
///
/// # Errors
/// When the server does not say.
async fn last_sequence(connection: &Connection, stream: &str) -> Result<Option<u64>> {
    let is_plain = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_');
    if stream.is_empty() || !stream.chars().all(is_plain) {
        return Ok(None);
    }
    jobs::last_sequence(connection, stream).await
}
