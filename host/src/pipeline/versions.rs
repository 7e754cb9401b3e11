//! The versions of a pipeline's plugins: what runs, what was refused, and where lanes take new ones.

use super::running::Problem;
use super::start::Loaded;
use super::swap::{Changeover, Samples, Swap};
use crate::plugin::Plugin;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Swaps that may wait for a lane. The next is sent when every lane has taken the one before, so more
/// than one waits only for a lane that hangs.
const SWAPS: usize = 4;

/// Where a lane takes new versions of plugins.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) lane: usize,
    pub(super) swaps: mpsc::Sender<Swap>,
}

/// A version of a plugin that was not taken.
#[derive(Clone)]
pub(super) struct Refusal {
    origin: String,
    digest: String,
    pub(super) problem: Problem,
}

impl Refusal {
    pub(super) fn new(origin: String, digest: String, error: &anyhow::Error) -> Self {
        Self {
            origin,
            digest,
            problem: Problem::new(error),
        }
    }
}

/// Of one pipeline. Shared by its lanes, its deployer and the status.
pub(super) struct Versions {
    /// What runs now, or is about to.
    loaded: Mutex<Loaded>,
    seats: Mutex<Vec<Seat>>,
    /// By operator, the version that was not taken last.
    refusals: Mutex<HashMap<usize, Refusal>>,
    /// To try new versions with.
    pub(super) samples: Arc<Samples>,
}

impl Versions {
    pub(super) fn new(loaded: Loaded) -> Self {
        Self {
            loaded: Mutex::new(loaded),
            seats: Mutex::default(),
            refusals: Mutex::default(),
            samples: Arc::default(),
        }
    }

    /// The plugins as they are now.
    pub(super) fn loaded(&self) -> Loaded {
        locked(&self.loaded).clone()
    }

    /// A lane takes its seat: swaps reach it from now on.
    pub(super) fn seat(&self, lane: usize) -> Changeover {
        let (sender, swaps) = mpsc::channel(SWAPS);
        locked(&self.seats).push(Seat {
            lane,
            swaps: sender,
        });
        Changeover::new(lane, self.loaded().operators(), swaps)
    }

    /// Lanes that could take a swap now.
    pub(super) fn seats(&self) -> Vec<Seat> {
        let mut seats = locked(&self.seats);
        seats.retain(|seat| !seat.swaps.is_closed());
        seats.clone()
    }

    /// Remembers that a version of an operator's plugin was not taken, or that this is over.
    pub(super) fn refuse(&self, operator: usize, refusal: Option<Refusal>) {
        let mut refusals = locked(&self.refusals);
        match refusal {
            Some(refusal) => drop(refusals.insert(operator, refusal)),
            None => drop(refusals.remove(&operator)),
        }
    }

    /// The operators, for `weir status`.
    pub(super) fn status(&self) -> Vec<Value> {
        let mut operators = self.loaded().status();
        for (operator, refusal) in &*locked(&self.refusals) {
            if let Some(Value::Object(fields)) = operators.get_mut(*operator) {
                let refused = json!({
                    "plugin": refusal.origin,
                    "digest": refusal.digest,
                    "error": refusal.problem.what,
                    "hint": refusal.problem.hint(),
                });
                fields.insert("refused".to_owned(), refused);
            }
        }
        operators
    }

    /// From now on lanes start with this plugin.
    pub(super) fn adopt(&self, operator: usize, plugin: Arc<Plugin>) {
        locked(&self.loaded).replace(operator, plugin);
    }
}

/// What a mutex holds, also after a panic: every change of it is whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
