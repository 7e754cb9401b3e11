//! A state in two hands: its partition has it, and lends it to the plugin that it calls.

use super::{Corrupt, Groups, State};
use crate::threads::locked;
use std::sync::{Arc, Mutex, MutexGuard};

/// A [`State`] that a call of a plugin reads and writes. Only one of the two works with it at a time, so no
/// lock is ever waited for.
#[derive(Clone, Debug)]
pub struct SharedState(Arc<Mutex<State>>);

impl SharedState {
    #[must_use]
    pub fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// An empty one of all keys, for calls outside of a job: nobody stores it. `budget` is in bytes.
    ///
    /// # Errors
    /// As [`State::new`].
    pub fn scratch<'a>(
        operators: impl IntoIterator<Item = &'a str>,
        budget: u64,
    ) -> Result<Self, Corrupt> {
        State::new(Groups::all(), operators, budget).map(Self::new)
    }

    /// Not to be held while anything waits.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.0)
    }
}
