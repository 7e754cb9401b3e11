//! `weir job pause`, `resume` and `reset`: commands to the hosts of a job, and the position at which it
//! continues.

use super::super::replay::Edge;
use super::super::{Console, files};
use super::confirm::{self, Confirm};
use super::savepoint;
use crate::job::log::Progress;
use crate::job::operate::Operated;
use crate::job::restore;
use crate::nats::history::History;
use crate::nats::job::Definition;
use crate::nats::{Connection, job_admin, job_input};
use crate::report::{self, ResultExt, escape};
use anyhow::{Result, anyhow};
use serde_json::json;
use std::collections::BTreeMap;

#[derive(clap::Args)]
#[command(after_help = "\
The setting survives restarts, and also applies to hosts that join. Hosts notice it within two seconds. Needs permission for STREAM.MSG.GET \
and STREAM.INFO of the job's stream, and to publish to weir.job.<NAME>.control.")]
pub(in super::super) struct Named {
    /// The name of the job, which is the name of its pipeline.
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
#[command(after_help = "\
A sequence or a time (as in 2026-03-02T10:00:00Z, when the message was stored) names the first message to process again. With a \
sequence or a time, the job starts with an empty state. If the command is interrupted, run it again. Needs permission for \
STREAM.INFO of the source and, with a time, to create a consumer of it; for STREAM.NAMES; for STREAM.INFO, STREAM.MSG.GET \
and STREAM.PURGE of the job's stream and to create consumers of it; and to publish to weir.job.<NAME>.>.")]
pub(in super::super) struct Reset {
    /// The name of the job, which is the name of its pipeline.
    #[arg(value_name = "NAME")]
    name: String,

    /// Where to continue: a sequence of the source, a time, or the name of a savepoint. With several sources, give a
    /// sequence for each: `clicks=120,impressions=40`.
    #[arg(long, value_name = "SEQUENCE|TIME|SAVEPOINT")]
    to: String,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    reach: files::Reach,
}

/// Pauses a job, or lets it go on.
pub(super) fn pause(Named { name, reach }: &Named, paused: bool, console: &Console) -> Result<u8> {
    let changed = reach.connected("job", async |connection| {
        Operated::open(&connection, name).await?;
        job_admin::tell(&connection, name, |control| control.paused = paused).await
    })?;
    let what = match (paused, changed) {
        (true, true) => "is paused",
        (true, false) => "was paused already",
        (false, true) => "continues",
        (false, false) => "was not paused",
    };
    let value = json!({ "job": name, "paused": paused, "changed": changed });
    console.answer(&value, &format!("job {} {what}", escape::line(name)))?;
    Ok(report::DONE)
}

/// Sets a job back.
pub(super) fn reset(arguments: &Reset, console: &Console) -> Result<u8> {
    let Reset {
        name,
        to,
        confirm,
        reach,
    } = arguments;
    let first = reach.connected("job", async |connection| {
        let Some(edges) = Edges::parse(to) else {
            savepoint::into(&connection, name, (name, to), None, confirm, console).await?;
            return Ok(None);
        };
        let job = Operated::open(&connection, name).await?;
        edges.check(&job.definition)?;
        let mut inputs = Vec::new();
        for of in streams(&job.definition) {
            let source = read(&connection, &job, &of).await?;
            let first = match job.definition.is_table(&of) {
                // What it has from before is in no state any more.
                true => 1,
                false => {
                    let edge = edges.of(&of, &job.definition)?;
                    not_beyond(edge.sequence(&source).await?, &source)?
                }
            };
            inputs.push(Progress::at(source.source_id.as_str(), first - 1));
        }
        let positions = inputs.iter().map(|input| (&*input.source, input.position));
        savepoint::gone(&connection, &job.definition, positions).await?;
        confirm::lost(&job, confirm, console).await?;
        restore::reset(&connection, &job, inputs.clone()).await?;
        Ok(Some(inputs))
    })?;
    let first = first.map(|inputs| {
        let first = |input: &Progress| (input.stream().to_owned(), input.position + 1);
        inputs.iter().map(first).collect::<Vec<_>>()
    });
    let shown = |first: &Vec<(String, u64)>| match &**first {
        [(_, first)] => format!("message {first}"),
        several => {
            let each = several.iter();
            let each =
                each.map(|(stream, first)| format!("message {first} of {}", escape::line(stream)));
            each.collect::<Vec<_>>().join(", ")
        }
    };
    let from = first
        .as_ref()
        .map_or_else(|| format!("savepoint {}", escape::line(to)), shown);
    let first = first.map(|first| match &*first {
        [(_, first)] => json!(first),
        several => json!(several.iter().cloned().collect::<BTreeMap<_, _>>()),
    });
    let value = json!({ "job": name, "to": to, "first": first });
    console.answer(
        &value,
        &format!("job {} continues from {from}", escape::line(name)),
    )?;
    Ok(report::DONE)
}

/// Where the sources of a job are to go on.
enum Edges {
    All(Edge),
    /// Of each source, by its name.
    Each(BTreeMap<String, Edge>),
}

impl Edges {
    /// None if it is neither.
    fn parse(text: &str) -> Option<Self> {
        if let Ok(edge) = Edge::parse(text) {
            return Some(Self::All(edge));
        }
        let mut each = BTreeMap::new();
        for part in text.split(',') {
            let (name, edge) = part.split_once('=')?;
            let before = each.insert(name.to_owned(), Edge::parse(edge).ok()?);
            if before.is_some() {
                return None;
            }
        }
        Some(Self::Each(each))
    }

