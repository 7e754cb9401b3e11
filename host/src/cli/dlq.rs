//! `weir dlq ...`: lists, shows, resends and purges dead letters.

use super::shown::moment;
use super::{Console, files, offline};
use crate::config::resolved::Pipeline;
use crate::headers::{MESSAGE_ID, block};
use crate::jsonl::Record;
use crate::nats::dead_letters::{DeadLetter, DeadLetters, RESENT, Resend};
use crate::nats::{self, Connection};
use crate::process::chain::Kind;
use crate::process::dead_letter::backtrace;
use crate::report::{self, ResultExt, count, escape};
use crate::threads;
use anyhow::{Result, anyhow};
use bytestring::ByteString;
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
    /// Publish dead letters to their original subjects, and delete each after the publish ack. If a dead letter
    /// cannot be resent, the command continues with the next one.
    #[command(visible_alias = "replay")]
    Resend(ResendArguments),
    /// Delete dead letters.
    Purge(Selection),
}

#[derive(clap::Args)]
pub(super) struct ResendArguments {
    #[command(flatten)]
    selection: Selection,

    /// Publish all dead letters to this subject. By default each goes to its original subject, if the
    /// pipeline's source reads that subject.
    #[arg(long, value_name = "SUBJECT")]
    to: Option<String>,
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

    /// Select only this kind.
    #[arg(long, value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)))]
    kind: Option<String>,

    /// Select all dead letters (of the kind). `resend` and `purge` need this or sequences.
    #[arg(long, conflicts_with = "sequences")]
    all: bool,
}

