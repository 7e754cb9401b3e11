//! One run of a query, by weir or by hand.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use example_streams::Streams;
use nexmark_oracle::{Event, Query, rows};
use serde::Deserialize;
use tokio::process::{Child, Command};

use super::asked::Asked;
use super::lane;
use crate::atomic::CHECKPOINT;
use crate::bench::{Bench, LIMIT, LOOK, Run, now, stop};
use crate::case::{self, Case, IDENTITY, OUT};
use crate::feed::Feed;
use crate::jobs::recovery;
use crate::jobs::side::{NATIVE_STREAM, job_stream, native_streams};
use crate::server::cpu_seconds;

/// The results of the first pipeline of a chain.
const BETWEEN: &str = "NEXMARK_WINNING_BIDS";

/// The sides of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Weir,
    Native,
}

/// A query, and the stream that it reads.
pub(super) struct Fed<'a> {
    pub(super) bench: &'a Bench<'a>,
    pub(super) streams: &'a Streams,
    pub(super) asked: &'a Asked,
    pub(super) query: &'a Query,
    pub(super) events: &'a [Event],
}

/// Time in seconds since 1970, and CPU seconds of a side and of the server.
struct Meter {
    time: f64,
    cpu: f64,
    server_cpu: f64,
}

impl Fed<'_> {
    /// One run of one side, over all events.
    pub(super) async fn once(&self, side: Side, number: usize) -> Result<Run> {
        let name = format!("bench-{}-{side:?}-{number}", self.query.pipeline()).to_lowercase();
        let mut child = self.start(side, &name).await?;
        let messages = self.events.len() as u64;
        let first = self.reached(side, &mut child, &name, 1).await?;
        let before = self.meter(&child)?;
        let last = self.reached(side, &mut child, &name, messages).await?;
        if side == Side::Weir
            && let Some(second) = self.names(&name).nth(1)
        {
            // All that there is for it by now.
            let stored = self.stored(BETWEEN).await?;
            self.reached(side, &mut child, &second, stored).await?;
        }
        let after = self.meter(&child)?;
        self.check(side, &mut child, &name).await?;
        stop(child).await?;
        self.forget(&name).await;
        if last == first {
            bail!("`{name}` has read all events at once: there are too few");
        }
        let count = (last - first) as f64;
        Ok(Run {
            rate: count / (after.time - before.time),
            cpu: (after.cpu - before.cpu) * 1e6 / count,
            server_cpu: (after.server_cpu - before.server_cpu) * 1e6 / count,
        })
    }

    fn meter(&self, child: &Child) -> Result<Meter> {
        Ok(Meter {
            time: now()?,
            cpu: cpu_seconds(child.id().context("a side ended")?)?,
            server_cpu: cpu_seconds(self.bench.server.pid)?,
        })
    }

    /// Messages in a stream.
    async fn stored(&self, stream: &str) -> Result<u64> {
        let found = self.bench.context.get_stream(stream).await;
        let found = found.with_context(|| format!("cannot look at stream `{stream}`"))?;
        Ok(found.cached_info().state.messages)
    }

    /// The stream of the results.
    fn out(&self, side: Side) -> String {
        match side {
            Side::Weir => self.query.stream(),
            Side::Native => OUT.to_owned(),
        }
    }

    async fn start(&self, side: Side, name: &str) -> Result<Child> {
        let Self { bench, .. } = self;
        let server = &bench.server.url;
        if side == Side::Native {
            let case = Case {
                job: true,
                ..IDENTITY
            };
            bench.prepare(case::Side::Weir, case, name).await?;
            native_streams(bench, Feed::Small).await?;
            let this = std::env::current_exe().context("cannot find this program")?;
            let mut native = Command::new(this);
            native.args(["nexmark", "--server", server, "--consumer", name]);
            native.args(["--query", self.query.name]);
            return bench.spawn(native, name);
        }
        let mut files = Vec::new();
        for (name, pipeline) in self.names(name).zip(self.asked.pipelines) {
            let file = bench.measure.out.join(format!("{name}.yaml"));
            let text = self.pipeline(pipeline, &name);
            std::fs::write(&file, text).context("cannot write a pipeline")?;
            files.push(file);
        }
        let (first, more) = files.split_first().context("a query has a pipeline")?;
        let mut weir = bench.weir(first);
        weir.env("NATS_URL", server).args(more).arg("--create");
        bench.spawn(weir, name)
    }

    /// The names of the pipelines of a run: the first is that which is watched.
    fn names(&self, name: &str) -> impl Iterator<Item = String> {
        let names = ["", "-second"].map(|end| format!("{name}{end}"));
        names.into_iter().take(self.asked.pipelines.len())
    }

    /// A pipeline of the example with another name, the plugins where they are, and one partition.
    fn pipeline(&self, text: &str, name: &str) -> String {
        let plugins = self.bench.measure.plugins.display();
        let lines = text.lines().filter(|line| *line != "partitions: 1");
        let lines = lines.map(|line| match line.split_once(": ") {
            Some(("name", _)) => format!("name: {name}\npartitions: 1\nlanes: 1\n"),
            Some(("    plugin", file)) => format!("    plugin: {plugins}/{file}\n"),
            _ => line.replace("idle-timeout: 10s", &idle_timeout()) + "\n",
        });
        lines.collect()
    }

    /// Waits until so many messages are committed, and returns how many are.
    async fn reached(
        &self,
        side: Side,
        child: &mut Child,
        name: &str,
        messages: u64,
    ) -> Result<u64> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let position = match side {
                Side::Weir => recovery::position(self.bench, name).await?,
                Side::Native => position(self.bench).await?,
            };
            if position >= messages {
                return Ok(position);
            }
            wait(child, name, deadline, position).await?;
        }
    }

    /// Waits for all results, and compares them with the oracle's.
    async fn check(&self, side: Side, child: &mut Child, name: &str) -> Result<()> {
        let expected = (self.query.results)(self.events);
        let out = self.out(side);
        let deadline = Instant::now() + LIMIT;
        loop {
            let stored = self.stored(&out).await?;
            if stored >= expected as u64 {
                break;
            }
            wait(child, name, deadline, stored).await?;
        }
        let published = self.streams.read(&out).await?;
        let differences =
            rows::differences(self.query, &(self.query.rows)(self.events), &published);
        match differences.first() {
            None if published.len() == expected => Ok(()),
            first => bail!(
                "`{name}` has {} results, expected {expected}: {}",
                published.len(),
                first.map_or("", String::as_str)
            ),
        }
    }

    /// Removes what the run has stored.
    async fn forget(&self, name: &str) {
        let mut streams = vec![OUT.to_owned(), NATIVE_STREAM.to_owned()];
        streams.extend(self.names(name).map(|name| job_stream(&name)));
        for stream in [self.query.stream(), BETWEEN.to_owned()] {
            streams.extend([format!("DEAD_{stream}"), stream]);
        }
        for stream in streams {
            // Not every run has each.
            drop(self.bench.context.delete_stream(stream).await);
        }
    }
}

/// The end of the events comes sooner than in the example.
fn idle_timeout() -> String {
    format!("idle-timeout: {}s", lane::IDLE.as_secs())
}

/// A while, unless the side has ended or takes too long.
async fn wait(child: &mut Child, name: &str, deadline: Instant, at: u64) -> Result<()> {
    if let Some(status) = child.try_wait().context("cannot look at a side")? {
        bail!("a side ended with {status}: see `{name}.log`");
    }
    if Instant::now() > deadline {
        bail!("`{name}` is stuck at {at}");
    }
    tokio::time::sleep(LOOK).await;
    Ok(())
}

#[derive(Deserialize)]
struct Position {
    position: u64,
}

/// Up to where the native loop has committed.
async fn position(bench: &Bench<'_>) -> Result<u64> {
    let stream = bench.context.get_stream(NATIVE_STREAM).await;
    let stream = stream.context("cannot look at the stream to commit to")?;
    let Ok(last) = stream.get_last_raw_message_by_subject(CHECKPOINT).await else {
        return Ok(0);
    };
    let last: Position =
        serde_json::from_slice(&last.payload).context("cannot understand a checkpoint")?;
    Ok(last.position)
}
