//! The outcomes of messages under one version of a plugin, on all lanes: the basis for judging versions.

use crate::threads::locked;
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Number of failures that are kept as samples.
const SAMPLES: usize = 8;

/// Counts since the version began. Shared by all lanes.
#[derive(Debug, Default)]
pub struct VersionStats {
    messages: AtomicU64,
    faults: AtomicU64,
    errors: AtomicU64,
    nanoseconds: AtomicU64,
    samples: Mutex<Vec<Sample>>,
}

/// A sample of a failed message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Of the message in the source.
    pub sequence: u64,
    /// `reject`, `retry`, or the kind of the fault.
    pub kind: String,
    pub reason: String,
}

/// Statistics at one time, or the difference between two times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages that were passed to the plugin.
    pub messages: u64,
    /// Messages without an answer: traps, deadlines, refused memory or output, no instance.
    pub faults: u64,
    /// Messages without an answer, and messages that the plugin rejected or retried.
    pub errors: u64,
    /// Time in calls.
    pub nanoseconds: u64,
}

impl VersionStats {
    /// Counts calls with this many messages and their time.
    pub fn called(&self, messages: usize, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.messages.fetch_add(messages as u64, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Counts a message that was not emitted.
    pub fn failed(&self, sequence: u64, kind: &str, reason: &str, is_fault: bool) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        if is_fault {
            self.faults.fetch_add(1, Ordering::Relaxed);
        }
        let mut samples = locked(&self.samples);
        if samples.len() < SAMPLES {
            samples.push(Sample {
                sequence,
                kind: kind.to_owned(),
                reason: reason.to_owned(),
            });
        }
    }

    /// The current counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            messages: read(&self.messages),
            faults: read(&self.faults),
            errors: read(&self.errors),
            nanoseconds: read(&self.nanoseconds),
        }
    }

    /// The first messages that failed.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        locked(&self.samples).clone()
    }
}

impl Counts {
    /// The difference to an earlier snapshot.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(earlier.messages),
            faults: self.faults.saturating_sub(earlier.faults),
            errors: self.errors.saturating_sub(earlier.errors),
            nanoseconds: self.nanoseconds.saturating_sub(earlier.nanoseconds),
        }
    }
}
