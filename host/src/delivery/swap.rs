//! The lane's side of a swap: takes a new instance of one operator between two batches.
//!
//! Everything that could fail or take long has been done elsewhere (`crate::rollout`): what arrives
//! here is instantiated, configured and tried. The lane finishes what the old version has returned,
//! then goes on with the new one; so what it publishes changes version once. It says with which
//! message the one ended and the other began.

use crate::delivery::lane::{Lane, Routed};
use crate::message::Message;
use crate::process::chain::Change;
use crate::process::chain::canary::Share;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often what a pipeline works on is kept as a sample.
const SAMPLING: Duration = Duration::from_secs(1);
/// Messages of a sample.
const SAMPLE: usize = 16;

/// What changes for one operator on one lane.
pub struct Swap {
    /// Index in the chain.
    pub operator: usize,
    /// With a worker that is warm.
    pub change: Change,
    /// With room for both reports of each lane.
    pub reports: mpsc::Sender<Report>,
}

/// What a lane says of a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It has the new version. The old one was last called with this message of the source.
    Taken { lane: usize, last: Option<u64> },
    /// The new version is about to be called for the first time, with this message.
    First { lane: usize, sequence: u64 },
}

/// Swaps on their way through a lane.
pub(crate) struct Changeover {
    lane: usize,
    swaps: mpsc::Receiver<Swap>,
    pending: Option<Swap>,
    /// For each operator the message that it was last called with.
    last: Vec<Option<u64>>,
    /// Operators whose new version has not been called yet.
    fresh: Vec<Fresh>,
}

/// A version that has not been called yet.
struct Fresh {
    operator: usize,
    /// What it sees, if that is not all.
    share: Option<Share>,
    reports: mpsc::Sender<Report>,
}

impl Changeover {
    pub(crate) fn new(lane: usize, operators: usize, swaps: mpsc::Receiver<Swap>) -> Self {
        Self {
            lane,
            swaps,
            pending: None,
            last: vec![None; operators],
            fresh: Vec::new(),
        }
    }

    /// Waits for a swap. Safe to drop while it waits.
    pub(crate) async fn arrives(&mut self) {
        // One at a time; without senders there will be none.
        match self.pending {
            None => match self.swaps.recv().await {
                Some(swap) => self.pending = Some(swap),
                None => std::future::pending().await,
            },
            Some(_) => std::future::pending().await,
        }
    }

    /// Whether plugins must not be called before a swap is done.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// A batch is about to be handed to the chain.
    pub(crate) fn observe(&mut self, batch: &Routed) {
        let seen_by = |operator: usize| {
            let seen = batch
                .iter()
                .filter(move |(_, operators)| operators.includes(operator));
            seen.map(|(message, _)| message)
        };
        let lane = self.lane;
        self.fresh.retain(|fresh| {
            let picked = |message: &&Message| match &fresh.share {
                Some(share) => share.picks(message),
                None => true,
            };
            let Some(first) = seen_by(fresh.operator).find(picked) else {
                return true;
            };
            let sequence = first.sequence;
            // There is room; and nobody may listen any more.
            let _ = fresh.reports.try_send(Report::First { lane, sequence });
            false
        });
        for (operator, last) in self.last.iter_mut().enumerate() {
            let latest = seen_by(operator).next_back();
            *last = latest.map(|message| message.sequence).or(*last);
        }
    }
}

impl Lane {
    /// Takes a pending swap, unless something that the old version has returned is still to be
    /// published. Whether it did.
    pub(crate) fn apply_swap(&mut self) -> bool {
        if self.changeover.pending.is_none() || self.in_flight.is_publishing() {
            return false;
        }
        let Some(swap) = self.changeover.pending.take() else {
            return false;
        };
        let Swap {
            operator,
            change,
            reports,
        } = swap;
        let share = match &change {
            Change::Canary(_, share) => Some(*share),
            Change::Replace(_) | Change::Abandon => None,
        };
        self.chain.change(operator, change);
        self.outputs.set_provenance(self.chain.provenance());
        let changeover = &mut self.changeover;
        let last = changeover.last.get(operator).copied().flatten();
        let lane = changeover.lane;
        let _ = reports.try_send(Report::Taken { lane, last });
        // What the one before has not seen yet it does not see any more.
        changeover.fresh.retain(|fresh| fresh.operator != operator);
        changeover.fresh.push(Fresh {
            operator,
            share,
            reports,
        });
        true
    }
}

/// Messages that a pipeline has worked on lately, to try a new version with.
#[derive(Default)]
pub struct Samples(Mutex<Vec<Message>>);

/// What one lane adds to them.
pub(crate) struct Sampler {
    samples: Arc<Samples>,
    next: Instant,
}

impl Samples {
    /// As they are now; none before the first batch.
    #[must_use]
    pub fn latest(&self) -> Vec<Message> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Sampler {
    pub(crate) fn new(samples: Arc<Samples>) -> Self {
        Self {
            samples,
            next: Instant::now(),
        }
    }

    /// Keeps the beginning of a batch, now and then.
    pub(crate) fn keep(&mut self, batch: &Routed, now: Instant) {
        if now < self.next {
            return;
        }
        self.next = now + SAMPLING;
        let latest = batch
            .iter()
            .take(SAMPLE)
            .map(|(message, _)| message.clone());
        *self
            .samples
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = latest.collect();
    }
}
