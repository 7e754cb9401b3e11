//! `weir dlq ...`: lists, shows, replays and purges dead letters.

use super::shown::readable;
use super::{Console, files, offline};
use crate::config::resolved::Pipeline;
use crate::jsonl::Record;
use crate::nats::dead_letters::{DeadLetter, DeadLetters};
use crate::nats::{self, Connection};
use crate::process::chain::Kind;
use crate::report::{self, ResultExt};
use crate::threads;
use anyhow::{Result, anyhow};
use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List dead letters, oldest first.
    #[command(visible_alias = "list")]
    Ls(Selection),
    /// Show dead letters with all details.
    Show(Selection),
    /// Publish dead letters to their original subjects, and delete each after the publish ack.
    Replay(Selection),
    /// Delete dead letters.
    Purge(Selection),
}

/// Which dead letters of which pipeline.
#[derive(clap::Args)]
pub(super) struct Selection {
    /// The pipeline file.
    file: PathBuf,

    #[command(flatten)]
    servers: files::Servers,

    /// The pipeline, if the file has several.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,

    /// Sequences of dead letters, as `ls` shows them.
    #[arg(value_name = "SEQUENCE")]
    sequences: Vec<u64>,

    /// Only this kind.
    #[arg(long, value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)))]
    kind: Option<String>,

    /// All dead letters (of the kind). `replay` and `purge` need this or sequences.
    #[arg(long, conflicts_with = "sequences")]
    all: bool,
}

impl Command {
    pub(super) fn run(self, console: &Console) -> Result<u8> {
        let (Self::Ls(selection)
        | Self::Show(selection)
        | Self::Replay(selection)
        | Self::Purge(selection)) = &self;
        let changes = matches!(self, Self::Replay(_) | Self::Purge(_));
        if changes && selection.sequences.is_empty() && !selection.all {
            return Err(anyhow!("no dead letters are selected"))
                .hint(|| "pass sequences from `weir dlq ls`, or `--all`")
                .usage();
        }
        let pipelines = selection.servers.load_unbuilt(&selection.file)?;
        let pipeline = offline::choose(pipelines, selection.pipeline.as_deref())?;
        threads::block_on(self.work(selection, &pipeline, console))
    }

    async fn work(
        &self,
        selection: &Selection,
        pipeline: &Pipeline,
        console: &Console,
    ) -> Result<u8> {
        let dead = pipeline.dead_letter.as_ref();
        let dead = dead
            .ok_or_else(|| anyhow!("pipeline `{}` has `dead-letter: off`", pipeline.name))
            .usage()?;
        let connection: Connection = nats::connect(&pipeline.nats, "dlq").await?;
        let mut letters = DeadLetters::open(&connection, &dead.subject).await?;
        let mut count = 0;
        // A replayed message can become a dead letter again at once; later dead letters are not touched.
        while let Some(letter) = letters.next().await? {
            // Other pipelines and other publishers may share the subject.
            let is_ours = letter.fact("Pipeline") == pipeline.name;
            if !is_ours || !selection.includes(&letter) {
                continue;
            }
            count += 1;
            match self {
                Self::Ls(_) => console.answer(&summary(&letter), &line(&letter))?,
                Self::Show(_) => console.answer(&whole(&letter), &page(&letter))?,
                Self::Replay(_) => {
                    letters.replay(&letter).await?;
                    letters.remove(&letter).await?;
                }
                Self::Purge(_) => letters.remove(&letter).await?,
            }
        }
        self.close(selection, count, console)
    }

    /// Prints what was done; an error if selected dead letters do not exist.
    fn close(&self, selection: &Selection, count: usize, console: &Console) -> Result<u8> {
        if count < selection.sequences.len() {
            return Err(anyhow!(
                "{} of {} dead letters do not exist",
                selection.sequences.len() - count,
                selection.sequences.len()
            ))
            .hint(|| format!("list them with `weir dlq ls {}`", selection.file.display()));
        }
        let done = match self {
            Self::Replay(_) => "replayed",
            Self::Purge(_) => "purged",
            _ if count == 0 && !console.json => {
                console.print("no dead letters")?;
                return Ok(report::DONE);
            }
            _ => return Ok(report::DONE),
        };
        console.answer(&json!({ done: count }), &format!("{done} {count}"))?;
        Ok(report::DONE)
    }
}

impl Selection {
    fn includes(&self, letter: &DeadLetter) -> bool {
        let named = self.sequences.is_empty() || self.sequences.contains(&letter.sequence());
        named
            && self
                .kind
                .as_deref()
                .is_none_or(|kind| letter.fact("Kind") == kind)
    }
}

fn line(letter: &DeadLetter) -> String {
    format!(
        "{:>6}  {}  {}  {:<8}  {}  {}",
        letter.sequence(),
        letter.time,
        letter.fact("Pipeline"),
        letter.fact("Kind"),
        letter.fact("Subject"),
        letter.fact("Reason"),
    )
}

fn page(letter: &DeadLetter) -> String {
    use std::fmt::Write;
    let mut page = format!("dead letter {}\n", letter.sequence());
    for (name, value) in &letter.facts {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "  {name}: {value}");
    }
    for (name, value) in headers(letter) {
        let _ = writeln!(page, "  header {name}: {value}");
    }
    let _ = writeln!(page, "  payload, {} bytes:", letter.payload.len());
    let payload = match std::str::from_utf8(&letter.payload) {
        Ok(text) => readable(text),
        Err(_) => letter.payload.escape_ascii().to_string(),
    };
    let _ = writeln!(page, "{payload}");
    page
}

fn summary(letter: &DeadLetter) -> Value {
    let facts = letter
        .facts
        .iter()
        .map(|(name, value)| (name.to_lowercase(), json!(value)));
    let mut summary: serde_json::Map<String, Value> = facts.collect();
    summary.insert("dead_letter".into(), letter.sequence().into());
    Value::Object(summary)
}

/// With the message in the format of `weir pipe` and `weir plugin test`.
fn whole(letter: &DeadLetter) -> Value {
    let mut whole = summary(letter);
    let record = Record {
        subject: letter.fact("Subject").into(),
        payload: letter.payload.clone(),
        headers: headers(letter)
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        key: None,
        event_time: None,
        sequence: letter.fact("Sequence").parse().ok(),
    };
    let message = serde_json::from_str(&record.to_string()).unwrap_or_default();
    if let Some(fields) = whole.as_object_mut() {
        fields.insert("message".into(), message);
    }
    whole
}

fn headers(letter: &DeadLetter) -> impl Iterator<Item = (String, String)> {
    letter.headers.iter().flat_map(|(name, values)| {
        values
            .iter()
            .map(move |value| (name.to_string(), value.to_string()))
    })
}
