//! A pipeline on its server, and what only the server knows of it: how far it is, and what is parked.

use super::streams::{self, Ensured};
use super::{Connection, consumers, parking};
use crate::telemetry::metrics::PipelineMetrics;
use anyhow::Result;
use std::sync::atomic::{AtomicU64, Ordering};

/// A pipeline on its server: a connection, and the streams that were found or made there. A restart
/// makes another.
pub struct Attachment {
    pub connection: Connection,
    pub ensured: Ensured,
    /// The sequence of the source up to which every message is settled. Set by [`Self::observe`].
    settled: AtomicU64,
}

impl Attachment {
    #[must_use]
    pub fn new(connection: Connection, ensured: Ensured) -> Self {
        Self {
            connection,
            settled: AtomicU64::new(ensured.source.settled),
            ensured,
        }
    }

    /// What was found, with what was settled since. A restart compares with it.
    #[must_use]
    pub fn last(&self) -> Ensured {
        let mut last = self.ensured.clone();
        last.source.settled = self.settled.load(Ordering::Relaxed);
        last
    }

    /// Whether every message of the source is settled and none is parked, as the server says now.
    pub async fn is_drained(&self) -> bool {
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
    pub async fn observe(&self, metrics: &PipelineMetrics) -> Result<()> {
        let context = streams::jetstream(&self.connection);
        if let Some(info) = consumers::info(&context, &self.ensured.source).await? {
            metrics.lag.set(gauge(info.num_pending));
            metrics.ack_pending.set(gauge(info.num_ack_pending as u64));
            let settled = info.ack_floor.stream_sequence;
            self.settled.fetch_max(settled, Ordering::Relaxed);
        }
        if let Ok(place) = &self.ensured.parking {
            let pending = parking::pending(&context, place).await?;
            metrics.parked_pending.set(gauge(pending));
        }
        Ok(())
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
