//! One pipeline of a host: its settings, plugins and numbers, and its attachment to the server.
//!
//! The host reads it while lanes work: for `weir status`, for readiness, for the lag. `supervise.rs` starts
//! and stops pipelines; `observe.rs` observes their progress.

use super::waits::Cause;
use crate::config::resolved;
use crate::delivery::in_progress::InProgressRegistry;
use crate::nats::Health;
use crate::nats::attachment::Attachment;
use crate::nats::job_progress::{Task, Trouble};
use crate::plugin::Runtime;
use crate::process::activity::{Activity, Wait};
use crate::process::chain::Chain;
use crate::process::plugin_set::PluginSet;
use crate::report::Problem;
use crate::rollout::target::RolloutTarget;
use crate::telemetry::log_limit::{self, LogLimit};
use crate::telemetry::metrics::PipelineMetrics;
use crate::threads::locked;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// One pipeline and its observations.
pub(crate) struct Running {
    pub(crate) settings: Arc<resolved::Pipeline>,
    /// Its versions and its attachment, which it shares with those who deploy to it.
    pub(crate) target: Arc<RolloutTarget>,
    pub(crate) metrics: Arc<PipelineMetrics>,
    /// One for each lane.
    pub(crate) in_progress: Vec<Arc<InProgressRegistry>>,
    /// Which dead letters have a line in the log.
    pub(crate) dead_letter_log: Arc<LogLimit>,
    /// Which failures to publish have one.
    pub(crate) failure_log: Arc<LogLimit>,
    /// Never held while anything waits.
    now: Mutex<Now>,
}

/// How it is with a pipeline at the moment.
#[derive(Default)]
struct Now {
    phase: Phase,
    /// The lanes that have opened their consumers and warmed their plugins.
    lanes: Vec<AtWork>,
    /// Set and ended by `observe.rs`.
    stall: Option<Stall>,
}

/// A lane as the host sees it.
struct AtWork {
    health: Arc<Health>,
    activity: Arc<Activity>,
}

/// A pipeline has work, and settles nothing.
#[derive(Clone, Debug)]
pub(crate) struct Stall {
    /// When it settled something last, or got work.
    pub(crate) since: Instant,
    pub(super) causes: Vec<Cause>,
}

impl Stall {
    /// In a line.
    pub(crate) fn words(&self, pipeline: &str) -> String {
        let causes: Vec<&str> = self.causes.iter().map(|cause| &*cause.words).collect();
        format!(
            "pipeline `{pipeline}` is stalled: it has work, and has settled nothing for {} s; {}",
            self.since.elapsed().as_secs(),
            causes.join("; ")
        )
    }

    /// What to do about it, if something can be done.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.causes.iter().find_map(|cause| cause.hint.as_deref())
    }
}

/// What a pipeline does.
#[derive(Clone, Default)]
pub(crate) enum Phase {
    #[default]
    Starting,
    /// All lanes are at work.
    Running,
    /// It could not go on, and is started again by and by.
    Waiting(Problem),
    /// It could not go on, and is not started again.
    Failed(Problem),
    /// It was told to.
    Stopped,
}

