//! The lane's settler: releases tasks, each with its settlement.
//!
//! Only this file removes a message from the in-progress registry and the gauges. `settle.rs` decides the
//! settlement and its order.

use super::in_flight::Task;
use super::in_progress::InProgressRegistry;
use super::publication::{Publication, Settled};
use super::settle::Settle;
use crate::telemetry::metrics::PipelineMetrics;
use std::sync::Arc;
use std::time::Duration;

/// The fourth part of a lane.
pub struct Settler {
    settle: Settle,
    in_progress: Arc<InProgressRegistry>,
    metrics: Arc<PipelineMetrics>,
}

impl Settler {
    #[must_use]
    pub fn new(
        settle: Settle,
        in_progress: Arc<InProgressRegistry>,
        metrics: Arc<PipelineMetrics>,
    ) -> Self {
        Self {
            settle,
            in_progress,
            metrics,
        }
    }

    /// The task's results are stored, or there were none.
    pub fn ack(&self, task: Task<Publication>, proof: Settled) {
        self.release(&task);
        self.settle.ack(task.ticket, proof);
    }

    /// The task's message is stored in the parking stream.
    pub fn parked(&self, task: Task<Publication>, proof: Settled) {
        self.release(&task);
        self.settle.parked(task.ticket, proof);
    }

    /// The task's dead letter is stored.
    pub fn term(&self, task: Task<Publication>, reason: &str, proof: Settled) {
        self.release(&task);
        self.settle.term(task.ticket, reason, proof);
    }

    /// Nothing of the task was stored, or not all: it is delivered again, not before `delay`.
    pub fn nak(&self, task: Task<Publication>, delay: Duration) {
        self.release(&task);
        self.settle.nak(task.ticket, delay);
    }

    /// The task cannot be settled: it is delivered again after ack-wait.
    pub fn leave(&self, task: Task<Publication>) {
        self.release(&task);
        drop(task);
    }

    /// Waits until every answer so far has reached the server, but no longer than this.
    pub async fn flush(&self, longest: Duration) {
        self.settle.flush(longest).await;
    }

    fn release(&self, task: &Task<Publication>) {
        self.in_progress.remove(task.key());
        self.metrics.in_flight.dec();
        self.metrics
            .in_flight_bytes
            .dec_by(gauge(task.message.size()));
    }
}

/// A size as a gauge counts it.
pub fn gauge(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
