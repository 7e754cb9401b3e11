//! A lane's warm instance of one operator, and when it is replaced.
//!
//! An instance is discarded after any fault, and between calls when it has answered `recycle-calls` or
//! its memory has grown above `recycle-memory`; under `isolation: message` after every call. The next
//! call makes a new one.

use super::capability::log::PluginLog;
use super::capability::state::LentState;
use super::fault::{Fault, FaultKind, Refusal};
use super::guest::Call;
use super::instance::{Instance, REFUSAL_PREFIX};
use super::services::HostServices;
use super::{Plugin, Runtime, window};
use crate::config::limits::{Isolation, Limits};
use crate::config::resolved::HeaderSelection;
use crate::config::windows;
use crate::message::{Message, Outcome};
use crate::report;
use crate::state::{SharedState, Timer};
use crate::telemetry::metrics::OperatorMetrics;
use crate::telemetry::version_stats::VersionStats;
use crate::time::windows::Windows;
use anyhow::{Result, anyhow};
use std::borrow::Cow;
use std::sync::Arc;

/// What all instances of one operator share, on every lane.
#[derive(Clone)]
pub struct OperatorSettings {
    pub pipeline: String,
    pub operator: String,
    /// JSON text, as `configure` gets it.
    pub config: String,
    pub headers: HeaderSelection,
    pub limits: Limits,
    /// Of an operator whose plugin aggregates windows.
    pub windows: Option<Arc<Windows>>,
    pub metrics: Arc<OperatorMetrics>,
}

impl OperatorSettings {
    /// What its values in the state belong to.
    #[must_use]
    pub fn state_id(&self) -> Cow<'_, str> {
        windows::state_id(&self.operator, self.windows.as_deref())
    }
}

/// One operator on one lane. Must be used inside a tokio runtime with timers; the runtime's thread
/// runs the guest, and is held by it up to the deadline.
pub struct Worker {
    /// Keeps the engine, and with it the epoch ticker.
    _runtime: Runtime,
    plugin: Arc<Plugin>,
    settings: Arc<OperatorSettings>,
    services: Arc<dyn HostServices>,
    stats: Arc<VersionStats>,
    /// `None` before the first call and after a fault. Taken out while a call runs, so that a call
    /// which is dropped half-way drops its instance.
    instance: Option<Instance>,
}

impl Worker {
    /// A worker without an instance yet. Its lane does nothing for guests but write their log.
    #[must_use]
    pub fn new(runtime: &Runtime, plugin: Arc<Plugin>, settings: Arc<OperatorSettings>) -> Self {
        Self {
            _runtime: runtime.clone(),
            services: Arc::new(PluginLog::new(&settings)),
            plugin,
            settings,
            stats: Arc::default(),
            instance: None,
        }
    }

    /// The same on a lane that has services of its own.
    #[must_use]
    pub fn with_services(self, services: Arc<dyn HostServices>) -> Self {
        Self { services, ..self }
    }

    /// The same, with a count of what becomes of messages.
    #[must_use]
    pub fn counted_by(self, stats: Arc<VersionStats>) -> Self {
        Self { stats, ..self }
    }

    /// The count of what becomes of messages.
    #[must_use]
    pub fn stats(&self) -> &VersionStats {
        &self.stats
    }

    /// Makes an instance now and runs its `configure`, if there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be instantiated, or `configure` refuses (in the plugin's words), traps or
    /// takes too long.
    pub async fn warm(&mut self) -> Result<()> {
        if self.instance.is_none() {
            let started = Instance::start(&self.plugin, &self.settings, &self.services).await;
            self.instance = Some(started.map_err(|fault| self.explain(&fault))?);
        }
        Ok(())
    }

    /// Calls the plugin with a batch, without any state. As [`Worker::call`].
    ///
    /// # Errors
    ///
    /// As [`Worker::call`].
    pub async fn process(&mut self, batch: &[Message]) -> Result<Vec<Outcome>, Fault> {
        self.call(Call::Messages(batch), None).await
    }

