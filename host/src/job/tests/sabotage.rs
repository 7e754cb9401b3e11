//! Wrong versions of the engine and of its foundations: the properties detect each of them.

use super::fold::Mistake;
use crate::job::log::{Commit, Delta, Fence, Held, Log, LogError, Progress, Read, Stored};
use crate::job::model::{Model, Staged};
use crate::outgoing::OutgoingMessage;
use bytes::Bytes;
use std::cell::RefCell;
use std::rc::Rc;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    None,
    /// Commits whatever the last checkpoint is.
    NoFence,
    /// A commit without an answer is taken to be stored.
    TakenAsStored,
    /// A commit without an answer is sent again, behind whatever is there.
    TakenAsLost,
    /// A recovery takes what it found, without having come upon its claim.
    NoClaim,
    /// The same, and takes a shorter log for a whole one.
    ShortLog,
    /// A commit is sent without what was sent ahead of it.
    ForgetsStaged,
    /// What was sent ahead of a commit is in the next one, too.
    StagedStays,
    /// All owners have one name.
    OneName,
    /// Reading begins with the last message that is committed.
    ReadsTwice,
    /// Reading skips a message.
    Skips,
    /// Passes a message that is not another partition's.
    PassesMore,
    /// Purges more than all snapshots reach.
    PurgesMore,
    /// A restore forgets which groups are further than the others.
    ForgetsAhead,
    /// A restore goes on where the furthest of its groups is.
    TakesHighest,
    /// A state that is being replaced is not marked as such.
    NoMark,
    /// Standbys read deltas of another log, and no checkpoint that would tell them. Their claim does: nothing goes
    /// wrong by this one.
    Misleads,
    Processor(Mistake),
}

/// The model with what a sabotage does to it.
pub struct Sabotaged {
    pub model: Rc<Model>,
    pub sabotage: Sabotage,
    /// What was sent ahead of the last commit.
    pub staged: RefCell<Vec<OutgoingMessage>>,
}

impl Sabotaged {
    fn last(&self) -> Fence {
        let (held, _) = self.model.content();
        held.map_or(Fence::default(), |held| held.fence)
    }

    /// The last checkpoint, as if it stood there.
    fn checkpoint_at(&self, fence: Fence) -> Stored {
        let checkpoint = self.model.content().0.unwrap().checkpoint;
        Stored::Checkpoint(Held { fence, checkpoint })
    }
}

impl Log for Sabotaged {
    type Staged = Staged;

    async fn checkpoint(&self) -> Result<Option<Held>, LogError> {
        self.model.checkpoint().await
    }

    fn stage(&self, staged: &mut Staged, gathered: &Commit) {
        self.model.stage(staged, gathered);
    }

    async fn commit(
        &self,
        expected: Fence,
        commit: &Commit,
        mut staged: Staged,
    ) -> Result<Fence, LogError> {
        let expected = match self.sabotage {
            Sabotage::NoFence => self.last(),
            _ => expected,
        };
        let mut commit = commit.clone();
        for input in &mut commit.checkpoint.inputs {
            let further = input.ahead.iter().map(|ahead| ahead.position).max();
            match self.sabotage {
                Sabotage::ForgetsAhead => input.ahead.clear(),
                Sabotage::TakesHighest => input.advance(further.unwrap_or_default()),
                _ => {}
            }
        }
        commit.checkpoint.replacing &= self.sabotage != Sabotage::NoMark;
        match self.sabotage {
            Sabotage::ForgetsStaged => {
                let staged = std::mem::take(&mut staged);
                commit.outputs.drain(..staged.outputs.len());
                commit.dead_letters.drain(..staged.dead_letters.len());
            }
            Sabotage::StagedStays => {
                let before = self.staged.replace(staged.outputs.clone());
                commit.outputs.splice(..0, before);
                staged = Staged::default();
            }
            _ => {}
        }
        let commit = &commit;
        match (
            self.model.commit(expected, commit, staged).await,
            self.sabotage,
        ) {
            (Err(LogError::Ambiguous(_)), Sabotage::TakenAsStored) => Ok(self.last()),
            (Err(LogError::Ambiguous(_)), Sabotage::TakenAsLost) => {
                self.model
                    .commit(self.last(), commit, Staged::default())
                    .await
            }
            (result, _) => result,
        }
    }

    async fn recover(
        &self,
        claim: Fence,
        take: &mut dyn FnMut(Stored) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        if !matches!(self.sabotage, Sabotage::NoClaim | Sabotage::ShortLog) {
            return self.model.recover(claim, take).await;
        }
        let mut claims = 0;
        let mut last = 0;
        let mut pretend = |stored| {
            match &stored {
                Stored::Checkpoint(held) if held.fence != claim => return Ok(()),
                Stored::Checkpoint(_) => claims += 1,
                Stored::Delta(..) if claims == 0 => {
                    claims = 1;
                    take(self.checkpoint_at(claim))?;
                }
                _ => {}
            }
            if let Stored::Delta(delta, _) = &stored {
                last = delta.number;
            }
            take(stored)
        };
        self.model.recover(claim, &mut pretend).await?;
        if self.sabotage == Sabotage::ShortLog {
            let (held, _) = self.model.content();
            let log = held.map_or(0, |held| held.checkpoint.log);
            for number in last + 1..=log {
                let delta = Delta {
                    number,
                    content: Bytes::new(),
                };
                take(Stored::Delta(delta, claim))?;
            }
        }
        (claims..2).try_for_each(|_| take(self.checkpoint_at(claim)))
    }

    async fn follow(
        &self,
        from: Fence,
        upto: Fence,
        take: &mut dyn FnMut(Stored) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let mut pretend = |stored| match stored {
            stored if self.sabotage != Sabotage::Misleads => take(stored),
            Stored::Delta(mut delta, end) => {
                if self.model.random.borrow_mut().once_in(4) {
                    delta.content = Bytes::new();
                }
                take(Stored::Delta(delta, end))
            }
            _ => Ok(()),
        };
        self.model.follow(from, upto, &mut pretend).await
    }

    async fn read(&self, behind: &[Progress], most: usize) -> Result<Read, LogError> {
        let mut behind = behind.to_vec();
        for progress in &mut behind {
            match self.sabotage {
                Sabotage::ReadsTwice => progress.position = progress.position.saturating_sub(1),
                Sabotage::Skips if progress.position > 2 => progress.position += 1,
                _ => {}
            }
        }
        let mut read = self.model.read(&behind, most).await?;
        if self.sabotage == Sabotage::PassesMore {
            let passed = read.passed.iter_mut();
            passed.for_each(|(_, position)| *position += 1);
        }
        Ok(read)
    }

    async fn idle(&self, behind: &[Progress]) {
        self.model.idle(behind).await;
    }

    async fn purge(&self, before: Fence) -> Result<(), LogError> {
        let more = match self.sabotage {
            Sabotage::PurgesMore => before.0 + 6,
            _ => before.0,
        };
        self.model.purge(Fence(more)).await
    }
}
