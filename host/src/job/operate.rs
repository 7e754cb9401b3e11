//! Reads and replaces the state of a job for its operator, while hosts run the job.
//!
//! Reading claims nothing and disturbs no host. It fails after a limit, so a command never waits forever.

use super::bounds;
use super::jetstream::{Inputs, JetStream, OPEN_BATCHES, Place};
use super::lane::PATIENCE;
use super::log::{Fence, Held, Log, LogError};
use super::observe::{Observation, Observed, Room};
use super::pause::pause;
use super::replace::{Most, Replacement};
use super::surroundings::{Note, Surroundings};
use crate::nats::Connection;
use crate::nats::job::{self, Definition};
use crate::nats::job_admin::{self, Defined};
use crate::nats::wire::Wire;
use crate::report::ResultExt;
use crate::state::{Group, Groups};
use crate::telemetry::metrics::Counter;
use anyhow::{Context as _, Result, anyhow};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How often a partition is read that changes meanwhile.
const READS: u32 = 20;
/// How long the server may take to store one step of a replacement.
const STEP: Duration = Duration::from_secs(60);
/// What one commit of a replacement holds, at most: the server takes 1,000 messages.
const MESSAGES: usize = 900;
const BYTES: usize = 4 << 20;

/// A job.
pub struct Operated {
    pub name: String,
    pub stream: String,
    prefix: String,
    pub definition: Definition,
    /// The sequence of the definition in the stream; 0 if there is none.
    pub defined: u64,
    wire: Wire,
    inputs: Rc<Inputs>,
    open: Arc<Semaphore>,
    /// Why the last request failed.
    trouble: RefCell<String>,
}

impl Operated {
    /// Finds a job by its name.
    ///
    /// # Errors
    /// When there is none, or the server does not answer.
    pub async fn open(connection: &Connection, name: &str) -> Result<Self> {
        let defined = job_admin::definition(connection, name).await?;
        let defined = defined
            .ok_or_else(|| anyhow!("there is no job `{name}`"))
            .hint(|| "see `weir job ls`")?;
        Self::with(connection, name, defined).await
    }

