//! What a job needs on its server: its own stream, and the streams in `job_outputs.rs`.
//!
//! A *definition* in the job's stream describes how its state was made. A pipeline that would read that state
//! differently is refused, and so is another pipeline of the same name.

use super::job_outputs::{self, Target};
use super::job_progress::JobProgress;
pub use super::job_sources::Reads;
use super::streams::{self, Context, Durable, Ensured, may_create, stream_name};
use super::{Connection, job_sources, job_stream};
use crate::config::resolved::{Job, NamedSource, Order, Pipeline};
use crate::config::template::KeyRule;
use crate::report::{self, ResultExt};
use crate::state::group::GROUPS;
use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::jetstream::stream::StorageType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the subjects of all jobs begin with.
pub const PREFIX: &str = "weir.job";

/// What `Ensured` says of a job.
#[derive(Clone, Debug)]
pub struct JobPlace {
    /// Its stream.
    pub stream: String,
    /// What all subjects of its stream begin with.
    pub prefix: String,
    /// Tells its stream from one of the same name that was deleted; see [`incarnation`](super::streams::incarnation).
    pub incarnation: String,
    /// Where its results and dead letters go.
    pub targets: Vec<Target>,
    /// The streams that it reads.
    pub reads: Vec<Reads>,
    /// How many partitions it has, and how far it is on this host.
    pub partitions: u16,
    pub progress: Arc<JobProgress>,
}

/// Where a job keeps its state, by the name of its pipeline: the subjects' prefix, and the stream.
#[must_use]
pub fn names(pipeline: &str) -> (String, String) {
    let prefix = format!("{PREFIX}.{pipeline}");
    let stream = stream_name(&prefix);
    (prefix, stream)
}

/// The subject that a result has in its stream, from that in the job's stream; none for anything else.
#[must_use]
pub fn result_subject(subject: &str) -> Option<&str> {
    let mut rest = subject.strip_prefix(PREFIX)?.splitn(5, '.');
    let is_result = rest.nth(2)? == "out";
    rest.nth(1).filter(|_| is_result)
}

/// What the state of a job was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// The only source, or the first.
    #[serde(flatten)]
    pub first: DefinedSource,
    pub partitions: u16,
    #[serde(default)]
    pub order: Order,
    /// The others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<DefinedSource>,
}

/// A source of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinedSource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `<stream>@<incarnation>`, and the position behind which the job began there.
    pub source: String,
    pub begin: u64,
    pub key: Option<String>,
    /// Whether it is a table.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub table: bool,
    /// What a table has of its stream, or its bucket; all if empty. Another source may have others later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
}

/// The `rows` of a source.
#[must_use]
pub fn rows(named: &NamedSource) -> Vec<String> {
    let source = &named.source;
    let prefix = source
        .bucket
        .as_ref()
        .map(|bucket| format!("$KV.{bucket}."));
    let prefix = prefix.unwrap_or_default();
    let rows = source.subjects.iter().filter(|_| named.is_table);
    rows.map(|subject| subject.as_str().trim_start_matches(&prefix).to_owned())
        .collect()
}

impl DefinedSource {
    #[must_use]
    pub fn stream(&self) -> &str {
        let split = self.source.rsplit_once('@');
        split.map_or(&*self.source, |(stream, _)| stream)
    }

    /// Whether it is this one of a pipeline. Where one of both has no name, it is if nothing else is different.
    #[must_use]
    pub fn is_of(&self, named: &NamedSource, pipeline: &Pipeline) -> bool {
        match (&self.name, &named.name) {
            (Some(mine), Some(name)) => mine == name,
            (None, None) => true,
            _ => {
                let mut alike = pipeline.sources.iter().filter(|named| self.is_like(named));
                alike.next().is_some_and(|first| std::ptr::eq(first, named))
            }
        }
    }

    fn is_like(&self, named: &NamedSource) -> bool {
        let key = named.key.as_ref().map(KeyRule::as_str);
        self.stream() == named.source.stream && self.key.as_deref() == key
    }
}

impl Definition {
    /// # Errors
    /// When there is no source.
    pub fn of(sources: Vec<DefinedSource>, partitions: u16, order: Order) -> Result<Self> {
        let mut sources = sources.into_iter();
        let first = sources.next().context("a job reads something")?;
        Ok(Self {
            first,
            partitions,
            order,
            more: sources.collect(),
        })
    }

    /// Reads what is in the stream of a job, into which anybody may have written.
    ///
    /// # Errors
    /// When it is no definition.
    pub fn read(payload: &[u8]) -> Result<Self> {
        let read: Self = serde_json::from_slice(payload)?;
        match (1..=GROUPS).contains(&read.partitions) {
            true => Ok(read),
            false => bail!("a job cannot have {} partitions", read.partitions),
        }
    }

    /// All sources.
    pub fn sources(&self) -> impl Iterator<Item = &DefinedSource> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// What it reads, each once: `<stream>@<incarnation>`, and where it began there.
    #[must_use]
    pub fn inputs(&self) -> BTreeMap<&str, u64> {
        let sources = self.sources().map(|it| (&*it.source, it.begin));
        sources.collect()
    }

    /// Whether it has a source of this `<stream>@<incarnation>`.
    #[must_use]
    pub fn reads(&self, id: &str) -> bool {
        self.sources().any(|it| it.source == id)
    }

    /// The position behind which it begins there: a stream that was created again is read from its beginning.
    #[must_use]
    pub fn begin_of(&self, id: &str) -> u64 {
        self.inputs().get(id).copied().unwrap_or_default()
    }

