//! The stream of a job: created, or verified.
//!
//! The stream contains the job's state, so only the job may replace or purge its messages: it has no limits
//! and no age. Servers accept and ignore settings that they do not know, so the settings are read back.

use super::streams::{created, jetstream};
use super::{Connection, failed, is_at_least, permitted};
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use std::time::Duration;

/// Batches of older servers are stored in part (before 2.12.2), or lose headers (before 2.12.14).
const OLDEST_SERVER: (u64, u64, u64) = (2, 12, 14);
/// Older servers of 2.13 and 2.14 lose headers in batches too, or let a leader of the past propose.
const SOUND_SERVER: (u64, u64, u64) = (2, 14, 4);
/// The least that a server takes (`server/stream.go`). A job stores no message ids.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);

/// What a job's stream is to be like where it does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub in_memory: bool,
    pub replicas: usize,
}

/// Creates the stream `name` for all subjects below `prefix` and for the `results` that it keeps, or verifies an
/// existing one. Without `wanted` it creates and changes none. Returns the
/// [`incarnation`](super::streams::incarnation).
///
/// # Errors
/// The server is too old, the stream does not exist, or a job cannot use it.
pub async fn ensure(
    connection: &Connection,
    name: &str,
    prefix: &str,
    results: &[String],
    wanted: Option<Wanted>,
) -> Result<String> {
    let version = connection.client().server_info().version;
    if !is_at_least(&version, OLDEST_SERVER) {
        return Err(anyhow!("cannot run a job on nats-server {version}"))
            .hint(|| "update nats-server to 2.15: older than 2.12.14 it stores commits in part");
    }
    if !is_at_least(&version, SOUND_SERVER) {
        tracing::warn!(
            version,
            "nats-server has known faults in atomic batches before 2.14.4"
        );
    }
    let context = jetstream(connection);
    let own = format!("{prefix}.>");
    let subjects = [std::slice::from_ref(&own), results].concat();
    let found = match wanted {
        None => {
            let api = connection.api.stream_info(name);
            let found = permitted(connection, &api, context.get_stream(name)).await?;
            if let Err(error) = &found
                && let GetStreamErrorKind::JetStream(error) = error.kind()
                && error.error_code() == ErrorCode::STREAM_NOT_FOUND
            {
                return Err(anyhow!("there is no stream `{name}` for the job")).hint(|| {
                    "pass `--create`, which makes it; if the job ran before, its state was in that stream"
                });
            }
            let found = found.map_err(|error| failed(&error));
            found.with_context(|| format!("cannot use stream `{name}` for a job"))?
        }
        Some(wanted) => {
            let api = connection.api.stream_create(name);
            let make = context.get_or_create_stream(Config {
                name: name.to_owned(),
                subjects: subjects.clone(),
                description: Some("weir: commits and state of a job".to_owned()),
                storage: match wanted.in_memory {
                    true => StorageType::Memory,
                    false => StorageType::File,
                },
                num_replicas: wanted.replicas,
                discard: DiscardPolicy::New,
                duplicate_window: DUPLICATE_WINDOW,
                allow_atomic_publish: true,
                allow_rollup: true,
                allow_direct: true,
                // For values of views that expire.
                allow_message_ttl: true,
                ..Config::default()
            });
            let made = permitted(connection, &api, make).await?;
            let made = made.map_err(|error| failed(&error));
            made.with_context(|| format!("cannot create stream `{name}` for a job"))?
        }
    };
    let found = found.cached_info();
    let mut config = found.config.clone();
    // The sink of the pipeline was another one before.
    let is_of_job = config.subjects.contains(&own);
    if config.subjects != subjects && is_of_job && wanted.is_some() {
        config.subjects.clone_from(&subjects);
        let changed = update(connection, config.clone()).await;
        changed.with_context(|| format!("cannot let stream `{name}` capture {subjects:?}"))?;
    }
    match unfit(&config, &subjects) {
        None => Ok(created(found)),
        Some(why) if is_of_job && config.subjects != subjects => {
            Err(anyhow!("cannot use stream `{name}` for a job: {why}")).hint(|| {
                format!("pass `--create`, which lets it capture {subjects:?}: results are stored there, or were")
            })
        }
        Some(why) => Err(anyhow!("cannot use stream `{name}` for a job: {why}"))
            .hint(|| format!("do not edit the stream of a job: its state is in it; `nats stream info {name}` shows it")),
    }
}

async fn update(connection: &Connection, config: Config) -> Result<()> {
    let api = connection.api.stream_update(&config.name);
    let context = jetstream(connection);
    let updated = permitted(connection, &api, context.update_stream(config)).await?;
    updated.map_err(|error| failed(&error))?;
    Ok(())
}

/// What makes a stream unfit for a job.
fn unfit(config: &Config, subjects: &[String]) -> Option<&'static str> {
    let limited = config.max_messages > 0
        || config.max_bytes > 0
        || config.max_messages_per_subject > 0
        || !config.max_age.is_zero();
    let findings = [
        (config.subjects != subjects, "it has other subjects"),
        (
            config.retention != RetentionPolicy::Limits,
            "its retention is not `limits`",
        ),
        (limited, "it has limits, which drop state"),
        (
            !config.allow_atomic_publish,
            "it does not allow atomic batches",
        ),
        (
            !config.allow_rollup || config.deny_purge,
            "it does not allow rollups",
        ),
        (config.sealed, "it is sealed"),
        (config.subject_transform.is_some(), "it transforms subjects"),
    ];
    findings
        .into_iter()
        .find(|(unfit, _)| *unfit)
        .map(|(_, why)| why)
}

/// Lets the stream of a job remove messages when they say so. One that an earlier version of weir has made does not.
///
/// # Errors
/// It does not, and `may_change` is false; or the server refuses.
pub(super) async fn let_expire(
    connection: &Connection,
    name: &str,
    may_change: bool,
) -> Result<()> {
    let context = jetstream(connection);
    let api = connection.api.stream_info(name);
    let found = permitted(connection, &api, context.get_stream(name)).await?;
    let found = found.map_err(|error| failed(&error))?;
    let config = &found.cached_info().config;
    if config.allow_message_ttl {
        return Ok(());
    }
    if !may_change {
        return Err(anyhow!("stream `{name}` does not let messages expire"))
            .hint(|| "pass `--create`, which changes that");
    }
    let changed = Config {
        allow_message_ttl: true,
        ..config.clone()
    };
    update(connection, changed).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_drops_or_refuses_what_a_job_stores_is_unfit() {
        let fit = Config {
            subjects: vec!["j.>".to_owned()],
            allow_atomic_publish: true,
            allow_rollup: true,
            ..Config::default()
        };
        let subjects = |subject: &str| [subject.to_owned()];
        assert_eq!(unfit(&fit, &subjects("j.>")), None);
        assert_eq!(unfit(&fit, &subjects("k.>")), Some("it has other subjects"));
        let unlike: [fn(&mut Config); 6] = [
            |config| config.max_bytes = 1,
            |config| config.max_age = Duration::from_secs(1),
            |config| config.retention = RetentionPolicy::Interest,
            |config| config.allow_atomic_publish = false,
            |config| config.deny_purge = true,
            |config| config.sealed = true,
        ];
        for change in unlike {
            let mut config = fit.clone();
            change(&mut config);
            assert!(unfit(&config, &subjects("j.>")).is_some(), "{config:?}");
        }
    }
}
