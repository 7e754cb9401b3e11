//! The input stream of a job whose source drops settled messages, as a work queue does: it sources the
//! source.
//!
//! A job reads without acks, and reads again after a failure. So the server moves messages into an input
//! stream of the job, and acks them to the source when they are stored there (nats-server 2.14, architecture
//! decision record 60 of NATS). Messages that all partitions have processed are removed, except the last one,
//! from which the server knows how far it has sourced.

use super::job::JobPlace;
use super::job_outputs::purge;
use super::stored::{self, Which};
use super::streams::{Context, created, jetstream};
use super::{Connection, failed, is_at_least, permitted};
use crate::config::resolved::{self, Start};
use crate::config::template::SubjectFilter;
use crate::report::ResultExt;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::stream::{
    self, Config, RetentionPolicy, Source, Stream, SubjectTransform,
};
use serde::Deserialize;

/// 2.14 acks to a work queue what is beside the subjects that are sourced, which is lost then (issue 8423 of
/// nats-server).
const OLDEST_SERVER: (u64, u64, u64) = (2, 15, 0);

/// The stream that a job reads in place of its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    pub stream: String,
    /// See [`incarnation`](super::streams::incarnation).
    pub incarnation: String,
}

/// Its name, from that of the job's stream. That of a job whose `sources` have names ends with the name of the stream that
/// it sources.
#[must_use]
pub fn name(job: &str, of: Option<&str>) -> String {
    match of {
        Some(stream) => format!("{job}_IN_{stream}"),
        None => format!("{job}_IN"),
    }
}

/// Whether a stream of this name is one of those of a job.
#[must_use]
pub fn is_name(stream: &str, job: &str) -> bool {
    let own = name(job, None);
    let rest = stream.strip_prefix(&own);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// Makes or verifies the input stream of a job, if its source drops what was settled; none if it does not.
///
/// # Errors
/// The server is too old for it, it is missing and may not be made, or it is not as a job needs it.
pub(super) async fn ensure(
    connection: &Connection,
    context: &Context,
    read: &resolved::Source,
    source: &Stream,
    (job, is_named): (&str, bool),
    may_create: bool,
) -> Result<Option<Input>> {
    let found = &source.cached_info().config;
    if found.retention == RetentionPolicy::Limits {
        return Ok(None);
    }
    let from = &found.name;
    let mut name = name(job, is_named.then_some(from));
    if is_named && sources_it(connection, context, job, from).await? {
        // From when the job had no other source.
        name = self::name(job, None);
    }
    let what =
        || format!("cannot let stream `{name}` source `{from}`, which deletes settled messages");
    let version = connection.client().server_info().version;
    if !is_at_least(&version, OLDEST_SERVER) {
        return Err(anyhow!("nats-server {version} loses messages in between"))
            .with_context(what)
            .hint(|| {
                format!("update nats-server to 2.15, or give `{from}` the retention `limits`")
            });
    }
    if read.start != Start::All {
        return Err(anyhow!("a job reads all messages of its source").context(what())).hint(|| {
            match is_named {
                true => format!("remove `start` of the sources of `{from}`"),
                false => "remove `source.start`".to_owned(),
            }
        });
    }
    let wanted = config(read, found, &name);
    let api = connection.api.stream_info(&name);
    let there = permitted(connection, &api, context.get_stream(&name)).await?;
    let stream = match there {
        Ok(stream) => stream,
        Err(error) if !may_create => {
            return Err(failed(&error).context(what()))
                .hint(|| format!("pass `--create`: a job reads `{from}` through `{name}`"));
        }
        Err(_) => {
            let api = connection.api.stream_create(&name);
            let make = context.get_or_create_stream(wanted.clone());
            let made = permitted(connection, &api, make).await.with_context(what)?;
            let made = made.map_err(|error| failed(&error));
            tracing::info!(stream = name, from, "created the stream that a job reads");
            made.with_context(what)?
        }
    };
    let info = stream.cached_info();
    match unfit(&info.config, &wanted) {
        Some(why) => Err(anyhow!("{why}").context(what()))
            .hint(|| format!("delete stream `{name}` once the job has read all of it")),
        None => Ok(Some(Input {
            incarnation: created(info),
            stream: name,
        })),
    }
}

/// Whether the stream of a job with a single source sources this one.
async fn sources_it(
    connection: &Connection,
    context: &Context,
    job: &str,
    from: &str,
) -> Result<bool> {
    let name = name(job, None);
    let api = connection.api.stream_info(&name);
    let there = permitted(connection, &api, context.get_stream(&name)).await?;
    let sources = there
        .ok()
        .and_then(|there| there.cached_info().config.sources.clone());
    Ok(sources.iter().flatten().any(|source| source.name == from))
}

/// What it is to be like.
fn config(read: &resolved::Source, source: &Config, name: &str) -> Config {
    let filter = |subject: &SubjectFilter| SubjectTransform {
        source: subject.to_string(),
        destination: String::new(),
    };
    Config {
        name: name.to_owned(),
        description: Some("weir: what a job reads".to_owned()),
        storage: source.storage,
        num_replicas: source.num_replicas,
        discard: stream::DiscardPolicy::New,
        allow_direct: true,
        // No window: the source has dropped repeats already, and one by another's rule would be lost.
        sources: Some(vec![Source {
            name: source.name.clone(),
            subject_transforms: read.subjects.iter().map(filter).collect(),
            ..Source::default()
        }]),
        ..Config::default()
    }
}

/// What makes a stream unfit.
fn unfit(found: &Config, wanted: &Config) -> Option<&'static str> {
    let key = |config: &Config| -> Option<(String, Vec<String>)> {
        let [source] = config.sources.as_deref()? else {
            return None;
        };
        let transforms = source.subject_transforms.iter();
        let filters = transforms.map(|it| format!("{} {}", it.source, it.destination));
        let filters = filters.chain(source.filter_subject.iter().map(|it| format!("{it} ")));
        let mut filters: Vec<String> = filters.collect();
        filters.sort();
        let plain = source.external.is_none() && source.start_sequence.is_none();
        plain.then(|| (source.name.clone(), filters))
    };
    let limited = found.max_messages > 0
        || found.max_bytes > 0
        || found.max_messages_per_subject > 0
        || !found.max_age.is_zero();
    let findings = [
        (key(found) != key(wanted), "it sources something else"),
        (!found.subjects.is_empty(), "it has subjects of its own"),
        (
            found.retention != RetentionPolicy::Limits,
            "its retention is not `limits`",
        ),
        (limited, "it has limits, which drop unread messages"),
        (!found.duplicate_window.is_zero(), "it drops repeats"),
        (
            found.deny_purge || found.sealed,
            "nothing can be removed from it",
        ),
    ];
    let mut unfit = findings.into_iter().filter(|(unfit, _)| *unfit);
    unfit.next().map(|(_, why)| why)
}

