//! How the host stops: softly, then hard.
//!
//! Soft: nothing more is pulled; what is in hand is finished, published and settled. Hard, after the
//! drain time or a second signal: what is in hand is handed back for redelivery. Nothing is lost
//! either way; a hard stop may repeat.

use anyhow::{Context, Result};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What is asked of everything that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Running,
    Soft,
    Hard,
}

/// The asking end. Stages only go forward.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<Stage>);

/// The listening end.
pub type Stages = watch::Receiver<Stage>;

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(Stage::Running))
    }
}

impl Shutdown {
    /// A listener, which sees the present stage as well.
    #[must_use]
    pub fn listen(&self) -> Stages {
        self.0.subscribe()
    }

    /// Asks for a stage, unless a later one has been asked for.
    pub fn ask(&self, stage: Stage) {
        self.0.send_if_modified(|now| {
            let forward = stage > *now;
            *now = (*now).max(stage);
            forward
        });
    }

    /// Asks for a soft stop, and for a hard one if it takes longer than `drain`.
    pub async fn stop(&self, drain: Duration) {
        self.ask(Stage::Soft);
        tokio::time::sleep(drain).await;
        self.ask(Stage::Hard);
    }

    /// Follows SIGTERM and SIGINT: the first is a soft stop, the second a hard one.
    ///
    /// # Errors
    /// When the process may not handle signals.
    pub fn on_signals(&self, drain: Duration) -> Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!("{name}: finishing what is in hand; a second signal stops at once");
            let again = async {
                tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
            };
            tokio::select! {
                () = shutdown.stop(drain) => tracing::warn!("not finished within the drain time"),
                () = again => shutdown.ask(Stage::Hard),
            }
        });
        Ok(())
    }
}

/// Waits until at least `stage` is asked for.
pub async fn reached(stages: &mut Stages, stage: Stage) {
    // An asking end that is gone asks for nothing more.
    if stages.wait_for(|now| *now >= stage).await.is_err() {
        std::future::pending::<()>().await;
    }
}
