//! One operator of a chain: its running version, and a canary beside it if there is one.

use super::canary::Share;
use super::isolate::isolate;
use super::rejection;
use super::savepoint::Savepoints;
use super::{Change, Kind, Rejection, Retry, Verdict};
use crate::config::resolved::{Bounds, HeaderSelection};
use crate::headers::block;
use crate::message::{Message, Outcome, Output};
use crate::plugin::{Call, Fault, FaultKind, Worker};
use crate::state::{SharedState, Timer};
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// Characters of a digest that results carry: 64 bits tell all plugins apart that there will be.
const SHORT_DIGEST: usize = 16;

/// An operator.
pub(crate) struct OperatorSlot {
    current: Version,
    /// Sees the messages of its share in the place of `current`.
    canary: Option<(Share, Version)>,
    config_hash: String,
}

/// A version of its plugin.
struct Version(Worker);

/// A message on its way through the chain, and the place of its source message in the batch.
pub(crate) struct Item {
    pub(crate) owner: usize,
    pub(crate) message: Message,
}

/// What a plugin is called with several of.
trait Input: Clone {
    /// What counts against the bound by bytes.
    fn size(&self) -> usize;
    fn call(batch: &[Self]) -> Call<'_>;
}

impl Input for Message {
    fn size(&self) -> usize {
        self.size()
    }

    fn call(batch: &[Self]) -> Call<'_> {
        Call::Messages(batch)
    }
}

impl Input for Timer {
    fn size(&self) -> usize {
        self.key.len() + self.tag.len()
    }

    fn call(batch: &[Self]) -> Call<'_> {
        Call::Timers(batch)
    }
}

impl OperatorSlot {
    pub(crate) fn new(worker: Worker) -> Self {
        let config_hash = blake3::hash(worker.settings().config.as_bytes()).to_hex();
        Self {
            config_hash: config_hash.to_string(),
            current: Version(worker),
            canary: None,
        }
    }

    pub(crate) async fn warm(&mut self) -> Result<()> {
        let operator = self.operator().to_owned();
        let canary = self.canary.as_mut().map(|(_, version)| version);
        for version in [Some(&mut self.current), canary].into_iter().flatten() {
            let warm = version.0.warm().await;
            warm.with_context(|| format!("cannot start operator `{operator}`"))?;
        }
        Ok(())
    }

    pub(crate) fn operator(&self) -> &str {
        &self.current.0.settings().operator
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.canary = None;
        match change {
            Change::Replace(worker) => self.current = Version(*worker),
            Change::Canary(worker, share) => self.canary = Some((share, Version(*worker))),
            Change::Abandon => {}
        }
    }

    /// The beginning of the digest of what it runs, or of the canary where there is one.
    pub(crate) fn digest(&self, canary: bool) -> &str {
        let version = match &self.canary {
            Some((_, version)) if canary => version,
            _ => &self.current,
        };
        let digest = version.0.plugin().digest();
        digest.get(..SHORT_DIGEST).unwrap_or(digest)
    }

    pub(crate) fn share(&self) -> Option<Share> {
        self.canary.as_ref().map(|(share, _)| *share)
    }

    /// See [`Plugin::format`](crate::plugin::Plugin::format).
    pub(crate) fn format(&self) -> u32 {
        self.current.0.plugin().format()
    }

    /// Whether a plugin of it keeps state.
    pub(crate) fn is_stateful(&self) -> bool {
        let canary = self.canary.iter().map(|(_, version)| version);
        let mut versions = canary.chain([&self.current]);
        versions.any(|version| version.0.plugin().is_stateful())
    }

    /// A timer of it ended as a dead letter.
    pub(crate) fn abandon(&self, timer: &Timer, state: &SharedState) {
        self.current.0.abandon(timer, state);
    }

    /// Calls with timers that are due; each is its own source. What the operator emits for them.
    pub(crate) async fn fire<S: Savepoints>(
        &mut self,
        timers: &[Timer],
        sources: &[Message],
        picked: &[bool],
        ends: &mut [Option<Verdict>],
        bounds: Bounds,
        state: &mut S,
    ) -> Vec<Item> {
        let outcomes = self.call(timers, picked, bounds, state).await;
        let mut out = Vec::with_capacity(timers.len());
        let inputs = sources.iter().enumerate().zip(ends);
        for (((owner, input), end), outcome) in inputs.zip(outcomes) {
            let version = self.version(picked.get(owner).copied().unwrap_or_default());
            *end = self.emit(version, owner, input, outcome, &mut out);
        }
        out
    }

