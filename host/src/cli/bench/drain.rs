//! One run: a full stream through the pipeline, from the first delivery until the last message is
//! settled.

use super::Setup;
use super::child::{Child, Page};
use super::usage::Times;
use crate::nats::bench::{self, Position};
use crate::nats::streams::Ensured;
use crate::report::ResultExt;
use crate::telemetry::metrics::Name;
use anyhow::{Context, Result, anyhow};
use indicatif::ProgressBar;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Poll intervals: short until the run begins, then long enough not to burden the server.
const BEFORE: Duration = Duration::from_millis(2);
const MEANWHILE: Duration = Duration::from_millis(10);

/// The measurements of a run. Cores are processor seconds per second.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Run {
    /// From the first delivery until the last message was settled.
    pub(super) seconds: f64,
    /// Messages a second.
    pub(super) rate: f64,
    /// Payload bytes of the inputs a second.
    pub(super) bytes_per_second: f64,
    /// Processor time of the host per message, in microseconds, including its plugins.
    pub(super) host_us: f64,
    pub(super) server_us: f64,
    pub(super) host_cores: f64,
    pub(super) server_cores: f64,
    /// Cores used by the bench itself.
    pub(super) own_cores: f64,
    /// Shares of a lane's time, as the mean of all lanes: on a core, waiting for a core, and in plugin
    /// calls, whether they compute or wait.
    pub(super) lane_busy: f64,
    pub(super) lane_queued: f64,
    pub(super) lane_in_plugins: f64,
    /// Messages delivered and not settled: the mean of all polls.
    pub(super) unsettled: f64,
    pub(super) counts: Counts,
}

/// The outcomes of the messages, from the host's own metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) messages: u64,
    /// Published results.
    pub(super) results: u64,
    /// Inputs that were dropped deliberately.
    pub(super) dropped: u64,
    /// Inputs that became dead letters, or would have if dead letters were on.
    pub(super) dead_letters: u64,
    /// Retries that a plugin asked for.
    pub(super) retries: u64,
    /// Retries because publishing or the connection failed.
    pub(super) failures: u64,
    /// Redelivered messages.
    pub(super) redelivered: u64,
}

/// A snapshot of all numbers.
struct Snapshot {
    at: Instant,
    settled: u64,
    host: Times,
    server: Times,
    own: Times,
}

/// Runs the pipeline over the messages in its stream.
pub(super) async fn run(setup: &Setup<'_>, ensured: &Ensured, bar: &ProgressBar) -> Result<Run> {
    let mut child = setup.child()?;
    let mut begin = setup.snapshot(Times::default(), 0)?;
    let deadline = Instant::now() + setup.arguments.limit();
    let (mut begun, mut looks, mut unsettled) = (false, 0_u64, 0_u64);
    loop {
        let at = setup.position(ensured, &child).await?;
        let settled = setup.settled(&at);
        bar.set_position(settled);
        if at.is_drained() {
            break;
        }
        child.goes_on()?;
        match at.begun {
            true if !begun => {
                begin = setup.snapshot(Times::of(child.pid)?, settled)?;
                begun = true;
            }
            true => {
                looks += 1;
                unsettled += at.unsettled;
            }
            // If the run is over at the next poll, this is the best approximation of its beginning.
            false => begin.at = Instant::now(),
        }
        setup.not_after(deadline, &at, setup.arguments.messages)?;
        tokio::time::sleep(if begun { MEANWHILE } else { BEFORE }).await;
    }
    let end = setup.snapshot(Times::of(child.pid)?, setup.arguments.messages)?;
    let page = child.metrics().await?;
    child.end().await?;
    let mut run = setup.between(&begin, &end, &page);
    run.unsettled = unsettled as f64 / looks.max(1) as f64;
    Ok(run)
}

