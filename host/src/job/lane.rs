//! A lane of a job: one thread with one connection and one warm instance of each plugin, which owns some of the
//! job's partitions. START HERE.
//!
//! Each partition is owned by a worker of its own (`worker.rs`); they take turns on the thread. What they
//! share is in `shared.rs`, and what they read is dealt out by `jetstream/inputs.rs`.

use super::clock::PartitionClock;
use super::compaction;
use super::jetstream::{Inputs, JetStream, OPEN_BATCHES, Place, Source};
use super::log::{LogError, Progress};
use super::membership::Membership;
use super::partition::Bounds;
use super::pause::pause;
use super::processing::Processing;
use super::shared::Shared;
use super::worker::{self, End, Note, Settings, Surroundings};
use crate::config::resolved::{self, Job};
use crate::nats::Health;
use crate::nats::job_progress::JobProgress;
use crate::nats::streams::Ensured;
use crate::nats::wire::Wire;
use crate::process::Processor;
use crate::process::activity::{Activity, Answer};
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
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// After which an answer of the server is given up. Elections take up to 9 s.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Messages of a commit besides its results, and how many of them are kept free for snapshots; the others are for
/// deltas and the checkpoint. The server takes 1,000 in all, and a pipeline may have 900 results in a commit.
const BESIDES: usize = 100;
const RESERVE: usize = 90;
/// Bytes of the header lines that a message has more as part of a commit, at most. The server counts them, and ends
/// the connection for a message that is too large.
const BATCH_LINES: usize = 256;
/// Bytes of a record's message, at most; half of what the server takes, if that is less.
pub(super) const PART: usize = 256 << 10;

/// What a lane is made of. The first four are of its pipeline, the others its own.
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
    stream: String,
    prefix: String,
    /// Those that it may own.
    partitions: Vec<u16>,
    membership: Arc<Membership>,
    assigned: watch::Receiver<BTreeSet<u16>>,
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
}