impl Running {
    pub(crate) fn new(
        settings: resolved::Pipeline,
        plugins: PluginSet,
        metrics: Arc<PipelineMetrics>,
    ) -> Self {
        let settings = Arc::new(settings);
        Self {
            metrics,
            in_progress: (0..settings.lanes).map(|_| Arc::default()).collect(),
            dead_letter_log: Arc::new(LogLimit::new(log_limit::DEAD_LETTERS)),
            failure_log: Arc::new(LogLimit::new(log_limit::FAILURES)),
            now: Mutex::default(),
            target: Arc::new(RolloutTarget::new(Arc::clone(&settings), plugins)),
            settings,
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        locked(&self.now)
    }

    pub(crate) fn chain(&self, runtime: &Runtime) -> Chain {
        self.target
            .versions
            .active()
            .chain(runtime, self.settings.batch)
    }

    /// Starts every plugin once, to see that it can be.
    ///
    /// # Errors
    /// What the first that refuses said.
    pub(crate) async fn warm(&self, runtime: &Runtime) -> Result<()> {
        let mut trial = self.chain(runtime);
        trial.warm().await.with_context(|| self.what("start"))
    }

    /// The pipeline on its server; `None` before the host has found the streams.
    pub(crate) fn attachment(&self) -> Option<Arc<Attachment>> {
        self.target.attachment()
    }

    /// How long the server waits for an ack: somebody may have made the consumer otherwise than the file says.
    pub(crate) fn ack_wait(&self) -> Duration {
        let attachment = self.attachment();
        attachment.map_or(self.settings.source.ack_wait, |attachment| {
            attachment.ensured.source.ack_wait
        })
    }

    /// Before its lanes are started, the first time or again: none of them is left from before.
    pub(crate) fn begin(&self, attachment: &Arc<Attachment>) {
        self.metrics.in_flight.set(0);
        self.metrics.in_flight_bytes.set(0);
        self.target.attach(attachment);
        self.end(Phase::Starting);
    }

    /// A lane is at work. The last one makes the pipeline run.
    pub(crate) fn lane_began(&self, health: &Arc<Health>, activity: &Arc<Activity>) {
        let mut now = self.now();
        now.lanes.push(AtWork {
            health: Arc::clone(health),
            activity: Arc::clone(activity),
        });
        if now.lanes.len() == self.settings.lanes {
            now.phase = Phase::Running;
            tracing::info!(pipeline = self.settings.name, "running");
        }
    }

    /// None of its lanes is at work any more.
    pub(crate) fn end(&self, phase: Phase) {
        let mut now = self.now();
        now.phase = phase;
        now.lanes.clear();
        now.stall = None;
    }

    /// Why it does not run, if it was at work and could not go on.
    pub(crate) fn problem(&self) -> Option<Problem> {
        match &self.now().phase {
            Phase::Waiting(problem) | Phase::Failed(problem) => Some(problem.clone()),
            _ => None,
        }
    }

    /// Whether every connection that it has is up.
    pub(crate) fn is_connected(&self) -> bool {
        let Some(attachment) = self.attachment() else {
            return false;
        };
        let now = self.now();
        let mut lanes = now.lanes.iter();
        attachment.connection.health.is_connected() && lanes.all(|lane| lane.health.is_connected())
    }

    /// Why one of its connections could not be found again, while it is lost.
    fn trouble(&self) -> Option<String> {
        self.now()
            .lanes
            .iter()
            .find_map(|lane| lane.health.trouble())
    }

    /// Whether all lanes are at work and connected, whether or not they make progress.
    pub(crate) fn is_at_work(&self) -> bool {
        matches!(self.now().phase, Phase::Running) && self.is_connected()
    }

    /// Messages that were settled so far.
    pub(crate) fn settled(&self) -> u64 {
        let metrics = &self.metrics;
        metrics.acked.get() + metrics.termed.get() + metrics.parked.get()
    }

    /// Whether a lane has a message to process now, by the reports of the lanes.
    pub(crate) fn has_work(&self) -> bool {
        let works = |lane: &AtWork| lane.activity.has_work();
        self.metrics.in_flight.get() > 0 && self.now().lanes.iter().any(works)
    }

    /// Asks all lanes what they wait for.
    pub(crate) fn ask(&self) {
        self.now().lanes.iter().for_each(|lane| lane.activity.ask());
    }

    /// What the lanes wait for, as far as they have said.
    pub(crate) fn waits(&self) -> Vec<Wait> {
        let now = self.now();
        now.lanes.iter().map(|lane| lane.activity.waits()).collect()
    }

    /// What partitions of a job cannot do on this host.
    pub(crate) fn troubles(&self) -> Vec<(u16, Task, Trouble)> {
        let attachment = self.attachment();
        let job = attachment
            .as_ref()
            .and_then(|found| found.ensured.job.as_ref());
        job.map(|place| place.progress.troubles())
            .unwrap_or_default()
    }

    /// The server's words on acks that it has not permitted since then.
    pub(crate) fn refused_acks(&self, since: Instant) -> Option<String> {
        let source = &self.settings.source;
        let of = format!(".{}.{}", source.stream, source.consumer);
        let now = self.now();
        let mut lanes = now.lanes.iter();
        lanes.find_map(|lane| lane.health.refused_ack(&of, since))
    }

    /// It makes no progress, or it does.
    pub(crate) fn stalls(&self, stall: Option<Stall>) {
        self.metrics.stalled.set(stall.is_some().into());
        self.now().stall = stall;
    }

    /// Whether all lanes are at work and connected, and make progress.
    ///
    /// # Errors
    /// Why not, in a line.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let name = &self.settings.name;
        let (phase, stall) = {
            let now = self.now();
            (now.phase.clone(), now.stall.clone())
        };
        match phase {
            Phase::Starting => Err(format!("pipeline `{name}` is starting")),
            Phase::Stopped => Err(format!("pipeline `{name}` has stopped")),
            Phase::Waiting(problem) | Phase::Failed(problem) => Err(match problem.hint() {
                Some(hint) => format!("{}; hint: {hint}", problem.what),
                None => problem.what,
            }),
            Phase::Running if !self.is_connected() => {
                let servers = self.settings.nats.servers.join(", ");
                let lost =
                    format!("pipeline `{name}` has lost its connection to nats at `{servers}`");
                Err(match self.trouble() {
                    Some(why) => format!("{lost}, and cannot reconnect: {why}"),
                    None => format!("{lost}, and is reconnecting"),
                })
            }
            Phase::Running => match stall {
                Some(stall) => Err(match stall.hint() {
                    Some(hint) => format!("{}; hint: {hint}", stall.words(name)),
                    None => stall.words(name),
                }),
                None => Ok(()),
            },
        }
    }

