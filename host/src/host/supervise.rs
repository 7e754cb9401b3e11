//! Supervises one pipeline: starts its lanes, and restarts them when their stream or consumer is gone.
//!
//! Each pipeline of a host has its own supervisor, so a problem with the streams of one pipeline does not
//! stop others. If the stream, the consumer or the parking stream was deleted, the supervisor restarts the
//! pipeline like a new one, with growing pauses: it finds or creates what it needs, and its message ids name
//! the new stream. The same happens if the permission to pull was removed, or if the pipeline could not start
//! although others could. A pipeline fails permanently only if the server has never permitted it.
//!
//! Nothing is carried over from ended lanes: they nak their deliveries, and the server delivers these again.

use crate::delivery::lane::Lane;
use crate::delivery::open::Parts;
use crate::delivery::source::NotPermitted;
use crate::host::running::{Phase, Running};
use crate::job;
use crate::job::membership::Membership;
use crate::nats::attachment::Attachment;
use crate::nats::streams;
use crate::nats::{self, Connection};
use crate::plugin::Runtime;
use crate::report::{self, Problem};
use crate::rollout::desired;
use crate::shutdown::{Shutdown, Stage, Stages, reached};
use crate::threads;
use anyhow::{Context, Result, anyhow};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The pause before a pipeline is started again; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The supervisor of one pipeline, on the main thread's runtime.
pub(crate) struct Supervisor {
    pub(crate) pipeline: Arc<Running>,
    /// That of the host to its server.
    pub(crate) connection: Connection,
    pub(crate) runtime: Runtime,
    /// Create missing streams.
    pub(crate) create: bool,
    /// Of the whole host.
    pub(crate) shutdown: Shutdown,
}

