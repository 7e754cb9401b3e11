//! The host: starts its pipelines, keeps the deliveries of their lanes alive, and stops them.
//!
//! It runs on the main thread's runtime with one connection per server, because plugins may block the thread
//! of a lane. `supervise.rs` supervises each pipeline separately; the host ends when the last pipeline has
//! ended.

mod in_progress;
mod observe;
mod progress;
pub(crate) mod running;
mod supervise;
pub mod views;
mod waits;

use crate::config::resolved;
use crate::host::in_progress::InProgress;
use crate::host::running::Running;
use crate::host::supervise::Supervisor;
use crate::nats::attachment::Attachment;
use crate::nats::{self, Connection, receipts, service, streams};
use crate::plugin::Runtime;
use crate::process::plugin_set;
use crate::rollout::{Command, Deployer, desired, follow, watch};
use crate::shutdown::{Shutdown, Stage, reached};
use crate::telemetry::metrics::Metrics;
use anyhow::{Context, Result};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a host is started with.
pub struct Options {
    /// Create missing streams, as if every pipeline said so.
    pub create: bool,
    /// Take a new version of a plugin when its file changes, or the tag that it is followed by.
    pub watch: bool,
    pub runtime: Runtime,
    pub metrics: Arc<Metrics>,
    pub shutdown: Shutdown,
}

/// The pause before a server that has not answered at the start is asked again.
const UNANSWERED: Duration = Duration::from_secs(1);

/// The connection to the server of a pipeline, and its streams there, or why it cannot start.
type Found = (Connection, Result<Arc<Attachment>>);

/// Pipelines in one process.
pub struct Host {
    options: Options,
    pipelines: Vec<Arc<Running>>,
    started: Instant,
    /// Of the admin pages and of metrics.
    addresses: OnceLock<[Option<SocketAddr>; 2]>,
}

impl Host {
    /// Loads every plugin. Touches no server.
    ///
    /// # Errors
    /// The first plugin that cannot be loaded.
    pub fn new(pipelines: Vec<resolved::Pipeline>, options: Options) -> Result<Arc<Self>> {
        let mut running = Vec::new();
        for settings in pipelines {
            let plugins = plugin_set::load(&settings, &options.runtime, &options.metrics)?;
            let metrics = options.metrics.pipeline(&settings.name);
            running.push(Arc::new(Running::new(settings, plugins, metrics)));
        }
        Ok(Arc::new(Self {
            options,
            pipelines: running,
            started: Instant::now(),
            addresses: OnceLock::new(),
        }))
    }

    /// Runs until the shutdown is asked for, or no pipeline can go on.
    ///
    /// # Errors
    /// A refused plugin, a server that cannot be reached, streams that are missing for every pipeline;
    /// later, why the first pipeline has failed for good.
    pub async fn run(self: &Arc<Self>) -> Result<()> {
        let mut refused = Vec::new();
        for pipeline in &self.pipelines {
            refused.push(pipeline.warm(&self.options.runtime).await);
        }
        let mut stages = self.options.shutdown.listen();
        let mut attachments = tokio::select! {
            attachments = self.attach() => match attachments {
                Ok(attachments) => attachments,
                // Of two errors the one that no waiting mends.
                Err(error) => return refused.into_iter().collect::<Result<()>>().and(Err(error)),
            },
            () = reached(&mut stages, Stage::Soft) => return Ok(()),
        };
        for ((pipeline, (_, found)), refused) in
            self.pipelines.iter().zip(&mut attachments).zip(refused)
        {
            // Its supervisor does this when it has been found.
            let Ok(attachment) = found else { continue };
            let runtime = &self.options.runtime;
            let deployed = tokio::select! {
                deployed = desired::initial(&pipeline.target, runtime, attachment) => deployed,
                () = reached(&mut stages, Stage::Soft) => return Ok(()),
            };
            match deployed.with_context(|| pipeline.what("start")) {
                // What is configured may be refused if something else was deployed in its place.
                Ok(true) => pipeline.warm(&self.options.runtime).await?,
                Ok(false) => refused?,
                // Its supervisor asks again.
                Err(error) if nats::passes(&error) => *found = Err(error),
                Err(error) => return Err(error),
            }
        }
        let _in_progress = InProgress::start(&self.pipelines)?;
        let _discoverable = self.announce().await;
        let replaced = self.options.metrics.clients_replaced();
        let mut connections: Vec<Connection> = Vec::new();
        for (connection, _) in &attachments {
            if !connections
                .iter()
                .any(|one| one.settings() == connection.settings())
            {
                connections.push(connection.clone());
            }
        }
        let supervised = self.pipelines.iter().zip(attachments).map(
            async |(pipeline, (connection, attachment))| {
                let supervisor = Supervisor {
                    pipeline: Arc::clone(pipeline),
                    connection,
                    runtime: self.options.runtime.clone(),
                    create: self.options.create,
                    shutdown: self.options.shutdown.clone(),
                };
                supervisor.run(attachment).await
            },
        );
        let ended = tokio::select! {
            ended = join_all(supervised) => ended,
            () = self.deploy() => Vec::new(),
            _ = join_all(self.pipelines.iter().map(observe::observe)) => Vec::new(),
            _ = join_all(connections.iter().map(|one| nats::keep(one, &replaced))) => Vec::new(),
        };
        self.pipelines
            .iter()
            .for_each(|pipeline| pipeline.log_suppressed());
        ended.into_iter().collect()
    }