    /// Calls the plugin: one outcome per message or timer, in order. None of them makes no call. A plugin
    /// that keeps state reads and writes its operator's part of `state`.
    ///
    /// # Errors
    ///
    /// When the plugin gave no usable answer. The instance is gone then; calling again makes a new
    /// one. What it wrote is the caller's to undo.
    pub async fn call(
        &mut self,
        call: Call<'_>,
        state: Option<&SharedState>,
    ) -> Result<Vec<Outcome>, Fault> {
        if call.size().0 == 0 {
            return Ok(Vec::new());
        }
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => {
                let started = Instance::start(&self.plugin, &self.settings, &self.services).await;
                started.inspect_err(|fault| self.count(fault))?
            }
        };
        self.settings.metrics.calls.inc();
        if let Call::Messages(batch) = call {
            self.settings.metrics.messages.inc_by(batch.len() as u64);
        }
        let state = state.filter(|_| self.plugin.is_stateful());
        let state = state.and_then(|state| LentState::to(&self.settings.state_id(), state));
        let outcomes = instance.call(call, state).await;
        match &outcomes {
            Ok(_) => self.keep(instance),
            Err(fault) => self.count(fault),
        }
        outcomes
    }

    /// A timer of it ended as a dead letter: if it was that of a window, this goes with it, and otherwise nothing
    /// happens.
    pub fn abandon(&self, timer: &Timer, state: &SharedState) {
        let operator = state.lock().operator(&self.settings.state_id());
        if let (Some(windows), Some(operator)) = (self.settings.windows.as_deref(), operator)
            && let Err(error) = window::abandon(windows, state, operator, timer)
        {
            let (pipeline, operator) = (&self.settings.pipeline, &self.settings.operator);
            tracing::warn!(pipeline, operator, "cannot give up a window: {error:#}");
        }
    }

    /// The most messages that one call may have.
    #[must_use]
    pub fn max_batch(&self) -> usize {
        match self.settings.limits.isolation {
            Isolation::Lane => usize::MAX,
            Isolation::Message => 1,
        }
    }

    /// What this worker runs.
    #[must_use]
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// The operator that it runs it for.
    #[must_use]
    pub fn settings(&self) -> &OperatorSettings {
        &self.settings
    }

    /// Keeps the instance for the next call, unless it is to be replaced. One that needs more memory
    /// than `recycle-memory` from its start is not replaced for that alone.
    fn keep(&mut self, instance: Instance) {
        let limits = &self.settings.limits;
        let memory = instance.memory_bytes();
        let reason = if limits.isolation == Isolation::Message {
            "isolation"
        } else if instance.calls >= limits.recycle_calls {
            "calls"
        } else if memory > limits.recycle_bytes && memory > instance.memory_at_start {
            "growth"
        } else {
            self.instance = Some(instance);
            return;
        };
        self.settings.metrics.instance_discarded(reason);
    }

    fn count(&self, fault: &Fault) {
        let metrics = &self.settings.metrics;
        match fault.kind {
            FaultKind::Trap | FaultKind::Start => &metrics.traps,
            FaultKind::Deadline => &metrics.deadlines,
            FaultKind::Memory => &metrics.memory_refusals,
            FaultKind::Output => &metrics.output_refusals,
            FaultKind::Length { .. } => &metrics.wrong_lengths,
        }
        .inc();
        metrics.instance_discarded(fault.kind.as_str());
    }

    fn explain(&self, fault: &Fault) -> anyhow::Error {
        let (plugin, operator) = (self.plugin.origin(), &self.settings.operator);
        let refusal = fault.message.strip_prefix(REFUSAL_PREFIX);
        let mut error = match refusal {
            Some(reason) => Refusal(reason.to_owned()).into(),
            None => anyhow!("{fault}"),
        };
        let stderr = fault.stderr.trim();
        if !stderr.is_empty() {
            error = anyhow!("{stderr}").context(error);
        }
        let error = error.context(format!(
            "cannot start plugin `{plugin}` of operator `{operator}`"
        ));
        if let Some(reason) = refusal {
            let places = match reason.starts_with('/') {
                true => "; `weir check` shows the places in the file",
                false => "",
            };
            let action = format!("correct `config:` of operator `{operator}`{places}");
            return report::usage(report::hint(error, action));
        }
        error
    }
}
