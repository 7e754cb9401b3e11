//! Messages that a pipeline has lately worked on, to try a new version of a plugin with.

use super::chain::Routed;
use crate::message::Message;
use crate::threads::locked;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often what a pipeline works on is kept as a sample.
const SAMPLING: Duration = Duration::from_secs(1);
/// Messages of a sample.
const SAMPLE: usize = 16;

/// Messages that a pipeline has worked on lately, to try a new version with.
#[derive(Default)]
pub struct Samples(Mutex<Vec<Message>>);

/// What one lane adds to them.
pub struct Sampler {
    samples: Arc<Samples>,
    next: Instant,
}

impl Samples {
    /// As they are now; none before the first batch.
    #[must_use]
    pub fn latest(&self) -> Vec<Message> {
        locked(&self.0).clone()
    }
}

impl Sampler {
    pub fn new(samples: Arc<Samples>) -> Self {
        Self {
            samples,
            next: Instant::now(),
        }
    }

    /// Keeps the beginning of a batch, now and then.
    pub fn keep(&mut self, batch: &[Routed], now: Instant) {
        if now < self.next {
            return;
        }
        self.next = now + SAMPLING;
        let latest = batch
            .iter()
            .take(SAMPLE)
            .map(|(message, _)| message.clone());
        *locked(&self.samples.0) = latest.collect();
    }
}
