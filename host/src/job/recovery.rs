//! From a claim to the state of a partition. Pure.
//!
//! A claim is a checkpoint, and every commit behind it needs the claim's fence. So nothing of an older owner
//! can appear behind it, and whoever has read up to the claim has read all. A reading that does not come upon
//! the claim was one of a replica that lags behind; one that comes upon a later checkpoint is of no use,
//! because the partition has another owner.

use super::compaction::Compaction;
use super::log::{Held, LogError, Stored};
use super::partition::{Bounds, Running};
use super::work::{Unreadable, Work};
use std::ops::Range;

/// A recovery under way.
#[derive(Debug)]
pub struct Recovery {
    claim: Held,
    compaction: Compaction,
    /// How often the reading came upon the claim: once behind the snapshots, once behind the deltas.
    claims: u32,
    /// The number of the last delta that is in the state.
    log: u64,
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
    /// Records are missing that nobody may remove.
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
            overtaken: false,
        }
    }

    /// Takes what was read next.
    ///
    /// # Errors
    /// When it belongs to another partition or cannot be read. Permanent.
    pub fn take(&mut self, stored: Stored, work: &mut impl Work) -> Result<(), LogError> {
        let unreadable = |what: String, Unreadable(reason): Unreadable| {
            LogError::Damaged(format!("cannot read {what} of the state: {reason}"))
        };
        match stored {
            Stored::Checkpoint(fence) => {
                self.overtaken |= fence > self.claim.fence;
                if fence == self.claim.fence {
                    self.claims += 1;
                    // Behind the snapshots, it says where the deltas begin.
                    if self.claims == 1 {
                        self.log = self.compaction.oldest();
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
            }
            // What is missing before it shows at the end: the number of the last does not fit.
            Stored::Delta(delta, end) if delta.number == self.log + 1 => {
                let applies = |group| self.compaction.applies(group, delta.number);
                let replayed = work.replay(&delta.content, &applies);
                let what = || format!("record {}", delta.number);
                replayed.map_err(|error| unreadable(what(), error))?;
                self.log = delta.number;
                let bytes = delta.content.len();
                self.compaction.add(delta.number, end, bytes);
            }
            Stored::Delta(..) => {}
        }
        Ok(())
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When the state is not that of the claim.
    pub fn finish(mut self, bounds: Bounds) -> Result<Running, Unfinished> {
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
        self.compaction.oldest_turn();
        Ok(Running::new(self.claim, self.compaction, bounds))
    }
}
