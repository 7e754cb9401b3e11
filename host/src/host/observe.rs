//! Observes one pipeline repeatedly: its lag, its parked messages, and its progress.
//!
//! While nothing happens, it rarely asks the server. `progress.rs` decides when a pipeline is stalled. This
//! file logs the beginning and the end of a stall; `/ready` and the status show it in between.

use super::progress::{Change, Progress, Seen};
use super::running::{Running, Stall};
use super::waits::{Cause, Reads, behind, causes, failing};
use crate::nats::attachment::{Attachment, ServerView};
use crate::nats::job_progress::JobProgress;
use crate::telemetry::metrics::PipelineMetrics;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a pipeline is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often the server is asked about a pipeline that has received nothing since, and had nothing to do.
const IDLE: Duration = Duration::from_secs(20);

/// The observations of one pipeline, with their times.
struct Observer<'a> {
    pipeline: &'a Running,
    progress: Progress,
    /// Whether the streams of the pipeline take over what its job has published.
    sourcing: Progress,
    /// Whether its partitions on this host can be owned.
    owning: Progress,
    /// What the server said last, and when it was asked; `None` after it did not say.
    server: Option<ServerView>,
    asked: Option<Instant>,
    /// Messages received when it was asked.
    received: u64,
    /// What was settled, but for what was settled while acks were refused; what was settled since the last
    /// look, of which that is not known yet; and both, as the metrics count it.
    settled: u64,
    fresh: u64,
    counted: u64,
    /// The server's refusal of acks, and the position up to which everything was settled then; until it
    /// accepts acks again.
    refused: Option<(String, u64)>,
    /// The last look.
    looked: Instant,
    /// Whether the log says that the server does not say.
    told: bool,
}

/// What a job reports about the partitions of this host, for the metrics.
fn measure(progress: &JobProgress, metrics: &PipelineMetrics) {
    metrics.job_paused.set(progress.is_paused().into());
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (mut records, mut bytes) = (0, 0);
    for partition in progress.state() {
        records += partition.log_records;
        bytes += partition.log_bytes;
    }
    metrics.job_log_records.set(number(records));
    metrics.job_log_bytes.set(number(bytes));
    let watermark = progress.watermark().map(Duration::from_nanos);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let lag = watermark.map(|watermark| now.unwrap_or_default().saturating_sub(watermark));
    let seconds = |time: Option<Duration>| number(time.unwrap_or_default().as_secs());
    metrics.watermark.set(seconds(watermark));
    metrics.event_time_lag.set(seconds(lag));
}

/// Never ends.
pub(super) async fn observe(pipeline: &Arc<Running>) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut observer = Observer {
        pipeline,
        progress: Progress::new(pipeline.settings.stalled_after),
        sourcing: Progress::new(pipeline.settings.stalled_after),
        owning: Progress::new(pipeline.settings.stalled_after),
        server: None,
        asked: None,
        received: 0,
        settled: 0,
        fresh: 0,
        counted: 0,
        refused: None,
        looked: Instant::now(),
        told: false,
    };
    loop {
        tick.tick().await;
        pipeline.log_suppressed();
        match pipeline.attachment().filter(|_| pipeline.is_at_work()) {
            Some(attachment) => observer.look(&attachment).await,
            // What it has lost says so by itself.
            None => {
                observer.progress.forget();
                observer.sourcing.forget();
                observer.owning.forget();
                observer.asked = None;
                pipeline.stalls(None);
            }
        }
    }
}

