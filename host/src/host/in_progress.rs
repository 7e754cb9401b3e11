//! Extends the ack-wait of the deliveries in flight: sends in-progress acks before ack-wait ends.
//!
//! It runs on a separate thread, with a task and a connection for each set of `nats:` settings. So a slow
//! file, a request to a server, or a server that does not answer cannot delay the acks to another server.
//! Settles nothing.

use crate::config::resolved::Nats;
use crate::delivery::settle;
use crate::host::running::Running;
use crate::nats::wire::Wire;
use crate::telemetry::metrics::Counter;
use crate::threads;
use anyhow::{Context, Result, anyhow};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The pause before a connection that could not be made is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends until it is dropped.
pub(super) struct InProgress {
    _stop: oneshot::Sender<Infallible>,
}

impl InProgress {
    /// Starts to send for all lanes of these pipelines.
    ///
    /// # Errors
    /// When the system does not give a thread.
    pub(super) fn start(pipelines: &[Arc<Running>]) -> Result<Self> {
        let runtime = threads::runtime()?;
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let servers = by_server(pipelines);
        let send = move || {
            for (settings, pipelines) in servers {
                runtime.spawn(serve(settings, pipelines));
            }
            // The sending end is dropped: that is all it says. The tasks end with the runtime.
            let _ = runtime.block_on(stopped);
        };
        std::thread::Builder::new()
            .name("in-progress".to_owned())
            .spawn(send)
            .context("cannot start a thread for in-progress signals")?;
        Ok(Self { _stop: stop })
    }
}

fn by_server(pipelines: &[Arc<Running>]) -> Vec<(Nats, Vec<Arc<Running>>)> {
    let mut servers: Vec<(Nats, Vec<Arc<Running>>)> = Vec::new();
    for pipeline in pipelines {
        let settings = &pipeline.settings.nats;
        match servers.iter_mut().find(|(server, _)| server == settings) {
            Some((_, pipelines)) => pipelines.push(Arc::clone(pipeline)),
            None => servers.push((settings.clone(), vec![Arc::clone(pipeline)])),
        }
    }
    servers
}

/// Sends for the pipelines on one server. Never ends.
async fn serve(settings: Nats, pipelines: Vec<Arc<Running>>) {
    let mut said = false;
    loop {
        let ended = match Wire::connect(&settings, "in-progress", Counter::default()).await {
            Ok(wire) => {
                said = false;
                send(&wire, &pipelines).await
            }
            Err(error) => error,
        };
        if !std::mem::replace(&mut said, true) {
            tracing::warn!(
                "messages that take longer than ack-wait are delivered again: {ended:#}"
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sends due in-progress acks repeatedly. Returns why that is no longer possible.
async fn send(wire: &Wire, pipelines: &[Arc<Running>]) -> anyhow::Error {
    loop {
        let shortest = pipelines.iter().map(|pipeline| pipeline.ack_wait()).min();
        tokio::select! {
            () = wire.closed() => return anyhow!("the task of the connection has ended"),
            () = tokio::time::sleep(shortest.unwrap_or(PAUSE) / 6) => {}
        }
        for pipeline in pipelines {
            // Without a connection it would be kept, and be out of date when it is sent.
            if !wire.health.is_connected() {
                continue;
            }
            let age = pipeline.ack_wait() / 3;
            let registries = pipeline.in_progress.iter();
            for reply in registries.flat_map(|in_progress| in_progress.due(age)) {
                if settle::in_progress(wire, &reply).is_ok() {
                    pipeline.metrics.in_progress_sent.inc();
                }
            }
        }
    }
}
