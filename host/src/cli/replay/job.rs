//! A replay of a job: its partitions on threads, with states that begin empty or as a savepoint has them.
//!
//! Nothing of the job is touched: a savepoint is read, verified before, and what is made of it is in memory.

use super::lanes::Answered;
use crate::config::resolved::{Bounds, Pipeline};
use crate::job::dry_run::{Answers, JobDryRun, Parts};
use crate::job::positions::Span;
use crate::job::savepoint::{Part, Reader, verify};
use crate::message::Message;
use crate::nats::history::History;
use crate::nats::job::{Definition, refuse_other};
use crate::nats::savepoints::Savepoints;
use crate::nats::{Connection, job_admin};
use crate::plugin::Runtime;
use crate::process::chain::Chain;
use crate::process::decode::Decoder;
use crate::process::outputs::Target;
use crate::process::plugin_set::PluginSet;
use crate::report::{self, ResultExt};
use crate::state::Group;
use crate::threads;
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Tasks of a lane that wait.
const AHEAD: usize = 2;

/// Where a replay of a job begins.
pub(super) struct Origin {
    /// Up to where the inputs are in the state, and what has that state; empty for an empty state.
    spans: Vec<Span>,
    /// A savepoint and its job.
    savepoint: Option<String>,
    /// The position behind which the job began; none if there is no job.
    begin: Option<u64>,
}

impl Origin {
    /// Finds a savepoint of the pipeline and reads it once; without a name, the state begins empty.
    ///
    /// # Errors
    /// When there is no such savepoint, it is damaged, or is of a job of another kind.
    pub(super) async fn find(
        connection: &Connection,
        pipeline: &Pipeline,
        source: &History,
        savepoint: Option<&str>,
    ) -> Result<Self> {
        let name = &pipeline.name;
        let job = pipeline.job.as_ref();
        let job = job
            .ok_or_else(|| anyhow!("pipeline `{name}` is not a job, so it has no savepoints"))
            .hint(|| "give `--from` a sequence or a time as in 2026-03-02T10:00:00Z")
            .usage();
        let Some(savepoint) = savepoint else {
            let defined = job_admin::definition(connection, name).await?;
            return Ok(Self {
                spans: Vec::new(),
                savepoint: None,
                begin: defined.map(|defined| defined.definition.first.begin),
            });
        };
        let job = job?;
        let what = || format!("cannot replay from savepoint `{savepoint}` of job `{name}`");
        let bucket = Savepoints::find(connection).await.with_context(what)?;
        let verified = verify(bucket.get(name, savepoint).await?).await;
        let verified = verified.with_context(what)?;
        let saved = Definition {
            // The state is by key group, so this does not matter.
            partitions: job.partitions,
            ..verified.header.definition
        };
        refuse_other(&saved, pipeline, job).with_context(what)?;
        if saved.first.source != source.source_id {
            let stream = &source.name;
            return Err(anyhow!(
                "stream `{stream}` was deleted and created again since"
            ))
            .with_context(what)
            .hint(|| "its messages are gone: choose a later savepoint");
        }
        let origin = Self {
            spans: verified.spans,
            savepoint: Some(savepoint.to_owned()),
            begin: Some(saved.first.begin),
        };
        // A partition may have nothing between its position and that of the furthest, so only what is behind all of
        // them is known to be missing.
        let behind = origin.position(source, Iterator::max).unwrap_or_default() + 1;
        if behind < source.first {
            let (gone, stream) = (source.first - 1, &source.name);
            return Err(anyhow!(
                "stream `{stream}` no longer holds messages {behind} to {gone}, which come after it"
            ))
            .with_context(what)
            .hint(|| "choose a later savepoint");
        }
        Ok(origin)
    }

    /// The first message that is not in the state of all key groups; none where the state is empty.
    pub(super) fn first(&self, source: &History) -> Option<u64> {
        Some(self.position(source, Iterator::min)? + 1)
    }

    /// One of the positions in the source.
    fn position(
        &self,
        source: &History,
        which: impl FnOnce(std::vec::IntoIter<u64>) -> Option<u64>,
    ) -> Option<u64> {
        let position = |span: &Span| {
            let mut inputs = span.inputs.iter();
            let input = inputs.find(|input| *input.source == *source.source_id);
            input.map_or(0, |input| input.position)
        };
        let all: Vec<u64> = self.spans.iter().map(position).collect();
        which(all.into_iter())
    }

    /// Refuses to compare from a message on where the job had state and the replay has none; says it, if it does not
    /// compare.
    ///
    /// # Errors
    /// See above.
    pub(super) fn check_state(&self, first: u64, compares: bool) -> Result<()> {
        let is_lacking = self.begin.is_some_and(|begin| first > begin + 1);
        if self.savepoint.is_some() || !is_lacking {
            return Ok(());
        }
        if compares {
            return Err(anyhow!(
                "at message {first} the job had state, but the replay has none"
            ))
            .context("cannot compare")
            .hint(|| "begin with a savepoint: `--from SAVEPOINT`")
            .usage();
        }
        report::note(&format!(
            "the state is empty at message {first}, where the job had state; use `--from SAVEPOINT` to start with state"
        ));
        Ok(())
    }
}

/// What a lane is to do.
enum Task {
    Restore(Group, Bytes),
    /// The state is whole: no message comes before.
    Restored,
    /// Messages with their partitions, and when each was stored; and the last that is read.
    Run(Vec<(u16, Message, u64, bool)>, u64),
    Finish,
}

struct Lane {
    tasks: Sender<Task>,
    answers: Receiver<Result<Answered>>,
}

/// The threads. Partition P is on the lane P modulo their number.
pub(super) struct JobLanes {
    lanes: Vec<Lane>,
    decoder: Decoder,
    partitions: u16,
    batch: Bounds,
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
        (origin, source): (&Origin, &str),
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
                source: source.into(),
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
            decoder: Decoder::new(settings),
            partitions,
            batch: settings.batch,
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

    /// Sends messages as they are stored; none is the end.
    ///
    /// # Errors
    /// If a lane has ended.
    pub(super) async fn send(&mut self, batch: Vec<Message>) -> Result<()> {
        let last = batch.last().map(|message| message.sequence);
        let count = self.lanes.len();
        let mut parts: Vec<Vec<(u16, Message, u64, bool)>> =
            (0..count).map(|_| Vec::new()).collect();
        for mut message in batch {
            // As it was read, this is when it was stored.
            let stored = message.event_time;
            let (partition, timed) = JobDryRun::deal(&self.decoder, &mut message, self.partitions);
            if let Some(part) = parts.get_mut(usize::from(partition) % count) {
                part.push((partition, message, stored, timed));
            }
        }
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
        all.answers.sort_by_key(|(sequence, _)| *sequence);
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
async fn run(dry_run: &mut JobDryRun, batch: Vec<(u16, Message, u64, bool)>) -> Result<Answers> {
    let mut parts: std::collections::BTreeMap<u16, Vec<(Message, u64, bool)>> = Default::default();
    for (partition, message, stored, timed) in batch {
        if dry_run.is_new(partition, &message) {
            parts
                .entry(partition)
                .or_default()
                .push((message, stored, timed));
        }
    }
    let mut answers = Answers::default();
    for (partition, messages) in parts {
        answers.add(dry_run.run(partition, messages).await?);
    }
    Ok(answers)
}