    /// Replaces the items that this operator sees with what it emits for them. `picked` says for each
    /// source whether a canary sees what becomes of it; it is empty where the chain has none.
    pub(crate) async fn apply<S: Savepoints>(
        &mut self,
        items: Vec<Item>,
        sees: &impl Fn(usize) -> bool,
        picked: &[bool],
        ends: &mut [Option<Verdict>],
        bounds: Bounds,
        state: &mut S,
    ) -> Vec<Item> {
        let mut inputs = Vec::with_capacity(items.len());
        let mut places = Vec::with_capacity(items.len());
        let canary = |owner: usize| picked.get(owner).copied().unwrap_or_default();
        for item in items {
            // One that is late passes by all operators behind.
            let seen = sees(item.owner) && !item.message.is_late;
            if let Some(words) = self.unfit(&item.message).filter(|_| seen) {
                let version = self.version(canary(item.owner));
                if let Some(place) = ends.get_mut(item.owner) {
                    place.get_or_insert(self.reject(version, Kind::Foreign, words, None));
                }
                continue;
            }
            places.push((item.owner, seen));
            inputs.push(item.message);
        }
        let skipped = places.iter().any(|(_, seen)| !seen);
        let (called, mut passing) = if skipped {
            part(inputs, |place| {
                places.get(place).is_some_and(|(_, seen)| *seen)
            })
        } else {
            (inputs, Vec::new())
        };
        let owners = places.iter().filter(|(_, seen)| *seen);
        let by_canary: Vec<bool> = match picked {
            [] => Vec::new(),
            _ => owners.map(|(owner, _)| canary(*owner)).collect(),
        };
        let outcomes = self.call(&called, &by_canary, bounds, state).await;

        let mut results = called.iter().zip(outcomes);
        let mut passing = passing.drain(..);
        let mut out = Vec::with_capacity(places.len());
        for (owner, seen) in places {
            if !seen {
                out.extend(passing.next().map(|message| Item { owner, message }));
                continue;
            }
            let Some((input, outcome)) = results.next() else {
                continue;
            };
            let version = self.version(canary(owner));
            let end = self.emit(version, owner, input, outcome, &mut out);
            if let Some(place) = ends.get_mut(owner).filter(|place| place.is_none()) {
                *place = end;
            }
        }
        out.retain(|item| ends.get(item.owner).is_some_and(Option::is_none));
        out
    }

    /// Adds what a version emits for an input to `out`; how the input's source ends where it does not.
    fn emit(
        &self,
        version: &Version,
        owner: usize,
        input: &Message,
        outcome: Result<Outcome, Fault>,
        out: &mut Vec<Item>,
    ) -> Option<Verdict> {
        match outcome {
            Ok(Outcome::Emit(outputs)) => {
                let messages = outputs.into_iter().map(|output: Output| output.onto(input));
                out.extend(messages.map(|message| Item { owner, message }));
                None
            }
            Ok(Outcome::Retry { after, reason }) => {
                version.failed(input, "retry", &reason, false);
                Some(Verdict::Retry(version.retry(reason, after, true)))
            }
            Ok(Outcome::Reject(reason)) => {
                version.failed(input, Kind::Reject.as_str(), &reason, false);
                Some(self.reject(version, Kind::Reject, reason, None))
            }
            Err(fault) => {
                version.failed(input, fault.kind.as_str(), &fault.message, true);
                Some(self.fault(version, fault))
            }
        }
    }

    /// Why a message cannot be passed to the plugin: a part that the plugin would see is not text.
    fn unfit(&self, message: &Message) -> Option<String> {
        let foreign = message.foreign.as_deref()?;
        let is_named = |names: &[String], line: &[u8]| {
            let mut names = names.iter();
            names.any(|name| name.as_bytes().eq_ignore_ascii_case(block::name(line)))
        };
        let sees = match &self.current.0.settings().headers {
            _ if foreign.subject.is_some() => true,
            HeaderSelection::None => false,
            HeaderSelection::All => !foreign.lines.is_empty(),
            HeaderSelection::Named(names) => foreign.lines.iter().any(|line| is_named(names, line)),
        };
        sees.then(|| foreign.words())
    }

    fn version(&self, canary: bool) -> &Version {
        match &self.canary {
            Some((_, version)) if canary => version,
            _ => &self.current,
        }
    }

