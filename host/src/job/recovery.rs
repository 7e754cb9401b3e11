//! From the log to the state of a partition: for a claim, or for a standby that claims. Pure.
//!
//! A claim is a checkpoint, and every later commit needs the claim's fence. So an older owner can store
//! nothing after the claim, and a reader that has read up to the claim has read everything. If a reader did
//! not find the claim, it read from a replica that lags behind. If it finds a later checkpoint, its result
//! has no use, because the partition has another owner.
//!
//! A standby reads up to any checkpoint and then continues, and owns nothing. When it claims the partition,
//! its state is used if the claim proves it: the same number of deltas with the same digests in the same
//! order ([`chained`]). Without that proof, the recovery begins with an empty state, whatever the standby has
//! read.

use super::compaction::Compaction;
use super::log::{Checkpoint, Fence, Held, LogError, Stored, chained};
use super::partition::{Bounds, Running};
use super::work::{Unreadable, Work};
use crate::state::Mark;
use std::ops::Range;
use std::sync::Arc;

/// A recovery under way, or what a standby has read.
#[derive(Debug)]
pub struct Recovery {
    /// The claim; of a standby the checkpoint with which it began.
    claim: Held,
    compaction: Compaction,
    /// How often the reading came upon the claim, or what is behind it: once behind the snapshots, once behind
    /// the deltas.
    claims: u32,
    /// The number of the last delta that is in the state.
    log: u64,
    /// The number and the chain of the checkpoint behind the snapshots.
    base: (u64, Arc<str>),
    /// The chain of the deltas in the state. None before the deltas of `base` are in it: until then the state
    /// mixes several times.
    chain: Option<Arc<str>>,
    /// Whether the state is that of the last checkpoint that the reading came upon.
    is_level: bool,
    /// Whether deltas are missing that the log had, or are not those that it has.
    has_gap: bool,
    /// Where to read on.
    next: Fence,
    /// Whether the reading came upon a later checkpoint.
    overtaken: bool,
}

/// Why there is no state after a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// It did not reach the claim: read again.
    Behind,
    /// Another owner has claimed the partition.
    Overtaken,
    /// Records are missing that must not be removed.
    Damaged(String),
}

impl Recovery {
    /// Begins with an empty state.
    #[must_use]
    pub fn new(claim: Held, groups: Range<u16>, least: usize) -> Self {
        Self {
            claim,
            compaction: Compaction::new(groups, least),
            claims: 0,
            log: 0,
            base: Default::default(),
            chain: None,
            is_level: false,
            has_gap: false,
            next: Fence::default(),
            overtaken: false,
        }
    }

    /// Goes on with the state of a checkpoint.
    pub(super) fn of(last: Held, compaction: Compaction) -> Self {
        Self {
            compaction,
            claims: 2,
            log: last.checkpoint.log,
            base: Default::default(),
            chain: Some(Arc::clone(&last.checkpoint.chain)),
            is_level: true,
            has_gap: false,
            next: Fence(last.fence.0 + 1),
            overtaken: false,
            claim: last,
        }
    }

    /// Goes on with a state that was kept over a restart.
    pub(super) fn kept(mark: &Mark, groups: Range<u16>, least: usize) -> Self {
        let mut compaction = Compaction::new(groups, least);
        compaction.compacted(mark.compacted);
        compaction.add_all(mark.log, Fence(mark.next), mark.length);
        let checkpoint = Checkpoint {
            log: mark.log,
            chain: Arc::clone(&mark.chain),
            ..Checkpoint::default()
        };
        let fence = Fence(mark.next.saturating_sub(1));
        Self::of(Held { fence, checkpoint }, compaction)
    }

    /// Where in the log the state is; none before it is of one time.
    fn mark(&self) -> Option<Mark> {
        Some(Mark {
            log: self.log,
            chain: self.chain.clone()?,
            next: self.next.0,
            compacted: self.compaction.oldest(),
            length: self.compaction.length(),
        })
    }