impl Observer<'_> {
    async fn look(&mut self, attachment: &Attachment) {
        let metrics = &self.pipeline.metrics;
        if let Some(job) = &attachment.ensured.job {
            measure(&job.progress, metrics);
        }
        let received = metrics.received.get();
        let idle = self.received == received && self.server.as_ref().is_some_and(is_idle);
        let fresh = self.asked.is_some_and(|asked| asked.elapsed() < IDLE);
        if !(idle && fresh) {
            (self.asked, self.received) = (Some(Instant::now()), received);
            self.server = self.ask(attachment).await;
        }
        self.judge();
    }

    async fn ask(&mut self, attachment: &Attachment) -> Option<ServerView> {
        let pipeline = &self.pipeline.settings.name;
        match attachment.observe(&self.pipeline.metrics).await {
            Ok(seen) => {
                if std::mem::replace(&mut self.told, false) {
                    tracing::info!(pipeline, "the server reports the lag again");
                }
                Some(seen)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::warn!(pipeline, "cannot get the lag: {error:#}");
                }
                None
            }
        }
    }

    fn judge(&mut self) {
        let (pipeline, now) = (self.pipeline, Instant::now());
        self.count(now);
        let (unsourced, told) = self.unsourced(now);
        let (unowned, heard) = self.unowned(now);
        let server = self.server.as_ref();
        let refused = self.refused.as_ref().map(|(words, _)| words.clone());
        let delivers = server.is_some_and(|seen| seen.pending + seen.due > 0 || seen.unowned > 0);
        let seen = Seen {
            work: delivers || refused.is_some() || pipeline.has_work(),
            settled: self.settled,
            floor: server.map_or(0, |seen| seen.floor),
        };
        let change = self.progress.observe(now, seen);
        // Asked in one look and heard in the next, so that the words are those of now.
        let doubtful = self.progress.doubtful(now);
        let (name, source) = (&pipeline.settings.name, &pipeline.settings.source);
        let streams = pipeline.settings.streams().join("`, `");
        let stall = doubtful
            .filter(|_| self.progress.is_stalled())
            .map(|since| {
                let reads = Reads {
                    stream: &streams,
                    consumer: match pipeline.settings.job {
                        Some(_) => "",
                        None => &source.consumer,
                    },
                };
                let causes = causes(reads, &pipeline.waits(), server, refused, now);
                Stall { since, causes }
            })
            .or(unowned)
            .or(unsourced);
        match (change.or(heard).or(told), &stall) {
            (Some(Change::Stalled(_)), Some(stall)) => {
                tracing::error!(
                    pipeline = name,
                    hint = stall.hint(),
                    "{}",
                    stall.words(name)
                );
            }
            (Some(Change::GoesOn(lasted)), _) => {
                let seconds = lasted.as_secs();
                tracing::info!(
                    pipeline = name,
                    "continues after {seconds} s without progress"
                );
            }
            _ => {}
        }
        pipeline.stalls(stall);
        if doubtful.is_some() || pipeline.metrics.in_flight.get() > 0 {
            pipeline.ask();
        }
    }

    /// The streams of the pipeline do not take over what its job has published; and what has changed about that.
    fn unsourced(&mut self, now: Instant) -> (Option<Stall>, Option<Change>) {
        let Some(ServerView { sourced, .. }) = &self.server else {
            return (None, None);
        };
        let seen = Seen {
            work: sourced.behind.is_some(),
            settled: sourced.upto,
            floor: 0,
        };
        let causes = || {
            let behind = sourced
                .behind
                .iter()
                .map(|it| behind(it, &self.pipeline.troubles()));
            behind.flatten().collect()
        };
        aside(&mut self.sourcing, now, seen, causes)
    }

    /// Partitions cannot be owned while others go on; and what has changed about that.
    fn unowned(&mut self, now: Instant) -> (Option<Stall>, Option<Change>) {
        let causes = failing(&self.pipeline.troubles());
        let seen = Seen {
            work: !causes.is_empty(),
            ..Seen::default()
        };
        aside(&mut self.owning, now, seen, || causes)
    }

    /// Counts what was settled. An ack that the server does not permit settles nothing, which it says a
    /// moment later.
    fn count(&mut self, now: Instant) {
        let (floor, outstanding) = match &self.server {
            Some(seen) => (seen.floor, seen.ack_pending),
            None => (0, 1),
        };
        self.refused
            .take_if(|(_, before)| floor > *before || outstanding == 0);
        let since = std::mem::replace(&mut self.looked, now);
        let counted = self.pipeline.settled();
        let latest = counted.saturating_sub(std::mem::replace(&mut self.counted, counted));
        match self.pipeline.refused_acks(since) {
            Some(words) => (self.refused, self.fresh) = (Some((words, floor)), 0),
            None => self.settled += std::mem::replace(&mut self.fresh, latest),
        }
    }
}

/// A stall of something beside the path of messages.
fn aside(
    progress: &mut Progress,
    now: Instant,
    seen: Seen,
    causes: impl FnOnce() -> Vec<Cause>,
) -> (Option<Stall>, Option<Change>) {
    let change = progress.observe(now, seen);
    let since = progress.doubtful(now).filter(|_| progress.is_stalled());
    let stall = since.map(|since| Stall {
        since,
        causes: causes(),
    });
    (stall, change)
}

/// Whether the server has nothing for the pipeline to do.
fn is_idle(seen: &ServerView) -> bool {
    seen.pending + seen.ack_pending + seen.parked == 0
        && seen.unowned == 0
        && seen.sourced.behind.is_none()
}