    /// Calls each version with its inputs: the canary with those that `by_canary` names.
    async fn call<T: Input, S: Savepoints>(
        &mut self,
        inputs: &[T],
        by_canary: &[bool],
        bounds: Bounds,
        state: &mut S,
    ) -> Vec<Result<Outcome, Fault>> {
        let picked = |place: usize| by_canary.get(place).copied().unwrap_or_default();
        let Some((_, canary)) = self.canary.as_mut().filter(|_| by_canary.contains(&true)) else {
            return self.current.call(inputs, bounds, state).await;
        };
        let (new, old) = part(inputs.to_vec(), picked);
        let mut old = self.current.call(&old, bounds, state).await.into_iter();
        let mut new = canary.call(&new, bounds, state).await.into_iter();
        let next = |place| {
            if picked(place) {
                new.next()
            } else {
                old.next()
            }
        };
        (0..inputs.len()).filter_map(next).collect()
    }

    fn fault(&self, version: &Version, fault: Fault) -> Verdict {
        let kind = match fault.kind {
            FaultKind::Trap => Kind::Trap,
            FaultKind::Deadline => Kind::Deadline,
            FaultKind::Memory => Kind::Memory,
            FaultKind::Output => Kind::Output,
            FaultKind::Length { .. } => Kind::Length,
            FaultKind::Start => return Verdict::Retry(version.retry(fault.message, None, false)),
        };
        self.reject(version, kind, fault.message.clone(), Some(fault))
    }

    fn reject(
        &self,
        version: &Version,
        kind: Kind,
        reason: String,
        fault: Option<Fault>,
    ) -> Verdict {
        Verdict::Dead(Box::new(self.rejection_by(version, kind, reason, fault)))
    }

    /// Why a message of the source is rejected on behalf of this operator.
    pub(crate) fn rejection(&self, source: &Message, kind: Kind, reason: String) -> Rejection {
        let canary = self.share().is_some_and(|share| share.picks(source));
        self.rejection_by(self.version(canary), kind, reason, None)
    }

    fn rejection_by(
        &self,
        version: &Version,
        kind: Kind,
        reason: String,
        fault: Option<Fault>,
    ) -> Rejection {
        let (reason, traceback) = match kind {
            Kind::Reject => rejection::apart(&reason),
            _ => (reason, Vec::new()),
        };
        Rejection {
            operator: Some(self.operator().to_owned()),
            kind,
            reason,
            traceback,
            digest: version.0.plugin().digest().to_owned(),
            config_hash: self.config_hash.clone(),
            fault,
            emitted: None,
        }
    }
}

impl Version {
    /// Calls the plugin with everything, in calls of at most `bounds`.
    async fn call<T: Input, S: Savepoints>(
        &mut self,
        inputs: &[T],
        bounds: Bounds,
        state: &mut S,
    ) -> Vec<Result<Outcome, Fault>> {
        let began = Instant::now();
        let most = bounds.messages.min(self.0.max_batch());
        let mut outcomes = Vec::with_capacity(inputs.len());
        let (mut rest, mut divided) = (inputs, 0);
        while !rest.is_empty() {
            let mut bytes = 0;
            let fitting = rest.iter().take(most).take_while(|input| {
                bytes += input.size();
                bytes <= bounds.bytes
            });
            let (now, later) = rest.split_at(fitting.count().max(1));
            let worker = &mut self.0;
            let call = async |part: &[T], state: Option<&SharedState>| {
                worker.call(T::call(part), state).await
            };
            divided += isolate(now, &mut outcomes, state, call).await;
            rest = later;
        }
        self.0.settings().metrics.bisections.inc_by(divided);
        self.0.stats().called(inputs.len(), began.elapsed());
        outcomes
    }

    fn failed(&self, input: &Message, kind: &str, reason: &str, is_fault: bool) {
        self.0
            .stats()
            .failed(input.sequence, kind, reason, is_fault);
    }

    fn retry(&self, reason: String, after: Option<Duration>, counts: bool) -> Retry {
        Retry {
            operator: self.0.settings().operator.clone(),
            reason,
            after,
            counts,
        }
    }
}

/// Those in these places, and the others; both in order.
fn part<T>(inputs: Vec<T>, chosen: impl Fn(usize) -> bool) -> (Vec<T>, Vec<T>) {
    let (mut these, mut others) = (Vec::new(), Vec::new());
    for (place, input) in inputs.into_iter().enumerate() {
        let to = if chosen(place) {
            &mut these
        } else {
            &mut others
        };
        to.push(input);
    }
    (these, others)
}