impl Lane {
    /// Connects and warms the plugins; owns nothing yet.
    ///
    /// # Errors
    /// When the server cannot be reached, or a plugin refuses.
    pub async fn open(ensured: &Ensured, parts: Parts) -> Result<Self> {
        let settings = parts.settings;
        let (Some(job), Some(place)) = (settings.job.clone(), &ensured.job) else {
            return Err(anyhow!("pipeline `{}` is no job", settings.name));
        };
        let counter = parts.metrics.reconnects.clone();
        let wire = Wire::connect(&settings.nats, &settings.name, counter).await?;
        let largest = wire.max_payload().saturating_sub(BATCH_LINES);
        let target = Target::new(&settings, &ensured.subjects, largest);
        let operators = settings.operators.iter();
        let operators = operators.map(|operator| operator.name.clone()).collect();
        let activity = Arc::new(Activity::new(operators, parts.chain.place()));
        let mut processor = Processor::new(&settings, parts.chain, &target).with_provenance();
        processor.warm().await?;
        let source = Source {
            name: format!("{}@{}", ensured.source.stream, ensured.incarnation).into(),
            stream: ensured.source.stream.clone(),
            filters: settings
                .source
                .subjects
                .iter()
                .map(ToString::to_string)
                .collect(),
        };
        let begin = vec![Progress::at(Arc::clone(&source.name), place.begin)];
        let (decoder, of) = (Decoder::new(&settings), job.partitions);
        let deal = move |message: &mut crate::message::Message| {
            decoder.decode(message);
            Group::of(message.key.as_deref().unwrap_or_default().as_bytes()).partition(of)
        };
        let inputs = Inputs::new(&wire, vec![source], PATIENCE, Box::new(deal));
        let inputs = inputs.with_progress(Arc::clone(&place.progress), parts.lane);
        let shared = Shared::new(
            Arc::clone(&settings),
            processor,
            Arc::clone(&activity),
            parts.metrics,
            parts.dead_letter_log,
            (parts.changeover, Sampler::new(parts.samples)),
            Arc::clone(&place.progress),
        );
        let mine = |partition: &u16| usize::from(*partition) % settings.lanes == parts.lane;
        Ok(Self {
            partitions: (0..job.partitions).filter(mine).collect(),
            open: Arc::new(Semaphore::new((OPEN_BATCHES / settings.lanes).max(1))),
            assigned: parts.membership.assigned(),
            membership: parts.membership,
            progress: Arc::clone(&place.progress),
            lane: parts.lane,
            job,
            wire,
            stream: place.stream.clone(),
            prefix: place.prefix.clone(),
            shared: Rc::new(shared),
            inputs: Rc::new(inputs),
            begin,
            digests: Arc::new(parts.digests),
            activity,
            stages: parts.stages,
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
    /// When a partition cannot go on, and none of this job could.
    pub async fn run(self) -> Result<()> {
        let partitions = self.partitions.iter().map(|partition| self.own(*partition));
        tokio::select! {
            biased;
            () = self.must_leave_at_once() => Ok(()),
            ended = try_join_all(partitions) => ended.map(drop),
            () = self.shared.change() => Ok(()),
            () = self.answer() => Ok(()),
            () = self.note_assigned() => Ok(()),
        }
    }

    /// Owns a partition, again and again, until the host stops.
    async fn own(&self, partition: u16) -> Result<()> {
        let what = || format!("cannot run partition {partition} of the job");
        let groups = Groups::of_partition(partition, self.job.partitions).with_context(what)?;
        let mut work = Processing::new(Rc::clone(&self.shared), groups.clone())
            .map_err(|error| anyhow!("{error}"))
            .with_context(what)?;
        let part = (self.wire.max_payload() / 2).clamp(1, PART);
        let place = Place {
            stream: self.stream.clone(),
            prefix: self.prefix.clone(),
            partition,
            part,
            patience: PATIENCE,
        };
        let (wire, inputs) = (self.wire.clone(), Rc::clone(&self.inputs));
        let log = JetStream::new(wire, place, Arc::clone(&self.open), inputs);
        let around = Around {
            lane: self,
            partition,
            clock: work.clock(),
        };
        let mut deposed = 0;
        while self.is_to_own(partition).await {
            let began = Instant::now();
            self.membership.set_owned(partition, true);
            let ended = worker::run(&log, &mut work, &around, self.settings(&groups, part)).await;
            work.forget();
            self.inputs.leave(partition);
            self.membership.set_owned(partition, false);
            match ended {
                End::Stopped => {}
                End::Failed(reason) => return Err(anyhow!(reason)).with_context(what),
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

    /// Waits until the partition is to be owned; false if the host stops before.
    async fn is_to_own(&self, partition: u16) -> bool {
        let mut assigned = self.assigned.clone();
        let assigned = assigned.wait_for(|assigned| assigned.contains(&partition));
        tokio::select! {
            biased;
            () = self.stopping() => false,
            assigned = assigned => assigned.is_ok(),
        }
    }

    /// Waits for a stop.
    async fn stopping(&self) {
        reached(&mut self.stages.clone(), Stage::Soft).await;
    }

    /// Notes how many partitions the lane is to own. Never ends.
    async fn note_assigned(&self) {
        let mut assigned = self.assigned.clone();
        loop {
            let wanted = {
                let assigned = assigned.borrow_and_update();
                let mine = self.partitions.iter();
                mine.filter(|partition| assigned.contains(partition))
                    .count()
            };
            self.progress.wants(self.lane, wanted);
            if assigned.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn settings(&self, groups: &Groups, part: usize) -> Settings {
        let resolved::Bounds { messages, bytes } = self.job.commit;
        Settings {
            groups: groups.numbers(),
            inputs: self.begin.clone(),
            digests: Arc::clone(&self.digests),
            bounds: Bounds {
                messages: messages + BESIDES,
                reserve: RESERVE,
                bytes,
                part,
            },
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

    /// Says to the host what it waits for. Never ends.
    async fn answer(&self) {
        loop {
            self.activity.asked().await;
            let retries = usize::from(!self.progress.is_quiet());
            self.activity.answer(Answer {
                held: retries,
                retries,
                ..Answer::default()
            });
        }
    }
}

/// What is around a partition of a lane.
struct Around<'a> {
    lane: &'a Lane,
    partition: u16,
    clock: Rc<PartitionClock>,
}

impl Surroundings for Around<'_> {
    fn new_owner(&self) -> Arc<str> {
        self.lane.wire.new_id().into()
    }

    async fn until(&self, due: u64) {
        self.clock.until(due).await;
    }

    async fn permitted(&self) {
        self.lane.shared.permitted().await;
    }

    async fn pause(&self, attempt: u32) {
        pause(attempt).await;
    }

    async fn stopped(&self) {
        let (lane, partition) = (self.lane, self.partition);
        let mut assigned = lane.assigned.clone();
        let released = assigned.wait_for(|assigned| !assigned.contains(&partition));
        tokio::select! {
            () = lane.stopping() => {}
            _ = released => {}
        }
    }

    fn note(&self, note: Note<'_>) {
        let (partition, shared) = (self.partition, &self.lane.shared);
        let (pipeline, metrics) = (&shared.settings.name, &shared.metrics);
        match note {
            Note::Recovered => {
                metrics.job_takeovers.inc();
                tracing::info!(pipeline, partition, "owns the partition");
            }
            Note::Committed => {
                metrics.job_commits.inc();
            }
            Note::Resolved => {
                metrics.job_commits.inc();
                metrics.job_commits_resolved.inc();
            }
            Note::Failed(error) => {
                metrics.job_failures.inc();
                tracing::debug!(pipeline, partition, "trying again: {error}");
                if !matches!(error, LogError::WrongFence) {
                    self.lane.activity.fails(&error.to_string(), None);
                }
            }
            Note::Rejected => {
                tracing::warn!(pipeline, partition, "a message exceeds what a commit holds");
            }
            Note::Oversized(group) => tracing::warn!(
                pipeline,
                partition,
                group,
                "the state of a key group is larger than a commit has room for; the log grows"
            ),
            Note::Halved => tracing::warn!(
                pipeline,
                partition,
                "the server takes no commits of this size; they are half as large from now on"
            ),
        }
    }
}
