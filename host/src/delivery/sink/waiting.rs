//! A message between its publish and the server's answer, and the meaning of the answer. Plain data.

use crate::delivery::in_flight::TaskId;
use crate::nats::refusal::Failure;
use crate::telemetry::metrics::PipelineMetrics;
use bytestring::ByteString;
use std::time::Instant;

/// Proof that one message is stored. Only a publish ack of the server makes one.
pub struct Stored(());

/// What the server said of one message.
pub struct Confirmation {
    pub task: TaskId,
    /// Of the message among those of its task.
    pub index: usize,
    pub result: Result<Stored, Failure>,
}

/// A message that was published and awaits its answer.
pub(super) struct Waiting {
    pub task: TaskId,
    pub index: usize,
    pub subject: ByteString,
    /// Of the payload.
    pub bytes: u64,
    pub since: Instant,
    /// Its place on the wire. The last there is, until it is written.
    pub place: u64,
}

impl Waiting {
    /// What became of it, counted.
    pub(super) fn confirmation(
        self,
        result: Result<bool, Failure>,
        metrics: &PipelineMetrics,
    ) -> Confirmation {
        match &result {
            Ok(duplicate) => {
                metrics.published.inc();
                metrics.published_bytes.inc_by(self.bytes);
                if *duplicate {
                    metrics.publish_duplicates.inc();
                }
            }
            Err(Failure::OutOfBatch) => {
                metrics.fast_ingest_repeated.inc();
            }
            Err(_) => {
                metrics.publish_failures.inc();
            }
        }
        Confirmation {
            task: self.task,
            index: self.index,
            result: result.map(|_| Stored(())),
        }
    }
}