    /// Sets the gauges to the present values.
    pub(crate) fn show(&self) {
        let running = matches!(self.now().phase, Phase::Running);
        self.metrics.running.set(running.into());
        self.metrics.connected.set(self.is_connected().into());
    }

    pub(crate) fn what(&self, action: &str) -> String {
        format!("cannot {action} pipeline `{}`", self.settings.name)
    }

    /// Says how many dead letters and failures have had no line in the log since this was last
    /// called.
    pub(crate) fn log_suppressed(&self) {
        let pipeline = &self.settings.name;
        for (limit, what) in [
            (&self.dead_letter_log, "dead letters"),
            (&self.failure_log, "publish failures"),
        ] {
            if let Some(suppressed) = limit.suppressed() {
                tracing::warn!(pipeline, "{suppressed} more {what} were not logged");
            }
        }
    }

    /// For `weir status`.
    pub(crate) fn status(&self) -> Value {
        let (settings, metrics) = (&self.settings, &self.metrics);
        let attachment = self.attachment();
        let ensured = attachment.as_ref().map(|attachment| &attachment.ensured);
        let parking = match ensured.map(|ensured| &ensured.parking) {
            Some(Ok(place)) => json!({ "stream": place.stream }),
            Some(Err(why)) => json!({ "off": why }),
            None => Value::Null,
        };
        let fast_ingest = match ensured.map(|ensured| &ensured.fast_ingest) {
            Some(Ok(stream)) => json!({ "stream": stream }),
            Some(Err(why)) => json!({ "off": why }),
            None => Value::Null,
        };
        let place = attachment
            .as_ref()
            .and_then(|found| found.ensured.job.as_ref());
        let job = place.map(|place| {
            let read = place.progress.read();
            json!({
                "stream": place.stream,
                "partitions": place.partitions,
                "assigned": read.wanted,
                "owned": read.partitions,
                "standby": metrics.job_standbys.get(),
                "standby_level": metrics.job_standbys_level.get(),
                "position": read.positions.first(),
                "sources": place.reads.iter().zip(&read.positions).map(|(reads, position)| {
                    json!({ "names": reads.names, "stream": reads.of, "position": position })
                }).collect::<Vec<_>>(),
                "troubles": place.progress.troubles().into_iter().map(|(partition, _, trouble)| {
                    trouble.shown(partition)
                }).collect::<Vec<_>>(),
                "paused": place.progress.is_paused(),
                "state": place.progress.state(),
            })
        });
        let problem = self
            .problem()
            .map(|problem| json!({ "error": problem.what, "hint": problem.hint() }));
        let stall = self.now().stall.clone().map(|stall| {
            let causes: Vec<&str> = stall.causes.iter().map(|cause| &*cause.words).collect();
            json!({
                "seconds": stall.since.elapsed().as_secs(),
                "waits_for": causes,
                "hint": stall.hint(),
            })
        });
        json!({
            "name": settings.name,
            "ready": self.ready().is_ok(),
            "connected": self.is_connected(),
            "problem": problem,
            "stalled": stall,
            "restarts": metrics.restarts.get(),
            "lanes": settings.lanes,
            "replicas": attachment.as_ref().map(|attachment| attachment.ensured.replicas),
            "source": {
                "stream": settings.streams().join(", "),
                "consumer": settings.job.is_none().then_some(&settings.source.consumer),
            },
            "job": job,
            "views": super::views::status(settings),
            "sink": settings.sink.subject.as_str(),
            "lag": metrics.lag.get(),
            "ack_pending": metrics.ack_pending.get(),
            "in_flight": metrics.in_flight.get(),
            "received": metrics.received.get(),
            "published": metrics.published.get(),
            "dropped": metrics.dropped.get(),
            "retried": metrics.retried.get(),
            "retried_infrastructure": metrics.retried_infrastructure.get(),
            "parked_pending": metrics.parked_pending.get(),
            "parking": parking,
            "fast_ingest": fast_ingest,
            "dead": metrics.dead.get(),
            "operators": self.target.status(),
        })
    }
}
