//! Replaces the state and the positions of a partition: for a reset or a restore.
//!
//! It begins with a claim whose checkpoint marks the state as being replaced. From then on no host claims the
//! partition, and the previous owner is deposed. Snapshots follow, in as many commits as needed; the last
//! commit has the new positions and frees the partition. After an interruption, no host claims the partition
//! until the replacement runs again from its beginning.

use super::log::{Checkpoint, Commit, Held, Log, LogError, Progress, Snapshot, chained};
use super::surroundings::{End, Surroundings};
use super::worker::{Lost, deliver, last};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// A replacement under way.
pub struct Replacement<'a, L, S> {
    log: &'a L,
    around: &'a S,
    held: Held,
    gathered: Vec<Snapshot>,
    /// Bytes and messages of these.
    size: (usize, usize),
    most: Most,
}

/// What one commit may hold.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub messages: usize,
    pub bytes: usize,
    /// Bytes of a message's payload: what is longer takes several messages.
    pub part: usize,
}

impl<'a, L: Log, S: Surroundings> Replacement<'a, L, S> {
    /// Claims the partition.
    ///
    /// # Errors
    /// When the log refuses the claim.
    pub async fn begin(log: &'a L, around: &'a S, most: Most) -> Result<Self, LogError> {
        let owner = around.new_owner();
        for attempt in 1.. {
            let found = last(log, around).await.map_err(lost)?;
            let (fence, last) =
                found.map_or_else(Default::default, |held| (held.fence, held.checkpoint));
            let checkpoint = Checkpoint {
                owner: owner.clone(),
                epoch: last.epoch + 1,
                number: last.number + 1,
                replacing: true,
                ..last
            };
            let commit = Commit {
                checkpoint,
                ..Commit::default()
            };
            match deliver(log, around, fence, &commit, Default::default()).await {
                Ok(fence) => {
                    let checkpoint = commit.checkpoint;
                    let held = Held { fence, checkpoint };
                    return Ok(Self {
                        log,
                        around,
                        held,
                        gathered: Vec::new(),
                        size: (0, 0),
                        most,
                    });
                }
                // Its owner was faster.
                Err(Lost::End(End::Deposed)) => around.pause(attempt).await,
                Err(error) => return Err(lost(error)),
            }
        }
        Err(LogError::WrongFence)
    }

    /// The claim, or the last commit.
    #[must_use]
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// Adds the state of a group. Every group of the partition needs one, be it empty, unless its log is new.
    ///
    /// # Errors
    /// When the log does not take it, or another replacement has begun.
    pub async fn put(&mut self, group: u16, content: Bytes) -> Result<(), LogError> {
        let messages = content.len().div_ceil(self.most.part.max(1)).max(1);
        let (bytes, before) = self.size;
        let is_full =
            before + messages >= self.most.messages || bytes + content.len() > self.most.bytes;
        if is_full && !self.gathered.is_empty() {
            self.commit(|_| {}).await?;
        }
        self.size.0 += content.len();
        self.size.1 += messages;
        self.gathered.push(Snapshot {
            group,
            reach: self.held.checkpoint.log,
            content,
        });
        Ok(())
    }

    /// Frees the partition, which has these groups and continues at these positions. Its deltas are no longer
    /// needed.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn finish(
        mut self,
        groups: Range<u16>,
        inputs: Vec<Progress>,
    ) -> Result<Held, LogError> {
        self.commit(|checkpoint| {
            checkpoint.groups = Some(groups);
            let marks = inputs.iter().map(|input| input.watermark);
            let least = marks.min().flatten().unwrap_or_default();
            checkpoint.watermark = Some(u64::try_from(least).unwrap_or_default());
            checkpoint.inputs = inputs;
            checkpoint.replacing = false;
            // They are to have what the state has now.
            checkpoint.viewed = Arc::default();
        })
        .await?;
        // What stays is in the way of nothing.
        let _ = self.log.purge(self.held.fence).await;
        Ok(self.held)
    }

    async fn commit(&mut self, change: impl FnOnce(&mut Checkpoint)) -> Result<(), LogError> {
        let mut checkpoint = self.held.checkpoint.clone();
        checkpoint.number += 1;
        // Who stands by with the state before, or with a part of this one, has another chain.
        checkpoint.chain = chained(&checkpoint.chain, checkpoint.owner.as_bytes());
        change(&mut checkpoint);
        self.size = (0, 0);
        let commit = Commit {
            snapshots: std::mem::take(&mut self.gathered),
            checkpoint,
            ..Commit::default()
        };
        let fence = deliver(
            self.log,
            self.around,
            self.held.fence,
            &commit,
            Default::default(),
        )
        .await;
        self.held = Held {
            fence: fence.map_err(lost)?,
            checkpoint: commit.checkpoint,
        };
        Ok(())
    }
}

fn lost(lost: Lost) -> LogError {
    match lost {
        Lost::End(End::Deposed) => LogError::WrongFence,
        Lost::End(End::Failed(reason) | End::Damaged(reason)) => LogError::Permanent(reason),
        Lost::End(End::Stopped) => LogError::Busy("it was stopped".to_owned()),
        Lost::TooLarge(reason) => LogError::TooLarge(reason),
    }
}
