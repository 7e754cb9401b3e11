//! The commands of an operator to a job, in its stream: its definition, and whether it is paused (`Control`).
//! Hosts read the latter at every beat (`members.rs`).

use super::job::{self, Definition};
use super::stored::{self, Which};
use super::streams::jetstream;
use super::{Connection, failed, jobs, permitted};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::context::{PublishErrorKind, traits::Publisher};
use async_nats::jetstream::message::PublishMessage;
use serde::{Deserialize, Serialize};

/// How often a record is written that others write, too.
const TRIES: usize = 10;

/// A definition as it was found, and where it stands: 0 if there is none.
#[derive(Clone, Debug)]
pub struct Defined {
    pub definition: Definition,
    pub sequence: u64,
}

/// The definition of a job.
///
/// # Errors
/// `Ok(None)` if there is no such job; an error when it cannot be read or the server does not say.
pub async fn definition(connection: &Connection, name: &str) -> Result<Option<Defined>> {
    let what = || format!("cannot read the definition of job `{name}`");
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(anyhow!("`{}` is not a valid job name", name.escape_debug()))
            .hint(|| "see `weir job ls`")
            .usage();
    }
    let (prefix, stream) = job::names(name);
    let context = jetstream(connection);
    let which = Which::last(&format!("{prefix}.job"));
    if jobs::last_sequence(connection, &stream).await?.is_none() {
        return Ok(None);
    }
    let found = stored::get(connection, &context, &stream, &which).await;
    let Some(found) = found.with_context(what)? else {
        return Ok(None);
    };
    let definition = Definition::read(&found.payload).with_context(what)?;
    let sequence = found.sequence;
    Ok(Some(Defined {
        definition,
        sequence,
    }))
}

/// What hosts of a job are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// No host owns a partition.
    pub paused: bool,
    /// Grows with each replacement of the job's state: owners then claim their partitions again.
    #[serde(default)]
    pub replaced: u64,
}

impl Control {
    /// Reads what is in the stream of a job; nothing is the default.
    #[must_use]
    pub fn read(payload: &[u8]) -> Self {
        serde_json::from_slice(payload).unwrap_or_default()
    }
}

/// Where the hosts of a job are told.
pub(super) fn control_subject(job: &str) -> String {
    format!("{}.{job}.control", job::PREFIX)
}

/// What the hosts of a job are told.
///
/// # Errors
/// When the server does not answer.
pub async fn control(connection: &Connection, name: &str) -> Result<(Control, u64)> {
    let (_, stream) = job::names(name);
    let which = Which::last(&control_subject(name));
    let found = stored::get(connection, &jetstream(connection), &stream, &which).await;
    let found = found.with_context(|| format!("cannot read whether job `{name}` is paused"))?;
    Ok(found.map_or_else(Default::default, |found| {
        (Control::read(&found.payload), found.sequence)
    }))
}

/// Sends a command to the hosts of a job. False if nothing changes.
///
/// # Errors
/// When the server refuses it.
pub async fn tell(
    connection: &Connection,
    name: &str,
    change: impl Fn(&mut Control),
) -> Result<bool> {
    let what = || format!("cannot tell the hosts of job `{name}`");
    for _ in 0..TRIES {
        let (before, sequence) = control(connection, name).await?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(false);
        }
        let content = serde_json::to_vec(&after)?;
        if store(connection, control_subject(name), content, sequence)
            .await
            .with_context(what)?
        {
            return Ok(true);
        }
    }
    Err(anyhow!("other commands change it all the time")).with_context(what)
}

/// Reports to the hosts of a job that its state was replaced.
///
/// # Errors
/// When the server refuses it.
pub async fn replaced(connection: &Connection, name: &str) -> Result<()> {
    let change = |control: &mut Control| control.replaced += 1;
    tell(connection, name, change).await.map(drop)
}

/// Replaces the definition at `sequence`.
///
/// # Errors
/// When the server refuses it, or the definition has changed.
pub async fn define(
    connection: &Connection,
    name: &str,
    definition: &Definition,
    sequence: u64,
) -> Result<()> {
    let what = || format!("cannot store the definition of job `{name}`");
    let (prefix, _) = job::names(name);
    let content = serde_json::to_vec(definition)?;
    let stored = store(connection, format!("{prefix}.job"), content, sequence).await;
    match stored.with_context(what)? {
        true => Ok(()),
        false => Err(anyhow!("another command has stored one meanwhile")).with_context(what),
    }
}

/// Replaces the record at `sequence`; false if that is no longer the last one.
pub(super) async fn store(
    connection: &Connection,
    subject: String,
    content: Vec<u8>,
    sequence: u64,
) -> Result<bool> {
    let message = PublishMessage::build()
        .payload(content.into())
        .header("Nats-Rollup", "sub")
        .expected_last_subject_sequence(sequence);
    let context = jetstream(connection);
    let acked = async {
        let sent = context.publish_message(message.outbound_message(subject.clone()));
        match sent.await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        }
    };
    match permitted(connection, &subject, acked).await? {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
        Err(error) => Err(failed(&error)),
    }
}