    /// Takes what was read next.
    ///
    /// # Errors
    /// When it belongs to another partition or cannot be read, or the state cannot be kept. Permanent.
    pub fn take(&mut self, stored: Stored, work: &mut impl Work) -> Result<(), LogError> {
        let unreadable = |what: String, Unreadable(reason): Unreadable| {
            LogError::Damaged(format!("cannot read {what} of the state: {reason}"))
        };
        match stored {
            Stored::Checkpoint(held) => {
                self.overtaken |= held.fence > self.claim.fence;
                if self.claims > 0 {
                    self.compare(&held.checkpoint);
                    self.next = self.next.max(Fence(held.fence.0 + 1));
                }
                if held.fence >= self.claim.fence {
                    self.claims = self.claims.saturating_add(1);
                    // Behind the snapshots, it says where the deltas begin.
                    if self.claims == 1 {
                        self.base = (held.checkpoint.log, held.checkpoint.chain);
                        self.reach(self.compaction.oldest(), None);
                        work.noted(self.mark().as_ref());
                    }
                }
            }
            Stored::Snapshot(snapshot) => {
                let group = snapshot.group;
                if !self.compaction.written(group, snapshot.reach) {
                    let reason = format!("group {group} is not one of this partition");
                    return Err(LogError::Damaged(reason));
                }
                let restored = work.restore(&snapshot);
                restored.map_err(|error| unreadable(format!("group {group}"), error))?;
                work.noted(None);
            }
            // What is missing before it shows at the end: the number of the last does not fit.
            Stored::Delta(delta, end) if delta.number == self.log + 1 => {
                let applies = |group| self.compaction.applies(group, delta.number);
                let replayed = work.replay(&delta.content, &applies);
                let what = || format!("record {}", delta.number);
                replayed.map_err(|error| unreadable(what(), error))?;
                let chain = self.chain.take();
                self.reach(
                    delta.number,
                    chain.map(|chain| chained(&chain, &delta.content)),
                );
                (self.is_level, self.next) = (false, end);
                let bytes = delta.content.len();
                self.compaction.add(delta.number, end, bytes);
                work.noted(self.mark().as_ref());
            }
            Stored::Delta(delta, _) => self.has_gap |= delta.number > self.log,
        }
        work.broken()
            .map_or(Ok(()), |why| Err(LogError::Damaged(why)))
    }

    /// All up to this delta is in the state.
    fn reach(&mut self, log: u64, chain: Option<Arc<str>>) {
        self.log = log;
        self.chain = chain.or_else(|| (log == self.base.0).then(|| Arc::clone(&self.base.1)));
    }

    /// The reading of the deltas came upon a checkpoint. It may be an old one, of a replica that lags behind.
    fn compare(&mut self, found: &Checkpoint) {
        let is_here = found.log == self.log;
        let is_same = self.chain.as_ref() == Some(&found.chain);
        self.has_gap |= found.log > self.log || is_here && self.chain.is_some() && !is_same;
        self.is_level = is_here && is_same;
        if self.is_level {
            self.compaction.compacted(found.compacted);
        }
    }

    /// Where to read on. What it is given from there on may begin with what it was given before.
    #[must_use]
    pub fn next(&self) -> Fence {
        self.next
    }

    /// Whether the state is consistent as of one time, and is known to belong to this log.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.chain.is_some()
    }

    /// The number of the last delta that is in the state.
    #[must_use]
    pub fn log(&self) -> u64 {
        self.log
    }

    /// Whether the state is that of the last checkpoint that the reading came upon.
    #[must_use]
    pub fn is_level(&self) -> bool {
        self.is_level
    }

    /// Whether the state can never be that of a claim any more: records are missing, or are others.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        self.has_gap
    }

    /// Whether the state is that of this claim, whatever was read to make it.
    #[must_use]
    pub fn is_of(&self, claim: &Checkpoint) -> bool {
        let chain = self.chain.as_ref().filter(|chain| !chain.is_empty());
        !self.has_gap && self.log == claim.log && chain == Some(&claim.chain)
    }

    /// Goes on as the owner, whose claim the state [`is_of`](Self::is_of).
    #[must_use]
    pub fn owned(mut self, claim: Held, bounds: Bounds) -> Running {
        self.compaction.oldest_turn();
        Running::new(claim, self.compaction, bounds)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When the state is not that of the claim.
    pub fn finish(self, bounds: Bounds) -> Result<Running, Unfinished> {
        let expected = self.claim.checkpoint.log;
        if self.overtaken {
            return Err(Unfinished::Overtaken);
        }
        if self.claims < 2 {
            return Err(Unfinished::Behind);
        }
        if self.log != expected {
            return Err(Unfinished::Damaged(format!(
                "record {} of {expected} is missing in the log",
                self.log + 1
            )));
        }
        let claim = self.claim.clone();
        Ok(self.owned(claim, bounds))
    }
}
