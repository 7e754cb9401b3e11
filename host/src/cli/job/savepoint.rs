//! `weir job savepoint`: named copies of a job's state and positions, taken while it runs.

use super::super::{Console, files};
use super::confirm::{self, Confirm};
use super::stopped::nobody_runs;
use crate::job::operate::Operated;
use crate::job::positions::Span;
use crate::job::restore;
use crate::job::savepoint::{Verified, verify};
use crate::nats::job::{self, Definition};
use crate::nats::job_admin::{self, Defined};
use crate::nats::savepoints::Savepoints;
use crate::nats::{Connection, history::History, job_input, job_stream};
use crate::report::{self, ResultExt, count, escape};
use anyhow::{Context as _, Result, anyhow};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes between what makes a savepoint and what stores it.
const PIPE: usize = 256 << 10;

#[derive(clap::Subcommand)]
pub(in super::super) enum Command {
    /// Store a savepoint of a job, while the job continues.
    Create(Create),
    /// List savepoints.
    #[command(visible_alias = "list")]
    Ls(List),
    /// Replace the state and the positions of a job with those of a savepoint, or create a new job from it.
    Restore(Restore),
    /// Remove a savepoint.
    Rm(Named),
}

#[derive(clap::Args)]
#[command(after_help = "\
Each partition is saved as of one of its commits. Needs the permissions of `weir job state ls`, and permission to create and \
write the bucket `weir-savepoints`.")]
pub(in super::super) struct Create {
    /// The name of the job, which is the name of its pipeline.
    #[arg(value_name = "NAME")]
    job: String,

    /// The name of the savepoint. [default: the time]
    #[arg(long = "name", value_name = "SAVEPOINT", value_parser = plain)]
    name: Option<String>,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
#[command(after_help = "\
Needs permission to read the bucket: STREAM.INFO and CONSUMER.CREATE of OBJ_weir-savepoints.")]
pub(in super::super) struct List {
    /// List only savepoints of this job.
    #[arg(value_name = "NAME")]
    job: Option<String>,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
#[command(after_help = "\
Needs permission for STREAM.INFO and STREAM.PURGE of OBJ_weir-savepoints, and to read and write its records.")]
pub(in super::super) struct Named {
    /// The name of the savepoint's job.
    #[arg(value_name = "NAME")]
    job: String,

    #[arg(value_name = "SAVEPOINT")]
    name: String,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
#[command(after_help = "\
Hosts that run the job release its partitions and continue with the new state. To restore with another number of partitions, \
set the same `partitions` in the pipeline: stop its hosts first, which the command demands, and start them with the new file. If the job does not exist, \
the command creates it, and it continues when a host runs it. If the command is interrupted, run it again. Needs permission \
to read the bucket, and the permissions of `weir job reset`.")]
pub(in super::super) struct Restore {
    /// The name of the job that gets the state.
    #[arg(value_name = "NAME")]
    job: String,

    #[arg(value_name = "SAVEPOINT")]
    name: String,

    /// The name of the savepoint's job, if it is another one. [default: NAME]
    #[arg(long, value_name = "NAME")]
    of: Option<String>,

