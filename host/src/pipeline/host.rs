//! The host: starts the lanes of its pipelines, keeps what they hold alive, and stops them.
//!
//! Runs on the main thread's runtime with a connection of its own per server, because a lane's
//! thread belongs to its plugins while they work. A lane that cannot go on stops the host, softly:
//! a pipeline that silently does not run is worse than a restart.

use super::lane::Lane;
use super::running::{Post, Running};
use super::settle;
use super::start;
use crate::config::resolved;
use crate::nats::streams::{self, Ensured};
use crate::nats::{self, service};
use crate::plugin::Runtime;
use crate::shutdown::{Shutdown, Stage};
use crate::telemetry::metrics::Metrics;
use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often lag and pending acks are read from the server.
const LAG_INTERVAL: Duration = Duration::from_secs(2);

/// What a host is started with.
pub struct Options {
    /// Create missing streams, as if every pipeline said so.
    pub create: bool,
    pub runtime: Runtime,
    pub metrics: Arc<Metrics>,
    pub shutdown: Shutdown,
}

/// Pipelines in one process.
pub struct Host {
    options: Options,
    pipelines: Vec<Running>,
    started: Instant,
    fault: Mutex<Option<String>>,
    posts: OnceLock<Vec<Post>>,
}

impl Host {
    /// Loads every plugin. Touches no server.
    ///
    /// # Errors
    /// The first plugin that cannot be loaded.
    pub fn new(pipelines: Vec<resolved::Pipeline>, options: Options) -> Result<Arc<Self>> {
        let mut running = Vec::new();
        for settings in pipelines {
            let loaded = start::load(&settings, &options.runtime, &options.metrics)?;
            running.push(Running {
                metrics: options.metrics.pipeline(&settings.name),
                held: (0..settings.lanes).map(|_| Arc::default()).collect(),
                deaths: Arc::default(),
                ready: AtomicUsize::new(0),
                settings: Arc::new(settings),
                loaded,
            });
        }
        Ok(Arc::new(Self {
            options,
            pipelines: running,
            started: Instant::now(),
            fault: Mutex::default(),
            posts: OnceLock::new(),
        }))
    }

    /// Runs until the shutdown is asked for, or a lane cannot go on.
    ///
    /// # Errors
    /// A missing stream, a refused plugin, a server that cannot be reached; later, the first lane's.
    pub async fn run(self: &Arc<Self>) -> Result<()> {
        for pipeline in &self.pipelines {
            let mut trial = pipeline.chain(&self.options.runtime);
            trial.warm().await.with_context(|| pipeline.what("start"))?;
        }
        let posts = self.take_posts().await?;
        let posts = self.posts.get_or_init(|| posts);
        let _discoverable = self.announce(posts).await;
        let (ended, mut ends) = mpsc::channel(64);
        let mut lanes = 0;
        for (index, post) in posts.iter().enumerate() {
            for lane in 0..self
                .pipelines
                .get(index)
                .map_or(0, |pipeline| pipeline.settings.lanes)
            {
                self.start_lane(index, lane, post.ensured.clone(), ended.clone())?;
                lanes += 1;
            }
        }
        drop(ended);
        let keeping = self.keep_alive(posts);
        let watching = self.watch_lag(posts);
        let mut first = Ok(());
        let finishing = async {
            while lanes > 0 {
                let Some(result) = ends.recv().await else {
                    break;
                };
                lanes -= 1;
                if let Err(error) = result {
                    self.fault
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .get_or_insert(format!("{error:#}"));
                    if first.is_ok() {
                        first = Err(error);
                    }
                    let (shutdown, drain) = (self.options.shutdown.clone(), self.drain());
                    tokio::spawn(async move { shutdown.stop(drain).await });
                }
            }
        };
        tokio::select! {
            () = finishing => {}
            () = keeping => {}
            () = watching => {}
        }
        self.pipelines.iter().for_each(Running::count_hidden_deaths);
        first
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

    /// Whether every lane is at work.
    ///
    /// # Errors
    /// Which pipeline is not, in words.
    pub fn ready(&self) -> Result<(), String> {
        if let Some(fault) = &*self.fault.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(fault.clone());
        }
        if *self.options.shutdown.listen().borrow() != Stage::Running {
            return Err("stopping".to_owned());
        }
        match self.pipelines.iter().find(|pipeline| !pipeline.is_ready()) {
            Some(pipeline) => Err(format!("pipeline `{}` is starting", pipeline.settings.name)),
            None => Ok(()),
        }
    }