    /// A job of this name and definition, whether it is there or not.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn with(connection: &Connection, name: &str, defined: Defined) -> Result<Self> {
        let (prefix, stream) = job::names(name);
        let wire = Wire::connect(connection.settings(), "job", Counter::default()).await?;
        let nothing = Inputs::new(&wire, Vec::new(), PATIENCE);
        Ok(Self {
            name: name.to_owned(),
            stream,
            prefix,
            definition: defined.definition,
            defined: defined.sequence,
            wire,
            inputs: Rc::new(nothing),
            open: Arc::new(Semaphore::new(OPEN_BATCHES)),
            trouble: RefCell::default(),
        })
    }

    /// The key groups of a partition.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn groups(&self, partition: u16) -> Result<Groups> {
        let groups = Groups::of_partition(partition, self.definition.partitions);
        groups.with_context(|| format!("job `{}` has no partition `{partition}`", self.name))
    }

    /// The partition of a key.
    #[must_use]
    pub fn partition_of(&self, key: &[u8]) -> u16 {
        Group::of(key).partition(self.definition.partitions)
    }

    /// The log of a partition.
    #[must_use]
    pub fn log(&self, partition: u16) -> JetStream {
        let place = Place {
            stream: self.stream.clone(),
            prefix: self.prefix.clone(),
            keeps_results: false,
            stages: false,
            partition,
            part: self.part(),
            patience: PATIENCE,
        };
        let (open, inputs) = (Arc::clone(&self.open), Rc::clone(&self.inputs));
        JetStream::new(self.wire.clone(), place, open, inputs)
    }

    fn part(&self) -> usize {
        bounds::part(self.wire.max_payload())
    }

    /// The state of a partition, or of one group of it, as of one of its checkpoints; none if the partition
    /// was never claimed.
    ///
    /// # Errors
    /// When it cannot be read, or changes too fast.
    pub async fn read(&self, partition: u16, group: Option<Group>) -> Result<Option<Observed>> {
        self.read_into(partition, group, Room::ANY).await
    }

    /// The same, if it fits.
    ///
    /// # Errors
    /// [`TooLarge`](super::observe::TooLarge) when it does not; and as [`Self::read`].
    pub async fn read_into(
        &self,
        partition: u16,
        group: Option<Group>,
        room: Room,
    ) -> Result<Option<Observed>> {
        let what = || format!("cannot read partition `{partition}` of job `{}`", self.name);
        let (groups, log) = (self.groups(partition)?, self.log(partition));
        let wanted = match group {
            Some(group) => group.number()..group.number() + 1,
            None => groups.numbers(),
        };
        let mut why = LogError::Busy("its records change faster than they are read".to_owned());
        for attempt in 1..=READS {
            let mut reading =
                Observation::new(groups.clone(), wanted.clone(), room).with_context(what)?;
            let checkpoint = async { Ok(log.checkpoint().await) };
            let found = match self.permitted(checkpoint).await.with_context(what)? {
                Ok(None) => return Ok(None),
                Ok(Some(held)) if held.checkpoint.replacing => {
                    return Err(anyhow!("its state is being replaced"))
                        .with_context(what)
                        .hint(
                            || "run the `weir job reset` or `restore` again that was interrupted",
                        );
                }
                Ok(Some(Held { fence, .. })) => {
                    let group = group.map(Group::number);
                    let mut take = |stored| reading.take(stored);
                    let observed = async { Ok(log.observe(group, fence, &mut take).await) };
                    self.permitted(observed).await.with_context(what)?
                }
                Err(error) => Err(error),
            };
            match found {
                Ok(held) => {
                    if let Some(observed) = reading.finish(held) {
                        return Ok(Some(observed));
                    }
                }
                Err(LogError::Permanent(reason)) => {
                    reading.fits().with_context(what)?;
                    return Err(anyhow!(reason)).with_context(what);
                }
                Err(error) => why = error,
            }
            pause(attempt.min(6)).await;
        }
        Err(anyhow!("{why}")).with_context(what).hint(|| {
            format!(
                "try again; `weir job pause {}` stops the job meanwhile",
                self.name
            )
        })
    }

    /// What is asked for over the connection of the job, unless the server refuses it.
    async fn permitted<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.wire.health.unless_refused(work).await
    }

    /// Takes a partition from its owner to replace its state, with a log from `log`.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn seize<'a>(
        &'a self,
        log: &'a JetStream,
    ) -> Result<Replacement<'a, JetStream, Self>> {
        let most = Most {
            messages: MESSAGES,
            bytes: BYTES,
            part: self.part(),
        };
        self.step(Replacement::begin(log, self, most)).await
    }

    /// Carries out a step of a replacement, which ends.
    ///
    /// # Errors
    /// When the server does not take it in time.
    pub async fn step<T>(&self, step: impl Future<Output = Result<T, LogError>>) -> Result<T> {
        let step = async { Ok(tokio::time::timeout(STEP, step).await) };
        match self.permitted(step).await {
            Err(refused) => Err(refused),
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(LogError::WrongFence))) => {
                Err(anyhow!("another command replaces the state, too"))
            }
            Ok(Ok(Err(error))) => Err(anyhow!("{error}")),
            Ok(Err(_)) => Err(anyhow!(
                "the server has not stored it within {} s",
                STEP.as_secs()
            ))
            .with_context(|| self.trouble.borrow().clone()),
        }
        .with_context(|| format!("cannot replace the state of job `{}`", self.name))
        .hint(|| "run it again: until then no host runs the partitions with an incomplete state")
    }

    /// Removes the records of a partition before `before`, of which none counts any more.
    ///
    /// # Errors
    /// When the server does not.
    pub async fn clear(&self, log: &JetStream, before: Fence) -> Result<()> {
        let clear = async {
            for attempt in 1.. {
                match log.clear(before).await {
                    Ok(()) => break,
                    Err(LogError::Permanent(reason)) => return Err(LogError::Permanent(reason)),
                    Err(error) => self.note(Note::Failed(&error)),
                }
                pause(attempt).await;
            }
            Ok(())
        };
        self.step(clear).await
    }
}

/// For replacements, which process nothing.
impl Surroundings for Operated {
    fn new_owner(&self) -> Arc<str> {
        self.wire.new_id().into()
    }

    async fn until(&self, _due: u64) {
        std::future::pending().await
    }

    async fn pause(&self, attempt: u32) {
        pause(attempt).await;
    }

    async fn stopped(&self) {
        std::future::pending().await
    }

    fn note(&self, note: Note<'_>) {
        if let Note::Failed(error) = note {
            tracing::debug!(job = self.name, "trying again: {error}");
            *self.trouble.borrow_mut() = error.to_string();
        }
    }
}
