//! A state in two hands: its partition has it, and lends it to the plugin that it calls.

use super::State;
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

    /// Not to be held while anything waits.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.0)
    }
}
