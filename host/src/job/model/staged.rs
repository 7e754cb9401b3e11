//! What is sent ahead of a commit.

use super::{Model, step};
use crate::job::log::{Commit, LogError};
use crate::outgoing::OutgoingMessage;

/// The results and dead letters that were sent ahead of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    pub outputs: Vec<OutgoingMessage>,
    pub dead_letters: Vec<OutgoingMessage>,
}

impl Staged {
    /// Adds results and dead letters of `gathered` that are not there: as many of these as `some` says.
    pub(super) fn add(&mut self, gathered: &Commit, some: impl Fn(usize) -> usize) {
        let outputs = (&mut self.outputs, &gathered.outputs);
        for (there, all) in [outputs, (&mut self.dead_letters, &gathered.dead_letters)] {
            let new = all.get(there.len()..).unwrap_or_default();
            there.extend(new.iter().take(some(new.len())).cloned());
        }
    }
}

impl Model {
    /// The commit as the log has it, with what was sent ahead.
    pub(super) async fn complete(
        &self,
        mut staged: Staged,
        commit: &Commit,
    ) -> Result<Commit, LogError> {
        if staged != Staged::default() {
            self.tally.borrow_mut().staged += 1;
            // As a server that has given the batch up.
            if self.once_in(8) {
                step().await;
                return Err(LogError::Busy("the batch is incomplete".to_owned()));
            }
        }
        staged.add(commit, |new| new);
        Ok(Commit {
            outputs: staged.outputs,
            dead_letters: staged.dead_letters,
            ..commit.clone()
        })
    }
}
