//! `weir job savepoint`: named copies of a job's state and positions, taken while it runs.

use super::super::{Console, files};
use super::confirm::{self, Confirm};
use crate::job::operate::Operated;
use crate::job::restore;
use crate::job::savepoint::{Verified, verify};
use crate::nats::job::{self, Definition};
use crate::nats::job_admin::{self, Defined};
use crate::nats::savepoints::Savepoints;
use crate::nats::{Connection, history::History, job_stream};
use crate::report::{self, ResultExt, escape};
use anyhow::{Context as _, Result, anyhow};
use serde_json::json;

/// Bytes between what makes a savepoint and what stores it.
const PIPE: usize = 256 << 10;

#[derive(clap::Subcommand)]
pub(in super::super) enum Command {
    /// Store a savepoint of a job, which goes on meanwhile.
    Create(Create),
    /// List savepoints.
    #[command(visible_alias = "list")]
    Ls(List),
    /// Give a job the state and the positions of a savepoint, in place of its own or as a new job.
    Restore(Restore),
    /// Remove a savepoint.
    Rm(Named),
}

#[derive(clap::Args)]
#[command(after_help = "\
Each partition is saved as of one of its commits. Needs the permissions of `weir job state ls`, and to create and write \
the bucket `weir-savepoints`.")]
pub(in super::super) struct Create {
    /// The name of the job: that of its pipeline.
    #[arg(value_name = "NAME")]
    job: String,

    /// The name of the savepoint. [default: the time]
    #[arg(long = "name", value_name = "SAVEPOINT", value_parser = plain)]
    name: Option<String>,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
pub(in super::super) struct List {
    /// Only savepoints of this job.
    #[arg(value_name = "NAME")]
    job: Option<String>,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
pub(in super::super) struct Named {
    /// The name of the job that it is of.
    #[arg(value_name = "NAME")]
    job: String,

    #[arg(value_name = "SAVEPOINT")]
    name: String,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
#[command(after_help = "\
Hosts that run the job give up its partitions and go on with the new state. With another number of partitions the pipeline \
needs the same `partitions`: stop its hosts before, and start them with the new file. A job that is not there yet is made, \
and goes on when a host runs it. Where it was interrupted, it can be run again.")]
pub(in super::super) struct Restore {
    /// The name of the job that gets the state.
    #[arg(value_name = "NAME")]
    job: String,

    #[arg(value_name = "SAVEPOINT")]
    name: String,

    /// The name of the job that the savepoint is of. [default: the same]
    #[arg(long, value_name = "NAME")]
    of: Option<String>,

