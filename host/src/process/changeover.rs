//! Installs a new version of an operator's plugin between two batches.
//!
//! `crate::rollout` has done everything that could fail or take long: the version is instantiated, configured
//! and tried. The owner of the processor first publishes the results of the old version, so that the
//! published results change version once: a lane between two settled windows, a job between two commits. The
//! reports name the last message of the old version and the first of the new one. Knows no lane and no
//! broker.

use super::Processor;
use super::chain::canary::Share;
use super::chain::{Change, Routed};
use crate::message::Message;
use tokio::sync::mpsc;

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

/// The owner of a processor, for whom a changeover installs versions.
pub trait Boundary {
    /// Whether some results of the plugins are not stored yet.
    fn has_unpublished(&self) -> bool;
}

/// Swaps on their way through a lane.
pub struct Changeover {
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
    pub fn new(lane: usize, operators: usize, swaps: mpsc::Receiver<Swap>) -> Self {
        Self {
            lane,
            swaps,
            pending: None,
            last: vec![None; operators],
            fresh: Vec::new(),
        }
    }

    /// Waits for a swap. Safe to drop while it waits.
    pub async fn arrives(&mut self) {
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
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// A batch is about to be handed to the chain.
    pub fn observe(&mut self, batch: &[Routed]) {
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

    /// Applies a pending swap, unless results of the old version are still to be published. Returns whether
    /// it did.
    pub fn apply(&mut self, boundary: &impl Boundary, processor: &mut Processor) -> bool {
        if boundary.has_unpublished() {
            return false;
        }
        let Some(swap) = self.pending.take() else {
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
        processor.change(operator, change);
        let (lane, last) = (self.lane, self.last.get(operator).copied().flatten());
        // There is room for both reports of a lane; and nobody may listen any more.
        let _ = reports.try_send(Report::Taken { lane, last });
        // What the version before has not seen yet it does not see any more.
        self.fresh.retain(|fresh| fresh.operator != operator);
        self.fresh.push(Fresh {
            operator,
            share,
            reports,
        });
        true
    }
}
