//! One instance: its store, its limits, one call, and the report of a call that fails.
//!
//! When an instance is replaced is decided in `worker.rs`, which never calls one again that has failed.

use super::capability::state::LentState;
use super::capability::{InstanceGrants, sources, wasi};
use super::epoch_ticker::EpochTicker;
use super::fault::{Fault, FaultKind, explain, no_answer};
use super::guest::{Call, Guest};
use super::services::HostServices;
use super::stdio::{StderrTail, Stdio, Which};
use super::{OperatorSettings, Plugin};
use crate::config::limits::Limits;
use crate::message::Outcome;
use bytestring::ByteString;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline};
use wasmtime_wasi::WasiCtx;

/// How long an instance may take to start: instantiation and `configure`. Longer than a call's
/// deadline, since interpreters read their standard library here and rules are compiled.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// How long after its deadline a timer ends a call. The timer is for guests that wait in an import,
/// where epochs do not reach them. A guest that computes is ended by an epoch before, with its stack.
const TIMER_SLACK: Duration = Duration::from_millis(50);

/// Hostcall fuel for each outcome, on top of `output-bytes`: wasmtime charges for the records of a
/// batch's outcomes as well, and those are not the plugin's output.
pub(super) const FUEL_PER_OUTCOME: usize = 256;

/// How a fault's message begins when the plugin's `configure` refused.
pub(super) const REFUSAL_PREFIX: &str = "configure refused: ";

/// What the store holds for an instance: the host's side of its imports.
pub(super) struct State {
    /// When the current call is ended. Set as each call begins.
    deadline: Instant,
    pub(super) wasi: WasiCtx,
    pub(super) table: ResourceTable,
    memory: Memory,
    pub(super) settings: Arc<OperatorSettings>,
    /// The lane's. The same for every instance that a worker makes.
    pub(super) services: Arc<dyn HostServices>,
    /// Of the current call. `Instance` has the other handle and clears it.
    pub(super) stderr: StderrTail,
    /// `settings.config`, parsed when an import first asks for it.
    pub(super) config: Option<serde_json::Value>,
    pub(super) grants: InstanceGrants,
    /// From the beginning of a call to its end, where the caller has a state.
    pub(super) lent_state: Option<LentState>,
    /// Of the messages of the current call, in their order; empty between calls and for timers.
    pub(super) sources: Vec<ByteString>,
    /// Of the values that the plugin writes. Set after `configure`; 0 for a plugin that does not migrate.
    pub(super) format: u32,
}

/// Bytes of all linear memories and tables of one instance.
struct Memory {
    limit: usize,
    /// Counts every growth that is allowed. A memory never shrinks.
    used: usize,
    /// The last growth that was refused in the current call.
    refused: Option<MemoryRefusal>,
}

/// A growth that was refused, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryRefusal {
    used: usize,
    more: usize,
    limit: usize,
}

impl fmt::Display for MemoryRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: usize| bytesize::ByteSize(bytes as u64);
        write!(
            formatter,
            "trapped after it was refused {} of memory on top of {}: `memory` allows {}",
            size(self.more),
            size(self.used),
            size(self.limit)
        )
    }
}

impl Memory {
    fn grow(&mut self, more: usize) -> bool {
        let fits = self.used.saturating_add(more) <= self.limit;
        if fits {
            self.used += more;
        } else {
            self.refused = Some(MemoryRefusal {
                used: self.used,
                more,
                limit: self.limit,
            });
        }
        fits
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(
            desired
                .saturating_sub(current)
                .saturating_mul(size_of::<usize>()),
        ))
    }
}

/// A started and configured instance.
pub(super) struct Instance {
    store: Store<State>,
    /// `None` for a trusted plugin.
    ticker: Option<Arc<EpochTicker>>,
    guest: Guest,
    stderr: StderrTail,
    /// Calls that were answered.
    pub(super) calls: u64,
    /// Bytes of memory after `configure`.
    pub(super) memory_at_start: usize,
    /// Bytes that it has added to the operator's gauge, taken off again when it is dropped.
    reported: i64,
}

impl Instance {
    /// Instantiates the plugin and calls its `configure`.
    pub(super) async fn start(
        plugin: &Plugin,
        settings: &Arc<OperatorSettings>,
        services: &Arc<dyn HostServices>,
    ) -> Result<Self, Fault> {
        let limits = &settings.limits;
        let stderr = StderrTail::default();
        let mut store = store(plugin, settings, services, &stderr);
        let deadline = limits.deadline.max(START_DEADLINE);
        let _ticking = plugin.ticker.as_ref().map(|ticker| ticker.call());
        let began = begin_call(&mut store, deadline, limits.output_bytes);
        let started = tokio::time::timeout(deadline + TIMER_SLACK, async {
            let instance = plugin.pre.instantiate_async(&mut store).await?;
            let guest = (plugin.bind)(&mut store, &instance)?;
            let configured = guest.configure(&mut store, &settings.config).await?;
            Ok((guest, configured))
        });
        let problem = match started.await {
            Ok(Ok((guest, Ok(())))) => {
                plugin.format.store(store.data().format, Ordering::Relaxed);
                let metrics = &settings.metrics;
                metrics.instances_created.inc();
                metrics.instances.inc();
                let mut instance = Self {
                    memory_at_start: store.data().memory.used,
                    store,
                    ticker: plugin.ticker.clone(),
                    guest,
                    stderr,
                    calls: 0,
                    reported: 0,
                };
                instance.report_memory();
                return Ok(instance);
            }
            Ok(Ok((_, Err(reason)))) => (format!("{REFUSAL_PREFIX}{reason}"), Vec::new()),
            Ok(Err(error)) => {
                let limits = Limits {
                    deadline,
                    ..*limits
                };
                let (_, message, backtrace) = explain(&error, store.data().memory.refused, &limits);
                (message, backtrace)
            }
            Err(_) => (no_answer(deadline), Vec::new()),
        };
        let (message, backtrace) = problem;
        Err(Fault {
            kind: FaultKind::Start,
            message,
            backtrace: backtrace.into(),
            stderr: stderr.text(),
            memory_bytes: store.data().memory.used as u64,
            elapsed: began.elapsed(),
            first_call: true,
        })
    }

