//! At least once, in no order: pull and settle. START HERE.
//!
//! A [`Lane`] passes each batch through six steps by itself, on one thread, with plain calls:
//!
//! 1. `source.rs` pulls deliveries from a durable consumer; `consumers.rs` pulls from the two consumers of a
//!    lane, its source's and that of its parked retries, and `intake.rs` decides how many;
//! 2. `process/decode.rs`: key and event time;
//! 3. `process/route.rs`: which operators process a message;
//! 4. `process/chain.rs`: their plugins, called with the batch;
//! 5. `sink.rs` publishes what they returned;
//! 6. `settle.rs` acks, naks or terms the inputs, once that is safe.
//!
//! The loop below has one line per step. `in_flight.rs` has the messages between steps 1 and 6. `judge.rs`
//! carries out the disposition of each message.

pub mod consumers;
pub mod control;
pub mod fast_ingest;
pub mod in_flight;
pub mod in_progress;
pub mod intake;
mod judge;
pub mod lane;
pub mod nakked;
pub mod open;
pub mod outbox;
pub mod publication;
pub mod publish_window;
pub mod settle;
pub mod settler;
pub mod sink;
pub mod source;
pub mod ticket;

use anyhow::Result;
use lane::{Event, Lane};

impl Lane {
    /// Passes batches through the steps until the host stops or the source is gone.
    ///
    /// # Errors
    /// When the consumer is gone, or the permission to pull is missing.
    pub async fn run(mut self) -> Result<()> {
        let at_once = self.control.must_leave_at_once();
        let ended = tokio::select! {
            biased;
            () = at_once => Ok(()),
            ended = self.walk() => ended,
        };
        self.leave().await;
        ended
    }

    async fn walk(&mut self) -> Result<()> {
        loop {
            match self.pull().await? {
                Event::Deliveries(deliveries) => self.decode(deliveries).await,
                Event::Confirmed(confirmed) => self.settle(confirmed).await,
                Event::Due => self.wake(),
                Event::Swap => self.swap(),
                Event::Asked => self.answer(),
                Event::Stopped => return Ok(()),
            }
            while let Some((tasks, batch)) = self.route() {
                let verdicts = self.call(batch).await;
                self.judge(tasks, verdicts).await;
                self.publish().await;
            }
            self.publish().await;
        }
    }
}
