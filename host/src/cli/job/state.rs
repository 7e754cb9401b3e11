//! `weir job state`: the values that a job's plugins keep, as of the last commits, while the job runs.

use super::super::{Console, files};
use crate::config::windows;
use crate::job::operate::Operated;
use crate::job::rows::{Row, Text};
use crate::report::{self, ResultExt, escape};
use crate::state::{Group, Groups};
use anyhow::{Result, anyhow};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt::Write;

#[derive(clap::Subcommand)]
pub(in super::super) enum Command {
    /// List the rows of all keys, or of the keys with a prefix.
    #[command(visible_alias = "list")]
    Ls(List),
    /// Show the rows of one key with their values.
    Get(Get),
}

#[derive(clap::Args)]
#[command(after_help = "\
Reads the state as of a commit of each partition, and does not disturb the hosts. With --json, one line for each row. Needs \
permission for STREAM.INFO and STREAM.MSG.GET of the job's stream, and to create consumers of it.")]
pub(in super::super) struct List {
    /// The name of the job, which is the name of its pipeline.
    #[arg(value_name = "NAME")]
    name: String,

    /// The prefix of the keys.
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,

    #[command(flatten)]
    which: Which,
}

#[derive(clap::Args)]
#[command(after_help = "\
Prints JSON values as JSON. Exit code 1 if the state has nothing for the key. Needs the permissions of \
`weir job state ls`.")]
pub(in super::super) struct Get {
    /// The name of the job, which is the name of its pipeline.
    #[arg(value_name = "NAME")]
    name: String,

    /// The key of the messages.
    #[arg(value_name = "KEY")]
    key: String,

    #[command(flatten)]
    which: Which,
}

#[derive(clap::Args)]
struct Which {
    /// Show only the state of this operator.
    #[arg(long, value_name = "ID")]
    operator: Option<String>,

    /// The key or prefix is in hex.
    #[arg(long, conflicts_with = "base64")]
    hex: bool,

    /// The key or prefix is in base64.
    #[arg(long)]
    base64: bool,

    #[command(flatten)]
    reach: files::Reach,
}

impl Which {
    /// The bytes of a key from the command line.
    fn bytes(&self, given: &str) -> Result<Vec<u8>> {
        let what = || format!("cannot read the key `{}`", given.escape_debug());
        match (self.hex, self.base64) {
            (true, _) => unhex(given)
                .ok_or_else(|| anyhow!("{}: it is not hex", what()))
                .usage(),
            (_, true) => STANDARD
                .decode(given)
                .map_err(|_| anyhow!("{}: it is not base64", what()))
                .usage(),
            _ => Ok(given.as_bytes().to_vec()),
        }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let pairs = digits.chunks_exact(2);
    let byte = |pair: &[u32]| pair.iter().fold(0, |byte, digit| byte << 4 | digit);
    pairs.map(|pair| u8::try_from(byte(pair)).ok()).collect()
}

impl Command {
    pub(super) fn run(self, console: &Console) -> Result<u8> {
        match self {
            Self::Ls(List {
                name,
                prefix,
                which,
            }) => {
                let prefix = which.bytes(&prefix.unwrap_or_default())?;
                which.reach.connected("job", async |connection| {
                    let job = Operated::open(&connection, &name).await?;
                    for partition in 0..job.definition.partitions {
                        let operator = which.operator.as_deref();
                        let begins = |key: &[u8]| key.starts_with(&prefix);
                        show(&job, partition, None, operator, &begins, console).await?;
                    }
                    Ok(report::DONE)
                })
            }
            Self::Get(Get { name, key, which }) => {
                let bytes = which.bytes(&key)?;
                let found = which.reach.connected("job", async |connection| {
                    let job = Operated::open(&connection, &name).await?;
                    let (partition, group) = (job.partition_of(&bytes), Group::of(&bytes));
                    let operator = which.operator.as_deref();
                    let is_it = |key: &[u8]| key == bytes;
                    show(&job, partition, Some(group), operator, &is_it, console).await
                })?;
                match found {
                    0 => Err(anyhow!(
                        "job `{name}` has no state for the key `{}`",
                        key.escape_debug()
                    ))
                    .hint(|| format!("list the keys: `weir job state ls {name}`")),
                    _ => Ok(report::DONE),
                }
            }
        }
    }
}

/// Prints the rows of a partition, or with their values those of one group; returns how many.
async fn show(
    job: &Operated,
    partition: u16,
    group: Option<Group>,
    operator: Option<&str>,
    is_wanted: &dyn Fn(&[u8]) -> bool,
    console: &Console,
) -> Result<usize> {
    let Some(observed) = job.read(partition, group).await? else {
        return Ok(0);
    };
    let groups: Groups = job.groups(partition)?;
    let groups = groups
        .iter()
        .filter(|of| group.is_none_or(|group| group == *of));
    let mut count = 0;
    for entry in groups.flat_map(|group| observed.state.entries(group)) {
        if !is_wanted(entry.key) {
            continue;
        }
        let row = Row::of(entry, group.is_some());
        let row = row.filter(|row| {
            operator.is_none_or(|operator| windows::parts(&row.operator).0 == operator)
        });
        if let Some(row) = row {
            console.answer(&row, &line(&row))?;
            count += 1;
        }
    }
    Ok(count)
}

fn line(row: &Row) -> String {
    let text = |text: &Text| match text {
        Text::Text(text) => format!("\"{}\"", text.escape_debug()),
        Text::Bytes { base64 } => format!("base64 {base64}"),
    };
    let owner = match row.operator.is_empty() {
        true => "host".to_owned(),
        false => escape::line(&row.operator).into_owned(),
    };
    let mut line = format!("{owner}  {}  {}", row.kind, text(&row.key));
    // Writing to a string does not fail.
    if let Some(name) = &row.name {
        let _ = write!(line, "  {}", text(name));
    }
    if let Some(sequence) = row.sequence {
        let subject = escape::line(row.subject.as_deref().unwrap_or_default());
        let _ = write!(line, "  message {sequence} on {subject}");
    }
    if let (Some(clock), Some(due)) = (row.clock, &row.due) {
        let _ = write!(line, "  due {due} by {clock}");
    } else {
        let _ = write!(line, "  {} bytes", row.bytes);
    }
    if let Some(expires) = &row.expires {
        let _ = write!(line, "  expires {expires}");
    }
    if let Some(value) = &row.value {
        let _ = write!(line, "  {}", escape::json(&value.to_string()));
    }
    line
}
