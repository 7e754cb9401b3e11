//! Savepoints: undo the writes of plugins for messages that fail.
//!
//! Writes belong to a batch, not to a message. A call that faults is rolled back at once. If a message is
//! rejected, retried or dead after operators have written for it, the whole batch returns to its beginning
//! and runs again without it. So the state contains what the other messages would have written alone, in any
//! chain. Knows no store.

use super::Verdict;
use crate::state::{self, SharedState};

/// A point to which writes can be undone; the outer one stays valid when an inner one is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint(pub usize);

/// The state that the plugins of a chain write to, as far as the chain knows it.
pub trait Savepoints {
    /// Whether there is any state. Without state, nothing runs twice.
    fn is_tracked(&self) -> bool;
    /// The state that a call of a plugin reads and writes, if there is any.
    fn keyed(&self) -> Option<&SharedState> {
        None
    }
    /// Marks what has been written so far.
    fn savepoint(&mut self) -> Savepoint;
    /// Undoes all writes since `to`.
    fn roll_back(&mut self, to: Savepoint);
}

/// The savepoints of plugins that keep no state.
pub struct Stateless;

impl Savepoints for Stateless {
    fn is_tracked(&self) -> bool {
        false
    }

    fn savepoint(&mut self) -> Savepoint {
        Savepoint(0)
    }

    fn roll_back(&mut self, _to: Savepoint) {}
}

impl Savepoints for SharedState {
    fn is_tracked(&self) -> bool {
        true
    }

    fn keyed(&self) -> Option<&SharedState> {
        Some(self)
    }

    fn savepoint(&mut self) -> Savepoint {
        Savepoint(self.lock().savepoint().0)
    }

    fn roll_back(&mut self, to: Savepoint) {
        self.lock().roll_back(state::Savepoint(to.0));
    }
}

/// Runs a batch until all remaining messages end well, each time from the same savepoint. One verdict per
/// message, in order. It calls `run` at most once more than there are failed messages, and only once without
/// state.
pub(super) async fn settle<M: Clone, S: Savepoints>(
    batch: Vec<M>,
    state: &mut S,
    mut run: impl AsyncFnMut(Vec<M>, &mut S) -> Vec<Verdict>,
) -> Vec<Verdict> {
    if !state.is_tracked() {
        return run(batch, state).await;
    }
    let mut verdicts: Vec<Option<Verdict>> = batch.iter().map(|_| None).collect();
    let mut left: Vec<(usize, M)> = batch.into_iter().enumerate().collect();
    while !left.is_empty() {
        let begin = state.savepoint();
        let messages = left.iter().map(|(_, message)| message.clone()).collect();
        let ran = run(messages, state).await;
        let ends_well = ran.iter().all(Verdict::ends_well);
        if !ends_well {
            state.roll_back(begin);
        }
        let mut again = Vec::new();
        for ((index, message), verdict) in left.into_iter().zip(ran) {
            if verdict.ends_well() && !ends_well {
                again.push((index, message));
            } else if let Some(place) = verdicts.get_mut(index) {
                *place = Some(verdict);
            }
        }
        left = again;
    }
    verdicts.into_iter().flatten().collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests;
