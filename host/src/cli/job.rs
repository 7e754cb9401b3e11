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

pub(super) use savepoint::plain as savepoint_name;

use super::shown::moment;
use super::{Console, files};
use crate::job::log::Checkpoint;
use crate::job::rows;
use crate::nats::Connection;
use crate::nats::jobs::{self, Job, Records};
use crate::nats::members::{Member, Members, Trouble};
use crate::nats::service;
use crate::report::{self, ResultExt, count, escape};
use anyhow::{Result, anyhow};
use serde::Serialize;
use serde_json::Value;
use sources::Source;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long hosts have to say what they hold.
const WAIT: Duration = Duration::from_millis(500);

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
    /// None where it cannot be read.
    checkpoint: Option<Checkpoint>,
    /// What of each input is behind the position; none where its stream does not say.
    lag: Vec<Option<u64>>,
    /// How far the watermark of each input is behind the clock of this machine, in seconds: event time that is to
    /// come. Less than 0 where it is ahead; none before there is a watermark.
    event_time_lag_seconds: Vec<Option<f64>>,
    records: Records,
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
        jobs::list(&connection, None).await
    })?;
    let lines: String = jobs.iter().map(line).collect();
    console.answer(&jobs, &lines)?;
    Ok(report::DONE)
}

fn show(arguments: &Show, console: &Console) -> Result<u8> {
    let name = &arguments.name;
    let shown = arguments.reach.connected("job", async |connection| {
        let mut found = jobs::list(&connection, Some(name)).await?;
        found.retain(|job| job.name == *name);
        let Some(job) = found.pop() else {
            return Err(anyhow!("there is no job `{name}`")).hint(|| "see `weir job ls`");
        };
        look(&connection, job).await
    })?;
    console.answer(&shown, &text(&shown))?;
    Ok(report::DONE)
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
    let mut records = jobs::records(connection, &job).await?;
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
    let sources = sources::of(connection, &job.name).await;
    let mut ends = BTreeMap::new();
    let mut state = Vec::new();
    for &partition in &job.partitions {
        let stored = jobs::checkpoint(connection, &job, partition).await?;
        let checkpoint: Option<Checkpoint> =
            stored.and_then(|stored| serde_json::from_slice(&stored.payload).ok());
        let mut lag = Vec::new();
        for input in checkpoint.iter().flat_map(|checkpoint| &checkpoint.inputs) {
            let stream = input.source.split('@').next().unwrap_or_default();
            let end = match ends.get(stream) {
                Some(end) => *end,
                None => {
                    let end = last_sequence(connection, stream).await;
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
            records: records.remove(&partition).unwrap_or_default(),
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
        sources,
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

/// None where nobody says: the rest is shown all the same. A name from a checkpoint may be no name of a stream.
async fn last_sequence(connection: &Connection, stream: &str) -> Option<u64> {
    let is_plain = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_');
    if stream.is_empty() || !stream.chars().all(is_plain) {
        return None;
    }
    jobs::last_sequence(connection, stream).await.ok().flatten()
}

fn line(job: &Job) -> String {
    format!(
        "job {}, stream {}: {}, {}, {}{}\n",
        escape::line(&job.name),
        escape::line(&job.stream),
        count(job.partitions.len(), "partition"),
        count(job.messages, "message"),
        count(job.bytes, "byte"),
        if job.paused { ", paused" } else { "" },
    )
}

fn text(shown: &Shown) -> String {
    let mut out = line(&shown.job);
    // Writing to a string does not fail.
    if let Some(why) = &shown.hosts_unknown {
        let _ = writeln!(out, "  hosts unknown: {}", escape::line(why));
    }
    for host in &shown.hosts {
        let owned: Vec<String> = host.owned.iter().map(u16::to_string).collect();
        let _ = writeln!(
            out,
            "  host {}: owns {}, said {}Z",
            escape::line(&host.name),
            match owned.is_empty() {
                true => "nothing".to_owned(),
                false => owned.join(" "),
            },
            escape::line(moment(&host.at)),
        );
    }
    for partition in &shown.state {
        let Partition {
            partition,
            owners,
            standbys,
            checkpoint,
            lag,
            event_time_lag_seconds,
            records,
            held,
        } = partition;
        let owners = match (owners.is_empty(), &shown.hosts_unknown) {
            (true, None) => "no owner".to_owned(),
            (true, Some(_)) => "owner unknown".to_owned(),
            _ => format!("owner {}", escape::line(&owners.join(", "))),
        };
        let Some(checkpoint) = checkpoint else {
            let _ = writeln!(
                out,
                "  partition {partition}: {owners}, its checkpoint cannot be read"
            );
            continue;
        };
        let _ = writeln!(
            out,
            "  partition {partition}: {owners}, epoch {}, {}, {}, {}",
            checkpoint.epoch,
            count(checkpoint.number.saturating_sub(checkpoint.epoch), "commit"),
            count(records.log, "log record"),
            count(records.snapshots, "snapshot"),
        );
        if let Some(held) = held {
            let number = |name: &str| held[name].as_u64().unwrap_or_default();
            let seconds = held["commit_seconds"].as_f64().unwrap_or_default();
            let _ = writeln!(
                out,
                "    state: {}, {}, {}; log: {}; last commit {:.1} ms",
                count(number("keys"), "key"),
                count(number("rows"), "row"),
                count(number("bytes"), "byte"),
                count(number("log_bytes"), "byte"),
                seconds * 1e3,
            );
            sources::loading(held, &mut out);
        }
        for Standby { host, behind } in standbys {
            let behind = behind.unwrap_or_default();
            let host = escape::line(host);
            let _ = writeln!(out, "    standby {host}: {behind} records behind");
        }
        for ((input, lag), behind) in checkpoint
            .inputs
            .iter()
            .zip(lag)
            .zip(event_time_lag_seconds)
        {
            let lag = lag.map_or_else(|| "unknown".to_owned(), |lag| lag.to_string());
            let names = sources::names(&shown.sources, &shown.job, input);
            let source = escape::line(&input.source);
            let mark = input.watermark.and_then(|mark| u64::try_from(mark).ok());
            let behind = behind.unwrap_or_default();
            let is_table = sources::is_table(&shown.sources, &shown.job, input);
            let mark = mark.filter(|_| !is_table).map(|mark| {
                let time = rows::time(mark);
                format!(", watermark {time}, {behind:.1} s behind the clock")
            });
            let _ = writeln!(
                out,
                "    {}{source}: position {}, lag {lag}{}{}",
                names
                    .iter()
                    .map(|name| format!("{} ", escape::line(name)))
                    .collect::<String>(),
                input.position,
                mark.unwrap_or_default(),
                match sources::holds_back(&shown.sources, &shown.job, input, checkpoint) {
                    true => "; event time waits for it",
                    false if is_table => "; a table, read before the others",
                    false => "",
                },
            );
        }
    }
    out
}