    /// Calls once, with a state if the plugin has one. After a fault, drop the instance.
    pub(super) async fn call(
        &mut self,
        call: Call<'_>,
        state: Option<LentState>,
    ) -> Result<Vec<Outcome>, Fault> {
        let settings = Arc::clone(&self.store.data().settings);
        let limits = &settings.limits;
        self.stderr.clear();
        self.store.data_mut().memory.refused = None;
        if let Some(state) = &state {
            state.is_read_as(self.format());
        }
        self.store.data_mut().lent_state = state;
        if let Call::Messages(batch) = call {
            self.store.data_mut().sources = sources::of(batch);
        }
        let (expected, what) = call.size();
        let records = expected.saturating_mul(FUEL_PER_OUTCOME);
        let fuel = limits.output_bytes.saturating_add(records);
        let ticking = self.ticker.as_ref().map(|ticker| ticker.call());
        let began = begin_call(&mut self.store, limits.deadline, fuel);
        let answer = tokio::time::timeout(
            limits.deadline + TIMER_SLACK,
            self.guest.call(&mut self.store, call, &settings.headers),
        )
        .await;
        self.store.data_mut().lent_state = None;
        self.store.data_mut().sources.clear();
        drop(ticking);
        let elapsed = began.elapsed();
        settings.metrics.call_seconds.observe(elapsed.as_secs_f64());
        let (kind, message, backtrace) = match answer {
            Ok(Ok(outcomes)) if outcomes.len() == expected => {
                self.calls += 1;
                self.report_memory();
                return Ok(outcomes);
            }
            Ok(Ok(outcomes)) => {
                let got = outcomes.len();
                let message = format!("returned {got} outcomes for {expected} {what}");
                (FaultKind::Length { expected, got }, message, Vec::new())
            }
            Ok(Err(error)) => explain(&error, self.store.data().memory.refused, limits),
            Err(_) => (FaultKind::Deadline, no_answer(limits.deadline), Vec::new()),
        };
        Err(Fault {
            kind,
            message,
            backtrace: backtrace.into(),
            stderr: self.stderr.text(),
            memory_bytes: self.memory_bytes() as u64,
            elapsed,
            first_call: self.calls == 0,
        })
    }

    /// Of the values that the plugin reads and writes.
    pub(super) fn format(&self) -> u32 {
        self.store.data().format
    }

    /// Linear memory and tables, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.store.data().memory.used
    }

    /// Adds what it has grown by to the operator's gauge, which sums up all instances.
    fn report_memory(&mut self) {
        let used = i64::try_from(self.memory_bytes()).unwrap_or(i64::MAX);
        let grown = used - self.reported;
        if grown != 0 {
            self.store
                .data()
                .settings
                .metrics
                .memory_bytes
                .inc_by(grown);
            self.reported = used;
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let metrics = &self.store.data().settings.metrics;
        metrics.instances.dec();
        metrics.memory_bytes.dec_by(self.reported);
    }
}

/// A store with all limits, and an empty WASI context.
fn store(
    plugin: &Plugin,
    settings: &Arc<OperatorSettings>,
    services: &Arc<dyn HostServices>,
    stderr: &StderrTail,
) -> Store<State> {
    let limits = &settings.limits;
    let stream = |which| Stdio::new(which, Arc::clone(services), stderr.clone());
    let wasi = wasi::context(stream(Which::Stdout), stream(Which::Stderr));
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles);
    let state = State {
        deadline: Instant::now(),
        wasi,
        table,
        memory: Memory {
            limit: limits.memory_bytes,
            used: 0,
            refused: None,
        },
        settings: Arc::clone(settings),
        services: Arc::clone(services),
        stderr: stderr.clone(),
        config: None,
        grants: plugin.grants.of_instance(limits),
        lent_state: None,
        sources: Vec::new(),
        format: 0,
    };
    let mut store = Store::new(plugin.pre.engine(), state);
    store.limiter(|state| &mut state.memory);
    store.set_max_component_handles(limits.handles);
    store.epoch_deadline_callback(|store| match Instant::now() >= store.data().deadline {
        true => Err(Trap::Interrupt.into()),
        false => Ok(UpdateDeadline::Yield(1)),
    });
    store
}

/// Sets what one entry into the guest may use, and returns when it begins: now. At every tick of the
/// epoch the guest yields its thread to other tasks, until the deadline ends it.
fn begin_call(store: &mut Store<State>, deadline: Duration, output_bytes: usize) -> Instant {
    let now = Instant::now();
    store.data_mut().deadline = now + deadline;
    store.set_epoch_deadline(1);
    store.set_hostcall_fuel(output_bytes);
    now
}
