//! One partition of a dry run: processes its messages, and the timers and retries that are due.

use super::{Answers, Place};
use crate::compare::{Outputs, outputs};
use crate::headers::PREFIX;
use crate::job::clock::PartitionClock;
use crate::job::compaction::Compaction;
use crate::job::log::{Fence, Held, Input};
use crate::job::partition::{Bounds, Running};
use crate::job::processing::Processing;
use crate::job::surroundings::{Note, Surroundings};
use crate::job::work::Work;
use crate::job::worker::{Lost, process};
use crate::outgoing::{MessageId, OutgoingMessage};
use crate::telemetry::metrics::Counter;
use anyhow::{Result, anyhow};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A partition.
pub(super) struct Partition {
    pub(super) work: Processing,
    pub(super) clock: Rc<PartitionClock>,
    pub(super) held: Held,
    /// What is read.
    pub(super) sources: Arc<[Arc<str>]>,
    /// Messages that wait for a retry or behind one, with the outputs that they have so far.
    pub(super) waiting: BTreeMap<Place, (Input, Outputs)>,
    /// Retries because a plugin does not start, or has no room.
    pub(super) infrastructure: Counter,
}

/// How a partition is processed: what all of them share.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) bounds: Bounds,
    pub(super) batch: usize,
}

impl Partition {
    /// The place of a source among the inputs of the checkpoint.
    pub(super) fn place(&self, source: usize) -> Option<usize> {
        let source = self.sources.get(source)?;
        let mut inputs = self.held.checkpoint.inputs.iter();
        inputs.position(|input| input.source == *source)
    }

    /// Processes messages, in order.
    pub(super) async fn take(
        &mut self,
        messages: Vec<Input>,
        how: How,
        answers: &mut Answers,
    ) -> Result<()> {
        let inputs = messages.into_iter().filter_map(|input| {
            Some(Input {
                input: self.place(input.input)?,
                ..input
            })
        });
        let mut left = inputs.collect::<Vec<_>>();
        while let Some(first) = left.first() {
            let stored = first.stored;
            self.fire(stored, how, answers).await?;
            if self.work.is_blocked()
                && self.infrastructure.get() == 0
                && let Some(due) = self.work.next_due()
            {
                self.fire(due, how, answers).await?;
                continue;
            }
            let due = self.work.next_due();
            let before = |input: &&Input| due.is_none_or(|due| input.stored < due);
            let count = left.iter().take(how.batch).take_while(before).count();
            let rest = left.split_off(count.max(1).min(left.len()));
            let batch = std::mem::replace(&mut left, rest);
            self.process(batch, how, answers).await?;
        }
        self.fire(0, how, answers).await
    }

    /// Processes everything that is due until this time or the present one, each at its own time. A plugin
    /// that does not start ends it, because it would ask for retries forever.
    pub(super) async fn fire(&mut self, to: u64, how: How, answers: &mut Answers) -> Result<()> {
        let to = self.clock.now_after(to);
        while let Some(due) = self.work.next_due().filter(|due| *due <= to)
            && self.infrastructure.get() == 0
        {
            self.clock.tell(due);
            self.process(Vec::new(), how, answers).await?;
        }
        self.clock.tell(to);
        Ok(())
    }

    /// Processes messages, or what is due if there are none.
    async fn process(&mut self, batch: Vec<Input>, how: How, answers: &mut Answers) -> Result<()> {
        let (mut left, mut most) = (batch.clone(), how.batch);
        let mut made: BTreeMap<Place, Outputs> = BTreeMap::new();
        loop {
            let compaction = Compaction::new(0..0, usize::MAX);
            let mut running = Running::new(self.held.clone(), compaction, how.bounds);
            let processed = process(&mut self.work, &Silent, &mut running, &mut left, &mut most);
            if let Err(Lost::End(end)) = Box::pin(processed).await {
                return Err(anyhow!("{end:?}"));
            }
            if let Some((fence, commit)) = running.form(&mut self.work) {
                self.work.confirmed();
                self.held = Held {
                    fence: Fence(fence.0 + 1),
                    checkpoint: commit.checkpoint,
                };
                self.sort(commit.outputs, false, &mut made, answers);
                self.sort(commit.dead_letters, true, &mut made, answers);
            }
            if left.is_empty() {
                break;
            }
        }
        for input in batch {
            let place = (self.source(input.input), self.work.shown_sequence(&input));
            self.waiting.insert(place, (input, Outputs::new()));
        }
        for (place, outputs) in made {
            match self.waiting.get_mut(&place) {
                Some((_, all)) => all.extend(outputs),
                // It waited in the state that this began with.
                None => answers.ended.push((place, outputs)),
            }
        }
        let work = &self.work;
        let is_over = |_: &Place, (input, _): &mut (Input, Outputs)| !work.is_held(input);
        let over = self.waiting.extract_if(.., is_over);
        answers
            .ended
            .extend(over.map(|(place, (_, outputs))| (place, outputs)));
        Ok(())
    }

    /// Which of the sources an input of the checkpoint is.
    fn source(&self, input: usize) -> usize {
        let input = self.held.checkpoint.inputs.get(input);
        let is_it = |source: &Arc<str>| input.is_some_and(|input| input.source == *source);
        self.sources.iter().position(is_it).unwrap_or_default()
    }

    /// Outputs by their messages.
    fn sort(
        &self,
        messages: Vec<OutgoingMessage>,
        dead: bool,
        made: &mut BTreeMap<Place, Outputs>,
        answers: &mut Answers,
    ) {
        let mut by_place: BTreeMap<Place, Vec<OutgoingMessage>> = BTreeMap::new();
        for message in messages {
            match self.origin(&message) {
                Some(place) => by_place.entry(place).or_default().push(message),
                None => {
                    let lines = outputs(0, [message], dead).into_iter();
                    answers
                        .of_timers
                        .extend(lines.map(|(_, line)| line.without_sequence()));
                }
            }
        }
        for (place, messages) in by_place {
            let all = made.entry(place).or_default();
            all.extend(outputs(place.1, messages, dead));
        }
    }

    /// The message that an output comes of; none for one of a timer.
    fn origin(&self, message: &OutgoingMessage) -> Option<Place> {
        let mut sources = self.sources.iter();
        match message.id.as_ref()? {
            MessageId::Result {
                sequence,
                source_id,
                ..
            } => {
                let source = sources.position(|source| **source == **source_id);
                Some((source.unwrap_or_default(), *sequence))
            }
            MessageId::Whole(id) => {
                let name = format!("{PREFIX}Sequence");
                let mut headers = message.headers.iter();
                let (_, value) = headers.find(|(header, _)| **header == *name)?;
                let source = sources.position(|source| id.contains(&**source));
                Some((source.unwrap_or_default(), value.parse().ok()?))
            }
        }
    }
}

/// Nobody is around, and nobody claims anything.
struct Silent;

impl Surroundings for Silent {
    fn new_owner(&self) -> Arc<str> {
        Arc::default()
    }

    async fn until(&self, _due: u64) {}

    async fn pause(&self, _attempt: u32) {}

    async fn stopped(&self) {
        std::future::pending().await
    }

    fn note(&self, _note: Note<'_>) {}
}