    /// The number of partitions of the restored job. [default: as in the savepoint]
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
                    let removed = async {
                        let bucket = Savepoints::find(&connection).await?;
                        bucket.remove(&job, &name).await
                    };
                    let removed = connection.unless_refused(removed).await;
                    removed
                        .with_context(|| format!("cannot remove savepoint `{name}` of job `{job}`"))
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
        let what = || format!("cannot create a savepoint of job `{job}`");
        let open = async {
            let bucket = Savepoints::open(&connection, stream.wanted().replicas).await?;
            let holds = bucket.holds(job, &name).await?;
            Ok((bucket, holds))
        };
        let (bucket, holds) = connection.unless_refused(open).await.with_context(what)?;
        if holds {
            return Err(anyhow!("job `{job}` already has a savepoint `{name}`"))
                .hint(|| "remove it with `weir job savepoint rm`, or choose another name");
        }
        let _progress = console.progress("storing the state");
        let (to, from) = tokio::io::duplex(PIPE);
        let (saved, stored) = tokio::join!(
            async {
                let saved = restore::save(&operated, to).await;
                saved.with_context(what)
            },
            // Where it fails, nobody reads any more, and what is made has an end, too.
            async {
                let mut from = from;
                let put = bucket.put(job, &name, &mut from);
                connection.unless_refused(put).await.with_context(what)
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
        "savepoint {name} of job {job}: {}, {}, {}",
        count(amount.keys, "key"),
        count(amount.rows, "row"),
        count(stored, "byte")
    );
    console.answer(&value, &shown)?;
    Ok(report::DONE)
}

fn list(List { job, reach }: &List, console: &Console) -> Result<u8> {
    let listed = reach.connected("job", async |connection| {
        let listed = Savepoints::list(&connection, job.as_deref());
        let listed = connection.unless_refused(listed).await;
        listed.context("cannot list the savepoints")
    })?;
    let line = |listed: &crate::nats::savepoints::Listed| {
        let (job, name) = (escape::line(&listed.job), escape::line(&listed.name));
        format!(
            "{job}  {name}  {}  {}\n",
            count(listed.bytes, "byte"),
            listed.at
        )
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
        "job {job} has the state of savepoint {name}: {}, {}, {}",
        count(amount.keys, "key"),
        count(amount.rows, "row"),
        count(partitions, "partition")
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
    let what = || format!("cannot use savepoint `{name}` of job `{of}`");
    let _progress = console.progress("verifying the savepoint");
    let found = async {
        let bucket = Savepoints::find(connection).await?;
        let verified = verify(bucket.get(of, name).await?).await?;
        Ok((bucket, verified))
    };
    let found = connection.unless_refused(found).await;
    let (bucket, verified) = found.with_context(what)?;
    same_input(connection, (of, job), &verified.spans)
        .await
        .with_context(what)?;
    let saved = &verified.header.definition;
    let definition = Definition {
        partitions: partitions.unwrap_or(saved.partitions),
        ..saved.clone()
    };
    let found = job_admin::definition(connection, job).await?;
    let operated = match found {
        Some(_) => {
            let operated = Operated::open(connection, job).await?;
            let (was, is) = (operated.definition.partitions, definition.partitions);
            if was != is {
                nobody_runs(connection, job, [was, is]).await?;
            }
            let positions = verified.spans.iter().flat_map(|span| &span.inputs);
            gone(
                connection,
                &definition,
                positions.map(|input| (&*input.source, input.position)),
            )
            .await?;
            confirm::lost(&operated, confirm, console).await?;
            operated
        }
        None => {
            let source = source(connection, &definition).await?;
            let (prefix, stream) = job::names(job);
            let wanted = source.wanted();
            job_stream::ensure(connection, &stream, &prefix, &[], Some(wanted)).await?;
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

/// # Errors
/// If positions of a savepoint are those of a stream of the job's own that the other job does not read.
async fn same_input(
    connection: &Connection,
    (of, job): (&str, &str),
    spans: &[Span],
) -> Result<()> {
    let stream = job::names(of).1;
    let inputs = spans.iter().flat_map(|span| &span.inputs);
    let owns = inputs.filter(|input| job_input::is_name(input.stream(), &stream));
    let owns: BTreeSet<&str> = owns.map(|input| &*input.source).collect();
    for source in owns {
        let own = stream_of(source);
        let found = History::find(connection, own).await?;
        if of != job || found.is_none_or(|found| *found.source_id != *source) {
            return Err(anyhow!(
                "its positions are those of stream `{own}`, which job `{of}` read instead of its source; job `{job}` \
                 does not read that stream"
            ))
            .hint(|| {
                format!("restore it into job `{of}` on the server that has this stream; a stream that was created again is a different one")
            });
        }
    }
    Ok(())
}

/// Says which messages a job is not going to process, because the streams do not hold them any more.
///
/// # Errors
/// When the server does not say.
pub(super) async fn gone(
    connection: &Connection,
    definition: &Definition,
    positions: impl Iterator<Item = (&str, u64)>,
) -> Result<()> {
    let mut least = BTreeMap::new();
    // A later message of a table's key says all that an earlier one has said.
    let kept = |source: &str| !definition.is_table(stream_of(source));
    for (source, position) in positions.filter(|(source, _)| kept(source)) {
        let least = least.entry(source).or_insert(position);
        *least = position.min(*least);
    }
    for (source, position) in least {
        let found = History::find(connection, stream_of(source)).await?;
        let found = found.filter(|found| found.source_id == source && found.first > position + 1);
        if let Some(History { name, first, .. }) = found {
            let (from, to) = (position + 1, first - 1);
            report::note(&format!(
                "stream `{name}` no longer holds messages {from} to {to}: their changes would be missing"
            ));
        }
    }
    Ok(())
}

/// The stream of `<stream>@<incarnation>`.
fn stream_of(source: &str) -> &str {
    source.rsplit_once('@').map_or(source, |(stream, _)| stream)
}

/// The stream of the first source of a job.
///
/// # Errors
/// When it is not there.
async fn source(connection: &Connection, definition: &Definition) -> Result<History> {
    stream(connection, definition.first.stream()).await
}

/// What a job reads.
///
/// # Errors
/// When it is not there.
pub(super) async fn stream(connection: &Connection, stream: &str) -> Result<History> {
    let found = History::find(connection, stream).await?;
    found.with_context(|| {
        format!(
            "there is no stream `{}`, which the job reads",
            stream.escape_debug()
        )
    })
}
