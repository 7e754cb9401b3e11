//! Windows over the state of a job: the host assigns windows, keeps their accumulators and fires their
//! timers; a plugin does the arithmetic. Start here. `crate::time::windows` defines windows.
//!
//! | file | what it does |
//! |---|---|
//! | `window/plan.rs` | what becomes of windows with a message or a timer: the rules, without the arithmetic |
//! | `window/closing.rs` | windows that the watermark has passed |
//! | `window/keys.rs` | the windows of a key: read from the state, and written back |
//! | `window/lookup.rs` | which windows of a key a message or a timer concerns |
//! | `window/values.rs` | accumulators that are still to be computed, and computing them in as few calls as possible |
//! | `window/pane.rs` | what the host adds to a result of a window |
//!
//! A batch is first planned completely: which messages are added to which accumulators, which accumulators
//! are merged, and which panes are emitted. The plan does not depend on the content of accumulators. Then the
//! plugin computes what was planned, and the results are written. If the plugin refuses anything, nothing is
//! written.
//!
//! What a window emits does not depend on where a batch ends: before a message is added, the windows of its
//! key that its watermark has passed are emitted, as if their timers had fired. If there are many, those that
//! do not contain the message wait for their timers instead.
//!
//! A message or a timer reads only the windows that it concerns, so its cost does not depend on how many
//! windows its key has.

mod closing;
mod keys;
mod lookup;
mod pane;
mod plan;
#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says what it expects by failing"
)]
mod tests;
mod values;

use crate::message::{Message, Outcome, Output};
use crate::state::{Operator, SharedState, State, Timer};
use crate::time::windows::{Pane, Windows};
use plan::Plan;
use smallvec::{SmallVec, smallvec};
use std::collections::HashSet;
use std::sync::MutexGuard;
use values::{Cause, Refusals};

/// Messages of one key to add to an accumulator, in their order.
pub(super) struct Addition<'a> {
    pub key: &'a str,
    /// Empty if there is none yet.
    pub accumulator: Vec<u8>,
    pub messages: Vec<&'a Message>,
}

/// Two accumulators of a key that become one.
pub(super) struct Merge<'a> {
    pub key: &'a str,
    /// That of the earlier time.
    pub left: Vec<u8>,
    pub right: Vec<u8>,
}

/// A pane to emit.
pub(super) struct Firing<'a> {
    pub key: &'a str,
    pub pane: Pane,
    /// Empty if the pane has no messages.
    pub accumulator: Vec<u8>,
}

/// What a plugin computes. The inner errors are its reasons. There is one answer for each element, in order, which the
/// implementation checks; it also refuses accumulators that are larger than they may be.
pub(super) trait Arithmetic {
    async fn add(
        &mut self,
        additions: &[Addition<'_>],
    ) -> wasmtime::Result<Vec<Result<Vec<u8>, String>>>;
    async fn merge(
        &mut self,
        pairs: &[Merge<'_>],
    ) -> wasmtime::Result<Vec<Result<Vec<u8>, String>>>;
    async fn emit(
        &mut self,
        panes: &[Firing<'_>],
    ) -> wasmtime::Result<Vec<Result<SmallVec<[Output; 1]>, String>>>;
}

/// Adds messages to their windows. One outcome for each, in order: the panes that it lets windows emit, or that it is
/// late. If any of them is rejected, the others have no results: whoever called undoes all and calls again without it.
///
/// A pane that is due before a message, and that the plugin refuses, is not the message's fault. The window is left to
/// its timer then.
pub(super) async fn messages(
    rules: &Windows,
    state: &SharedState,
    operator: Operator,
    arithmetic: &mut impl Arithmetic,
    batch: &[Message],
) -> wasmtime::Result<Vec<Outcome>> {
    let mut left = HashSet::new();
    loop {
        let mut plan = Plan::new(rules, operator, &left);
        plan.leaves_passed = state.leaves_windows();
        let mut is_late = Vec::with_capacity(batch.len());
        {
            let state = lent(state);
            for (by, message) in batch.iter().enumerate() {
                is_late.push(plan.message(&state, by, message)?);
            }
        }
        if plan.closes_any() {
            state.closed_windows();
        }
        let refused = match plan
            .carry_out(state, arithmetic, batch, batch.len())
            .await?
        {
            Ok(outputs) => {
                let late = Output {
                    late: true,
                    ..Output::default()
                };
                let outcomes = outputs.into_iter().zip(is_late);
                let outcomes = outcomes.map(|(outputs, is_late)| match is_late {
                    true => Outcome::Emit(smallvec![late.clone()]),
                    false => Outcome::Emit(outputs),
                });
                return Ok(outcomes.collect());
            }
            Err(refused) => refused,
        };
        if refused.iter().any(|(cause, _)| cause.closes.is_none()) {
            return Ok(rejected(refused, batch.len()));
        }
        left.extend(refused.into_iter().filter_map(|(cause, _)| cause.closes));
    }
}

/// Fires timers of windows. One outcome for each, in order, as for [`messages`].
pub(super) async fn timers(
    rules: &Windows,
    state: &SharedState,
    operator: Operator,
    arithmetic: &mut impl Arithmetic,
    due: &[Timer],
) -> wasmtime::Result<Vec<Outcome>> {
    let left = HashSet::new();
    let mut plan = Plan::new(rules, operator, &left);
    {
        let state = lent(state);
        for (by, timer) in due.iter().enumerate() {
            plan.timer(&state, by, timer, true)?;
        }
    }
    Ok(
        match plan.carry_out(state, arithmetic, &[], due.len()).await? {
            Ok(outputs) => outputs.into_iter().map(Outcome::Emit).collect(),
            Err(refused) => rejected(refused, due.len()),
        },
    )
}

/// A timer has become a dead letter, and what it wrote was undone. Its window goes on without the pane, so that it does
/// not stay forever.
pub(super) fn abandon(
    rules: &Windows,
    state: &SharedState,
    operator: Operator,
    timer: &Timer,
) -> wasmtime::Result<()> {
    let left = HashSet::new();
    let mut plan = Plan::new(rules, operator, &left);
    let mut state = lent(state);
    plan.timer(&state, 0, timer, false)?;
    // What takes no room is not refused.
    plan.store(&mut state).map(drop)
}

/// The state, whatever format another operator has read it in.
fn lent(state: &SharedState) -> MutexGuard<'_, State> {
    let mut state = state.lock();
    state.set_format(0);
    state
}

/// The outcomes where some are refused.
fn rejected(refused: Refusals, count: usize) -> Vec<Outcome> {
    let mut outcomes = vec![Outcome::Emit(SmallVec::new()); count];
    for (Cause { by, .. }, reason) in refused {
        if let Some(outcome) = outcomes.get_mut(by) {
            *outcome = Outcome::Reject(reason);
        }
    }
    outcomes
}
