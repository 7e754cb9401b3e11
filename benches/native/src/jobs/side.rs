//! What moves the messages on one side of a comparison, and the streams that it needs.

use std::path::Path;

use anyhow::{Context, Result};
use async_nats::jetstream::stream;
use futures_util::StreamExt;
use tokio::process::Child;

use crate::atomic;
use crate::bench::Bench;
use crate::case::{self, Case, IDENTITY, OUT, OUT_SUBJECT, Publishing};
use crate::feed::Feed;

/// The stream that the native loop commits to.
pub(super) const NATIVE_STREAM: &str = "BENCH_JOB";
/// One side of a comparison: what moves the messages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// The loop of `atomic.rs`.
    Native,
    /// weir, exactly once; the sink's stream sources the results, or that of the job keeps them.
    Job {
        partitions: u16,
        keyed: bool,
        kept: bool,
    },
    /// weir, at least once; results by fast ingest, or one by one.
    AtLeastOnce { ingest: bool },
}

impl Side {
    /// Where its results are published.
    pub(super) fn first(self, name: &str) -> String {
        match self {
            Side::Native => format!("{}.out.>", atomic::PREFIX),
            Side::Job { kept: false, .. } => format!("weir.job.{name}.out.>"),
            Side::Job { kept: true, .. } | Side::AtLeastOnce { .. } => OUT_SUBJECT.to_owned(),
        }
    }

    /// Makes its streams and starts its process.
    pub(super) async fn start(
        self,
        bench: &Bench<'_>,
        feed: Feed,
        plugins: &[&str],
        name: &str,
    ) -> Result<Child> {
        let case = Case {
            feed,
            job: !matches!(self, Side::AtLeastOnce { .. }),
            publishing: match self {
                Side::AtLeastOnce { ingest: true } => Publishing::Ingest { ids: true },
                _ => Publishing::Single,
            },
            ..IDENTITY
        };
        bench.prepare(case::Side::Weir, case, name).await?;
        if let Side::Job { kept: true, .. } = self {
            // Another stream captures what it does.
            let deleted = bench.context.delete_stream(OUT).await;
            deleted.context("cannot delete the stream to fill")?;
        }
        match self {
            Side::Native => {
                native_streams(bench, feed).await?;
                let mut native = bench.native(case, name)?;
                native.arg("--job");
                bench.spawn(native, name)
            }
            _ => {
                let server = &bench.server.url;
                let text = self.pipeline(feed, name, server, plugins, &bench.measure.plugins);
                weir(bench, name, &text)
            }
        }
    }

    /// How many of its results are stored.
    pub(super) async fn stored(self, bench: &Bench<'_>, name: &str) -> Result<u64> {
        let Side::Job { kept: true, .. } = self else {
            return Ok(bench.stored().await?.0);
        };
        // It is made meanwhile.
        let Ok(stream) = bench.context.get_stream(job_stream(name)).await else {
            return Ok(0);
        };
        let mut subjects = stream.info_with_subjects(OUT_SUBJECT).await?;
        let found = subjects.next().await.transpose()?;
        Ok(found.map_or(0, |(_, count)| count as u64))
    }

    /// Removes what it alone has stored.
    pub(super) async fn forget(self, bench: &Bench<'_>, name: &str) {
        drop(bench.context.delete_stream(OUT).await);
        let stream = match self {
            Side::Native => NATIVE_STREAM.to_owned(),
            _ => job_stream(name),
        };
        drop(bench.context.delete_stream(stream).await);
    }

    fn pipeline(
        self,
        feed: Feed,
        name: &str,
        server: &str,
        plugins: &[&str],
        folder: &Path,
    ) -> String {
        let (stream, filter) = (feed.stream(), feed.filter());
        let key = "key: \"{subject[2]}\"\n";
        let (consumer, kind) = match self {
            Side::Job {
                partitions, keyed, ..
            } => {
                let key = if keyed { key } else { "" };
                let kind = format!("delivery: exactly-once\n{key}partitions: {partitions}\n");
                (String::new(), kind)
            }
            Side::AtLeastOnce { .. } => (format!("  consumer: {name}\n"), String::new()),
            Side::Native => Default::default(),
        };
        let sink = match self {
            Side::Job { kept: true, .. } => "in-job-stream: { max-age: 1d }".to_owned(),
            _ => format!("stream: {OUT}"),
        };
        let operators = plugins.iter().enumerate().map(|(number, plugin)| {
            let plugin = folder.join(plugin);
            format!(
                "  - name: work-{number}\n    plugin: {}\n",
                plugin.display()
            )
        });
        let operators: String = operators.collect();
        format!(
            "name: {name}\n\
             nats:\n  servers: [\"{server}\"]\n\
             source:\n  stream: {stream}\n  subjects: [\"{filter}\"]\n{consumer}\
             {kind}lanes: 1\n\
             operators:\n{operators}\
             sink:\n  subject: {OUT_SUBJECT}\n  {sink}\n\
             dead-letter: off\n"
        )
    }
}

/// `weir run` of a pipeline; it makes the streams of a job.
pub(super) fn weir(bench: &Bench<'_>, name: &str, pipeline: &str) -> Result<Child> {
    let file = bench.measure.out.join(format!("{name}.yaml"));
    std::fs::write(&file, pipeline).context("cannot write a pipeline")?;
    let mut weir = bench.weir(&file);
    weir.arg("--create");
    bench.spawn(weir, name)
}

/// The stream of the job of a pipeline.
pub(super) fn job_stream(pipeline: &str) -> String {
    weir::nats::job::names(pipeline).1
}

/// A stream to commit to, and the sink's stream sources it: as for a job.
pub(super) async fn native_streams(bench: &Bench<'_>, feed: Feed) -> Result<()> {
    let context = &bench.context;
    drop(context.delete_stream(NATIVE_STREAM).await);
    let config = stream::Config {
        name: NATIVE_STREAM.to_owned(),
        subjects: vec![format!("{}.>", atomic::PREFIX)],
        storage: feed.storage(),
        discard: stream::DiscardPolicy::New,
        allow_atomic_publish: true,
        allow_rollup: true,
        allow_direct: true,
        ..Default::default()
    };
    let made = context.create_stream(config).await;
    made.context("cannot create the stream to commit to")?;
    let out = context.get_stream(OUT).await;
    let out = out.context("cannot look at the stream to fill")?;
    let transform = stream::SubjectTransform {
        source: format!("{}.out.*.>", atomic::PREFIX),
        destination: ">".to_owned(),
    };
    let source = stream::Source {
        name: NATIVE_STREAM.to_owned(),
        subject_transforms: vec![transform],
        ..Default::default()
    };
    let config = stream::Config {
        sources: Some(vec![source]),
        ..out.cached_info().config.clone()
    };
    let updated = context.update_stream(config).await;
    updated
        .map(drop)
        .context("cannot let a stream source another")
}
