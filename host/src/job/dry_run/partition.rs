//! One partition of a dry run: what becomes of its messages, and of what is due in its state.

use super::Answers;
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
use crate::jsonl::{Dead, Line, Record};
use crate::message::Message;
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
    /// The place of the source among the inputs.
    pub(super) input: usize,
    /// Messages that wait for a retry or behind one, with the outputs that they have so far.
    pub(super) waiting: BTreeMap<u64, (Input, Outputs)>,
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
    /// Processes messages, in order.
    pub(super) async fn take(
        &mut self,
        messages: Vec<(Message, u64, bool)>,
        how: How,
        answers: &mut Answers,
    ) -> Result<()> {
        let input = self.input;
        let inputs = messages.into_iter().map(|(message, stored, timed)| Input {
            input,
            message,
            stored,
            timed,
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

    /// Carries out what is due until it is this time or that of now, each at its time. A plugin that does not start ends it:
    /// it asks for a retry for ever.
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
        let mut made: BTreeMap<u64, Outputs> = BTreeMap::new();
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
                sort(commit.outputs, false, &mut made, answers);
                sort(commit.dead_letters, true, &mut made, answers);
            }
            if left.is_empty() {
                break;
            }
        }
        for input in batch {
            let sequence = self.work.shown_sequence(&input);
            self.waiting.insert(sequence, (input, Outputs::new()));
        }
        for (sequence, outputs) in made {
            match self.waiting.get_mut(&sequence) {
                Some((_, all)) => all.extend(outputs),
                // It waited in the state that this began with.
                None => answers.ended.push((sequence, outputs)),
            }
        }
        let work = &self.work;
        let is_over = |_: &u64, (input, _): &mut (Input, Outputs)| !work.is_held(input);
        let over = self.waiting.extract_if(.., is_over);
        answers
            .ended
            .extend(over.map(|(sequence, (_, outputs))| (sequence, outputs)));
        Ok(())
    }
}

/// Outputs by their messages.
fn sort(
    messages: Vec<OutgoingMessage>,
    dead: bool,
    made: &mut BTreeMap<u64, Outputs>,
    answers: &mut Answers,
) {
    let mut by_sequence: BTreeMap<u64, Vec<OutgoingMessage>> = BTreeMap::new();
    for message in messages {
        match sequence(&message) {
            Some(sequence) => by_sequence.entry(sequence).or_default().push(message),
            None => {
                let lines = outputs(0, [message], dead).into_iter();
                answers.of_timers.extend(lines.map(|(_, line)| match line {
                    Line::Message(record) => Line::Message(Record {
                        sequence: None,
                        ..record
                    }),
                    Line::Dead(letter) => Line::Dead(Dead {
                        sequence: None,
                        ..letter
                    }),
                    other @ Line::Retry(_) => other,
                }));
            }
        }
    }
    for (sequence, messages) in by_sequence {
        let all = made.entry(sequence).or_default();
        all.extend(outputs(sequence, messages, dead));
    }
}

/// That of the message that an output comes of; none for one of a timer.
fn sequence(message: &OutgoingMessage) -> Option<u64> {
    match message.id.as_ref()? {
        MessageId::Result { sequence, .. } => Some(*sequence),
        MessageId::Whole(_) => {
            let name = format!("{PREFIX}Sequence");
            let mut headers = message.headers.iter();
            let (_, value) = headers.find(|(header, _)| **header == *name)?;
            value.parse().ok()
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