    /// Whether every message of every source is settled and none is parked, as the server says now.
    pub async fn is_through(&self) -> bool {
        let Some(posts) = self.posts.get() else {
            return false;
        };
        for post in posts {
            if !post.is_through().await {
                return false;
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

    /// What the host does, for `weir status` and `/status`.
    #[must_use]
    pub fn status(&self) -> Value {
        let posts = self.posts.get();
        let post = |index: usize| posts.and_then(|posts| posts.get(index));
        let pipelines = self.pipelines.iter().enumerate();
        let pipelines = pipelines.map(|(index, pipeline)| pipeline.status(post(index)));
        json!({
            "pid": std::process::id(),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "ready": self.ready().is_ok(),
            "pipelines": pipelines.collect::<Vec<_>>(),
        })
    }

    async fn take_posts(&self) -> Result<Vec<Post>> {
        let mut posts: Vec<Post> = Vec::new();
        for (index, pipeline) in self.pipelines.iter().enumerate() {
            let settings = &pipeline.settings;
            let same = self
                .pipelines
                .iter()
                .take(index)
                .position(|other| other.settings.nats == settings.nats);
            let connection = match same.and_then(|same| posts.get(same)) {
                Some(post) => post.connection.clone(),
                None => nats::connect(&settings.nats, "supervisor").await?,
            };
            let ensured = streams::ensure(&connection, settings, self.options.create)
                .await
                .with_context(|| pipeline.what("start"))?;
            posts.push(Post {
                connection,
                ensured,
            });
        }
        Ok(posts)
    }

    async fn announce(self: &Arc<Self>, posts: &[Post]) -> Vec<service::Discoverable> {
        let mut announced: Vec<service::Discoverable> = Vec::new();
        for (index, post) in posts.iter().enumerate() {
            let nats = |index: usize| {
                self.pipelines
                    .get(index)
                    .map(|pipeline| &pipeline.settings.nats)
            };
            if (0..index).any(|earlier| nats(earlier) == nats(index)) {
                continue;
            }
            let host = Arc::clone(self);
            match service::announce(&post.connection, Arc::new(move || host.status())).await {
                Ok(discoverable) => announced.push(discoverable),
                Err(error) => tracing::warn!("`weir status` will not find this host: {error:#}"),
            }
        }
        announced
    }

    fn start_lane(
        self: &Arc<Self>,
        pipeline: usize,
        lane: usize,
        ensured: Ensured,
        ended: mpsc::Sender<Result<()>>,
    ) -> Result<()> {
        let host = Arc::clone(self);
        let name = self
            .pipelines
            .get(pipeline)
            .map_or("", |pipeline| &pipeline.settings.name);
        std::thread::Builder::new()
            .name(format!("{name}/{lane}"))
            .spawn(move || {
                let work = std::panic::AssertUnwindSafe(|| host.lane(pipeline, lane, &ensured));
                let result = std::panic::catch_unwind(work)
                    .unwrap_or_else(|_| Err(anyhow!("a lane panicked; this is a fault of weir")));
                // The receiver is gone only when the host has given up on its lanes.
                let _ = ended.blocking_send(result);
            })
            .with_context(|| format!("cannot start a thread for a lane of pipeline `{name}`"))?;
        Ok(())
    }

    /// A lane's whole life, on its own thread.
    fn lane(&self, pipeline: usize, lane: usize, ensured: &Ensured) -> Result<()> {
        let Some(pipeline) = self.pipelines.get(pipeline) else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime of a lane")?;
        runtime.block_on(async {
            let stages = self.options.shutdown.listen();
            let held = pipeline.held.get(lane).cloned().unwrap_or_default();
            let chain = pipeline.chain(&self.options.runtime);
            let lane = Lane::open(ensured, chain, held, stages, pipeline)
                .await
                .with_context(|| pipeline.what("start a lane of"))?;
            if pipeline.ready.fetch_add(1, Ordering::Relaxed) + 1 == pipeline.settings.lanes {
                tracing::info!(pipeline = pipeline.settings.name, "running");
            }
            lane.run()
                .await
                .with_context(|| pipeline.what("go on with"))
        })
    }

    /// Sends in-progress for what lanes hold, before ack-wait runs out.
    async fn keep_alive(&self, posts: &[Post]) {
        let shortest = self
            .pipelines
            .iter()
            .map(|pipeline| pipeline.settings.source.ack_wait)
            .min();
        let mut tick = tokio::time::interval(shortest.unwrap_or(Duration::from_secs(30)) / 6);
        loop {
            tick.tick().await;
            for (pipeline, post) in self.pipelines.iter().zip(posts) {
                let age = pipeline.settings.source.ack_wait / 3;
                for reply in pipeline.held.iter().flat_map(|held| held.due(age)) {
                    if settle::in_progress(&post.connection.client, reply)
                        .await
                        .is_ok()
                    {
                        pipeline.metrics.in_progress_sent.inc();
                    }
                }
            }
        }
    }

    async fn watch_lag(&self, posts: &[Post]) {
        let mut tick = tokio::time::interval(LAG_INTERVAL);
        loop {
            tick.tick().await;
            for (pipeline, post) in self.pipelines.iter().zip(posts) {
                pipeline.count_hidden_deaths();
                if let Err(error) = post.observe(&pipeline.metrics).await {
                    tracing::warn!("cannot tell the lag: {error:#}");
                }
            }
        }
    }
}