impl Setup<'_> {
    /// The measured host, running on the private server.
    pub(super) fn child(&self) -> Result<Child> {
        let (file, name) = (&self.arguments.file, &self.pipeline.name);
        Child::start(file, name, &self.server.url, self.server.folder())
    }

    /// How far the pipeline is. A job has no consumer: its host says it.
    async fn position(&self, ensured: &Ensured, child: &Child) -> Result<Position> {
        if ensured.job.is_none() {
            return bench::position(&self.connection, ensured).await;
        }
        // It has no pages yet when it begins.
        let page = child.metrics().await.ok();
        let count = |name| {
            page.as_ref()
                .map_or(0, |page| page.count(name, &self.pipeline.name))
        };
        let (settled, unsettled) = (
            count(Name::Acked) + count(Name::Termed),
            count(Name::InFlight),
        );
        let left = self.arguments.messages.saturating_sub(settled);
        Ok(Position {
            begun: settled + unsettled > 0,
            delivered: 0,
            pending: left.saturating_sub(unsettled),
            unsettled: unsettled.min(left),
            parked: 0,
        })
    }

    fn snapshot(&self, host: Times, settled: u64) -> Result<Snapshot> {
        Ok(Snapshot {
            at: Instant::now(),
            settled,
            host,
            server: Times::of(self.server.pid)?,
            own: Times::of(std::process::id())?,
        })
    }

    fn settled(&self, at: &Position) -> u64 {
        let messages = self.arguments.messages;
        messages.saturating_sub(at.pending + at.unsettled + at.parked)
    }

    /// # Errors
    ///
    /// After the deadline: how far the pipeline has got.
    pub(super) fn not_after(&self, deadline: Instant, at: &Position, messages: u64) -> Result<()> {
        if Instant::now() < deadline {
            return Ok(());
        }
        let Position {
            pending,
            unsettled,
            parked,
            ..
        } = at;
        let (pipeline, seconds) = (&self.pipeline.name, self.arguments.limit);
        Err(anyhow!(
            "of {messages} messages {pending} are not delivered, {unsettled} delivered and not settled, \
             {parked} in the parking stream"
        ))
        .with_context(|| format!("pipeline `{pipeline}` has not finished after {seconds} s"))
        .hint(|| "look for retries with `weir dev`, or pass fewer `--messages` or a higher `--limit`")
    }

    fn between(&self, begin: &Snapshot, end: &Snapshot, page: &Page) -> Run {
        let (pipeline, lanes) = (&self.pipeline, self.pipeline.lanes);
        let seconds = end.at.duration_since(begin.at).as_secs_f64().max(1e-9);
        let settled = end.settled.saturating_sub(begin.settled).max(1);
        let bytes = self.input.bytes(end.settled) - self.input.bytes(begin.settled);
        let host = end.host.since(&begin.host).computed.as_secs_f64();
        let server = end.server.since(&begin.server).computed.as_secs_f64();
        let names: Vec<String> = (0..lanes)
            .map(|lane| format!("{}/{lane}", pipeline.name))
            .collect();
        let threads = end.host.of_threads(&begin.host, &names);
        let of_a_lane = |time: Duration| time.as_secs_f64() / seconds / lanes.max(1) as f64;
        let calls = pipeline.operators.iter();
        let calls =
            calls.map(|operator| page.sum(Name::CallSeconds, &pipeline.name, &operator.name));
        // The metrics cover the whole run; the times begin slightly later.
        let part = settled as f64 / end.settled.max(1) as f64;
        let in_plugins = Duration::from_secs_f64((calls.sum::<f64>() * part).max(0.0));
        Run {
            seconds,
            rate: settled as f64 / seconds,
            bytes_per_second: bytes as f64 / seconds,
            host_us: host * 1e6 / settled as f64,
            server_us: server * 1e6 / settled as f64,
            host_cores: host / seconds,
            server_cores: server / seconds,
            own_cores: end.own.since(&begin.own).computed.as_secs_f64() / seconds,
            lane_busy: of_a_lane(threads.computed).min(1.0),
            lane_queued: of_a_lane(threads.queued).min(1.0),
            lane_in_plugins: of_a_lane(in_plugins).min(1.0),
            unsettled: 0.0,
            counts: self.counts(page),
        }
    }

    /// A dead letter in several parts, which only a payload near the server's limit needs, counts as a result
    /// for each part but one: the metrics do not distinguish them.
    pub(super) fn counts(&self, page: &Page) -> Counts {
        let count = |name| page.count(name, &self.pipeline.name);
        let stored_dead = count(Name::Dead);
        Counts {
            messages: self.arguments.messages,
            results: count(Name::Published).saturating_sub(stored_dead + count(Name::Parked)),
            dropped: count(Name::Dropped),
            dead_letters: count(Name::Termed),
            retries: count(Name::Retried),
            failures: count(Name::RetriedInfrastructure),
            redelivered: count(Name::Redelivered),
        }
    }
}
