//! A lane of a job: one thread with one connection and one warm instance of each plugin, which owns some of
//! the job's partitions. START HERE.
//!
//! Each partition has its own worker (`worker.rs`); workers take turns on the thread. `shared.rs` has what
//! they share, and `jetstream/inputs.rs` deals out what they read.

mod around;
mod folder;
mod standing;

use super::bounds::{self, Bounds};
use super::compaction;
use super::jetstream::{Forward, Inputs, JetStream, OPEN_BATCHES, Place, Source};
use super::log::Progress;
use super::membership::{Membership, Share};
use super::pause::pause;
use super::processing::Processing;
use super::shared::{Reads, Shared};
use super::surroundings::{End, Settings};
use super::worker;
use crate::config::resolved::{self, Job};
use crate::failpoint::Failpoint;
use crate::nats::Health;
use crate::nats::job_progress::{JobProgress, Task, Trouble};
use crate::nats::streams::Ensured;
use crate::nats::wire::Wire;
use crate::process::Processor;
use crate::process::activity::Activity;
use crate::process::chain::Chain;
use crate::process::changeover::Changeover;
use crate::process::decode::Decoder;
use crate::process::outputs::Target;
use crate::process::samples::{Sampler, Samples};
use crate::shutdown::{Stage, Stages, reached};
use crate::state::{Group, Groups};
use crate::telemetry::log_limit::LogLimit;
use crate::telemetry::metrics::PipelineMetrics;
use anyhow::{Context, Result, anyhow};
use around::Around;
use folder::Folder;
use futures_util::future::{join_all, try_join_all};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// After which an answer of the server is given up. Elections take up to 9 s.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The most partitions of a job that sends results ahead of their commits. With 8 of them the server needs about a
/// tenth more time for a message than without (`docs/adr/0042-results-are-sent-ahead-of-their-commit.md`).
const STAGED: u16 = 4;
/// Where the server says that it has given up a batch; the stream's name follows.
const ABANDONED: &str = "$JS.EVENT.ADVISORY.STREAM.BATCH_ABANDONED";
/// The pauses before a partition is tried again that failed for a reason that stays: they double.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// The parts of a lane. The first four belong to its pipeline, the others to the lane.
pub struct Parts {
    pub settings: Arc<resolved::Pipeline>,
    pub metrics: Arc<PipelineMetrics>,
    /// Which dead letters have a line in the log.
    pub dead_letter_log: Arc<LogLimit>,
    pub samples: Arc<Samples>,
    /// Of the plugins by operator.
    pub digests: BTreeMap<String, String>,
    pub chain: Chain,
    pub changeover: Changeover,
    pub stages: Stages,
    /// That of the host, which says what it is to own.
    pub membership: Arc<Membership>,
    /// Which lane of the host it is.
    pub lane: usize,
}

/// See the top of this file.
pub struct Lane {
    job: Job,
    wire: Wire,
    /// Of its partitions, but for which.
    place: Place,
    /// Those that it may own.
    partitions: Vec<u16>,
    membership: Arc<Membership>,
    share: watch::Receiver<Share>,
    progress: Arc<JobProgress>,
    lane: usize,
    shared: Rc<Shared>,
    inputs: Rc<Inputs>,
    /// Of the inputs, and where a new job begins in them.
    begin: Vec<Progress>,
    digests: Arc<BTreeMap<String, String>>,
    activity: Arc<Activity>,
    stages: Stages,
    open: Arc<Semaphore>,
    failpoint: RefCell<Failpoint>,
    /// What it publishes by itself.
    forwards: Vec<Forward>,
    /// Of the states on disk, if they are there.
    folder: Option<Folder>,
}

