//! How messages ended under one version of a plugin, on all lanes: what a new version is judged by.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Failures that are kept to be read.
const SAMPLES: usize = 8;

/// Counts from when the version began. Shared by all lanes.
#[derive(Debug, Default)]
pub struct VersionStats {
    messages: AtomicU64,
    faults: AtomicU64,
    errors: AtomicU64,
    nanoseconds: AtomicU64,
    samples: Mutex<Vec<Sample>>,
}

/// A message that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Of the message in the source.
    pub sequence: u64,
    /// `reject`, `retry`, or what fault it was.
    pub kind: String,
    pub reason: String,
}

/// Statistics at one moment, or the difference of two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages that the plugin was called with.
    pub messages: u64,
    /// Those that it gave no answer to: traps, deadlines, refused memory or output, no instance.
    pub faults: u64,
    /// Faults, and messages that it rejected or asked to see again.
    pub errors: u64,
    /// In calls.
    pub nanoseconds: u64,
}

impl VersionStats {
    /// Calls with this many messages took so long.
    pub fn called(&self, messages: usize, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.messages.fetch_add(messages as u64, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// A message was not emitted.
    pub fn failed(&self, sequence: u64, kind: &str, reason: &str, is_fault: bool) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        if is_fault {
            self.faults.fetch_add(1, Ordering::Relaxed);
        }
        let mut samples = self.kept();
        if samples.len() < SAMPLES {
            samples.push(Sample {
                sequence,
                kind: kind.to_owned(),
                reason: reason.to_owned(),
            });
        }
    }

    /// The counts now.
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
        self.kept().clone()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// What has come since an earlier moment.
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
