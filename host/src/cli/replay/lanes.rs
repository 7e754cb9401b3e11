//! The threads that call plugins: batches go in, and their outputs come out in the same order.
//!
//! Like a lane of a host, each thread has instances of its own. Batches are distributed round-robin, so the
//! order of the outputs needs no bookkeeping; a short queue per thread keeps the plugins busy.

use super::job::JobLanes;
use crate::compare::Outputs;
use crate::config::resolved::Bounds;
use crate::job::dry_run::Place;
use crate::jsonl::Line;
use crate::message::Message;
use crate::nats::history::Stored;
use crate::plugin::Runtime;
use crate::process::chain::Chain;
use crate::process::dry_run::DryRun;
use crate::process::plugin_set::PluginSet;
use crate::threads;
use anyhow::{Context, Result, anyhow};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Queue length of a lane: one batch is processed while the next one waits.
const AHEAD: usize = 2;

/// An input and its outputs.
pub(super) type Answer = (Place, Outputs);

/// What has become of a batch.
#[derive(Default)]
pub(super) struct Answered {
    pub(super) answers: Vec<Answer>,
    /// Of a job: what comes of no message.
    pub(super) of_timers: Vec<Line>,
    /// All messages up to this one have been answered.
    pub(super) through: u64,
}

struct Lane {
    batches: Sender<Vec<Message>>,
    answers: Receiver<Result<Vec<Answer>>>,
}

/// All lanes, and the next one to use.
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    sent: usize,
    received: usize,
}

impl Lanes {
    /// Starts the threads with warm instances; `dry_run` creates the dry run of a chain.
    ///
    /// # Errors
    /// The error of a plugin that refuses its configuration.
    pub(super) fn start(
        lanes: usize,
        batch: Bounds,
        plugins: &PluginSet,
        runtime: &Runtime,
        dry_run: impl Fn(Chain) -> DryRun,
    ) -> Result<Self> {
        let mut started = Vec::new();
        for lane in 0..lanes.max(1) {
            let tokio = threads::runtime()?;
            let chain = Chain::new(plugins.apart().workers(runtime), batch);
            let mut dry_run = dry_run(chain);
            tokio.block_on(dry_run.warm())?;
            let (batches, inbox) = channel(AHEAD);
            let (outbox, answers) = channel(AHEAD);
            std::thread::Builder::new()
                .name(format!("replay/{lane}"))
                .spawn(move || tokio.block_on(work(dry_run, inbox, outbox)))
                .context("cannot start a thread")?;
            started.push(Lane { batches, answers });
        }
        Ok(Self {
            lanes: started,
            sent: 0,
            received: 0,
        })
    }

    /// Whether another batch can be sent before answers are received.
    pub(super) fn has_room(&self) -> bool {
        self.sent - self.received < AHEAD * self.lanes.len()
    }

    /// Sends a batch to the next lane.
    ///
    /// # Errors
    /// If a lane has ended, which is a bug.
    pub(super) async fn send(&mut self, batch: Vec<Message>) -> Result<()> {
        let lane = self.sent % self.lanes.len();
        self.sent += 1;
        let lane = self.lanes.get(lane).context("there is no such lane")?;
        let sent = lane.batches.send(batch).await;
        sent.map_err(|_| anyhow!("a lane has ended; this is a bug in weir"))
    }

    /// The outputs of the oldest batch; `None` if there is none.
    ///
    /// # Errors
    /// If a plugin cannot be restarted.
    pub(super) async fn receive(&mut self) -> Result<Option<Answered>> {
        if self.received == self.sent {
            return Ok(None);
        }
        let lane = self.received % self.lanes.len();
        self.received += 1;
        let lane = self.lanes.get_mut(lane).context("there is no such lane")?;
        let answers = lane.answers.recv().await;
        let answers = answers.context("a lane has ended; this is a bug in weir")??;
        Ok(Some(Answered {
            through: answers.last().map_or(0, |((_, last), _)| *last),
            answers,
            of_timers: Vec::new(),
        }))
    }
}

/// The threads that call plugins.
pub(super) enum Threads {
    /// Each takes the next batch.
    Each(Lanes),
    /// Each has some of the partitions.
    Job(JobLanes),
}

impl Threads {
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Each(lanes) => lanes.has_room(),
            Self::Job(lanes) => lanes.has_room(),
        }
    }

    /// Sends messages, each with the place of its source; none is the end.
    pub(super) async fn send(&mut self, batch: Vec<(usize, Stored)>) -> Result<()> {
        match self {
            Self::Each(_) if batch.is_empty() => Ok(()),
            Self::Each(lanes) => {
                let messages = batch.into_iter().map(|(_, stored)| stored.message);
                lanes.send(messages.collect()).await
            }
            Self::Job(lanes) => lanes.send(batch).await,
        }
    }

    pub(super) async fn receive(&mut self) -> Result<Option<Answered>> {
        match self {
            Self::Each(lanes) => lanes.receive().await,
            Self::Job(lanes) => lanes.receive().await,
        }
    }
}

async fn work(
    mut dry_run: DryRun,
    mut batches: Receiver<Vec<Message>>,
    answers: Sender<Result<Vec<Answer>>>,
) {
    while let Some(batch) = batches.recv().await {
        let places: Vec<Place> = batch.iter().map(|message| (0, message.sequence)).collect();
        let outputs = dry_run.run(batch).await;
        let answer = outputs.map(|outputs| places.into_iter().zip(outputs).collect());
        // The receiver is gone if the replay has ended early.
        if answers.send(answer).await.is_err() {
            return;
        }
    }
}