impl Supervisor {
    /// Runs the pipeline until the host stops. `first` is what was found, or why it could not start.
    ///
    /// # Errors
    /// Why it has failed for good.
    pub(crate) async fn run(&self, first: Result<Arc<Attachment>>) -> Result<()> {
        let mut pause = FIRST_PAUSE;
        let mut said = None;
        let attachment = first.inspect_err(|error| wait(&self.pipeline, error, &mut said));
        let mut attachment = attachment.ok();
        let mut permitted = false;
        let mut stages = self.shutdown.listen();
        loop {
            let began = Instant::now();
            let ended = self.attempt(attachment.take()).await;
            let stopping = *self.shutdown.listen().borrow() >= Stage::Soft;
            match ended {
                Ok(()) => break,
                Err(error) if stopping => {
                    tracing::warn!("{}", report::line(&error));
                    break;
                }
                Err(error) => {
                    let denied = report::find::<NotPermitted>(&error);
                    permitted |= denied.is_none_or(|denied| denied.was_permitted);
                    if !permitted {
                        self.fail(&error);
                        return Err(error);
                    }
                    if began.elapsed() > LONGEST_PAUSE {
                        (pause, said) = (FIRST_PAUSE, None);
                    }
                    wait(&self.pipeline, &error, &mut said);
                }
            }
            tokio::select! {
                () = reached(&mut stages, Stage::Soft) => break,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
        self.pipeline.end(Phase::Stopped);
        Ok(())
    }

    /// Finds the streams, unless that has been done, and runs the lanes.
    async fn attempt(&self, found: Option<Arc<Attachment>>) -> Result<()> {
        let attachment = match found {
            Some(attachment) => attachment,
            None => {
                let mut stages = self.shutdown.listen();
                tokio::select! {
                    attachment = self.find() => attachment?,
                    () = reached(&mut stages, Stage::Soft) => return Ok(()),
                }
            }
        };
        self.pipeline.begin(&attachment);
        self.lanes(&attachment).await
    }

    async fn find(&self) -> Result<Arc<Attachment>> {
        let (pipeline, connection) = (&self.pipeline, self.connection.clone());
        let last = pipeline.attachment().map(|last| last.last());
        let action = if last.is_some() { "restart" } else { "start" };
        let found = streams::ensure(&connection, &pipeline.settings, self.create, last.as_ref());
        let ensured = found.await.with_context(|| pipeline.what(action))?;
        let attachment = Arc::new(Attachment::new(connection, ensured));
        match last {
            Some(_) => {
                pipeline.metrics.restarts.inc();
            }
            None => {
                let deployed = desired::initial(&pipeline.target, &self.runtime, &attachment);
                deployed.await.with_context(|| pipeline.what(action))?;
                pipeline.warm(&self.runtime).await?;
            }
        }
        Ok(attachment)
    }

    /// Starts the lanes and waits for the end of all. The first that cannot go on stops the others.
    async fn lanes(&self, attachment: &Arc<Attachment>) -> Result<()> {
        let membership = match &attachment.ensured.job {
            Some(place) => {
                let (job, partitions) = (&self.pipeline.settings.name, place.partitions);
                let job_settings = self.pipeline.settings.job.as_ref();
                let standbys = job_settings.map_or(0, |job| job.standbys);
                let (connection, progress) = (&attachment.connection, &place.progress);
                let joined = Membership::join(connection, job, partitions, standbys, progress);
                Some(Arc::new(joined.await?))
            }
            None => None,
        };
        let lanes = self.pipeline.settings.lanes;
        let own = Shutdown::default();
        let (ended, mut ends) = mpsc::channel(lanes);
        for lane in 0..lanes {
            let place = (Arc::clone(attachment), membership.clone());
            let started = self.start_lane(lane, place, own.listen(), ended.clone());
            if let Err(error) = started {
                // There is room for one word of each lane.
                let _ = ended.try_send(Err(error));
            }
        }
        drop(ended);
        let mut first = Ok(());
        let finishing = async {
            while let Some(result) = ends.recv().await {
                if result.is_err() {
                    let (own, drain) = (own.clone(), self.pipeline.settings.drain);
                    tokio::spawn(async move { own.stop(drain).await });
                }
                first = std::mem::replace(&mut first, Ok(())).and(result);
            }
        };
        tokio::select! {
            () = finishing => {}
            () = follow(self.shutdown.listen(), &own) => {}
        }
        // The lanes have ended, and with them their shares of it.
        if let Some(membership) = membership.and_then(Arc::into_inner) {
            membership.leave().await;
        }
        first
    }

    fn start_lane(
        &self,
        lane: usize,
        (attachment, membership): (Arc<Attachment>, Option<Arc<Membership>>),
        stages: Stages,
        ended: mpsc::Sender<Result<()>>,
    ) -> Result<()> {
        let (pipeline, runtime) = (Arc::clone(&self.pipeline), self.runtime.clone());
        let name = &self.pipeline.settings.name;
        std::thread::Builder::new()
            .name(format!("{name}/{lane}"))
            .spawn(move || {
                let life = || run_lane(&pipeline, &runtime, lane, &attachment, membership, stages);
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(life))
                    .unwrap_or_else(|_| Err(anyhow!("a lane panicked; this is a bug in weir")));
                // The receiver is gone only when the host has given up on its lanes.
                let _ = ended.blocking_send(result);
            })
            .with_context(|| format!("cannot start a thread for a lane of pipeline `{name}`"))?;
        Ok(())
    }

    fn fail(&self, error: &anyhow::Error) {
        let problem = Problem::new(error);
        let (pipeline, hint) = (&self.pipeline.settings.name, problem.hint());
        tracing::error!(pipeline, hint, "{}", problem.what);
        self.pipeline.end(Phase::Failed(problem));
    }
}

/// Says what is wrong, unless that is what was `said` last: while it stays the same, the status and readiness go on
/// saying it.
pub(super) fn wait(running: &Running, error: &anyhow::Error, said: &mut Option<Problem>) {
    let problem = Problem::new(error);
    if said.as_ref() != Some(&problem) {
        let (pipeline, hint) = (&running.settings.name, problem.hint());
        match nats::passes(error) {
            true => tracing::warn!(pipeline, hint, "{}; waiting for it", problem.what),
            false => tracing::error!(pipeline, hint, "{}; trying again", problem.what),
        }
        *said = Some(problem.clone());
    }
    running.end(Phase::Waiting(problem));
}

/// A lane's whole life, on its own thread.
fn run_lane(
    pipeline: &Running,
    runtime: &Runtime,
    lane: usize,
    attachment: &Attachment,
    membership: Option<Arc<Membership>>,
    stages: Stages,
) -> Result<()> {
    let tokio = threads::runtime()?;
    tokio.block_on(async {
        let in_progress = pipeline.in_progress.get(lane).cloned().unwrap_or_default();
        // Also when it panics: what it leaves nobody works on, so others may have it.
        let _cleared = in_progress.clear_on_drop();
        let (active, changeover) = pipeline.target.versions.register_lane(lane);
        let chain = active.chain(runtime, pipeline.settings.batch);
        if let Some(membership) = membership {
            let parts = job::lane::Parts {
                settings: Arc::clone(&pipeline.settings),
                metrics: Arc::clone(&pipeline.metrics),
                dead_letter_log: Arc::clone(&pipeline.dead_letter_log),
                samples: Arc::clone(&pipeline.target.versions.samples),
                digests: active.plugins.digests(),
                chain,
                changeover,
                stages,
                membership,
                lane,
            };
            let lane = job::lane::Lane::open(&attachment.ensured, parts)
                .await
                .with_context(|| pipeline.what("start a lane of"))?;
            pipeline.lane_began(lane.health(), lane.activity());
            return lane.run().await.with_context(|| pipeline.what("continue"));
        }
        let parts = Parts {
            settings: Arc::clone(&pipeline.settings),
            metrics: Arc::clone(&pipeline.metrics),
            dead_letter_log: Arc::clone(&pipeline.dead_letter_log),
            failure_log: Arc::clone(&pipeline.failure_log),
            samples: Arc::clone(&pipeline.target.versions.samples),
            chain,
            changeover,
            in_progress,
            stages,
        };
        let lane = Lane::open(&attachment.connection, &attachment.ensured, parts)
            .await
            .with_context(|| pipeline.what("start a lane of"))?;
        pipeline.lane_began(lane.health(), lane.activity());
        lane.run().await.with_context(|| pipeline.what("continue"))
    })
}

/// Asks one pipeline for what the host is asked for. Never ends.
async fn follow(mut stages: Stages, own: &Shutdown) {
    loop {
        own.ask(*stages.borrow_and_update());
        if stages.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
