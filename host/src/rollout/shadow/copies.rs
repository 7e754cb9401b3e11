//! The partitions of a shadow of a job: a copy of the state of each, and the candidate that goes on from it.
//!
//! A copy is made at a checkpoint of its partition, and goes from one checkpoint to the next: a message is processed
//! when the job has committed it. So at a checkpoint both states are of the same messages, and can be compared.
//! Time is that of the messages, and at least when the job was seen not to have committed them yet. Knows nothing of
//! results.

use crate::compare::Outputs;
use crate::compare::report::{SAMPLES, States};
use crate::config::resolved::Pipeline;
use crate::job::differences;
use crate::job::dry_run::JobDryRun;
use crate::job::log::{Held, Log, Progress};
use crate::job::observe::{Observed, Room};
use crate::job::operate::Operated;
use crate::job::positions::spans;
use crate::message::Message;
use crate::nats::history::Stored;
use crate::process::decode::Decoder;
use anyhow::Result;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// The part of the time that is spent on comparing states, one of so many; what was not spent for so long is lost.
const SHARE: u32 = 20;
const CREDIT: Duration = Duration::from_secs(1);
/// Bytes of messages that are read before the job has committed them, and what each takes besides its payload.
const AHEAD: usize = 64 << 20;
const BESIDES: usize = 1 << 10;

/// See the top of this file.
pub(super) struct Copies {
    job: Operated,
    dry_run: JobDryRun,
    decoder: Decoder,
    /// `<stream>@<incarnation>` that is read, and how many messages are processed at once.
    source: String,
    batch: usize,
    /// Bytes that all states may take.
    most: u64,
    partitions: BTreeMap<u16, Copy>,
    /// Bytes of what is read and not processed.
    ahead: usize,
    comparing: Option<Comparing>,
    /// The partition to compare next, and not before when.
    next: (u16, Instant),
}

/// A partition beside that of the job.
struct Copy {
    /// Where the checkpoint stands up to which it goes, and its position in the source.
    fence: u64,
    position: u64,
    /// When the job was asked for that, and when it was before: nanoseconds since the Unix epoch.
    looked: u64,
    looked_before: u64,
    /// What is read and not processed, when it was stored, and whether its event time is valid.
    ahead: VecDeque<(Message, u64, bool)>,
    /// The last comparison; where the checkpoint stood, and how many commits the dry run had made.
    states: States,
    compared: (u64, u64),
}

/// The state of the job at a checkpoint to which the copy has to come.
struct Comparing {
    partition: u16,
    state: Observed,
    /// How long it took to read.
    read: Duration,
}

/// What has become of messages.
pub(super) struct Ended {
    /// The first of those that were processed; what ended and lies before has waited for a retry.
    pub(super) first: u64,
    pub(super) messages: Vec<(u64, Outputs)>,
}

impl Copies {
    /// Without any yet. `source` is that of the job, and `most` the bytes of all states.
    pub(super) fn new(
        job: Operated,
        dry_run: JobDryRun,
        settings: &Pipeline,
        source: &str,
        most: u64,
    ) -> Self {
        Self {
            job,
            dry_run,
            decoder: Decoder::new(settings),
            source: source.to_owned(),
            batch: settings.batch.messages,
            most,
            partitions: BTreeMap::new(),
            ahead: 0,
            comparing: None,
            next: (0, Instant::now()),
        }
    }

    /// Copies partitions.
    ///
    /// # Errors
    /// When one cannot be read, by the candidate either, or does not fit.
    pub(super) async fn copy(
        &mut self,
        partitions: impl IntoIterator<Item = u16>,
        now: u64,
    ) -> Result<()> {
        for partition in partitions {
            let groups = self.job.groups(partition)?;
            let found = self.read(partition).await?;
            let bytes = found.as_ref().map_or(0, Observed::bytes);
            self.room().holds(2 * bytes)?;
            let inputs = match &found {
                Some(found) => found.held.checkpoint.inputs.clone(),
                None => vec![Progress::at(&*self.source, self.job.definition.first.begin)],
            };
            let spans = spans(&groups.numbers(), &inputs);
            self.dry_run.begin(partition, &spans)?;
            for group in groups.iter() {
                if let Some(Observed { state, .. }) = &found
                    && state.group_usage(group).rows > 0
                {
                    self.dry_run.restore(group, state.snapshot(group))?;
                }
            }
            let copy = Copy {
                fence: found.map_or(0, |found| found.held.fence.0),
                position: position(&inputs, &self.source),
                looked: now,
                looked_before: 0,
                ahead: VecDeque::new(),
                states: States::default(),
                compared: (0, 0),
            };
            self.partitions.insert(partition, copy);
        }
        self.dry_run.restored()
    }

