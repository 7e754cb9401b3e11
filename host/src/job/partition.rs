//! The decisions of a partition: how it is claimed, what its next commit contains, what an answer means.
//! Pure.
//!
//! A checkpoint with a new owner *claims* a partition. The owner *recovers* the state up to that claim
//! (`recovery.rs`), *runs*, and is *deposed* when another owner claims the partition. `worker.rs` carries out
//! the decisions.
//!
//! One commit is in flight at a time. Meanwhile, effects gather for the next commit, and its results are sent
//! ahead (`docs/adr/0042-results-are-sent-ahead-of-their-commit.md`), on a state that includes the writes of the
//! commit in flight: either that commit is stored, or the owner is deposed and drops
//! everything.

pub use super::bounds::Bounds;
use super::compaction::Compaction;
use super::log::{Checkpoint, Commit, Fence, Held, Input, Progress, Snapshot, chained};
use super::recovery::Recovery;
use super::views;
use super::work::{Effects, Room, Unsealed, Work};
use crate::outgoing::OutgoingMessage;
use crate::state::Mark;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Snapshots in one commit, at most.
const SNAPSHOTS: usize = 8;

/// The claim of a partition by a new owner: the same positions, and the next epoch. `inputs` are those of the
/// job, with the start of each new one; inputs that are gone are kept.
#[must_use]
pub fn claim(
    found: Option<&Held>,
    owner: Arc<str>,
    inputs: &[Progress],
    digests: &Arc<BTreeMap<String, String>>,
) -> (Fence, Commit) {
    let (fence, last) = match found {
        Some(held) => (held.fence, held.checkpoint.clone()),
        None => Default::default(),
    };
    let mut checkpoint = Checkpoint {
        owner,
        epoch: last.epoch + 1,
        number: last.number + 1,
        digests: Arc::clone(digests),
        ..last
    };
    let marks = checkpoint.inputs.iter().filter_map(|input| input.watermark);
    let reached = match checkpoint.watermark {
        Some(reached) => i64::try_from(reached).ok().filter(|reached| *reached > 0),
        // There was one input, and perhaps others in its place before.
        None => marks.max(),
    };
    for input in inputs {
        let known = |known: &Progress| known.source == input.source;
        if !checkpoint.inputs.iter().any(known) {
            checkpoint.inputs.push(input.clone());
        }
        // One that comes, or comes again, does not take event time back.
        for input in checkpoint.inputs.iter_mut().filter(|it| known(it)) {
            input.watermark = input.watermark.max(reached);
        }
    }
    let commit = Commit {
        checkpoint,
        ..Commit::default()
    };
    (fence, commit)
}

/// What the last checkpoint says about a commit without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It is stored, and its checkpoint stands here.
    Stored(Fence),
    /// It is not stored, but may still be: the same commit can be sent again.
    NotStored,
    /// Another commit was stored in its place.
    Overtaken,
    /// The checkpoint is older than what the commit was made from: look again.
    Outdated,
}

/// Finds out about a commit with the checkpoint `sent` that was to follow `expected`.
#[must_use]
pub fn resolve(expected: Fence, sent: &Checkpoint, found: Option<&Held>) -> Resolution {
    let is_sent = |found: &Checkpoint| found.owner == sent.owner && found.number == sent.number;
    match found {
        Some(held) if is_sent(&held.checkpoint) => Resolution::Stored(held.fence),
        Some(held) if held.fence > expected => Resolution::Overtaken,
        Some(held) if held.fence == expected => Resolution::NotStored,
        None if expected == Fence::default() => Resolution::NotStored,
        _ => Resolution::Outdated,
    }
}

/// Whether effects can be committed together with what has gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// They have been added.
    Joins,
    /// Not with what has gathered, so undo and process again for the next commit.
    Later,
    /// Not even alone.
    Never,
}

/// A partition that runs.
#[derive(Debug)]
pub struct Running {
    bounds: Bounds,
    fence: Fence,
    /// The last that was sent, but with the positions of what has gathered.
    checkpoint: Checkpoint,
    gathered: Commit,
    /// Messages and bytes of the results that have gathered.
    messages: usize,
    bytes: usize,
    /// Values of views that the writes which have gathered make besides, at most.
    values: usize,
    /// Whether anything has gathered, be it a position.
    any: bool,
    /// Results of a message in the last batch, on average; at least one.
    fan_out: usize,
    /// Of the commit in flight: number and bytes of its delta, if it has one.
    in_flight: Option<Option<(u64, usize)>>,
    compaction: Compaction,
    /// The group whose snapshot was too large for the last commit, if it has none for that.
    oversized: Option<u16>,
}