impl Lane {
    /// Connects and warms the plugins; owns nothing yet.
    ///
    /// # Errors
    /// When the server cannot be reached, or a plugin refuses.
    pub async fn open(ensured: &Ensured, parts: Parts) -> Result<Self> {
        let settings = parts.settings;
        let (Some(job), Some(place)) = (settings.job.clone(), &ensured.job) else {
            return Err(anyhow!("pipeline `{}` is not a job", settings.name));
        };
        let folder = Folder::of(&job.store, &place.stream, &place.incarnation)?;
        let counter = parts.metrics.reconnects.clone();
        let wire = Wire::connect(&settings.nats, &settings.name, counter).await?;
        let target = Target::new(&settings, &ensured.subjects, wire.max_payload());
        let operators = settings.operators.iter();
        let operators = operators.map(|operator| operator.name.clone()).collect();
        let activity = Arc::new(Activity::new(operators, parts.chain.place()));
        let mut processor = Processor::new(&settings, parts.chain, &target).with_provenance();
        processor.warm().await?;
        let begin = place.reads.iter();
        let begin: Vec<_> = begin.map(|it| Progress::at(&*it.id, it.begin)).collect();
        let (mut sources, mut inputs_read) = (Vec::new(), Vec::new());
        for (reads, Progress { source: id, .. }) in place.reads.iter().zip(&begin) {
            let decoder = Decoder::of_stream(&settings, &reads.of);
            inputs_read.push(Reads {
                id: Arc::clone(id),
                origin: reads.origin.as_deref().map(Into::into),
                is_table: reads.is_table,
                decoder: decoder.clone(),
            });
            let of = job.partitions;
            sources.push(Source {
                name: Arc::clone(id),
                stream: reads.stream.clone(),
                filters: reads.filters.clone(),
                is_table: reads.is_table,
                deal: Box::new(move |message| {
                    let timed = decoder.decode(message);
                    (Group::of(message.state_key()).partition(of), timed)
                }),
            });
        }
        let inputs = Inputs::new(&wire, sources, PATIENCE);
        let idle_timeout = job.watermark.idle_timeout.map(i64::unsigned_abs);
        let inputs = inputs
            .with_progress(Arc::clone(&place.progress), parts.lane)
            .with_idle_timeout(idle_timeout.map(Duration::from_nanos));
        let shared = Shared::new(
            Arc::clone(&settings),
            processor,
            Arc::clone(&activity),
            parts.metrics,
            parts.dead_letter_log,
            (parts.changeover, Sampler::new(parts.samples)),
            Arc::clone(&place.progress),
        );
        let shared = shared.with_inputs(inputs_read);
        let dead = settings.dead_letter.as_ref().filter(|dead| dead.forward);
        let dead = dead.map(|dead| (Task::ForwardDeadLetters, Some(dead.subject.clone())));
        let results = settings
            .sink
            .forward
            .then_some((Task::ForwardResults, None));
        let forward = |(task, to)| Forward {
            task,
            to,
            id: format!("{}@{}", place.stream, place.incarnation),
        };
        let forwards = results.into_iter().chain(dead).map(forward).collect();
        let mine = |partition: &u16| usize::from(*partition) % settings.lanes == parts.lane;
        Ok(Self {
            partitions: (0..job.partitions).filter(mine).collect(),
            open: Arc::new(Semaphore::new((OPEN_BATCHES / settings.lanes).max(1))),
            share: parts.membership.share(),
            membership: parts.membership,
            progress: Arc::clone(&place.progress),
            lane: parts.lane,
            place: Place {
                stream: place.stream.clone(),
                prefix: place.prefix.clone(),
                keeps_results: settings.sink.in_job_stream.is_some(),
                partition: 0,
                part: bounds::part(wire.max_payload()),
                patience: PATIENCE,
                stages: job.partitions <= STAGED,
            },
            job,
            wire,
            shared: Rc::new(shared),
            inputs: Rc::new(inputs),
            begin,
            digests: Arc::new(parts.digests),
            activity,
            stages: parts.stages,
            failpoint: RefCell::new(Failpoint::from_environment()),
            forwards,
            folder,
        })
    }

    /// What it waits for.
    #[must_use]
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// That of the lane's connection.
    #[must_use]
    pub fn health(&self) -> &Arc<Health> {
        &self.wire.health
    }

    /// Owns partitions until the host stops.
    ///
    /// # Errors
    /// When a partition cannot continue for a reason that affects the whole job.
    pub async fn run(self) -> Result<()> {
        let partitions = self.partitions.iter().map(|partition| self.own(*partition));
        tokio::select! {
            biased;
            () = self.must_leave_at_once() => Ok(()),
            ended = try_join_all(partitions) => ended.map(drop),
            () = self.shared.change() => Ok(()),
            () = self.answer() => Ok(()),
            () = self.note_assigned() => Ok(()),
            () = self.count_abandoned() => Ok(()),
            () = self.remove_unused() => Ok(()),
        }
    }

    /// Counts the commits that the server gives up, where this user may hear of it. Never ends.
    async fn count_abandoned(&self) {
        let subject = format!("{ABANDONED}.{}", self.place.stream);
        // One lane of the host is enough.
        let mut heard = (self.lane == 0).then(|| self.wire.subscribe(&subject));
        while let Some(heard) = &mut heard
            && heard.next().await.is_some()
        {
            self.shared.metrics.job_batches_abandoned.inc();
        }
        std::future::pending().await
    }

