//! The metrics of a host, and the handles that count them.
//!
//! A pipeline and each of its operators get their handles once, at the start. A count on the hot path is
//! then one atomic addition, without a lookup or a lock. The names are in [`names`](super::names). This
//! file owns the registry; nothing else reads or writes it.

use super::logs;
use super::names::{Kind, PREFIX, Unit};
use crate::threads::locked;
use own::PluginMetrics;
use prometheus_client::encoding::text;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{self, Registry};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

pub use super::names::Name;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;

mod own;

#[cfg(test)]
mod tests;

/// The contract of this host, for the build information.
const CONTRACT: &str = "weir:plugin@0.1.0";

/// Metric names per operator. Enough for any dashboard, and few enough that a plugin that names a metric
/// after a user cannot exhaust the memory of the scraper.
pub const PLUGIN_NAMES: usize = 64;

/// The longest name of a plugin's metric.
pub const PLUGIN_NAME_BYTES: usize = 64;

/// A gauge of a plugin, which may be fractional.
pub type FloatGauge = Gauge<f64, AtomicU64>;

type Labels = Vec<(&'static str, String)>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// All metrics of a process.
pub struct Metrics {
    registry: Registry,
    counters: BTreeMap<Name, Family<Labels, Counter>>,
    gauges: BTreeMap<Name, Family<Labels, Gauge>>,
    float_gauges: Family<Labels, FloatGauge>,
    histograms: BTreeMap<Name, Histograms>,
    pipelines: Mutex<BTreeMap<String, Arc<PipelineMetrics>>>,
    operators: Mutex<BTreeMap<(String, String), Arc<OperatorMetrics>>>,
}

/// Buckets for times in seconds: 50 µs to 100 s, three per decade.
fn durations() -> Histogram {
    Histogram::new([
        0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5,
        1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0,
    ])
}

/// Buckets for numbers of unknown meaning: powers of ten, from a thousandth to a thousand million.
fn magnitudes() -> Histogram {
    Histogram::new((-3..=9).map(|exponent| 10_f64.powi(exponent)))
}

impl Metrics {
    /// Registers every name in the table.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            float_gauges: Family::default(),
            histograms: BTreeMap::new(),
            pipelines: Mutex::default(),
            operators: Mutex::default(),
        };
        for &name in Name::ALL {
            metrics.register(name);
        }
        metrics
            .gauge(
                Name::BuildInformation,
                &[env!("CARGO_PKG_VERSION"), CONTRACT],
            )
            .set(1);
        let _ = metrics.clients_replaced();
        Arc::new(metrics)
    }

    fn register(&mut self, name: Name) {
        match name.spec().kind {
            Kind::Counter => {
                let family = add(&mut self.registry, name, Family::default());
                self.counters.insert(name, family);
            }
            Kind::Gauge if name == Name::PluginGauge => {
                self.float_gauges = add(&mut self.registry, name, Family::default());
            }
            Kind::Gauge => {
                let family = add(&mut self.registry, name, Family::default());
                self.gauges.insert(name, family);
            }
            Kind::Histogram => {
                let make = if name == Name::PluginHistogram {
                    magnitudes
                } else {
                    durations
                };
                let family = Histograms::new_with_constructor(make);
                self.histograms
                    .insert(name, add(&mut self.registry, name, family));
            }
        }
    }

    /// Management clients that were replaced.
    #[must_use]
    pub fn clients_replaced(&self) -> Counter {
        self.counter(Name::ClientsReplaced, &[])
    }

    /// The handles of a pipeline. The same name returns the same handles.
    #[must_use]
    pub fn pipeline(&self, name: &str) -> Arc<PipelineMetrics> {
        let mut pipelines = locked(&self.pipelines);
        let entry = pipelines.entry(name.to_owned());
        Arc::clone(entry.or_insert_with(|| Arc::new(PipelineMetrics::new(self, &[name]))))
    }

    /// The handles of an operator. The same names return the same handles.
    #[must_use]
    pub fn operator(&self, pipeline: &str, operator: &str) -> Arc<OperatorMetrics> {
        let mut operators = locked(&self.operators);
        let entry = operators.entry((pipeline.to_owned(), operator.to_owned()));
        Arc::clone(
            entry.or_insert_with(|| Arc::new(OperatorMetrics::new(self, &[pipeline, operator]))),
        )
    }

    /// All metrics in the OpenMetrics text format (`application/openmetrics-text; version=1.0.0`).
    #[must_use]
    pub fn encode(&self) -> String {
        let lost = self.counter(Name::LogEntriesLost, &[]);
        lost.inc_by(logs::lost().saturating_sub(lost.get()));
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut page, &self.registry);
        page
    }

    /// A counter in the table. A name of another type returns an unregistered counter.
    fn counter(&self, name: Name, values: &[&str]) -> Counter {
        let family = self.counters.get(&name);
        family.map_or_else(Counter::default, |family| {
            family.get_or_create_owned(&labels(name, values))
        })
    }

    /// A gauge in the table; see [`Metrics::counter`].
    fn gauge(&self, name: Name, values: &[&str]) -> Gauge {
        let family = self.gauges.get(&name);
        family.map_or_else(Gauge::default, |family| {
            family.get_or_create_owned(&labels(name, values))
        })
    }

    /// A histogram in the table; see [`Metrics::counter`].
    fn histogram(&self, name: Name, values: &[&str]) -> Histogram {
        let family = self.histograms.get(&name);
        family.map_or_else(durations, |family| {
            family.get_or_create_owned(&labels(name, values))
        })
    }
}

