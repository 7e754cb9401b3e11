//! One pipeline of a host: its settings, plugins and numbers, and its place at the server.
//!
//! What the host looks at while lanes work: for `weir status`, for readiness, for the lag. Starts
//! and stops nothing, which is up to `supervise.rs`.

use crate::config::resolved;
use crate::delivery::in_progress::InProgressRegistry;
use crate::nats::Health;
use crate::nats::attachment::Attachment;
use crate::plugin::Runtime;
use crate::process::chain::Chain;
use crate::process::plugin_set::PluginSet;
use crate::report::Problem;
use crate::rollout::target::RolloutTarget;
use crate::telemetry::log_limit::{self, LogLimit};
use crate::telemetry::metrics::PipelineMetrics;
use crate::threads::locked;
use anyhow::Result;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard};

/// One pipeline and what is known of it.
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
    /// The connections of the lanes that have opened their consumers and warmed their plugins.
    lanes: Vec<Arc<Health>>,
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

    /// The pipeline on its server; `None` before the host has found the streams.
    pub(crate) fn attachment(&self) -> Option<Arc<Attachment>> {
        self.target.attachment()
    }

    /// Before its lanes are started, the first time or again: none of them is left from before.
    pub(crate) fn begin(&self, attachment: &Arc<Attachment>) {
        self.metrics.in_flight.set(0);
        self.metrics.in_flight_bytes.set(0);
        self.target.attach(attachment);
        self.end(Phase::Starting);
    }

    /// A lane is at work. The last one makes the pipeline run.
    pub(crate) fn lane_began(&self, health: &Arc<Health>) {
        let mut now = self.now();
        now.lanes.push(Arc::clone(health));
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
        attachment.connection.health.is_connected() && lanes.all(|lane| lane.is_connected())
    }

    /// Why one of its connections could not be found again, while it is lost.
    fn trouble(&self) -> Option<String> {
        self.now().lanes.iter().find_map(|lane| lane.trouble())
    }

    /// Whether all lanes are at work and connected.
    ///
    /// # Errors
    /// Why not, in a line.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let name = &self.settings.name;
        let phase = self.now().phase.clone();
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
            Phase::Running => Ok(()),
        }
    }

    /// Sets the gauges that say how it is now.
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
        let parking = match attachment
            .as_ref()
            .map(|attachment| &attachment.ensured.parking)
        {
            Some(Ok(place)) => json!({ "stream": place.stream }),
            Some(Err(why)) => json!({ "off": why }),
            None => Value::Null,
        };
        let problem = self
            .problem()
            .map(|problem| json!({ "error": problem.what, "hint": problem.hint() }));
        json!({
            "name": settings.name,
            "ready": self.ready().is_ok(),
            "connected": self.is_connected(),
            "problem": problem,
            "restarts": metrics.restarts.get(),
            "lanes": settings.lanes,
            "replicas": attachment.as_ref().map(|attachment| attachment.ensured.replicas),
            "source": { "stream": settings.source.stream, "consumer": settings.source.consumer },
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
            "dead": metrics.dead.get(),
            "operators": self.target.versions.status(),
        })
    }
}