/// Removes what all partitions have processed, as their checkpoints say. They may be older than the last.
///
/// # Errors
/// When the server does not answer, or refuses.
pub(super) async fn sweep(connection: &Connection, place: &JobPlace, input: &Input) -> Result<()> {
    #[derive(Deserialize)]
    struct Checkpoint {
        #[serde(default)]
        inputs: Vec<Progress>,
    }
    #[derive(Deserialize)]
    struct Progress {
        source: String,
        position: u64,
    }
    let (context, stream) = (jetstream(connection), &input.stream);
    let first = stored::get(connection, &context, stream, &Which::next(1, ">")).await?;
    let last = stored::get(connection, &context, stream, &Which::last(">")).await?;
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(());
    };
    let source = format!("{stream}@{}", input.incarnation);
    let mut behind = last.sequence.saturating_sub(1);
    for partition in 0..place.partitions {
        if behind < first.sequence {
            return Ok(());
        }
        let last = Which::last(&format!("{}.ckpt.{partition}", place.prefix));
        let found = stored::get(connection, &context, &place.stream, &last).await?;
        let found = found.and_then(|found| serde_json::from_slice(&found.payload).ok());
        let inputs = found
            .map(|Checkpoint { inputs }| inputs)
            .unwrap_or_default();
        let mut inputs = inputs.iter();
        let position = inputs.find(|progress| progress.source == source);
        behind = behind.min(position.map_or(0, |progress| progress.position));
    }
    purge(connection, &context, stream, ">", behind + 1).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit() -> Config {
        Config {
            name: "J_IN".to_owned(),
            sources: Some(vec![Source {
                name: "Q".to_owned(),
                ..Source::default()
            }]),
            ..Config::default()
        }
    }

    #[test]
    fn a_stream_that_sources_something_else_or_drops_messages_is_unfit() {
        assert_eq!(unfit(&fit(), &fit()), None);
        let unlike: [fn(&mut Config); 7] = [
            |config| config.sources = None,
            |config| {
                config
                    .sources
                    .iter_mut()
                    .flatten()
                    .for_each(|it| it.name = "R".to_owned())
            },
            |config| {
                config
                    .sources
                    .iter_mut()
                    .flatten()
                    .for_each(|it| it.filter_subject = Some("a".to_owned()))
            },
            |config| config.subjects = vec!["a".to_owned()],
            |config| config.max_messages = 1,
            |config| config.duplicate_window = std::time::Duration::from_secs(1),
            |config| config.retention = RetentionPolicy::WorkQueue,
        ];
        for change in unlike {
            let mut config = fit();
            change(&mut config);
            assert!(unfit(&config, &fit()).is_some(), "{config:?}");
        }
    }
}
