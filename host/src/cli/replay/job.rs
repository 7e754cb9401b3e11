//! A replay of a job: runs its partitions on threads, with states that begin empty or come from a savepoint.
//!
//! It changes nothing of the job: it verifies a savepoint and then reads it into memory.

use super::lanes::Answered;
use super::origin::Origin;
use crate::config::resolved::{Bounds, Pipeline};
use crate::job::dry_run::{Answers, Dealer, JobDryRun, Parts, Place};
use crate::job::log::Input;
use crate::job::savepoint::{Part, Reader};
use crate::nats::Connection;
use crate::nats::history::Stored;
use crate::nats::savepoints::Savepoints;
use crate::plugin::Runtime;
use crate::process::chain::Chain;
use crate::process::outputs::Target;
use crate::process::plugin_set::PluginSet;
use crate::state::Group;
use crate::threads;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Tasks of a lane that wait.
const AHEAD: usize = 2;

/// What a lane is to do.
enum Task {
    Restore(Group, Bytes),
    /// The state is whole: no message comes before.
    Restored,
    /// Messages with their partitions; and the last that is read.
    Run(Vec<(u16, Input)>, u64),
    Finish,
}

struct Lane {
    tasks: Sender<Task>,
    answers: Receiver<Result<Answered>>,
}

/// The threads. Partition P is on the lane P modulo their number.
pub(super) struct JobLanes {
    lanes: Vec<Lane>,
    dealer: Dealer,
    partitions: u16,
    batch: Bounds,
    /// The messages of the batches that were sent, in their order.
    orders: VecDeque<HashMap<Place, usize>>,
    sent: usize,
    received: usize,
    pub(super) is_stateful: bool,
}

impl JobLanes {
    /// Starts the threads with warm instances and empty states.
    ///
    /// # Errors
    /// The error of a plugin that refuses its configuration.
    pub(super) fn start(
        lanes: usize,
        settings: &Arc<Pipeline>,
        plugins: &PluginSet,
        runtime: &Runtime,
        target: &Target,
        (origin, sources): (&Origin, &[Arc<str>]),
    ) -> Result<Self> {
        let partitions = settings.job.as_ref().map_or(1, |job| job.partitions);
        let count = lanes.clamp(1, usize::from(partitions));
        let mut started = Vec::new();
        for lane in 0..count {
            let (tasks, inbox) = channel(AHEAD);
            let (outbox, answers) = channel(AHEAD);
            let parts = Parts {
                settings: Arc::clone(settings),
                chain: Chain::new(plugins.apart().workers(runtime), settings.batch),
                target: target.clone(),
                sources: sources.to_vec(),
            };
            let spans = origin.spans.clone();
            let mine = (0..partitions).filter(|partition| usize::from(*partition) % count == lane);
            let mine: Vec<u16> = mine.collect();
            let tokio = threads::runtime()?;
            let run = async move || {
                let begun = async {
                    let mut dry_run = JobDryRun::new(parts).await?;
                    for partition in mine {
                        dry_run.begin(partition, &spans)?;
                    }
                    anyhow::Ok(dry_run)
                };
                match begun.await {
                    Ok(dry_run) => Box::pin(work(dry_run, inbox, &outbox)).await,
                    // The receiver is gone if the replay has ended early.
                    Err(error) => drop(outbox.send(Err(error)).await),
                }
            };
            std::thread::Builder::new()
                .name(format!("replay/{lane}"))
                .spawn(move || tokio.block_on(run()))
                .context("cannot start a thread")?;
            started.push(Lane { tasks, answers });
        }
        let stateful = |index| plugins.get(index).is_some_and(|it| it.plugin.is_stateful());
        Ok(Self {
            lanes: started,
            dealer: Dealer::new(settings, partitions),
            partitions,
            batch: settings.batch,
            orders: VecDeque::new(),
            sent: 0,
            received: 0,
            is_stateful: (0..plugins.operators()).any(stateful),
        })
    }

    /// Gives the lanes the state of the savepoint.
    ///
    /// # Errors
    /// When it cannot be read, or the plugins cannot read what is in it.
    pub(super) async fn restore(
        &mut self,
        connection: &Connection,
        job: &str,
        origin: &Origin,
    ) -> Result<()> {
        if let Some(name) = &origin.savepoint {
            let what = || format!("cannot read savepoint `{name}` of job `{job}`");
            let from = Savepoints::find(connection).await?.get(job, name).await?;
            let mut reader = Reader::begin(from).await.with_context(what)?;
            while let Some(part) = reader.next().await.with_context(what)? {
                if let Part::Group(number, content) = part
                    && let Some(group) = Group::new(number.into())
                {
                    let lane = usize::from(group.partition(self.partitions)) % self.lanes.len();
                    self.send_to(lane, Task::Restore(group, content)).await?;
                }
            }
        }
        for lane in 0..self.lanes.len() {
            self.send_to(lane, Task::Restored).await?;
        }
        self.sent += 1;
        self.orders.push_back(HashMap::new());
        self.receive().await.map(drop)
    }