/// Registers one row of the table and returns the metric.
fn add<M: registry::Metric + Clone>(registry: &mut Registry, name: Name, metric: M) -> M {
    let spec = name.spec();
    let unit = match spec.unit {
        Unit::None => None,
        Unit::Bytes => Some(registry::Unit::Bytes),
        Unit::Seconds => Some(registry::Unit::Seconds),
    };
    match unit {
        Some(unit) => registry.register_with_unit(spec.stem, spec.help, unit, metric.clone()),
        None => registry.register(spec.stem, spec.help, metric.clone()),
    }
    metric
}

fn labels(name: Name, values: &[&str]) -> Labels {
    let values = values.iter().map(|&value| value.to_owned());
    name.spec().labels.iter().copied().zip(values).collect()
}

/// Defines a struct of handles, each from its row of the table, and its constructor.
macro_rules! handles {
    ($(#[$outer:meta])* $type:ident {
        $($field:ident: $kind:ident = $make:ident($name:ident),)*
    } $($own:ident: $own_type:ty = $own_value:expr;)*) => {
        $(#[$outer])*
        pub struct $type {
            $(#[doc = concat!("See [`Name::", stringify!($name), "`].")] pub $field: $kind,)*
            $($own: $own_type,)*
        }

        impl $type {
            fn new(metrics: &Metrics, labels: &[&str]) -> Self {
                Self {
                    $($field: metrics.$make(Name::$name, labels),)*
                    $($own: ($own_value)(metrics, labels),)*
                }
            }
        }
    };
}

handles! {
    /// The handles of one pipeline, shared by all its lanes.
    PipelineMetrics {
        running: Gauge = gauge(Running),
        connected: Gauge = gauge(Connected),
        stalled: Gauge = gauge(Stalled),
        restarts: Counter = counter(Restarts),
        reconnects: Counter = counter(Reconnects),
        received: Counter = counter(Received),
        received_bytes: Counter = counter(ReceivedBytes),
        redelivered: Counter = counter(Redelivered),
        batches: Counter = counter(Batches),
        published: Counter = counter(Published),
        published_bytes: Counter = counter(PublishedBytes),
        publish_duplicates: Counter = counter(PublishDuplicates),
        publish_failures: Counter = counter(PublishFailures),
        fast_ingest: Gauge = gauge(FastIngest),
        fast_ingest_published: Counter = counter(FastIngestPublished),
        fast_ingest_repeated: Counter = counter(FastIngestRepeated),
        acked: Counter = counter(Acked),
        dropped: Counter = counter(Dropped),
        retried: Counter = counter(Retried),
        retried_infrastructure: Counter = counter(RetriedInfrastructure),
        parked: Counter = counter(Parked),
        unparked: Counter = counter(Unparked),
        parked_pending: Gauge = gauge(ParkedPending),
        dead: Counter = counter(Dead),
        termed: Counter = counter(Termed),
        in_progress_sent: Counter = counter(InProgressSent),
        unsettled_dropped: Counter = counter(UnsettledDropped),
        in_flight: Gauge = gauge(InFlight),
        in_flight_bytes: Gauge = gauge(InFlightBytes),
        lag: Gauge = gauge(Lag),
        ack_pending: Gauge = gauge(AckPending),
        missed_heartbeats: Counter = counter(MissedHeartbeats),
        pull_errors: Counter = counter(PullErrors),
        job_commits: Counter = counter(JobCommits),
        job_commits_resolved: Counter = counter(JobCommitsResolved),
        job_takeovers: Counter = counter(JobTakeovers),
        job_takeovers_warm: Counter = counter(JobTakeoversWarm),
        job_records_read: Counter = counter(JobRecordsRead),
        job_states_discarded: Counter = counter(JobStatesDiscarded),
        job_standbys: Gauge = gauge(JobStandbys),
        job_standbys_level: Gauge = gauge(JobStandbysLevel),
        job_standby_state_bytes: Gauge = gauge(JobStandbyStateBytes),
        job_deposed: Counter = counter(JobDeposed),
        job_failures: Counter = counter(JobFailures),
        job_batches_abandoned: Counter = counter(JobBatchesAbandoned),
        job_forwarded: Counter = counter(JobForwarded),
        job_forward_duplicates: Counter = counter(JobForwardDuplicates),
        job_forward_failures: Counter = counter(JobForwardFailures),
        job_view_skipped: Counter = counter(JobViewSkipped),
        view_watchers: Gauge = gauge(ViewWatchers),
        view_watchers_ended: Counter = counter(ViewWatchersEnded),
        job_partitions_failing: Gauge = gauge(JobPartitionsFailing),
        job_commit_latency: Histogram = histogram(JobCommitLatency),
        job_paused: Gauge = gauge(JobPaused),
        messages_without_key: Counter = counter(MessagesWithoutKey),
        event_times_invalid: Counter = counter(EventTimesInvalid),
        event_times_ahead: Counter = counter(EventTimesAhead),
        late_messages: Counter = counter(LateMessages),
        watermark: Gauge = gauge(Watermark),
        event_time_lag: Gauge = gauge(EventTimeLag),
        job_state_rows: Gauge = gauge(JobStateRows),
        job_state_keys: Gauge = gauge(JobStateKeys),
        job_state_bytes: Gauge = gauge(JobStateBytes),
        job_log_records: Gauge = gauge(JobLogRecords),
        job_log_bytes: Gauge = gauge(JobLogBytes),
        latency: Histogram = histogram(Latency),
    }
    fallbacks: own::Fallbacks = own::Fallbacks::new;
    sources: own::Sources = own::Sources::new;
}

impl PipelineMetrics {
    /// Counts a batch that the server did not take.
    pub fn fast_ingest_fell_back(&self, reason: &'static str) {
        self.fallbacks.of(reason).inc();
    }

    /// See [`Name::SourceLag`].
    #[must_use]
    pub fn source_lag(&self, source: &str) -> Gauge {
        self.sources.lag(source)
    }
}

handles! {
    /// The handles of one operator, shared by all its lanes.
    OperatorMetrics {
        calls: Counter = counter(Calls),
        messages: Counter = counter(Messages),
        call_seconds: Histogram = histogram(CallSeconds),
        traps: Counter = counter(Traps),
        deadlines: Counter = counter(Deadlines),
        memory_refusals: Counter = counter(MemoryRefusals),
        output_refusals: Counter = counter(OutputRefusals),
        wrong_lengths: Counter = counter(WrongLengths),
        bisections: Counter = counter(Bisections),
        instances_created: Counter = counter(InstancesCreated),
        instances: Gauge = gauge(Instances),
        memory_bytes: Gauge = gauge(MemoryBytes),
        swaps: Counter = counter(Swaps),
        swaps_refused: Counter = counter(SwapsRefused),
        rollbacks: Counter = counter(Rollbacks),
        receipts_failed: Counter = counter(ReceiptsFailed),
        shadow_compared: Counter = counter(ShadowCompared),
        shadow_differences: Counter = counter(ShadowDifferences),
        shadow_not_compared: Counter = counter(ShadowNotCompared),
        shadow_state_differences: Gauge = gauge(ShadowStateDifferences),
        log_entries: Counter = counter(LogEntries),
        log_suppressed: Counter = counter(LogSuppressed),
        metrics_refused: Counter = counter(MetricsRefused),
        http_requests: Counter = counter(HttpRequests),
        http_denied: Counter = counter(HttpDenied),
        http_failed: Counter = counter(HttpFailed),
    }
    plugin: PluginMetrics = PluginMetrics::new;
}

impl OperatorMetrics {
    /// Counts a discarded instance: `trap`, `deadline`, `calls`, `memory`, ...
    pub fn instance_discarded(&self, reason: &'static str) {
        self.plugin.discarded(reason).inc();
    }

    /// Adds to a counter of the plugin. A name that breaks the rules of the contract is counted in
    /// `metrics_refused` and otherwise ignored, as in the two functions below.
    pub fn plugin_add(&self, name: &str, value: u64) {
        match self.plugin.counter(name) {
            Some(counter) => drop(counter.inc_by(value)),
            None => drop(self.metrics_refused.inc()),
        }
    }

    /// Sets a gauge of the plugin.
    pub fn plugin_set(&self, name: &str, value: f64) {
        match self.plugin.gauge(name) {
            Some(gauge) => drop(gauge.set(value)),
            None => drop(self.metrics_refused.inc()),
        }
    }

    /// Records an observation in a histogram of the plugin.
    pub fn plugin_observe(&self, name: &str, value: f64) {
        match self.plugin.histogram(name) {
            Some(histogram) => histogram.observe(value),
            None => drop(self.metrics_refused.inc()),
        }
    }
}
