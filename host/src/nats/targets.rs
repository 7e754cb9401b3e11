//! The streams of results and dead letters: found by their subjects, or created.

use super::by_subject::{FAST_INGEST, all_by_subject};
use super::streams::{Context, stream_name};
use super::{Connection, failed, is_at_least, limits, passes, permitted, unless_refused};
use crate::config::resolved::{Storage, StreamSettings};
use crate::report::{self, ResultExt};
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::{ErrorCode, stream};
use std::time::Duration;

/// Finds the stream that captures `subject`; creates one when it may. None if it may not be looked for.
pub(super) async fn ensure_target(
    connection: &Connection,
    context: &Context,
    subject: &str,
    name: Option<&str>,
    settings: Option<&StreamSettings>,
    create: bool,
    role: &str,
) -> Result<Option<String>> {
    let what = || format!("cannot look up the stream of `{subject}`");
    let looked_up = all_by_subject(context, subject);
    match unless_refused(connection, &connection.api.stream_names(), looked_up).await {
        Ok(found) => {
            let found = found.with_context(what)?;
            if let Some(other) = found
                .iter()
                .find(|found| name.is_some_and(|name| *found != name))
            {
                let name = name.unwrap_or_default();
                return Err(anyhow!(
                    "stream `{other}` captures the {role} subject `{subject}`, not only `{name}`"
                ))
                .hint(|| {
                    format!("set `{role}.stream: {other}`, or take the subject from `{other}`")
                });
            }
            if let Some(found) = found.into_iter().next() {
                return Ok(Some(found));
            }
        }
        // Finding a stream by its subject is a permission of its own, which a host that only
        // moves messages may well lack. A publish that nobody captures is retried and counted.
        Err(refused) => {
            tracing::warn!(
                "cannot determine which stream captures {role} subject `{subject}`: {refused}"
            );
            return Ok(None);
        }
    }
    let name = name.map_or_else(|| stream_name(subject), ToOwned::to_owned);
    if settings.is_none() && !create {
        let subjects = [subject.to_owned()];
        existing(connection, context, &name, &subjects, role).await?;
        return Err(anyhow!("no stream captures the {role} subject `{subject}`")).hint(|| {
            format!("pass `--create`, set `{role}.create: true`, or add the subject to a stream")
        });
    }
    let settings = settings
        .cloned()
        .unwrap_or_else(|| default_stream(vec![subject.to_owned()]));
    create_stream(connection, context, &name, &settings, role).await?;
    Ok(Some(name))
}

/// The stream `name`, if it captures these subjects; none if there is none, or this user may not look.
///
/// # Errors
/// It does not capture them.
async fn existing(
    connection: &Connection,
    context: &Context,
    name: &str,
    subjects: &[String],
    role: &str,
) -> Result<Option<stream::Stream>> {
    let api = connection.api.stream_info(name);
    let there = match unless_refused(connection, &api, context.get_stream(name)).await {
        Ok(Ok(there)) => there,
        Ok(Err(error)) if passes(&failed(&error)) => {
            return Err(failed(&error)).with_context(|| format!("cannot read stream `{name}`"));
        }
        _ => return Ok(None),
    };
    let config = &there.cached_info().config;
    let is_missing = |subject: &&String| !config.subjects.contains(subject);
    let Some(subject) = subjects.iter().find(is_missing) else {
        return Ok(Some(there));
    };
    let missing = subjects.iter().filter(is_missing);
    let all: Vec<&str> = config
        .subjects
        .iter()
        .chain(missing)
        .map(|it| &**it)
        .collect();
    let other = format!("name another stream in `{role}.stream`");
    Err(anyhow!(
        "stream `{name}` exists and does not capture `{subject}`"
    ))
    .hint(|| {
        match config.mirror {
            // The server gives no subjects to a mirror.
            Some(_) => other,
            None => format!(
                "add the subject with `nats stream edit {name} --subjects '{}'`, or {other}",
                all.join(",")
            ),
        }
    })
}

pub(super) async fn create_stream(
    connection: &Connection,
    context: &Context,
    name: &str,
    settings: &StreamSettings,
    role: &str,
) -> Result<stream::Stream> {
    let what = || format!("cannot create stream `{name}` for {:?}", settings.subjects);
    let api = connection.api.stream_create(name);
    let version = connection.client().server_info().version;
    let created = context.create_stream(stream::Config {
        name: name.to_owned(),
        subjects: settings.subjects.clone(),
        storage: match settings.storage {
            Storage::File => stream::StorageType::File,
            Storage::Memory => stream::StorageType::Memory,
        },
        num_replicas: settings.replicas.unwrap_or(1),
        max_age: settings.max_age.unwrap_or_default(),
        max_bytes: settings.max_bytes.unwrap_or(-1),
        duplicate_window: settings.duplicate_window,
        allow_direct: true,
        allow_batch_publish: is_at_least(&version, FAST_INGEST),
        ..Default::default()
    });
    let subjects = &settings.subjects;
    let created = match permitted(connection, &api, created).await {
        Ok(created) => created,
        // Who may not create it need not, if it is there and lacks a subject.
        Err(refused) => {
            existing(connection, context, name, subjects, role).await?;
            return Err(refused).with_context(what);
        }
    };
    match created {
        Ok(stream) => {
            tracing::info!(stream = name, subjects = ?settings.subjects, "created the stream");
            Ok(stream)
        }
        // Two hosts, or two pipelines of this one, may create it at the same time.
        Err(error)
            if matches!(error.kind(), CreateStreamErrorKind::JetStream(error)
            if error.error_code() == ErrorCode::STREAM_NAME_EXIST) =>
        {
            let there = existing(connection, context, name, subjects, role).await?;
            there.ok_or_else(|| failed(&error).context(what()))
        }
        Err(error) => {
            let hint = match error.kind() {
                CreateStreamErrorKind::JetStream(error) => limits::hint(error.error_code(), role),
                _ => None,
            };
            let error = failed(&error).context(what());
            Err(match hint {
                Some(hint) => report::hint(error, hint),
                None => error,
            })
        }
    }
}

/// The default settings of a stream.
#[must_use]
pub fn default_stream(subjects: Vec<String>) -> StreamSettings {
    StreamSettings {
        subjects,
        storage: Storage::File,
        replicas: None,
        max_age: None,
        max_bytes: None,
        duplicate_window: Duration::from_secs(120),
    }
}
