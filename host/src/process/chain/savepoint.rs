//! Savepoints: how the writes of plugins are undone when what they belong to does not happen.
//!
//! Writes belong to a batch, not to a message. A call that faults is rolled back at once. A message
//! that is rejected, retried or dead after some operators had written on its behalf takes the whole
//! batch back to its beginning, and the batch runs again without it. So what remains is what the
//! messages that end well would have written alone, in any chain. Knows no store.

use super::Verdict;
use crate::state::{self, SharedState};

/// A point to which writes can be undone; the outer one stays valid when an inner one is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint(pub usize);

/// The state that the plugins of a chain write to, as far as the chain knows it.
pub trait Savepoints {
    /// Whether there is any state. Where there is none, nothing ever runs a second time.
    fn is_tracked(&self) -> bool;
    /// The state that a call of a plugin reads and writes, if there is any.
    fn keyed(&self) -> Option<&SharedState> {
        None
    }
    /// Marks what has been written so far.
    fn savepoint(&mut self) -> Savepoint;
    /// Undoes all that was written since `to`.
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

/// Runs a batch until all of what is left of it ends well, each time from the same savepoint. One
/// verdict per message, in order. `run` is called at most once more than messages end badly, and
/// only once where there is no state.
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