    /// The state of the job in a partition, if it fits beside the copies.
    async fn read(&self, partition: u16) -> Result<Option<Observed>> {
        self.job.read_into(partition, None, self.room()).await
    }

    fn room(&self) -> Room {
        Room {
            used: self.dry_run.bytes(),
            most: self.most,
        }
    }

    /// The positions of all.
    pub(super) fn positions(&self) -> impl Iterator<Item = u64> {
        self.partitions.values().map(|copy| copy.position)
    }

    /// The furthest checkpoint.
    pub(super) fn fence(&self) -> u64 {
        let fences = self.partitions.values().map(|copy| copy.fence);
        fences.max().unwrap_or_default()
    }

    /// Up to where all is processed, if the source is read up to `read`: a message that lies behind has not ended.
    pub(super) fn processed(&self, read: u64) -> Option<u64> {
        let of = |copy: &Copy| match copy.ahead.front() {
            Some((message, ..)) => message.sequence - 1,
            None => read,
        };
        self.partitions.values().map(of).min()
    }

    /// The same, less what waits for a retry.
    pub(super) fn ended(&self, read: u64) -> Option<u64> {
        let waiting = self.dry_run.oldest_waiting().map(|oldest| oldest - 1);
        let processed = self.processed(read)?;
        Some(waiting.map_or(processed, |waiting| waiting.min(processed)))
    }

    /// Whether there is room for further messages.
    pub(super) fn has_room(&self) -> bool {
        self.ahead < AHEAD
    }

    /// Whether there are messages that the job has committed.
    pub(super) fn is_behind(&self) -> bool {
        self.partitions.values().any(|copy| copy.committed(1) > 0)
    }

    /// A message comes from the source.
    pub(super) fn take(
        &mut self,
        Stored {
            mut message,
            stored,
        }: Stored,
    ) {
        let of = self.job.definition.partitions;
        let (partition, timed) = JobDryRun::deal(&self.decoder, &mut message, of);
        if let Some(copy) = self.partitions.get_mut(&partition)
            && self.dry_run.is_new(partition, &message)
        {
            self.ahead += size(&message);
            copy.ahead.push_back((message, stored, timed));
        }
    }

    /// Finds out how far the job is.
    ///
    /// # Errors
    /// When the server does not say.
    pub(super) async fn look(&mut self, now: u64) -> Result<()> {
        let comparing = self.comparing.as_ref().map(|comparing| comparing.partition);
        for (partition, copy) in &mut self.partitions {
            let held = self.job.log(*partition).checkpoint().await;
            let held = held.map_err(anyhow::Error::msg)?;
            if let Some(held) = held
                && comparing != Some(*partition)
            {
                copy.goes_to(&held, &self.source, now);
            }
        }
        Ok(())
    }

    /// Begins to compare the states of a partition of which one has changed, if it is time. Whether it does.
    ///
    /// # Errors
    /// When the state of the job cannot be read, or does not fit.
    pub(super) async fn begin_to_compare(&mut self, now: u64) -> Result<bool> {
        if self.comparing.is_some() || self.next.1 > Instant::now() {
            return Ok(false);
        }
        let is_new = |(partition, copy): &(&u16, &Copy)| {
            copy.compared != (copy.fence, self.dry_run.commits(**partition))
        };
        let behind = self.partitions.range(self.next.0..).find(is_new);
        let Some((&partition, _)) = behind.or_else(|| self.partitions.iter().find(is_new)) else {
            return Ok(false);
        };
        let began = Instant::now();
        self.next.0 = partition.saturating_add(1);
        if let Some(state) = self.read(partition).await?
            && let Some(copy) = self.partitions.get_mut(&partition)
        {
            copy.goes_to(&state.held, &self.source, now);
            self.comparing = Some(Comparing {
                partition,
                state,
                read: began.elapsed(),
            });
        }
        Ok(self.comparing.is_some())
    }

