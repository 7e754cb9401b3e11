//! `weir job pause`, `resume` and `reset`: what a job's hosts are told, and where it goes on.

use super::super::replay::Edge;
use super::super::{Console, files};
use super::confirm::{self, Confirm};
use super::savepoint;
use crate::job::operate::Operated;
use crate::job::restore;
use crate::nats::history::History;
use crate::nats::{job_admin, job_input};
use crate::report::{self, escape};
use anyhow::Result;
use serde_json::json;

#[derive(clap::Args)]
#[command(after_help = "\
It stays so over restarts, and on hosts that join. Hosts hear of it within two seconds. Needs permission for STREAM.MSG.GET \
and STREAM.INFO of the job's stream, and to publish to weir.job.<NAME>.control.")]
pub(in super::super) struct Named {
    /// The name of the job: that of its pipeline.
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
#[command(after_help = "\
A sequence is that of the first message to process again; a time that of its arrival, as in 2026-03-02T10:00:00Z. With a \
sequence or a time the job begins with an empty state. Where it was interrupted, it can be run again. Needs permission for \
STREAM.INFO of the source and, with a time, to make a consumer of it; for STREAM.NAMES; for STREAM.INFO, STREAM.MSG.GET \
and STREAM.PURGE of the job's stream and to make consumers of it; and to publish to weir.job.<NAME>.>.")]
pub(in super::super) struct Reset {
    /// The name of the job: that of its pipeline.
    #[arg(value_name = "NAME")]
    name: String,

    /// Where to go on: a sequence of the source, a time, or the name of a savepoint.
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
        (false, true) => "goes on",
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
        let Ok(edge) = Edge::parse(to) else {
            savepoint::into(&connection, name, (name, to), None, confirm, console).await?;
            return Ok(None);
        };
        let job = Operated::open(&connection, name).await?;
        // A work queue is read from a stream of the job's own.
        let source = match History::find(&connection, &job_input::name(&job.stream)).await? {
            Some(own) => own,
            None => savepoint::source(&connection, &job.definition).await?,
        };
        let first = edge.sequence(&source).await?;
        savepoint::gone(&connection, [(&*source.source_id, first - 1)].into_iter()).await?;
        confirm::lost(&job, confirm, console).await?;
        restore::reset(&connection, &job, &source.source_id, first - 1).await?;
        Ok(Some(first))
    })?;
    let value = json!({ "job": name, "to": to, "first": first });
    let from = first.map_or_else(
        || format!("savepoint {}", escape::line(to)),
        |first| format!("message {first}"),
    );
    console.answer(
        &value,
        &format!("job {} goes on from {from}", escape::line(name)),
    )?;
    Ok(report::DONE)
}
