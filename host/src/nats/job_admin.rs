//! The definition of a job, read and written by who operates it.

use super::job::{self, Definition};
use super::stored::{self, Which};
use super::streams::jetstream;
use super::{Connection, jobs, permitted};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::context::traits::Publisher;
use async_nats::jetstream::message::PublishMessage;

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
        return Err(anyhow!("`{}` is no name of a job", name.escape_debug()))
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

/// Stores another definition in the place of the one that stands at `sequence`.
///
/// # Errors
/// When the server does not take it, or somebody else has stored one.
pub async fn define(
    connection: &Connection,
    name: &str,
    definition: &Definition,
    sequence: u64,
) -> Result<()> {
    let what = || format!("cannot store the definition of job `{name}`");
    let (prefix, _) = job::names(name);
    let message = PublishMessage::build()
        .payload(serde_json::to_vec(definition)?.into())
        .header("Nats-Rollup", "sub")
        .expected_last_subject_sequence(sequence);
    let subject = format!("{prefix}.job");
    let context = jetstream(connection);
    let acked = async {
        let sent = context.publish_message(message.outbound_message(subject.clone()));
        match sent.await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        }
    };
    let acked = permitted(connection, &subject, acked)
        .await
        .with_context(what)?;
    acked
        .map(drop)
        .map_err(|error| anyhow!("{}", error.kind()))
        .with_context(what)
}
