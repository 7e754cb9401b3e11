//! Step 4: calls the plugins of a chain with a batch, and judges each message separately.
//!
//! All or nothing for each source message: its outputs are published only if every operator emitted
//! for every message derived from it. If one asks for a retry, the source message is retried; if
//! one rejects, the source message becomes a dead letter.
//!
//! A trap, a missed deadline, a refused allocation or a wrong number of outcomes never rejects a batch. The
//! batch is halved until the message that causes the fault is alone. Even then only the fault of a fresh
//! instance rejects the message.
//!
//! Knows no broker: `weir pipe` and `weir plugin test` run the same chain.

pub mod canary;
mod isolate;
mod rejection;
pub mod savepoint;
mod slot;
mod timers;

use crate::config::resolved::Bounds;
use crate::message::Message;
use crate::plugin::Worker;
use crate::process::route::OperatorSet;
use crate::state::{SharedState, Timer};
use anyhow::Result;
use bytestring::ByteString;
use canary::Share;
pub use rejection::{Kind, Rejection};
use savepoint::{Savepoints, Stateless};
use slot::{Item, OperatorSlot};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The result of one source message.
#[derive(Debug)]
pub enum Verdict {
    /// Publish these, perhaps none; their subjects are those before the sink's template.
    Publish(SmallVec<[Message; 1]>),
    /// Deliver it again.
    Retry(Retry),
    /// Dead letter.
    Dead(Box<Rejection>),
}

/// A message, and the operators that see it.
pub type Routed = (Message, OperatorSet);

impl Verdict {
    /// Whether there is something to publish, or nothing on purpose.
    #[must_use]
    pub fn ends_well(&self) -> bool {
        matches!(self, Self::Publish(_))
    }
}

/// Why a message is to be delivered again.
#[derive(Debug)]
pub struct Retry {
    pub operator: String,
    pub reason: String,
    /// As the plugin asked; `None` leaves it to the backoff.
    pub after: Option<Duration>,
    /// The plugin asked for it, so it counts against `retry.max-attempts`. Otherwise the host could
    /// not do its part, and the message is not to blame.
    pub counts: bool,
}

/// The operators of one lane, each with its warm instance.
pub struct Chain {
    slots: Vec<OperatorSlot>,
    bounds: Bounds,
    /// Which of them is called now, or was called last.
    place: Arc<AtomicUsize>,
}

/// What an operator is to run from now on.
pub enum Change {
    /// This in the place of what it runs. Ends a canary.
    Replace(Box<Worker>),
    /// This for a share of what it sees, beside what it runs.
    Canary(Box<Worker>, Share),
    /// What it runs, without the canary.
    Abandon,
}

/// Which plugins results come from: the beginnings of their digests in the order of the chain, with
/// commas between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    pub digests: ByteString,
    /// The same for what a canary has seen.
    pub canary: Option<(Share, ByteString)>,
}

impl Provenance {
    /// Those of the results of a message of the source.
    #[must_use]
    pub fn of(&self, source: &Message) -> ByteString {
        match &self.canary {
            Some((share, digests)) if share.picks(source) => digests.clone(),
            _ => self.digests.clone(),
        }
    }
}

impl Chain {
    /// A chain of workers in the order of the pipeline; `bounds` is the most of one plugin call.
    #[must_use]
    pub fn new(workers: Vec<Worker>, bounds: Bounds) -> Self {
        Self {
            slots: workers.into_iter().map(OperatorSlot::new).collect(),
            bounds,
            place: Arc::default(),
        }
    }

