//! The partitions of a shadow of a job: a copy of the state of each, and the candidate that continues from
//! it.
//!
//! A copy is made at a checkpoint of its partition, and advances from checkpoint to checkpoint: it processes
//! a message after the job has committed it. So at a checkpoint both states include the same messages, and
//! can be compared. Time is that of the messages, but not earlier than the moment at which the job was last
//! known not to have committed them. Knows nothing of results.

mod copy;

use crate::compare::Outputs;
use crate::compare::report::{SAMPLES, States};
use crate::config::resolved::Pipeline;
use crate::job::differences;
use crate::job::dry_run::{Dealer, JobDryRun, Place};
use crate::job::log::{Log, Progress};
use crate::job::observe::{Observed, Room};
use crate::job::operate::Operated;
use crate::job::positions::spans;
use crate::jsonl::Line;
use crate::nats::history::Stored;
use anyhow::Result;
use copy::{Copy, size};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The part of the time that is spent on comparing states, one of so many; what was not spent for so long is lost.
const SHARE: u32 = 20;
const CREDIT: Duration = Duration::from_secs(1);
/// Bytes of messages that are read before the job has committed them.
const AHEAD: usize = 64 << 20;

/// See the top of this file.
pub(super) struct Copies {
    job: Operated,
    dry_run: JobDryRun,
    dealer: Dealer,
    /// `<stream>@<incarnation>` of what is read, and how many messages are processed at once.
    sources: Vec<Arc<str>>,
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
    pub(super) messages: Vec<(Place, Outputs)>,
    /// What timers have emitted.
    pub(super) of_timers: Vec<Line>,
}

impl Copies {
    /// Without any yet. `sources` are the streams of the job, and `most` the bytes of all states.
    pub(super) fn new(
        job: Operated,
        dry_run: JobDryRun,
        settings: &Pipeline,
        sources: Vec<Arc<str>>,
        most: u64,
    ) -> Self {
        Self {
            dealer: Dealer::new(settings, job.definition.partitions),
            job,
            dry_run,
            sources,
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
                None => {
                    let begin = |source: &Arc<str>| self.job.definition.begin_of(source);
                    let sources = self.sources.iter();
                    let inputs = sources.map(|it| Progress::at(Arc::clone(it), begin(it)));
                    inputs.collect()
                }
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
            let fence = found.map_or(0, |found| found.held.fence.0);
            let copy = Copy::new(fence, inputs, &self.sources, now);
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

    /// The positions of all in a source.
    pub(super) fn positions(&self, source: usize) -> impl Iterator<Item = u64> {
        let of = move |copy: &Copy| copy.positions.get(source).copied();
        self.partitions.values().filter_map(of)
    }

    /// The furthest checkpoint.
    pub(super) fn fence(&self) -> u64 {
        self.fences().into_values().max().unwrap_or_default()
    }

    /// The checkpoint of each.
    pub(super) fn fences(&self) -> BTreeMap<u16, u64> {
        let copies = self.partitions.iter();
        copies
            .map(|(partition, copy)| (*partition, copy.fence))
            .collect()
    }

    /// Whether they are of all partitions of the job.
    pub(super) fn are_all(&self) -> bool {
        self.partitions.len() == usize::from(self.job.definition.partitions)
    }

    /// Up to where all is processed of the first source, if that is read up to `read`: a message that lies behind has not
    /// ended.
    pub(super) fn processed(&self, read: u64) -> Option<u64> {
        let of = |copy: &Copy| copy.first_ahead().map_or(read, |first| first - 1);
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
        self.partitions.values().any(Copy::has_committed)
    }

    /// A message comes from a source.
    pub(super) fn take(
        &mut self,
        source: usize,
        Stored {
            message, stored, ..
        }: Stored,
    ) {
        let (partition, input) = self.dealer.deal(source, message, stored);
        if let Some(copy) = self.partitions.get_mut(&partition)
            && self.dry_run.is_new(partition, &input)
        {
            self.ahead += size(&input);
            copy.take(input);
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
                copy.goes_to(&held, &self.sources, now);
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
            copy.goes_to(&state.held, &self.sources, now);
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
    pub(super) async fn go_on(&mut self, read: &[u64]) -> Result<Vec<Ended>> {
        let mut all = Vec::new();
        let is_full = !self.has_room();
        for (partition, copy) in &mut self.partitions {
            let batch = copy.next(self.batch, read, is_full);
            let Some(first) = batch.first().map(|input| input.message.sequence) else {
                continue;
            };
            let bytes: usize = batch.iter().map(size).sum();
            self.ahead -= bytes;
            let answers = Box::pin(self.dry_run.run(*partition, batch)).await?;
            all.push(Ended {
                first,
                messages: answers.ended,
                of_timers: answers.of_timers,
            });
        }
        let is_there = |comparing: &mut Comparing| {
            let copy = self.partitions.get(&comparing.partition);
            copy.is_some_and(|copy| copy.is_there(read))
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

    /// Lets time pass: where all is processed that the job has committed, event time is that of its checkpoint, and it is
    /// as late as when the job was last seen to have committed nothing more. It is `now` if the job has nothing to
    /// process.
    ///
    /// # Errors
    /// As [`Self::go_on`].
    pub(super) async fn wait(&mut self, read: &[u64], now: Option<u64>) -> Result<Vec<Ended>> {
        let mut all = Vec::new();
        let there = self.partitions.iter().filter(|(_, it)| it.is_there(read));
        let there = there.map(|(partition, copy)| (*partition, now.unwrap_or(copy.looked_before)));
        for (partition, to) in there.collect::<Vec<_>>() {
            if let Some(copy) = self.partitions.get(&partition) {
                self.dry_run.follow(partition, &copy.inputs);
            }
            all.push(self.advance(partition, to).await?);
        }
        Ok(all)
    }

    async fn advance(&mut self, partition: u16, now: u64) -> Result<Ended> {
        let answers = Box::pin(self.dry_run.advance(partition, now)).await?;
        Ok(Ended {
            first: u64::MAX,
            messages: answers.ended,
            of_timers: answers.of_timers,
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
