//! One copy: the progress of the job in its partition, and the messages that are read and not processed.

use crate::compare::report::States;
use crate::job::log::{Held, Input, Progress};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a message takes besides its payload.
const BESIDES: usize = 1 << 10;

/// A partition beside that of the job.
pub(super) struct Copy {
    /// Where the checkpoint stands up to which it goes, its inputs, and its position in each source.
    pub(super) fence: u64,
    pub(super) inputs: Vec<Progress>,
    pub(super) positions: Vec<u64>,
    /// When the job was asked for that, and when it was before: nanoseconds since the Unix epoch.
    looked: u64,
    pub(super) looked_before: u64,
    /// By source, the messages that are read and not processed.
    ahead: Vec<VecDeque<Input>>,
    /// The last comparison; where the checkpoint stood, and how many commits the dry run had made.
    pub(super) states: States,
    pub(super) compared: (u64, u64),
}

impl Copy {
    /// One that was made at a checkpoint with these inputs.
    pub(super) fn new(fence: u64, inputs: Vec<Progress>, sources: &[Arc<str>], now: u64) -> Self {
        Self {
            fence,
            positions: positions(&inputs, sources),
            inputs,
            looked: now,
            looked_before: 0,
            ahead: sources.iter().map(|_| VecDeque::new()).collect(),
            states: States::default(),
            compared: (0, 0),
        }
    }

    /// The job has come to this checkpoint.
    pub(super) fn goes_to(&mut self, held: &Held, sources: &[Arc<str>], now: u64) {
        if held.fence.0 >= self.fence {
            self.fence = held.fence.0;
            self.inputs.clone_from(&held.checkpoint.inputs);
            self.positions = positions(&self.inputs, sources);
        }
        if now > self.looked {
            self.looked_before = std::mem::replace(&mut self.looked, now);
        }
    }

    /// A message of its keys is read.
    pub(super) fn take(&mut self, input: Input) {
        if let Some(ahead) = self.ahead.get_mut(input.input) {
            ahead.push_back(input);
        }
    }

    /// The sequence of the first message that is not processed, of the first source.
    pub(super) fn first_ahead(&self) -> Option<u64> {
        Some(self.ahead.first()?.front()?.message.sequence)
    }

    /// The source of the next message that the job has committed: the one that was stored first.
    fn committed(&self) -> Option<usize> {
        let ahead = self.ahead.iter().zip(&self.positions).enumerate();
        let fronts = ahead.filter_map(|(source, (ahead, position))| {
            let front = ahead.front()?;
            (front.message.sequence <= *position).then_some((front.stored, source))
        });
        fronts.min().map(|(_, source)| source)
    }

    /// Whether there is one.
    pub(super) fn has_committed(&self) -> bool {
        self.committed().is_some()
    }

    /// Takes out messages that the job has committed, at most so many, in the order in which they were stored, if the sources
    /// are read up to here. Of a source that is not read so far there may be one before them; that does not matter if
    /// there `is_no_room` to read it.
    pub(super) fn next(&mut self, most: usize, read: &[u64], is_no_room: bool) -> Vec<Input> {
        let mut batch = Vec::new();
        while batch.len() < most
            && (is_no_room || !self.lacks_any(read))
            && let Some(source) = self.committed()
            && let Some(input) = self.ahead.get_mut(source).and_then(VecDeque::pop_front)
        {
            batch.push(Input {
                stored: input.stored.max(self.looked_before),
                ..input
            });
        }
        batch
    }

    fn lacks_any(&self, read: &[u64]) -> bool {
        let mut sources = self.ahead.iter().zip(&self.positions).zip(read);
        sources.any(|((ahead, position), read)| ahead.is_empty() && read < position)
    }

    /// Whether all is processed that the job has committed.
    pub(super) fn is_there(&self, read: &[u64]) -> bool {
        let mut positions = self.positions.iter().zip(read);
        !self.has_committed() && positions.all(|(position, read)| position <= read)
    }
}

/// What a message takes, about.
pub(super) fn size(input: &Input) -> usize {
    input.message.payload.len() + BESIDES
}

fn positions(inputs: &[Progress], sources: &[Arc<str>]) -> Vec<u64> {
    let of = |source: &Arc<str>| {
        let mut inputs = inputs.iter();
        let input = inputs.find(|input| input.source == *source);
        input.map_or(0, |input| input.position)
    };
    sources.iter().map(of).collect()
}