    /// Where the chain stores the index of the operator that it calls, for reports.
    #[must_use]
    pub fn place(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.place)
    }

    /// Instantiates and configures every plugin now, so that the first message does not wait for it.
    ///
    /// # Errors
    /// What the first plugin that refuses said.
    pub async fn warm(&mut self) -> Result<()> {
        for slot in &mut self.slots {
            slot.warm().await?;
        }
        Ok(())
    }

    /// Whether a plugin of it was built to keep state.
    #[must_use]
    pub fn is_stateful(&self) -> bool {
        self.slots.iter().any(OperatorSlot::is_stateful)
    }

    /// By operator, the format of its values, if it is not 0.
    pub fn formats(&self) -> impl Iterator<Item = (&str, u32)> {
        let formats = self
            .slots
            .iter()
            .map(|slot| (slot.operator(), slot.format()));
        formats.filter(|(_, format)| *format > 0)
    }

    /// Name of the last operator; the one that message ids carry.
    #[must_use]
    pub fn last_operator(&self) -> Option<&str> {
        self.slots.last().map(OperatorSlot::operator)
    }

    /// Lets an operator take another version, all or a share of what it sees.
    pub fn change(&mut self, operator: usize, change: Change) {
        if let Some(slot) = self.slots.get_mut(operator) {
            slot.change(change);
        }
    }

    /// Which versions results come from.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        let joined = |canary: bool| {
            let digests: Vec<&str> = self.slots.iter().map(|slot| slot.digest(canary)).collect();
            digests.join(",").into()
        };
        let share = self.slots.iter().find_map(OperatorSlot::share);
        Provenance {
            digests: joined(false),
            canary: share.map(|share| (share, joined(true))),
        }
    }

    /// Why a message of the source is rejected on behalf of one of the operators.
    #[must_use]
    pub fn rejection(
        &self,
        source: &Message,
        operator: &str,
        kind: Kind,
        reason: String,
    ) -> Rejection {
        let slot = self.slots.iter().find(|slot| slot.operator() == operator);
        slot.map_or_else(
            || Rejection::by_sink(reason.clone()),
            |slot| slot.rejection(source, kind, reason.clone()),
        )
    }

    /// Why a message of the source is rejected after the last retry that it may have.
    #[must_use]
    pub fn gave_up(&self, source: &Message, retry: &Retry, attempts: u32) -> Rejection {
        let reason = format!("gave up after {attempts} attempts: {}", retry.reason);
        self.rejection(source, &retry.operator, Kind::Retries, reason)
    }

    /// Runs a batch of plugins that keep no state. One verdict per message, in order.
    pub async fn run(&mut self, batch: Vec<Routed>) -> Vec<Verdict> {
        self.run_on(batch, &mut Stateless).await
    }

    /// Runs a batch whose plugins write to `state`; what remains there is what the messages that end
    /// well have written. One verdict per message, in order.
    pub async fn run_on<S: Savepoints>(
        &mut self,
        batch: Vec<Routed>,
        state: &mut S,
    ) -> Vec<Verdict> {
        let run = async |batch: Vec<Routed>, state: &mut S| self.walk(batch, state).await;
        savepoint::settle(batch, state, run).await
    }

    /// See [`Processor::abandon`](super::Processor::abandon).
    pub fn abandon(&self, operator: usize, timer: &Timer, state: &SharedState) {
        if let Some(slot) = self.slots.get(operator) {
            slot.abandon(timer, state);
        }
    }

    /// All operators, once.
    async fn walk<S: Savepoints>(&mut self, batch: Vec<Routed>, state: &mut S) -> Vec<Verdict> {
        let operators: Vec<OperatorSet> = batch.iter().map(|(_, operators)| *operators).collect();
        let picked = self.picked(batch.iter().map(|(message, _)| message));
        let ends = operators.iter().map(|_| None).collect();
        let items = batch
            .into_iter()
            .enumerate()
            .map(|(owner, (message, _))| Item { owner, message })
            .collect();
        self.pass(0, items, &operators, &picked, ends, state).await
    }

    /// Which sources a canary sees; empty where the chain has none.
    fn picked<'a>(&self, sources: impl Iterator<Item = &'a Message>) -> Vec<bool> {
        match self.slots.iter().find_map(OperatorSlot::share) {
            Some(share) => sources.map(|source| share.picks(source)).collect(),
            None => Vec::new(),
        }
    }

    /// The operators from `first` on, once. `operators`, `picked` and `ends` are those of each source.
    async fn pass<S: Savepoints>(
        &mut self,
        first: usize,
        mut items: Vec<Item>,
        operators: &[OperatorSet],
        picked: &[bool],
        mut ends: Vec<Option<Verdict>>,
        state: &mut S,
    ) -> Vec<Verdict> {
        for (index, slot) in self.slots.iter_mut().enumerate().skip(first) {
            self.place.store(index, Ordering::Relaxed);
            let sees = |owner: usize| {
                operators
                    .get(owner)
                    .is_some_and(|operators| operators.includes(index))
            };
            items = slot
                .apply(items, &sees, picked, &mut ends, self.bounds, state)
                .await;
        }
        let mut outputs: Vec<SmallVec<[Message; 1]>> =
            operators.iter().map(|_| SmallVec::new()).collect();
        for item in items {
            if let Some(outputs) = outputs.get_mut(item.owner) {
                outputs.push(item.message);
            }
        }
        let ended = ends.into_iter().zip(outputs);
        ended
            .map(|(end, outputs)| end.unwrap_or(Verdict::Publish(outputs)))
            .collect()
    }
}
