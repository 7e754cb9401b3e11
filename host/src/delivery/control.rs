//! The lane's control: commands of the host to a running lane, to stop or to run another version.

use crate::failpoint::Failpoint;
use crate::nats::Health;
use crate::process::chain::Routed;
use crate::process::changeover::Changeover;
use crate::process::samples::Sampler;
use crate::shutdown::{Stage, Stages, reached};
use std::sync::Arc;
use std::time::Instant;

/// The fifth part of a lane.
pub struct Control {
    pub stages: Stages,
    pub changeover: Changeover,
    sampler: Sampler,
    /// A point at which a test may halt the host.
    pub failpoint: Failpoint,
    /// That of the lane's connection.
    pub health: Arc<Health>,
}

impl Control {
    #[must_use]
    pub fn new(
        stages: Stages,
        changeover: Changeover,
        sampler: Sampler,
        health: Arc<Health>,
    ) -> Self {
        Self {
            stages,
            changeover,
            sampler,
            failpoint: Failpoint::from_environment(),
            health,
        }
    }

    /// Whether the lane is to stop. Later requests wake the waiters for a change.
    pub fn is_stopping(&mut self) -> bool {
        *self.stages.borrow_and_update() >= Stage::Soft
    }

    /// Plugins are about to be called with a batch.
    pub fn observe(&mut self, batch: &[Routed], now: Instant) {
        self.changeover.observe(batch);
        self.sampler.keep(batch, None, now);
    }

    /// Waits for a hard stop; or for a soft one while the connection is down, because then no message in
    /// flight can be settled.
    pub fn must_leave_at_once(&self) -> impl Future<Output = ()> + use<> {
        let (mut soft, mut hard) = (self.stages.clone(), self.stages.clone());
        let health = Arc::clone(&self.health);
        async move {
            tokio::select! {
                () = reached(&mut hard, Stage::Hard) => {}
                () = async {
                    reached(&mut soft, Stage::Soft).await;
                    health.down().await;
                } => {}
            }
        }
    }
}