    /// Whether another batch can be sent before answers are received.
    pub(super) fn has_room(&self) -> bool {
        self.sent - self.received < AHEAD
    }

    /// Messages and bytes that are sent at once.
    pub(super) fn batch(&self) -> Bounds {
        let lanes = self.lanes.len();
        Bounds {
            messages: self.batch.messages * lanes,
            bytes: self.batch.bytes * lanes,
        }
    }

    /// Sends messages as they are stored, each with the place of its source; none is the end.
    ///
    /// # Errors
    /// If a lane has ended.
    pub(super) async fn send(&mut self, batch: Vec<(usize, Stored)>) -> Result<()> {
        let last = batch.last().map(|(_, stored)| stored.message.sequence);
        let count = self.lanes.len();
        let mut parts: Vec<Vec<(u16, Input)>> = (0..count).map(|_| Vec::new()).collect();
        let mut order = HashMap::with_capacity(batch.len());
        for (
            source,
            Stored {
                message, stored, ..
            },
        ) in batch
        {
            order.insert((source, message.sequence), order.len());
            let (partition, input) = self.dealer.deal(source, message, stored);
            if let Some(part) = parts.get_mut(usize::from(partition) % count) {
                part.push((partition, input));
            }
        }
        self.orders.push_back(order);
        for (lane, part) in parts.into_iter().enumerate() {
            let task = last.map_or(Task::Finish, |last| Task::Run(part, last));
            self.send_to(lane, task).await?;
        }
        self.sent += 1;
        Ok(())
    }

    async fn send_to(&mut self, lane: usize, task: Task) -> Result<()> {
        let lane = self.lanes.get_mut(lane).context("there is no such lane")?;
        match lane.tasks.send(task).await {
            Ok(()) => Ok(()),
            // It says why it has ended.
            Err(_) => match lane.answers.recv().await {
                Some(Err(error)) => Err(error),
                _ => bail!("a lane has ended; this is a bug in weir"),
            },
        }
    }

    /// What has become of the oldest batch, in the order of the messages; none if nothing was sent.
    ///
    /// # Errors
    /// If a plugin cannot be restarted, or read the state.
    pub(super) async fn receive(&mut self) -> Result<Option<Answered>> {
        if self.received == self.sent {
            return Ok(None);
        }
        self.received += 1;
        let mut all = Answered {
            through: u64::MAX,
            ..Answered::default()
        };
        for lane in &mut self.lanes {
            let answered = lane.answers.recv().await;
            let answered = answered.context("a lane has ended; this is a bug in weir")??;
            all.answers.extend(answered.answers);
            all.of_timers.extend(answered.of_timers);
            all.through = all.through.min(answered.through);
        }
        // What has waited for a retry came before.
        let order = self.orders.pop_front().unwrap_or_default();
        all.answers
            .sort_by_key(|(place, _)| (order.get(place).copied(), *place));
        Ok(Some(all))
    }
}

async fn work(
    mut dry_run: JobDryRun,
    mut tasks: Receiver<Task>,
    answers: &Sender<Result<Answered>>,
) {
    let mut last = 0;
    while let Some(task) = tasks.recv().await {
        let done = match task {
            Task::Restore(group, content) => match dry_run.restore(group, content) {
                Ok(()) => continue,
                Err(error) => Err(error),
            },
            Task::Restored => dry_run.restored().map(|()| Answers::default()),
            Task::Run(batch, through) => {
                last = through;
                run(&mut dry_run, batch).await
            }
            Task::Finish => dry_run.finish().await,
        };
        let waiting = dry_run.oldest_waiting();
        let answered = done.map(|done| Answered {
            answers: done.ended,
            of_timers: done.of_timers,
            through: waiting.map_or(last, |oldest| last.min(oldest - 1)),
        });
        let is_over = answered.is_err();
        // The receiver is gone if the replay has ended early.
        if answers.send(answered).await.is_err() || is_over {
            return;
        }
    }
}

/// Each partition with its messages.
async fn run(dry_run: &mut JobDryRun, batch: Vec<(u16, Input)>) -> Result<Answers> {
    let mut parts: BTreeMap<u16, Vec<Input>> = BTreeMap::new();
    for (partition, input) in batch {
        if dry_run.is_new(partition, &input) {
            parts.entry(partition).or_default().push(input);
        }
    }
    let mut answers = Answers::default();
    for (partition, inputs) in parts {
        answers.add(dry_run.run(partition, inputs).await?);
    }
    Ok(answers)
}