impl Running {
    pub(super) fn new(claim: Held, compaction: Compaction, bounds: Bounds) -> Self {
        Self {
            bounds,
            fence: claim.fence,
            checkpoint: claim.checkpoint,
            gathered: Commit::default(),
            messages: 0,
            bytes: 0,
            values: 0,
            any: false,
            fan_out: 1,
            in_flight: None,
            compaction,
            oversized: None,
        }
    }

    /// Behind which messages to read: all before are committed, in flight, or gathered.
    #[must_use]
    pub fn inputs(&self) -> &[Progress] {
        &self.checkpoint.inputs
    }

    /// What has gathered for the next commit. Results and dead letters are only ever added, until it is formed.
    #[must_use]
    pub fn gathered(&self) -> &Commit {
        &self.gathered
    }

    /// Up to here an input has nothing for this partition. The next commit has it, and makes one if there is
    /// nothing else to commit: so a new owner does not look through it again.
    pub fn pass(&mut self, passed: &[(usize, u64)]) {
        for (input, position) in passed {
            if let Some(progress) = self.checkpoint.inputs.get_mut(*input) {
                progress.advance(*position);
                self.any = true;
            }
        }
    }

    /// Those of a batch that are not in the state already. Where positions differ by group, some are: they are
    /// gathered with the others, and have no effects.
    #[must_use]
    pub fn fresh<'a>(&self, batch: &'a [Input], work: &impl Work) -> Cow<'a, [Input]> {
        let inputs = &self.checkpoint.inputs;
        if inputs.iter().all(|progress| progress.ahead.is_empty()) {
            return Cow::Borrowed(batch);
        }
        let is_done = |input: &&Input| {
            let progress = inputs.get(input.input);
            progress.is_some_and(|it| it.is_done(work.group(input), input.message.sequence))
        };
        batch
            .iter()
            .filter(|input| !is_done(input))
            .cloned()
            .collect()
    }

    /// How many messages probably fit into the commit that gathers.
    #[must_use]
    pub fn room(&self) -> usize {
        let full = self.bytes >= self.bounds.bytes;
        let most = self.bounds.messages.saturating_sub(self.bounds.reserve);
        let left = most.saturating_sub(self.messages + self.values + 2) / self.fan_out;
        match (self.any, full) {
            // Whether one fits alone is only known once it has been processed.
            (false, _) => left.max(1),
            (true, false) => left,
            (true, true) => 0,
        }
    }

    /// Adds the effects of processed messages. `unsealed` is what all writes make.
    pub fn gather(&mut self, batch: &[Input], effects: Effects, unsealed: Unsealed) -> Fit {
        let results = || {
            let results = effects.outputs.iter().chain(&effects.dead_letters);
            results.chain(&effects.views)
        };
        let count = results().count();
        let messages = self.messages + count;
        let bytes = self.bytes + results().map(OutgoingMessage::size).sum::<usize>();
        let all = messages + unsealed.values + self.bounds.parts(unsealed.delta) + 1;
        let fits = all + self.bounds.reserve <= self.bounds.messages
            && bytes + unsealed.bytes + unsealed.delta <= self.bounds.bytes;
        if !fits {
            return if self.any { Fit::Later } else { Fit::Never };
        }
        if !batch.is_empty() {
            let count = count + unsealed.values.saturating_sub(self.values);
            self.fan_out = count.div_ceil(batch.len()).max(1);
        }
        (self.messages, self.bytes, self.any) = (messages, bytes, true);
        self.values = unsealed.values;
        self.gathered.outputs.extend(effects.outputs);
        self.gathered.dead_letters.extend(effects.dead_letters);
        self.gathered.views.extend(effects.views);
        for Input { input, message, .. } in batch {
            if let Some(progress) = self.checkpoint.inputs.get_mut(*input) {
                progress.advance(message.sequence);
            }
        }
        for (progress, watermark) in self.checkpoint.inputs.iter_mut().zip(effects.watermarks) {
            progress.watermark = progress.watermark.max(watermark);
        }
        let watermark = &mut self.checkpoint.watermark;
        *watermark = effects.watermark.max(*watermark);
        Fit::Joins
    }

    /// Adds the dead letter of a message that fits into no commit. It may exceed the bytes of one, as a message may
    /// that the server has taken: otherwise nothing behind it would ever be processed.
    pub fn gather_dead(&mut self, batch: &[Input], effects: Effects, unsealed: Unsealed) -> Fit {
        let bytes = std::mem::replace(&mut self.bounds.bytes, usize::MAX);
        let fit = self.gather(batch, effects, unsealed);
        self.bounds.bytes = bytes;
        fit
    }

    /// The commit of what has gathered, and the fence it needs; none while one is in flight.
    pub fn form(&mut self, work: &mut impl Work) -> Option<(Fence, Commit)> {
        if self.in_flight.is_some() {
            return None;
        }
        let filled = work.fill(&self.left(work.unsealed()));
        if !self.any && filled.is_none() {
            return None;
        }
        self.any = false;
        self.bytes = 0;
        let filled = filled.unwrap_or_default().into_iter();
        let values: Vec<_> = filled.chain(work.values(self.bounds.part)).collect();
        self.checkpoint.viewed = work.viewed();
        self.values = 0;
        let results = std::mem::take(&mut self.messages) + values.len();
        self.gathered.views.extend(values);
        let delta = work.seal();
        let length = delta.as_ref().map_or(0, bytes::Bytes::len);
        self.checkpoint.number += 1;
        if let Some(delta) = &delta {
            self.checkpoint.log += 1;
            self.checkpoint.chain = chained(&self.checkpoint.chain, delta);
        }
        let left = self
            .bounds
            .messages
            .saturating_sub(results + self.bounds.parts(length) + 1);
        let snapshots = self.snapshots(work, left, length);
        self.checkpoint.compacted = self.compaction.oldest();
        views::keep_last(&mut self.gathered.views);
        self.in_flight = Some(delta.as_ref().map(|_| (self.checkpoint.log, length)));
        let commit = Commit {
            delta,
            snapshots,
            checkpoint: self.checkpoint.clone(),
            ..std::mem::take(&mut self.gathered)
        };
        Some((self.fence, commit))
    }

    /// What has not gathered of what a commit holds.
    fn left(&self, unsealed: Unsealed) -> Room {
        let (messages, bytes) = (self.messages + unsealed.values, self.bytes + unsealed.bytes);
        let others = self.bounds.parts(unsealed.delta) + 1 + self.bounds.reserve;
        Room {
            messages: self.bounds.messages.saturating_sub(messages + others),
            bytes: self.bounds.bytes.saturating_sub(bytes + unsealed.delta),
            longest: self.bounds.part,
        }
    }

    /// The snapshots for a commit: about as many bytes as its delta, so that the log shrinks while compaction
    /// costs no more than the commits themselves. At least one is tried.
    fn snapshots(&mut self, work: &mut impl Work, mut left: usize, delta: usize) -> Vec<Snapshot> {
        let mut snapshots: Vec<Snapshot> = Vec::new();
        let mut bytes = 0;
        if !self.compaction.is_due(work.size()) {
            return snapshots;
        }
        let most = SNAPSHOTS.min(self.compaction.groups());
        while snapshots.len() < most && (bytes < delta || snapshots.is_empty()) {
            let Some(group) = self.compaction.turn() else {
                break;
            };
            let content = work.snapshot(group);
            let parts = self.bounds.parts(content.len()).max(1);
            if parts > left {
                self.oversized = snapshots.is_empty().then_some(group);
                break;
            }
            left -= parts;
            bytes += content.len();
            let reach = self.checkpoint.log;
            self.compaction.written(group, reach);
            self.compaction.next_turn();
            snapshots.push(Snapshot {
                group,
                reach,
                content,
            });
        }
        snapshots
    }

    /// The commit in flight is stored. Returns before where the log can be purged.
    pub fn stored(&mut self, fence: Fence) -> Option<Fence> {
        self.fence = fence;
        if let Some((number, bytes)) = self.in_flight.take()? {
            self.compaction.add(number, fence, bytes);
        }
        self.compaction.purge()
    }

    /// Where in the log the state is, while no commit is in flight.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            log: self.checkpoint.log,
            chain: Arc::clone(&self.checkpoint.chain),
            next: self.fence.0 + 1,
            compacted: self.compaction.oldest(),
            length: self.compaction.length(),
        }
    }

    /// Deltas in the log, and their bytes: what a new owner reads in addition to snapshots.
    #[must_use]
    pub fn log_length(&self) -> (usize, usize) {
        self.compaction.length()
    }

    /// The group whose snapshot did not fit into the last commit, which therefore has none: as long as that
    /// is so, the log grows.
    pub fn take_oversized(&mut self) -> Option<u16> {
        self.oversized.take()
    }

    /// What goes on as a standby, once it is idle: the state is that of the last checkpoint.
    #[must_use]
    pub fn into_standby(self) -> Recovery {
        let (fence, checkpoint) = (self.fence, self.checkpoint);
        Recovery::of(Held { fence, checkpoint }, self.compaction)
    }

    /// Whether nothing gathers and nothing is in flight.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.any && self.in_flight.is_none()
    }
}
