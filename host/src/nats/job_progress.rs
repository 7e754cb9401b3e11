//! How far a job has come on this host, as its lanes say it and the host reads it. Plain data.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Shared by the lanes of a job and the host.
#[derive(Debug, Default)]
pub struct JobProgress {
    /// Of each lane: how many partitions read the source, and up to where it has nothing for any of them that
    /// is not processed.
    lanes: Vec<(AtomicUsize, AtomicU64)>,
    /// Partitions in whose state messages wait for a retry.
    waiting: AtomicUsize,
}

impl JobProgress {
    /// Of a job with so many lanes, none of which reads yet.
    #[must_use]
    pub fn new(lanes: usize) -> Self {
        Self {
            lanes: (0..lanes).map(|_| Default::default()).collect(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// What a lane reads.
    pub fn reads(&self, lane: usize, partitions: usize, position: u64) {
        if let Some((reading, known)) = self.lanes.get(lane) {
            known.store(position, Ordering::Relaxed);
            reading.store(partitions, Ordering::Relaxed);
        }
    }

    /// How many partitions read the source, and the position of the lane that is the furthest behind.
    #[must_use]
    pub fn position(&self) -> (usize, u64) {
        let lanes = self.lanes.iter().map(|(reading, position)| {
            let (reading, position) = (
                reading.load(Ordering::Relaxed),
                position.load(Ordering::Relaxed),
            );
            (reading, if reading > 0 { position } else { u64::MAX })
        });
        lanes.fold((0, u64::MAX), |all, lane| {
            (all.0 + lane.0, all.1.min(lane.1))
        })
    }

    /// In the state of a partition messages wait for a retry, or none does any more.
    pub fn set_waiting(&self, waits: bool) {
        match waits {
            true => self.waiting.fetch_add(1, Ordering::Relaxed),
            false => self.waiting.fetch_sub(1, Ordering::Relaxed),
        };
    }

    /// Whether no message waits for a retry.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }
}