impl Command {
    pub(super) fn run(self, console: &Console) -> Result<u8> {
        let selection = self.selection();
        if self.changes() && selection.sequences.is_empty() && !selection.all {
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
        if self.changes() {
            letters.check_removable()?;
        }
        let mut resend = match self {
            Self::Resend(given) => {
                Some(Resend::open(&connection, pipeline, given.to.as_deref()).await?)
            }
            _ => None,
        };
        let (mut done, mut failed) = (0, Vec::new());
        // A message can become a dead letter again at once; later dead letters are not touched.
        while let Some(letter) = letters.next().await? {
            if !self.includes(selection, pipeline, &letter) {
                continue;
            }
            let result = match (self, &mut resend) {
                (Self::Ls(_), _) => console.answer(&summary(&letter), &line(&letter)),
                (Self::Show(_), _) => console.answer(&whole(&letter), &page(&letter)),
                (_, Some(resend)) => match resend.publish(&letters, &letter).await {
                    Ok(()) => letters.remove(&letter).await,
                    Err(error) => Err(error),
                },
                (_, None) => letters.remove(&letter).await,
            };
            match result {
                Ok(()) => done += 1,
                Err(error) if self.changes() => {
                    tell(console, &letter, &escape::line(&report::line(&error)));
                    failed.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        self.close(selection, done, failed, console)
    }

    fn changes(&self) -> bool {
        matches!(self, Self::Resend(_) | Self::Purge(_))
    }

    fn selection(&self) -> &Selection {
        match self {
            Self::Ls(selection) | Self::Show(selection) | Self::Purge(selection) => selection,
            Self::Resend(given) => &given.selection,
        }
    }

    /// Other pipelines and other publishers may share the subject: what is no letter is shown, and changed
    /// only by its number.
    fn includes(&self, selection: &Selection, pipeline: &Pipeline, letter: &DeadLetter) -> bool {
        let of = letter.fact("Pipeline");
        let is_unknown = letter.is_unknown() && (of.is_empty() || of == pipeline.name);
        let is_ours = match is_unknown {
            true => !self.changes() || !selection.sequences.is_empty(),
            false => of == pipeline.name,
        };
        is_ours && selection.includes(letter)
    }

    /// Prints what was done; an error if not all of it could be, or selected dead letters do not exist.
    fn close(
        &self,
        selection: &Selection,
        done: usize,
        mut failed: Vec<anyhow::Error>,
        console: &Console,
    ) -> Result<u8> {
        let found = done + failed.len();
        let selected = selection.sequences.len();
        let verb = match self {
            Self::Resend(_) => Some("resent"),
            Self::Purge(_) => Some("purged"),
            _ => None,
        };
        if let Some(verb) = verb.filter(|_| found >= selected) {
            console.answer(&json!({ verb: done }), &format!("{verb} {done}"))?;
        }
        if found < selected {
            let missing = selected - found;
            let selected = count(selected, "dead letter");
            return Err(anyhow!("cannot find {missing} of {selected}"))
                .hint(|| format!("list them with `weir dlq ls {}`", selection.file.display()));
        }
        match failed.pop() {
            Some(error) if failed.is_empty() => Err(error),
            Some(_) => {
                let verb = verb.unwrap_or_default();
                let failed = failed.len() + 1;
                Err(anyhow!(
                    "{failed} of {found} dead letters were not {verb}, for the reasons above"
                ))
            }
            None if verb.is_none() && done == 0 && !console.json => {
                console.print("no dead letters")?;
                Ok(report::DONE)
            }
            None => Ok(report::DONE),
        }
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
    let fact = |name| escape::line(letter.fact(name));
    let by = match (&*fact("Pipeline"), &*fact("Operator")) {
        ("", _) => "-".to_owned(),
        (pipeline, "") => pipeline.to_owned(),
        (pipeline, operator) => format!("{pipeline}/{operator}"),
    };
    format!(
        "{:>6}  {}Z  {by}  {:<8}  {}  {}",
        letter.sequence(),
        moment(&letter.time),
        fact("Kind"),
        origin(letter),
        fact("Reason"),
    )
}

/// The subject of its message; of a timer or a window its key, its time, and the subject of what it emitted.
fn origin(letter: &DeadLetter) -> String {
    let fact = |name| escape::line(letter.fact(name));
    let (subject, timer) = (fact("Subject"), fact("Timer"));
    if timer.is_empty() {
        return subject.into_owned();
    }
    let name = match &*fact("Timer-Name") {
        "" => "window or timer".to_owned(),
        name => format!("timer {name}"),
    };
    let key = match &*fact("Key") {
        "" => "no key".to_owned(),
        key => format!("key {key}"),
    };
    let of = format!("{key}, {name} of {timer}");
    match &*subject {
        "" => of,
        subject => format!("{subject}, {of}"),
    }
}

fn page(letter: &DeadLetter) -> String {
    use std::fmt::Write;
    let mut page = format!("dead letter {}\n", letter.sequence());
    for (name, value) in &letter.facts {
        // Writing to a string cannot fail.
        let _ = write!(page, "  {}:", escape::line(name));
        let _ = match name == "Backtrace" {
            // A line for each, so that the marks in one stand below what they mark.
            true => writeln!(page, "{}", below(value)),
            false => writeln!(page, " {}", escape::line(value)),
        };
    }
    let (headers, foreign) = block::read(&letter.headers);
    for (name, value) in headers.iter() {
        let _ = writeln!(page, "  header {name}: {}", escape::line(value));
    }
    for line in foreign {
        let _ = writeln!(page, "  header line {}", line.escape_ascii());
    }
    let _ = writeln!(page, "  payload, {} bytes:", letter.payload.len());
    let payload = match std::str::from_utf8(&letter.payload) {
        Ok(text) => escape::lines(text).into_owned(),
        Err(_) => letter.payload.escape_ascii().to_string(),
    };
    let _ = writeln!(page, "{payload}");
    page
}

fn below(value: &str) -> String {
    let lines = backtrace(value);
    lines
        .map(|line| format!("\n    {}", escape::line(&line)))
        .collect()
}

fn summary(letter: &DeadLetter) -> Value {
    let facts = letter
        .facts
        .iter()
        .map(|(name, value)| (name.to_lowercase().replace('-', "_"), json!(value)));
    let mut summary: serde_json::Map<String, Value> = facts.collect();
    summary.insert("dead_letter".into(), letter.sequence().into());
    Value::Object(summary)
}

/// With the message in the format of `weir pipe` and `weir plugin test`, without the id that sent it back before: with
/// that, the server would take it for the one that was stored then.
fn whole(letter: &DeadLetter) -> Value {
    let mut whole = summary(letter);
    let (headers, _) = block::read(&letter.headers);
    let is_resent = |(name, value): &(ByteString, ByteString)| {
        name.eq_ignore_ascii_case(MESSAGE_ID) && value.starts_with(RESENT)
    };
    let record = Record {
        subject: letter.fact("Subject").into(),
        payload: letter.payload.clone(),
        headers: headers
            .iter()
            .filter(|it| !is_resent(it))
            .cloned()
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

/// Says at once why a dead letter stays.
fn tell(console: &Console, letter: &DeadLetter, reason: &str) {
    let sequence = letter.sequence();
    match console.json {
        true => report::note(&json!({ "dead_letter": sequence, "error": reason }).to_string()),
        false => report::note(&format!("{sequence:>6}  stays: {reason}")),
    }
}