    /// The number of partitions that the job is to have. [default: that of the savepoint]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    partitions: Option<u16>,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    reach: files::Reach,
}

/// The name of a savepoint.
pub(in super::super) fn plain(text: &str) -> Result<String, String> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    // A number is a sequence to `reset`.
    let is_number = text.chars().all(|character| character.is_ascii_digit());
    match text.len() <= 64 && !is_number && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => {
            Err("use up to 64 letters, digits, `-`, `_` and `.`, and not only digits".to_owned())
        }
    }
}

impl Command {
    pub(super) fn run(self, console: &Console) -> Result<u8> {
        match self {
            Self::Create(arguments) => create(&arguments, console),
            Self::Ls(arguments) => list(&arguments, console),
            Self::Restore(arguments) => restore_named(&arguments, console),
            Self::Rm(Named { job, name, reach }) => {
                reach.connected("job", async |connection| {
                    Savepoints::find(&connection)
                        .await?
                        .remove(&job, &name)
                        .await
                })?;
                let shown = format!("removed savepoint {}", escape::line(&name));
                console.answer(&json!({ "removed": name }), &shown)?;
                Ok(report::DONE)
            }
        }
    }
}

fn create(Create { job, name, reach }: &Create, console: &Console) -> Result<u8> {
    let name = name.clone().unwrap_or_else(|| {
        let now = jiff::Timestamp::now().to_string();
        now.split('.').next().unwrap_or_default().replace(':', "-")
    });
    let (amount, stored) = reach.connected("job", async |connection| {
        let operated = Operated::open(&connection, job).await?;
        let stream = source(&connection, &operated.definition).await?;
        let bucket = Savepoints::open(&connection, stream.wanted().replicas).await?;
        if bucket.holds(job, &name).await? {
            return Err(anyhow!("job `{job}` has a savepoint `{name}` already"))
                .hint(|| "remove it with `weir job savepoint rm`, or choose another name");
        }
        let _progress = console.progress("storing the state");
        let (to, from) = tokio::io::duplex(PIPE);
        let (saved, stored) = tokio::join!(
            async {
                let saved = restore::save(&operated, to).await;
                saved.with_context(|| format!("cannot make a savepoint of job `{job}`"))
            },
            // Where it fails, nobody reads any more, and what is made has an end, too.
            async {
                let mut from = from;
                bucket.put(job, &name, &mut from).await
            }
        );
        let saved = match saved {
            Ok(saved) => saved,
            Err(error) => {
                // What is not whole is not kept.
                if stored.is_ok() {
                    let _ = bucket.remove(job, &name).await;
                }
                return Err(stored.err().unwrap_or(error));
            }
        };
        Ok((saved, stored?))
    })?;
    let value = json!({ "job": job, "savepoint": name, "state": amount, "bytes": stored });
    let shown = format!(
        "savepoint {name} of job {job}: {} keys, {} rows, {stored} bytes",
        amount.keys, amount.rows
    );
    console.answer(&value, &shown)?;
    Ok(report::DONE)
}

fn list(List { job, reach }: &List, console: &Console) -> Result<u8> {
    let listed = reach.connected("job", async |connection| {
        Savepoints::find(&connection)
            .await?
            .list(job.as_deref())
            .await
    })?;
    let line = |listed: &crate::nats::savepoints::Listed| {
        let (job, name) = (escape::line(&listed.job), escape::line(&listed.name));
        format!("{job}  {name}  {} bytes  {}\n", listed.bytes, listed.at)
    };
    let lines: String = listed.iter().map(line).collect();
    console.answer(&listed, &lines)?;
    Ok(report::DONE)
}

fn restore_named(arguments: &Restore, console: &Console) -> Result<u8> {
    let Restore { job, name, of, .. } = arguments;
    let of = of.as_deref().unwrap_or(job);
    let (verified, partitions) = arguments.reach.connected("job", async |connection| {
        let partitions = arguments.partitions;
        let confirm = &arguments.confirm;
        into(&connection, job, (of, name), partitions, confirm, console).await
    })?;
    let amount = verified.amount;
    let value = json!({ "job": job, "savepoint": name, "state": amount, "partitions": partitions });
    let shown = format!(
        "job {job} has the state of savepoint {name}: {} keys, {} rows, {partitions} partitions",
        amount.keys, amount.rows
    );
    console.answer(&value, &shown)?;
    Ok(report::DONE)
}

/// Restores a savepoint into a job.
///
/// # Errors
/// When there is no such savepoint, it is damaged, or it is not to be done.
pub(super) async fn into(
    connection: &Connection,
    job: &str,
    (of, name): (&str, &str),
    partitions: Option<u16>,
    confirm: &Confirm,
    console: &Console,
) -> Result<(Verified, u16)> {
    let bucket = Savepoints::find(connection).await?;
    let _progress = console.progress("verifying the savepoint");
    let verified = verify(bucket.get(of, name).await?).await;
    let verified =
        verified.with_context(|| format!("cannot use savepoint `{name}` of job `{of}`"))?;
    let saved = &verified.header.definition;
    let definition = Definition {
        partitions: partitions.unwrap_or(saved.partitions),
        ..saved.clone()
    };
    let found = job_admin::definition(connection, job).await?;
    let operated = match found {
        Some(_) => {
            let operated = Operated::open(connection, job).await?;
            confirm::lost(&operated, confirm, console).await?;
            operated
        }
        None => {
            let source = source(connection, &definition).await?;
            let (prefix, stream) = job::names(job);
            let wanted = source.wanted();
            job_stream::ensure(connection, &stream, &prefix, Some(wanted)).await?;
            let defined = Defined {
                definition: definition.clone(),
                sequence: 0,
            };
            Operated::with(connection, job, defined).await?
        }
    };
    let from = bucket.get(of, name).await?;
    restore::restore(connection, &operated, &definition, &verified.spans, from).await?;
    Ok((verified, definition.partitions))
}

/// The stream that a job reads.
///
/// # Errors
/// When it is not there.
pub(super) async fn source(connection: &Connection, definition: &Definition) -> Result<History> {
    let source = &definition.source;
    let stream = source
        .rsplit_once('@')
        .map_or(&**source, |(stream, _)| stream);
    let found = History::find(connection, stream).await?;
    found.with_context(|| {
        format!(
            "there is no stream `{}`, which the job reads",
            stream.escape_debug()
        )
    })
}
