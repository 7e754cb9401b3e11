//! A shared state: its partition owns it, and lends it to the plugin that it calls.

use super::{Corrupt, Groups, State};
use crate::threads::locked;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A [`State`] that a call of a plugin reads and writes. Only one of the two uses it at a time, so a lock
/// never blocks.
#[derive(Clone, Debug)]
pub struct SharedState {
    state: Arc<Mutex<State>>,
    windows: Arc<Windows>,
}

/// What messages do to windows that are due before them.
#[derive(Debug, Default)]
struct Windows {
    /// They leave them to their timers.
    are_left: AtomicBool,
    /// They have closed some.
    were_closed: AtomicBool,
}

impl SharedState {
    #[must_use]
    pub fn new(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
            windows: Arc::default(),
        }
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
        locked(&self.state)
    }

    /// Whether messages are to leave windows that are due before them to their timers. A result that is refused is
    /// then the fault of no message.
    pub fn leave_windows(&self, are_left: bool) {
        self.windows.are_left.store(are_left, Ordering::Relaxed);
        self.windows.were_closed.store(false, Ordering::Relaxed);
    }

    /// See [`leave_windows`](Self::leave_windows).
    #[must_use]
    pub fn leaves_windows(&self) -> bool {
        self.windows.are_left.load(Ordering::Relaxed)
    }

    /// Messages have closed windows that were due before them.
    pub fn closed_windows(&self) {
        self.windows.were_closed.store(true, Ordering::Relaxed);
    }

    /// Whether they have, since [`leave_windows`](Self::leave_windows).
    #[must_use]
    pub fn has_closed_windows(&self) -> bool {
        self.windows.were_closed.load(Ordering::Relaxed)
    }
}