    /// Whether the sources of a stream are tables.
    #[must_use]
    pub fn is_table(&self, stream: &str) -> bool {
        let mut sources = self.sources();
        sources.any(|it| it.table && it.stream() == stream)
    }

    /// The names of the sources of a stream, with spaces between them.
    #[must_use]
    pub fn names_of(&self, stream: &str) -> String {
        let of_stream = self.sources().filter(|it| it.stream() == stream);
        let names: Vec<&str> = of_stream.filter_map(|it| it.name.as_deref()).collect();
        names.join(" ")
    }
}

/// Makes what is missing and may be made, and verifies the rest.
///
/// # Errors
/// What is missing, what the server refuses, or how the state was made otherwise.
pub(super) async fn ensure(
    connection: &Connection,
    context: &Context,
    pipeline: &Pipeline,
    job: &Job,
    create: bool,
) -> Result<Ensured> {
    let found = job_sources::find(connection, context, pipeline, create).await?;
    let configs = || found.iter().map(|found| &found.stream.cached_info().config);
    let replicas = configs().map(|config| config.num_replicas).max();
    let replicas = replicas.unwrap_or(1);
    let (prefix, stream) = names(&pipeline.name);
    let wanted = job_stream::Wanted {
        in_memory: configs().all(|config| config.storage == StorageType::Memory),
        replicas,
    };
    let may_create = may_create(pipeline, create);
    let results = job_outputs::kept(pipeline);
    for subject in &results {
        job_outputs::refuse_captured(connection, context, subject, &stream).await?;
    }
    let wanted = may_create.then_some(wanted);
    let incarnation = job_stream::ensure(connection, &stream, &prefix, &results, wanted).await?;
    let (of, place) = ((pipeline, job), (&*stream, &*prefix));
    let reads = job_sources::ensure(connection, context, of, &found, place, create).await?;
    let own = job_outputs::Own {
        stream: &stream,
        prefix: &prefix,
        replicas,
    };
    let targets = job_outputs::ensure(connection, context, pipeline, own, create).await?;
    let whole = found.iter().filter(|found| found.read.subjects.is_empty());
    let captured = whole.map(|found| found.stream.cached_info().config.subjects.clone());
    let inputs = reads.len();
    Ok(Ensured {
        source: Durable {
            stream: pipeline.source.stream.clone(),
            ..Durable::default()
        },
        parking: Err("a job keeps it in its state".to_owned()),
        fast_ingest: Err("a job commits its results".to_owned()),
        subjects: captured.flatten().collect(),
        replicas,
        incarnation: found.first().map_or_else(String::new, |found| {
            streams::created(found.stream.cached_info())
        }),
        job: Some(JobPlace {
            stream,
            prefix,
            incarnation,
            targets,
            reads,
            partitions: job.partitions,
            progress: Arc::new(JobProgress::new(pipeline.lanes, inputs)),
        }),
    })
}

/// Refuses the state of another definition.
///
/// # Errors
/// If it was made otherwise than this pipeline would read it.
pub fn refuse_other(found: &Definition, pipeline: &Pipeline, job: &Job) -> Result<()> {
    let quoted = |text: Option<&str>| text.map_or("none".to_owned(), |text| format!("`{text}`"));
    let word = |order| match order {
        Order::Key => quoted(Some("key")),
        Order::Stream => quoted(Some("stream")),
    };
    let counts = [found.partitions, job.partitions].map(|count| count.to_string());
    let mut changes = vec![
        ("partitions".to_owned(), counts),
        ("order".to_owned(), [found.order, job.order].map(word)),
    ];
    for source in found.sources() {
        let mut all = pipeline.sources.iter();
        let Some(named) = all.find(|named| source.is_of(named, pipeline)) else {
            return Err(removed(source));
        };
        let key = named.key.as_ref().map(KeyRule::as_str);
        let keys = [source.key.as_deref(), key].map(quoted);
        let streams = [source.stream(), &*named.source.stream].map(|stream| quoted(Some(stream)));
        let at = named.name.as_ref().map(|name| format!("sources.{name}"));
        let at = at.unwrap_or_else(|| "source".to_owned());
        changes.insert(0, (format!("{at}.stream"), streams));
        changes.push(("key".to_owned(), keys));
        if source.table && named.is_table {
            let of_stream = if named.source.bucket.is_some() {
                "keys"
            } else {
                "subjects"
            };
            let rows = [source.rows.join(", "), rows(named).join(", ")];
            let rows = rows.map(|rows| quoted(Some(&*rows).filter(|rows| !rows.is_empty())));
            changes.push((format!("{at}.{of_stream}"), rows));
        }
    }
    let mut changes = changes.into_iter();
    let Some((field, [was, is])) = changes.find(|(_, [was, is])| was != is) else {
        return Ok(());
    };
    Err(anyhow!("its state depends on another `{field}`: {was}, not {is}")).hint(|| {
        format!("give `{field}` the value {was} in the file, or the pipeline another `name`, with which it starts again")
    })
}

/// A source that the pipeline does not have any more.
fn removed(source: &DefinedSource) -> anyhow::Error {
    let stream = source.stream();
    let error = match &source.name {
        Some(name) => anyhow!(
            "its state depends on source `{name}` of stream `{stream}`, which the file does not have"
        ),
        None => {
            anyhow!(
                "its state depends on stream `{stream}`, and no source has this stream and its key"
            )
        }
    };
    report::hint(
        error,
        "add the source again, or give the pipeline another `name`, with which it starts again",
    )
}
