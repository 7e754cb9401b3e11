//! One pipeline of a host: its settings, plugins and numbers, and its place at the server.
//!
//! What the host looks at while lanes work: for `weir status`, for readiness, for the lag. Starts
//! and stops nothing.

use super::held::Held;
use super::operator::Chain;
use super::start::Loaded;
use crate::config::resolved;
use crate::nats::streams::{self, Ensured};
use crate::nats::{Connection, consumers, parking};
use crate::plugin::Runtime;
use crate::telemetry::metrics::PipelineMetrics;
use crate::telemetry::sampled::Sampled;
use anyhow::Result;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One pipeline and what is known of it.
pub(super) struct Running {
    pub(super) settings: Arc<resolved::Pipeline>,
    pub(super) loaded: Loaded,
    pub(super) metrics: Arc<PipelineMetrics>,
    pub(super) held: Vec<Arc<Held>>,
    /// Which dead letters have a line in the log.
    pub(super) deaths: Arc<Sampled>,
    /// Lanes that have opened their consumers and warmed their plugins.
    pub(super) ready: AtomicUsize,
}

/// A pipeline's place at its server.
pub(super) struct Post {
    pub(super) connection: Connection,
    pub(super) ensured: Ensured,
}

impl Post {
    /// Whether every message of the source is settled and none is parked, as the server says now.
    pub(super) async fn is_through(&self) -> bool {
        let context = streams::jetstream(&self.connection);
        let settled = match consumers::info(&context, &self.ensured.source).await {
            Ok(Some(info)) => info.num_pending == 0 && info.num_ack_pending == 0,
            _ => false,
        };
        // Asked last: what is parked between the two questions is seen.
        settled
            && match &self.ensured.parking {
                Ok(place) => matches!(parking::pending(&context, place).await, Ok(0)),
                Err(_) => true,
            }
    }

    /// Reads from the server what only it knows: the lag, and how much is parked.
    ///
    /// # Errors
    /// When the server does not say.
    pub(super) async fn observe(&self, metrics: &PipelineMetrics) -> Result<()> {
        let context = streams::jetstream(&self.connection);
        if let Some(info) = consumers::info(&context, &self.ensured.source).await? {
            metrics.lag.set(gauge(info.num_pending));
            metrics.ack_pending.set(gauge(info.num_ack_pending as u64));
        }
        if let Ok(place) = &self.ensured.parking {
            let pending = parking::pending(&context, place).await?;
            metrics.parked_pending.set(gauge(pending));
        }
        Ok(())
    }
}

impl Running {
    pub(super) fn chain(&self, runtime: &Runtime) -> Chain {
        Chain::new(self.loaded.workers(runtime), self.settings.batch)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) >= self.settings.lanes
    }

    pub(super) fn what(&self, action: &str) -> String {
        format!("cannot {action} pipeline `{}`", self.settings.name)
    }

    /// Says how many dead letters have had no line in the log since this was last called.
    pub(super) fn count_hidden_deaths(&self) {
        if let Some(hidden) = self.deaths.hidden() {
            let pipeline = &self.settings.name;
            tracing::warn!(pipeline, "{hidden} more dead letters are not shown here");
        }
    }

    /// For `weir status`. There is no post before the host has found the streams.
    pub(super) fn status(&self, post: Option<&Post>) -> Value {
        let (settings, metrics) = (&self.settings, &self.metrics);
        let parking = match post.map(|post| &post.ensured.parking) {
            Some(Ok(place)) => json!({ "stream": place.stream }),
            Some(Err(why)) => json!({ "off": why }),
            None => Value::Null,
        };
        json!({
            "name": settings.name,
            "ready": self.is_ready(),
            "lanes": settings.lanes,
            "source": { "stream": settings.source.stream, "consumer": settings.source.consumer },
            "sink": settings.sink.subject.as_str(),
            "lag": metrics.lag.get(),
            "ack_pending": metrics.ack_pending.get(),
            "in_flight": metrics.in_flight.get(),
            "received": metrics.received.get(),
            "published": metrics.published.get(),
            "dropped": metrics.dropped.get(),
            "retried": metrics.retried.get() + metrics.retried_infrastructure.get(),
            "parked": metrics.parked_pending.get(),
            "parking": parking,
            "dead": metrics.dead.get(),
            "operators": self.loaded.status(),
        })
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
