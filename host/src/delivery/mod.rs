//! The corridor. START HERE.
//!
//! A [`Lane`] walks each batch through six stations by itself, on one thread, with plain calls:
//!
//! 1. `source.rs` pulls deliveries from the durable consumer (`intake.rs`: and from a second one, of
//!    retries that were parked, `parking.rs`);
//! 2. `message.rs`: a delivery becomes a message, with its key and event time;
//! 3. `route.rs` says which operators see it;
//! 4. `operator.rs` calls their plugins with the batch;
//! 5. `sink.rs` publishes what they returned;
//! 6. `settle.rs` acks, naks or terms the inputs, once that is safe.
//!
//! What is in hand between 1 and 6 stands in `in_flight.rs`, which also holds the rules of order.
//! `swap.rs` lets a new version of a plugin take over between two batches.
//! `lane.rs` has the lane's parts, `decide.rs` what it decides; `supervise.rs` starts the lanes of a
//! pipeline, `host.rs` keeps their deliveries alive and stops them.

mod decide;
pub mod failover;
pub mod failpoint;
pub mod in_flight;
pub mod in_progress;
pub mod intake;
pub mod lane;
mod open;
pub mod publish_window;
pub mod settle;
pub mod sink;
pub mod source;
pub mod swap;
pub mod ticket;

use anyhow::Result;
use failpoint::Station;
use lane::Lane;

impl Lane {
    /// Walks batches through the corridor until the host stops or the source is gone.
    ///
    /// # Errors
    /// When the consumer is gone, or may not be pulled from.
    pub async fn run(mut self) -> Result<()> {
        let at_once = self.must_leave_at_once();
        let ended = tokio::select! {
            biased;
            () = at_once => Ok(()),
            ended = self.walk() => ended,
        };
        self.leave().await;
        ended
    }

    async fn walk(&mut self) -> Result<()> {
        while let Some(deliveries) = self.pull().await? {
            self.at_failpoint(Station::Pulled, deliveries.len()).await;
            let unparked = deliveries
                .iter()
                .filter(|delivery| delivery.origin.is_some());
            self.at_failpoint(Station::Unparked, unparked.count()).await;
            self.decode(deliveries);
            while let Some((tasks, batch)) = self.route() {
                let verdicts = self.call(batch).await;
                self.at_failpoint(Station::Called, tasks.len()).await;
                self.decide(tasks, verdicts).await;
                self.publish().await;
            }
            self.settle().await;
        }
        Ok(())
    }
}
