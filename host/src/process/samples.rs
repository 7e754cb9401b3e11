//! Recent messages of a pipeline, for the trial of a new version of a plugin.

use super::chain::Routed;
use super::route::OperatorSet;
use crate::message::Message;
use crate::state::SharedState;
use crate::threads::locked;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often what a pipeline works on is kept as a sample.
const SAMPLING: Duration = Duration::from_secs(1);
/// Messages of a sample.
const SAMPLE: usize = 16;
/// Bytes of state of a sample, at most.
const STATE: usize = 1 << 20;

/// Messages that a pipeline has worked on lately.
#[derive(Clone, Default)]
pub struct Sample {
    pub messages: Vec<Message>,
    /// What their keys had in the state before, as [`State::replay`](crate::state::State::replay) takes it.
    pub state: Option<Bytes>,
}

/// The latest sample of a pipeline, to try a new version with.
#[derive(Default)]
pub struct Samples(Mutex<Sample>);

/// What one lane adds to them.
pub struct Sampler {
    samples: Arc<Samples>,
    next: Instant,
    /// Whether the last sample has state.
    has_state: bool,
}

impl Samples {
    /// As they are now; none before the first batch.
    #[must_use]
    pub fn latest(&self) -> Sample {
        locked(&self.0).clone()
    }
}

impl Sampler {
    pub fn new(samples: Arc<Samples>) -> Self {
        Self {
            samples,
            next: Instant::now(),
            has_state: false,
        }
    }

    /// Keeps the beginning of a batch that is about to be processed, now and then, with what its keys have in
    /// `state`.
    pub fn keep(&mut self, batch: &[Routed], state: Option<&SharedState>, now: Instant) {
        // One with state is worth more than one without.
        let is_due = now >= self.next || (!self.has_state && state.is_some());
        // What no operator sees tries none.
        let seen = |routed: &&Routed| routed.1 != OperatorSet::default();
        let latest = || {
            batch
                .iter()
                .filter(seen)
                .take(SAMPLE)
                .map(|routed| &routed.0)
        };
        if !is_due || latest().next().is_none() {
            return;
        }
        let keys = latest().map(Message::state_key);
        let state = state.and_then(|state| state.lock().sample(keys, STATE));
        if state.is_none() && now < self.next {
            return;
        }
        self.next = now + SAMPLING;
        self.has_state = state.is_some();
        let messages = latest().cloned().collect();
        *locked(&self.samples.0) = Sample { messages, state };
    }
}
