//! Decisions of this host for all hosts that are not stored yet. Pure: `reconcile.rs` stores them.
//!
//! A decision is made once and tried until it is stored, with growing pauses. Until then it holds on this
//! host, whatever the server says: a bad version does not come back because the server did not answer. A
//! decision that is not stored ends with the process.

use crate::nats::deployments::{Deployment, HostDecision};
use std::time::{Duration, Instant};

/// The pause after a decision could not be stored; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Decisions that are not stored yet.
pub(super) struct Pending {
    /// Each with its operator, in the order in which they were made.
    decisions: Vec<(usize, HostDecision)>,
    /// Nothing is tried before.
    next: Instant,
    /// After the next failure.
    pause: Duration,
}

impl Pending {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            decisions: Vec::new(),
            next: now,
            pause: FIRST_PAUSE,
        }
    }

    /// A decision is made, and is to be stored at once.
    pub(super) fn add(&mut self, operator: usize, decision: HostDecision, now: Instant) {
        self.decisions.push((operator, decision));
        self.next = now;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }

    /// Takes the decisions to store now. [`Self::tried`] returns those that were not stored.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(usize, HostDecision)> {
        match now >= self.next {
            true => std::mem::take(&mut self.decisions),
            false => Vec::new(),
        }
    }

    /// What was due has been tried. Of these it is not known that they are stored.
    pub(super) fn tried(&mut self, left: Vec<(usize, HostDecision)>, now: Instant) {
        if left.is_empty() {
            self.pause = FIRST_PAUSE;
            return;
        }
        self.decisions.splice(..0, left);
        self.next = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Whether this host can run a version is found out anew.
    pub(super) fn forget_rejections(&mut self, operator: usize) {
        let is_it = |(at, decision): &(usize, HostDecision)| {
            *at == operator && matches!(decision, HostDecision::Reject(_))
        };
        self.decisions.retain(|each| !is_it(each));
    }

    /// What an operator is to run: what the server says, under what it does not know yet.
    pub(super) fn over(&self, operator: usize, mut said: Deployment) -> Deployment {
        let of_operator = self.decisions.iter().filter(|(at, _)| *at == operator);
        for (_, decision) in of_operator {
            decision.apply(&mut said);
        }
        said
    }
}

#[cfg(test)]
mod tests;