    /// Refuses a name that no source has.
    fn check(&self, definition: &Definition) -> Result<()> {
        let Self::Each(each) = self else {
            return Ok(());
        };
        let named = |is_table| {
            let known = definition.sources().filter(move |it| it.table == is_table);
            known.filter_map(|it| it.name.as_deref())
        };
        if let Some(table) = named(true).find(|name| each.contains_key(*name)) {
            return Err(anyhow!(
                "source `{table}` is a table, which is always read from its beginning"
            ))
            .hint(|| format!("leave `{table}` out"))
            .usage();
        }
        let known: Vec<&str> = named(false).collect();
        match each.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(_) if known.is_empty() => Err(anyhow!("the source of the job has no name"))
                .hint(|| "give only its sequence: `--to 120`")
                .usage(),
            Some(name) => Err(anyhow!("the job has no source `{name}`"))
                .hint(|| format!("name one of its sources: {}", known.join(", ")))
                .usage(),
        }
    }

    /// That of a stream.
    fn of(&self, stream: &str, definition: &Definition) -> Result<Edge> {
        let names = definition.names_of(stream);
        match self {
            Self::All(Edge::Sequence(_)) if !definition.more.is_empty() => Err(anyhow!(
                "a sequence belongs to one stream, and the job reads several streams"
            ))
            .hint(|| "give a time, or a sequence for each source: `--to clicks=120,impressions=40`")
            .usage(),
            Self::All(edge) => Ok(*edge),
            Self::Each(each) => {
                let edge = names.split(' ').find_map(|name| each.get(name));
                edge.copied()
                    .ok_or_else(|| anyhow!("there is no sequence for stream `{stream}`"))
                    .hint(|| match &*names {
                        "" => "its source has no name: give only the sequence".to_owned(),
                        _ => format!("name one of its sources: {names}"),
                    })
                    .usage()
            }
        }
    }
}

/// Refuses to go on behind messages that are yet to come: they would be passed over.
fn not_beyond(first: u64, source: &History) -> Result<u64> {
    if first <= source.last + 1 {
        return Ok(first);
    }
    let (stream, last) = (&source.name, source.last);
    Err(anyhow!(
        "stream `{stream}` does not have message {first} yet: its last message is {last}"
    ))
    .hint(|| format!("give a sequence up to {}, or a time", last + 1))
    .usage()
}

/// The streams of the sources of a job, each once.
fn streams(definition: &Definition) -> Vec<String> {
    let mut streams: Vec<String> = Vec::new();
    for source in definition.sources() {
        if streams.iter().all(|known| *known != source.stream()) {
            streams.push(source.stream().to_owned());
        }
    }
    streams
}

/// What a job reads in place of a stream: a work queue is read from a stream of the job's own.
async fn read(connection: &Connection, job: &Operated, of: &str) -> Result<History> {
    let mut names = vec![job_input::name(&job.stream, Some(of))];
    if job.definition.first.stream() == of {
        names.push(job_input::name(&job.stream, None));
    }
    for name in names {
        if let Some(own) = History::find(connection, &name).await? {
            return Ok(own);
        }
    }
    savepoint::stream(connection, of).await
}
