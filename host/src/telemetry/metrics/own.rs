//! Metrics of plugins, created when a plugin first uses a name.

use super::{
    Counter, FloatGauge, Gauge, Histogram, Histograms, Labels, Metrics, Name, PLUGIN_NAME_BYTES,
    PLUGIN_NAMES, labels, magnitudes,
};
use crate::threads::locked;
use prometheus_client::metrics::family::Family;
use std::collections::HashMap;
use std::sync::Mutex;

/// A metric of a plugin. The first use of a name determines its type.
#[derive(Clone)]
enum Own {
    Counter(Counter),
    Gauge(FloatGauge),
    Histogram(Histogram),
}

/// The counters of batches that the server did not take, by reason.
pub(super) struct Fallbacks {
    pipeline: String,
    family: Family<Labels, Counter>,
}

impl Fallbacks {
    pub(super) fn new(metrics: &Metrics, labels: &[&str]) -> Self {
        let family = metrics.counters.get(&Name::FastIngestFallbacks);
        let all = Self {
            pipeline: labels.concat(),
            family: family.cloned().unwrap_or_default(),
        };
        // A series that is not there looks like one that was never asked for.
        for reason in ["disabled", "unsupported", "limit", "broken"] {
            drop(all.of(reason));
        }
        all
    }

    pub(super) fn of(&self, reason: &str) -> Counter {
        let labels = labels(Name::FastIngestFallbacks, &[&self.pipeline, reason]);
        self.family.get_or_create_owned(&labels)
    }
}

/// What is counted by source.
pub(super) struct Sources {
    pipeline: String,
    lag: Family<Labels, Gauge>,
}

impl Sources {
    pub(super) fn new(metrics: &Metrics, labels: &[&str]) -> Self {
        Self {
            pipeline: labels.concat(),
            lag: metrics
                .gauges
                .get(&Name::SourceLag)
                .cloned()
                .unwrap_or_default(),
        }
    }

    pub(super) fn lag(&self, source: &str) -> Gauge {
        let labels = labels(Name::SourceLag, &[&self.pipeline, source]);
        self.lag.get_or_create_owned(&labels)
    }
}

/// The metrics of one operator's plugin, at most [`PLUGIN_NAMES`].
pub(super) struct PluginMetrics {
    /// The pipeline's and the operator's name.
    labels: Vec<String>,
    discarded: Family<Labels, Counter>,
    counters: Family<Labels, Counter>,
    gauges: Family<Labels, FloatGauge>,
    histograms: Histograms,
    /// Shared by the lanes of an operator; held for a lookup only.
    own: Mutex<HashMap<String, Own>>,
}

impl PluginMetrics {
    pub(super) fn new(metrics: &Metrics, labels: &[&str]) -> Self {
        let counters = |name| metrics.counters.get(&name).cloned().unwrap_or_default();
        let histograms = metrics.histograms.get(&Name::PluginHistogram).cloned();
        Self {
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            discarded: counters(Name::InstancesDiscarded),
            counters: counters(Name::PluginCounter),
            gauges: metrics.float_gauges.clone(),
            histograms: histograms.unwrap_or_else(|| Histograms::new_with_constructor(magnitudes)),
            own: Mutex::default(),
        }
    }

    pub(super) fn discarded(&self, reason: &str) -> Counter {
        self.discarded
            .get_or_create_owned(&self.labels(Name::InstancesDiscarded, reason))
    }

    /// The labels of the operator, and the name of the metric.
    fn labels(&self, family: Name, last: &str) -> Labels {
        let mut values: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        values.push(last);
        labels(family, &values)
    }

    pub(super) fn counter(&self, name: &str) -> Option<Counter> {
        let make = |labels: &Labels| Own::Counter(self.counters.get_or_create_owned(labels));
        match self.find(name, Name::PluginCounter, make)? {
            Own::Counter(counter) => Some(counter),
            _ => None,
        }
    }

    pub(super) fn gauge(&self, name: &str) -> Option<FloatGauge> {
        let make = |labels: &Labels| Own::Gauge(self.gauges.get_or_create_owned(labels));
        match self.find(name, Name::PluginGauge, make)? {
            Own::Gauge(gauge) => Some(gauge),
            _ => None,
        }
    }

    pub(super) fn histogram(&self, name: &str) -> Option<Histogram> {
        let make = |labels: &Labels| Own::Histogram(self.histograms.get_or_create_owned(labels));
        match self.find(name, Name::PluginHistogram, make)? {
            Own::Histogram(histogram) => Some(histogram),
            _ => None,
        }
    }

    /// The metric `name`, created if the name is valid and the limit is not reached.
    fn find(&self, name: &str, family: Name, make: impl FnOnce(&Labels) -> Own) -> Option<Own> {
        let mut own = locked(&self.own);
        if let Some(found) = own.get(name) {
            return Some(found.clone());
        }
        if own.len() >= PLUGIN_NAMES || !is_legal(name) {
            return None;
        }
        let metric = make(&self.labels(family, name));
        own.insert(name.to_owned(), metric.clone());
        Some(metric)
    }
}

/// The rule of the contract for names: `[a-z][a-z0-9_]{0,63}`.
fn is_legal(name: &str) -> bool {
    name.len() <= PLUGIN_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