    /// Removes states on disk that nobody uses any more. Never ends.
    async fn remove_unused(&self) {
        // One lane of the host is enough.
        if let Some(folder) = self.folder.as_ref().filter(|_| self.lane == 0) {
            folder.remove_unused(&self.shared.settings.name).await;
        }
        std::future::pending().await
    }

    /// Owns a partition, again and again, until the host stops.
    async fn own(&self, partition: u16) -> Result<()> {
        let what = || format!("cannot run partition {partition} of the job");
        let groups = Groups::of_partition(partition, self.job.partitions).with_context(what)?;
        let mut work = Processing::new(Rc::clone(&self.shared), groups.clone())
            .map_err(|error| anyhow!("{error}"))
            .with_context(what)?;
        let disk = self.folder.as_ref();
        work = work.on_disk(disk.map(|folder| folder.location(partition)));
        let mut place = self.place.clone();
        place.partition = partition;
        let (wire, inputs) = (self.wire.clone(), Rc::clone(&self.inputs));
        let log = JetStream::new(wire, place, Arc::clone(&self.open), inputs);
        let around = Around {
            lane: self,
            partition,
            clock: work.clock(),
            owner: RefCell::default(),
            standing: Cell::default(),
        };
        let (mut deposed, mut failed, mut standby) = (0, 0, None);
        let settings = self.settings(&groups);
        while around
            .is_to_own(&log, &mut work, &settings, &mut standby)
            .await
        {
            let began = Instant::now();
            self.membership.set_owned(partition, true);
            let forwards = self.forwards.iter().map(|what| log.forward(what, &around));
            let settings = settings.clone();
            let ended = tokio::select! {
                biased;
                ended = worker::run(&log, &mut work, &around, settings, &mut standby) => ended,
                _ = join_all(forwards), if !self.forwards.is_empty() => continue,
            };
            for what in &self.forwards {
                self.progress.set_trouble(partition, what.task, None);
            }
            work.forget();
            self.inputs.leave(partition);
            self.membership.set_owned(partition, false);
            match ended {
                End::Stopped => {}
                End::Failed(reason) => return Err(anyhow!(reason)).with_context(what),
                End::Damaged(reason) => {
                    let lasted = began.elapsed();
                    failed = if lasted > LONGEST { 1 } else { failed + 1 };
                    let hint = folder::hint(self, &work, partition);
                    let pause = FIRST.saturating_mul(1 << failed.min(16)).min(LONGEST);
                    self.fails(partition, &reason, hint, (failed == 1, pause));
                    tokio::select! {
                        () = self.stopping() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                End::Deposed => {
                    let pipeline = &self.shared.settings.name;
                    self.shared.metrics.job_deposed.inc();
                    tracing::info!(
                        pipeline,
                        partition,
                        "another host has taken over the partition"
                    );
                    deposed = if began.elapsed() > PATIENCE {
                        1
                    } else {
                        deposed + 1
                    };
                    tokio::select! {
                        () = self.stopping() => {}
                        () = pause(deposed + 6) => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn set_trouble(&self, partition: u16, trouble: Option<Trouble>) {
        let failing = self.progress.set_trouble(partition, Task::Own, trouble);
        let failing = i64::try_from(failing).unwrap_or(i64::MAX);
        self.shared.metrics.job_partitions_failing.set(failing);
    }

    /// Waits for a stop.
    async fn stopping(&self) {
        reached(&mut self.stages.clone(), Stage::Soft).await;
    }

    /// Notes how many partitions the lane is to own. Never ends.
    async fn note_assigned(&self) {
        let mut share = self.share.clone();
        loop {
            let wanted = {
                let share = share.borrow_and_update();
                let mine = self.partitions.iter();
                mine.filter(|partition| share.assigned.contains(partition))
                    .count()
            };
            self.progress.wants(self.lane, wanted);
            if share.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn settings(&self, groups: &Groups) -> Settings {
        Settings {
            groups: groups.numbers(),
            inputs: self.begin.clone(),
            digests: Arc::clone(&self.digests),
            bounds: Bounds::of_commit(self.job.commit, self.place.part),
            batch: self.shared.settings.batch.messages,
            least: compaction::LEAST,
        }
    }

    /// Waits for a hard stop; or for a soft one without a connection, because nothing can be committed then.
    async fn must_leave_at_once(&self) {
        let (mut soft, mut hard) = (self.stages.clone(), self.stages.clone());
        tokio::select! {
            () = reached(&mut hard, Stage::Hard) => {}
            () = async {
                reached(&mut soft, Stage::Soft).await;
                self.wire.health.down().await;
            } => {}
        }
    }
}