    /// The longest time that any of its pipelines allows for a soft stop.
    #[must_use]
    pub fn drain(&self) -> Duration {
        self.pipelines
            .iter()
            .map(|pipeline| pipeline.settings.drain)
            .max()
            .unwrap_or_default()
    }

    /// Whether every lane is at work and connected, and every pipeline makes progress.
    ///
    /// # Errors
    /// Which pipelines are not, and why: a line for each.
    pub fn ready(&self) -> Result<(), String> {
        if *self.options.shutdown.listen().borrow() != Stage::Running {
            return Err("stopping".to_owned());
        }
        let ready = self.pipelines.iter().map(|pipeline| pipeline.ready());
        let not: Vec<String> = ready.filter_map(Result::err).collect();
        if not.is_empty() {
            Ok(())
        } else {
            Err(not.join("\n"))
        }
    }

    /// All metrics as they are now, as `/metrics` shows them.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.pipelines.iter().for_each(|pipeline| pipeline.show());
        self.options.metrics.encode()
    }

    /// Whether every message of every source is settled and none is parked, as the server says now.
    pub async fn is_drained(&self) -> bool {
        for pipeline in &self.pipelines {
            match pipeline.attachment() {
                // Asked last: what a job has processed and not committed is still in flight.
                Some(attachment)
                    if attachment.is_drained().await && pipeline.metrics.in_flight.get() == 0 => {}
                _ => return false,
            }
        }
        true
    }

    /// Messages for which a plugin emitted nothing, on purpose, in all pipelines.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.pipelines
            .iter()
            .map(|pipeline| pipeline.metrics.dropped.get())
            .sum()
    }

    /// Where its servers of the admin pages and of metrics listen, for [`Host::status`]; once.
    pub fn listens(&self, addresses: [Option<SocketAddr>; 2]) {
        // A second call has nothing to add.
        let _ = self.addresses.set(addresses);
    }

    /// What the host does, for `weir status` and `/status`.
    #[must_use]
    pub fn status(&self) -> Value {
        let pipelines = self.pipelines.iter().map(|pipeline| pipeline.status());
        let [admin, metrics] = self.addresses.get().copied().unwrap_or_default();
        json!({
            "host": receipts::host(),
            "pid": std::process::id(),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "ready": self.ready().is_ok(),
            "admin": admin,
            "metrics": metrics,
            "pipelines": pipelines.collect::<Vec<_>>(),
        })
    }

    /// The views of its pipelines.
    #[must_use]
    pub fn views(&self) -> Vec<Arc<views::View>> {
        views::of(&self.pipelines)
    }

    /// Connects, and finds the streams of each pipeline, or why it cannot start. While none can and a server does not
    /// answer, as during an election, it waits.
    ///
    /// # Errors
    /// When a server cannot be reached, and when no pipeline can start and none waits.
    async fn attach(&self) -> Result<Vec<Found>> {
        let mut connections: Vec<Connection> = Vec::new();
        for Running { settings, .. } in self.pipelines.iter().map(Arc::as_ref) {
            let mut known = connections.iter();
            let connection = match known.find(|one| *one.settings() == settings.nats) {
                Some(connection) => connection.clone(),
                None => nats::connect(&settings.nats, "supervisor").await?,
            };
            connections.push(connection);
        }
        let mut said = vec![None; self.pipelines.len()];
        loop {
            let found = self.find(&connections).await;
            if found.is_empty() || found.iter().any(|(_, attachment)| attachment.is_ok()) {
                return Ok(found);
            }
            let mut waits = false;
            let mut refused = Ok(());
            for ((pipeline, (_, found)), said) in self.pipelines.iter().zip(found).zip(&mut said) {
                let Err(error) = found else { continue };
                if nats::passes(&error) {
                    supervise::wait(pipeline, &error, said);
                    waits = true;
                }
                refused = refused.and(Err(error));
            }
            if !waits {
                refused?;
            }
            tokio::time::sleep(UNANSWERED).await;
        }
    }

    /// The streams of each pipeline on its connection, or why it cannot start.
    async fn find(&self, connections: &[Connection]) -> Vec<Found> {
        let mut found = Vec::new();
        for (pipeline, connection) in self.pipelines.iter().zip(connections) {
            let settings = &pipeline.settings;
            let ensured = streams::ensure(connection, settings, self.options.create, None)
                .await
                .with_context(|| pipeline.what("start"));
            let attach = |ensured| Arc::new(Attachment::new(connection.clone(), ensured));
            found.push((connection.clone(), ensured.map(attach)));
        }
        found
    }

    async fn announce(self: &Arc<Self>) -> Vec<service::Discoverable> {
        let mut announced: Vec<service::Discoverable> = Vec::new();
        let mut servers: Vec<&resolved::Nats> = Vec::new();
        for pipeline in &self.pipelines {
            let server = &pipeline.settings.nats;
            if servers.contains(&server) {
                continue;
            }
            servers.push(server);
            let host = Arc::clone(self);
            match service::announce(server, Arc::new(move || host.status())).await {
                Ok(discoverable) => announced.push(discoverable),
                Err(error) => tracing::warn!("`weir status` will not find this host: {error:#}"),
            }
        }
        announced
    }

    /// Lets new versions of plugins take over. Never ends.
    async fn deploy(&self) {
        let mut deployers = Vec::new();
        let mut takers = Vec::new();
        let mut followers = Vec::new();
        let mut servers: Vec<(&resolved::Nats, Vec<_>)> = Vec::new();
        for pipeline in &self.pipelines {
            let (commands, arriving) = mpsc::channel::<Command>(1);
            let runtime = self.options.runtime.clone();
            deployers.push(Deployer::new(Arc::clone(&pipeline.target), runtime).run(arriving));
            if self.options.watch {
                followers.extend(follow::all(&pipeline.target, &commands));
            }
            let nats = &pipeline.settings.nats;
            let taker = (Arc::clone(&pipeline.target), commands);
            match servers.iter_mut().find(|(server, _)| *server == nats) {
                Some((_, pipelines)) => pipelines.push(taker.clone()),
                None => servers.push((nats, vec![taker.clone()])),
            }
            takers.push(taker);
        }
        let servers = servers.into_iter();
        let desired = servers.map(|(_, pipelines)| desired::watch(pipelines));
        let watching = async {
            if self.options.watch {
                watch::run(takers).await;
            }
        };
        tokio::join!(
            watching,
            join_all(desired),
            join_all(followers),
            join_all(deployers)
        );
    }
}
