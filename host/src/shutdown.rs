//! How the host stops: a soft stop, then a hard stop.
//!
//! Soft: the host pulls no more messages, and finishes, publishes and settles those in flight. Hard, after
//! the drain time or a second signal: it naks the messages in flight for redelivery. Neither loses a
//! message; a hard stop may repeat some.

use anyhow::{Context, Result};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The requested stage, for everything that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Running,
    Soft,
    Hard,
}

/// The requesting end. Stages only go forward.
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
    /// A listener, which also sees the current stage.
    #[must_use]
    pub fn listen(&self) -> Stages {
        self.0.subscribe()
    }

    /// Requests a stage, unless a later one has been requested.
    pub fn ask(&self, stage: Stage) {
        self.0.send_if_modified(|now| {
            let forward = stage > *now;
            *now = (*now).max(stage);
            forward
        });
    }

    /// Requests a soft stop, and a hard stop if it takes longer than `drain`.
    pub async fn stop(&self, drain: Duration) {
        self.ask(Stage::Soft);
        tokio::time::sleep(drain).await;
        self.ask(Stage::Hard);
    }

    /// Handles SIGTERM, SIGINT and SIGHUP: the first requests a soft stop, the second a hard stop. A SIGHUP
    /// that is ignored, as under `nohup`, stays so.
    ///
    /// # Errors
    /// If the process may not handle signals.
    pub fn on_signals(&self, drain: Duration) -> Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let mut hangup = match ignores_hangup() {
            true => None,
            false => Some(signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?),
        };
        let shutdown = self.clone();
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                    () = heard(&mut hangup) => "SIGHUP",
                }
            };
            let name = next().await;
            tracing::info!("{name}: finishing messages in flight; a second signal stops at once");
            tokio::select! {
                () = shutdown.stop(drain) => tracing::warn!("not finished within the drain time"),
                _ = next() => shutdown.ask(Stage::Hard),
            }
        });
        Ok(())
    }
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether whoever started this process wants it to outlive its terminal. Only Linux tells.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signal 1 is the lowest bit.
    ignored.is_some_and(|mask| mask & 1 == 1)
}

/// Waits until at least `stage` is requested.
pub async fn reached(stages: &mut Stages, stage: Stage) {
    // If the requesting end is gone, there will be no further request.
    if stages.wait_for(|now| *now >= stage).await.is_err() {
        std::future::pending::<()>().await;
    }
}
