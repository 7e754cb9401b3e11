//! The environment of a partition on a lane: stops, pauses, and the receivers of its events.

use super::Lane;
use super::standing::Standing;
use crate::failpoint::Station;
use crate::job::clock::PartitionClock;
use crate::job::jetstream::Forwarding;
use crate::job::log::LogError;
use crate::job::pause::pause;
use crate::job::surroundings::{Note, Surroundings};
use crate::nats::job_progress::{Task, Trouble};
use crate::process::activity::Answer;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is around a partition of a lane.
pub(super) struct Around<'a> {
    pub(super) lane: &'a Lane,
    pub(super) partition: u16,
    pub(super) clock: Rc<PartitionClock>,
    /// The name of its last claim.
    pub(super) owner: RefCell<Option<Arc<str>>>,
    /// What it has said of itself while it stands by.
    pub(super) standing: Cell<Option<Standing>>,
}

impl Lane {
    /// Says to the host what it waits for. Never ends.
    pub(super) async fn answer(&self) {
        loop {
            self.activity.asked().await;
            let retries = usize::from(!self.progress.is_quiet());
            let uncommitted = self.shared.metrics.in_flight.get();
            self.activity.answer(Answer {
                held: retries + usize::try_from(uncommitted).unwrap_or_default(),
                retries,
                ..Answer::default()
            });
        }
    }

    /// The partition cannot be owned, for a reason that concerns no other.
    pub(super) fn fails(
        &self,
        partition: u16,
        reason: &str,
        hint: String,
        (is_new, pause): (bool, Duration),
    ) {
        let pipeline = &self.shared.settings.name;
        let trouble = Trouble {
            words: format!("cannot run partition {partition}: {reason}"),
            hint: Some(hint),
            again: Some(Instant::now() + pause),
        };
        let seconds = pause.as_secs_f64();
        if is_new {
            let hint = trouble.hint.as_deref();
            let words = &trouble.words;
            tracing::error!(
                pipeline,
                partition,
                hint,
                "{words}; trying again in {seconds} s"
            );
        } else {
            tracing::warn!(
                pipeline,
                partition,
                "still cannot run it: trying again in {seconds} s"
            );
        }
        self.set_trouble(partition, Some(trouble));
    }
}

impl Surroundings for Around<'_> {
    fn new_owner(&self) -> Arc<str> {
        let owner: Arc<str> = self.lane.wire.new_id().into();
        *self.owner.borrow_mut() = Some(Arc::clone(&owner));
        owner
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

    async fn reached(&self, station: Station) {
        let failure = self.lane.failpoint.borrow_mut().passed(station, 1);
        if let Some(failure) = failure {
            self.lane.wire.flush().await;
            failure.happen(station);
        }
    }

    async fn stopped(&self) {
        let (lane, partition) = (self.lane, self.partition);
        let mut share = lane.share.clone();
        let released = share.wait_for(|share| !share.assigned.contains(&partition));
        tokio::select! {
            () = lane.stopping() => {}
            _ = released => {}
        }
    }

    fn note(&self, note: Note<'_>) {
        let (partition, shared) = (self.partition, &self.lane.shared);
        let (pipeline, metrics) = (&shared.settings.name, &shared.metrics);
        match note {
            Note::Recovered { warm } => {
                metrics.job_takeovers.inc();
                metrics.job_takeovers_warm.inc_by(warm.into());
                self.lane.set_trouble(partition, None);
                tracing::info!(pipeline, partition, warm, "owns the partition");
            }
            Note::Follows(standby, bytes) => self.follows(standby, bytes),
            Note::Committed => {
                metrics.job_commits.inc();
            }
            Note::Logged(deltas, bytes) => shared.progress.update(partition, |state| {
                (state.log_records, state.log_bytes) = (deltas as u64, bytes as u64);
            }),
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
                tracing::warn!(
                    pipeline,
                    partition,
                    "a message exceeds the limits of a commit"
                );
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
                "the server does not accept commits of this size; they are half as large from now on"
            ),
        }
    }
}

impl Forwarding for Around<'_> {
    fn owner(&self) -> Option<Arc<str>> {
        self.owner.borrow().clone()
    }

    fn forwarded(&self, task: Task, is_duplicate: bool) {
        let metrics = &self.lane.shared.metrics;
        metrics.job_forwarded.inc();
        metrics.job_forward_duplicates.inc_by(is_duplicate.into());
        self.lane.progress.set_trouble(self.partition, task, None);
    }

    fn not_forwarded(&self, task: Task, trouble: Trouble) {
        self.lane.shared.metrics.job_forward_failures.inc();
        let progress = &self.lane.progress;
        progress.set_trouble(self.partition, task, Some(trouble));
    }
}