    /// Processes what the job has committed, so many messages of each partition at most; compares states that are of
    /// the same messages then.
    ///
    /// # Errors
    /// When the candidate cannot go on, or its state does not fit.
    pub(super) async fn go_on(&mut self, read: u64) -> Result<Vec<Ended>> {
        let mut all = Vec::new();
        for (partition, copy) in &mut self.partitions {
            let count = copy.committed(self.batch);
            let since = copy.looked_before;
            let batch = copy.ahead.drain(..count);
            let batch = batch.map(|(message, stored, timed)| (message, stored.max(since), timed));
            let batch: Vec<(Message, u64, bool)> = batch.collect();
            let Some((first, ..)) = batch.first() else {
                continue;
            };
            let first = first.sequence;
            let bytes: usize = batch.iter().map(|(message, ..)| size(message)).sum();
            self.ahead -= bytes;
            let answers = Box::pin(self.dry_run.run(*partition, batch)).await?;
            all.push(Ended {
                first,
                messages: answers.ended,
            });
        }
        let is_there = |comparing: &mut Comparing| {
            let copy = self.partitions.get(&comparing.partition);
            copy.is_some_and(|copy| copy.committed(1) == 0 && copy.position <= read)
        };
        if let Some(comparing) = self.comparing.take_if(is_there) {
            all.push(self.compare(comparing).await?);
        }
        let compared = self.comparing.as_ref();
        let compared = compared.map_or(0, |comparing| comparing.state.bytes());
        self.room().holds(compared)?;
        Ok(all)
    }

    async fn compare(&mut self, comparing: Comparing) -> Result<Ended> {
        let Comparing {
            partition,
            state: Observed { held, state, .. },
            read,
        } = comparing;
        let began = Instant::now();
        self.dry_run.follow(partition, &held.checkpoint.inputs);
        let ended = self.advance(partition, state.now()).await?;
        let groups = self.job.groups(partition)?;
        if let Some(copy) = self.partitions.get_mut(&partition)
            && let Some(candidate) = self.dry_run.state(partition)
        {
            copy.compared = (held.fence.0, self.dry_run.commits(partition));
            copy.states = States {
                comparisons: copy.states.comparisons + 1,
                ..differences::between(&state, &candidate.lock(), &groups, SAMPLES)
            };
        }
        let now = Instant::now();
        let credit = now.checked_sub(CREDIT).unwrap_or(now);
        self.next.1 = self.next.1.max(credit) + (read + began.elapsed()) * SHARE;
        Ok(ended)
    }

    /// It is this time for all, because the job has nothing to process.
    ///
    /// # Errors
    /// As [`Self::go_on`].
    pub(super) async fn wait_until(&mut self, now: u64) -> Result<Vec<Ended>> {
        let mut all = Vec::new();
        for partition in self.partitions.keys().copied().collect::<Vec<_>>() {
            all.push(self.advance(partition, now).await?);
        }
        Ok(all)
    }

    async fn advance(&mut self, partition: u16, now: u64) -> Result<Ended> {
        let answers = Box::pin(self.dry_run.advance(partition, now)).await?;
        Ok(Ended {
            first: u64::MAX,
            messages: answers.ended,
        })
    }

    /// Of the partitions that were compared, with as many samples in all as a report has.
    pub(super) fn states(&self) -> BTreeMap<u16, States> {
        let mut left = SAMPLES;
        let mut found = BTreeMap::new();
        for (partition, copy) in &self.partitions {
            if copy.states.comparisons > 0 {
                let mut states = copy.states.clone();
                states.samples.truncate(left);
                left -= states.samples.len();
                found.insert(*partition, states);
            }
        }
        found
    }
}

impl Copy {
    /// The job has come to this checkpoint.
    fn goes_to(&mut self, held: &Held, source: &str, now: u64) {
        let position = position(&held.checkpoint.inputs, source);
        self.fence = self.fence.max(held.fence.0);
        self.position = self.position.max(position);
        if now > self.looked {
            self.looked_before = std::mem::replace(&mut self.looked, now);
        }
    }

    /// How many messages are committed, of the first `most` that are read.
    fn committed(&self, most: usize) -> usize {
        let ahead = self.ahead.iter().take(most);
        let committed = ahead.take_while(|(message, ..)| message.sequence <= self.position);
        committed.count()
    }
}

/// What a message takes, about.
fn size(message: &Message) -> usize {
    message.payload.len() + BESIDES
}

fn position(inputs: &[Progress], source: &str) -> u64 {
    let mut inputs = inputs.iter();
    let input = inputs.find(|input| &*input.source == source);
    input.map_or(0, |input| input.position)
}
