//! A shared state: its partition owns it, and lends it to the plugin that it calls.

use super::{Corrupt, Groups, State};
use crate::threads::locked;
use std::sync::{Arc, Mutex, MutexGuard};

/// A [`State`] that a call of a plugin reads and writes. Only one of the two uses it at a time, so a lock
/// never blocks.
#[derive(Clone, Debug)]
pub struct SharedState(Arc<Mutex<State>>);

impl SharedState {
    #[must_use]
    pub fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// An empty state of all keys, for calls outside a job: it is never stored. `budget` is in bytes.
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
