//! The world `weir:window/aggregator@0.2.0`: the arithmetic of windows.
//!
//! Which windows there are, and what of them is kept, is decided in `plugin/window.rs`; here its questions
//! become calls. Messages and outputs are the records of `operator_0_1_0.rs`.

use super::operator_0_1_0::{self, bounded, weir::plugin::types};
use super::{Bind, Call, Capability, Contract, Guest as AnyGuest};
use crate::config::resolved::HeaderSelection;
use crate::message::{Outcome, Output};
use crate::plugin::instance::{FUEL_PER_OUTCOME, State};
use crate::plugin::window::{self, Addition, Arithmetic, Firing, Merge};
use crate::time::windows::Timing;
use exports::weir::plugin::configurable;
use exports::weir::window0_2_0::aggregation;
use smallvec::SmallVec;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::InstancePre;

wasmtime::component::bindgen!({
    path: "../wit",
    world: "weir:worlds/aggregator",
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
    with: { "weir:plugin": super::operator_0_1_0::weir::plugin },
});

pub(super) static CONTRACT: Contract = Contract {
    world: "weir:window/aggregator@0.2.0",
    exports: &[
        "weir:plugin/configurable@0.1.0",
        "weir:window/aggregation@0.2.0",
    ],
    imports: Capability {
        grant: None,
        interfaces: &[
            "weir:plugin/config@0.1.0",
            "weir:plugin/log@0.1.0",
            "weir:plugin/metrics@0.1.0",
            "weir:plugin/types@0.1.0",
        ],
        // They are linked with the operator.
        link: |_| Ok(()),
    },
    bind,
};

/// The exports of one instance.
pub(in crate::plugin) struct Guest {
    configurable: configurable::Guest,
    aggregation: aggregation::Guest,
}

fn bind(pre: &InstancePre<State>) -> wasmtime::Result<Bind> {
    let configurable = configurable::GuestIndices::new(pre)?;
    let aggregation = aggregation::GuestIndices::new(pre)?;
    Ok(Box::new(move |store, instance| {
        Ok(AnyGuest::Aggregator020(Guest {
            configurable: configurable.load(&mut *store, instance)?,
            aggregation: aggregation.load(store, instance)?,
        }))
    }))
}

impl Guest {
    pub(super) async fn configure(
        &self,
        store: &mut Store<State>,
        config: &str,
    ) -> wasmtime::Result<Result<(), String>> {
        let answer = self.configurable.call_configure(store, config).await?;
        Ok(answer.map_err(bounded))
    }

    pub(super) async fn call(
        &self,
        store: &mut Store<State>,
        call: Call<'_>,
        headers: &HeaderSelection,
    ) -> wasmtime::Result<Vec<Outcome>> {
        let settings = Arc::clone(&store.data().settings);
        let rules = settings.windows.as_deref();
        let (Some(rules), Some((state, operator))) = (rules, store.data().whole_state()) else {
            wasmtime::bail!("it is called without windows or without a state");
        };
        let mut calls = Calls {
            guest: &self.aggregation,
            store,
            headers,
        };
        match call {
            Call::Messages(batch) => {
                window::messages(rules, &state, operator, &mut calls, batch).await
            }
            Call::Timers(due) => window::timers(rules, &state, operator, &mut calls, due).await,
        }
    }
}

/// The arithmetic of one instance.
struct Calls<'a> {
    guest: &'a aggregation::Guest,
    store: &'a mut Store<State>,
    headers: &'a HeaderSelection,
}

impl Calls<'_> {
    /// Divides what one call would hand over: each part has about a quarter of what a call may hand back, or is one
    /// element, and may hand back that much by itself. So it does not depend on others whether a window has a result.
    fn parts<'b, T>(&self, all: &'b [T], size: impl Fn(&T) -> usize) -> Vec<&'b [T]> {
        let most = self.store.data().settings.limits.output_bytes / 4;
        let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0_usize);
        for (end, one) in all.iter().enumerate() {
            let more = size(one);
            if end > start && bytes.saturating_add(more) > most {
                parts.extend(all.get(start..end));
                (start, bytes) = (end, 0);
            }
            bytes = bytes.saturating_add(more);
        }
        parts.extend(all.get(start..).filter(|rest| !rest.is_empty()));
        parts
    }

    /// A call of so many elements begins.
    fn refuel(&mut self, elements: usize) {
        let records = elements.saturating_mul(FUEL_PER_OUTCOME);
        let bytes = self.store.data().settings.limits.output_bytes;
        self.store.set_hostcall_fuel(bytes.saturating_add(records));
    }

    /// Refuses what is larger than an output of the plugin may be.
    fn accumulators(&self, answers: Vec<Result<Vec<u8>, String>>) -> Vec<Result<Vec<u8>, String>> {
        let most = self.store.data().settings.limits.output_bytes;
        let bounded = |accumulator: Vec<u8>| match accumulator.len() {
            bytes if bytes > most => {
                let most = bytesize::ByteSize(most as u64);
                Err(format!(
                    "the accumulator has {bytes} bytes, more than `limits.output` allows, {most}"
                ))
            }
            _ => Ok(accumulator),
        };
        let answers = answers.into_iter();
        answers.map(|answer| answer.and_then(bounded)).collect()
    }
}

impl Arithmetic for Calls<'_> {
    async fn add(
        &mut self,
        additions: &[Addition<'_>],
    ) -> wasmtime::Result<Vec<Result<Vec<u8>, String>>> {
        let messages = || {
            additions
                .iter()
                .flat_map(|one| one.messages.iter().copied())
        };
        let headers = operator_0_1_0::selected(messages(), self.headers);
        let messages = operator_0_1_0::lower(messages(), &headers);
        let mut rest: &[types::Message<'_>] = &messages;
        let lowered = additions.iter().filter_map(|one| {
            let (messages, behind) = rest.split_at_checked(one.messages.len())?;
            rest = behind;
            Some(aggregation::Addition {
                key: one.key,
                accumulator: &one.accumulator,
                messages,
            })
        });
        let lowered: Vec<_> = lowered.collect();
        self.refuel(messages.len());
        let answers = self.guest.call_add(&mut *self.store, &lowered).await?;
        let answers = checked("add", "additions", additions.len(), answers)?;
        Ok(self.accumulators(answers))
    }

    async fn merge(
        &mut self,
        pairs: &[Merge<'_>],
    ) -> wasmtime::Result<Vec<Result<Vec<u8>, String>>> {
        let lowered = pairs.iter().map(|pair| aggregation::Pair {
            key: pair.key,
            left: &pair.left,
            right: &pair.right,
        });
        let lowered: Vec<_> = lowered.collect();
        let mut merged = Vec::with_capacity(pairs.len());
        for part in self.parts(&lowered, |pair| pair.left.len() + pair.right.len()) {
            self.refuel(part.len());
            let answers = self.guest.call_merge(&mut *self.store, part).await?;
            let answers = checked("merge", "pairs", part.len(), answers)?;
            merged.extend(self.accumulators(answers));
        }
        Ok(merged)
    }

    async fn emit(
        &mut self,
        panes: &[Firing<'_>],
    ) -> wasmtime::Result<Vec<Result<SmallVec<[Output; 1]>, String>>> {
        let lowered: Vec<_> = panes.iter().map(lower_pane).collect();
        let outputs = |outputs: Vec<_>| outputs.into_iter().map(operator_0_1_0::output).collect();
        let mut emitted = Vec::with_capacity(panes.len());
        for part in self.parts(&lowered, |pane| pane.accumulator.len()) {
            self.refuel(part.len());
            let answers = self.guest.call_emit(&mut *self.store, part).await?;
            let answers = checked("emit", "panes", part.len(), answers)?;
            emitted.extend(answers.into_iter().map(|one| one.map(outputs)));
        }
        Ok(emitted)
    }
}

/// A record that borrows from the accumulator.
fn lower_pane<'a>(firing: &'a Firing<'_>) -> aggregation::Pane<'a> {
    let pane = firing.pane;
    aggregation::Pane {
        key: firing.key,
        window: aggregation::Window {
            start: pane.window.start,
            end: pane.window.end,
        },
        timing: match pane.timing {
            Timing::Early => aggregation::Timing::Early,
            Timing::OnTime => aggregation::Timing::OnTime,
            Timing::Late => aggregation::Timing::Late,
        },
        index: pane.index,
        accumulator: &firing.accumulator,
    }
}

/// As many answers as there were questions.
fn checked<T>(
    name: &str,
    what: &str,
    expected: usize,
    answers: Vec<Result<T, String>>,
) -> wasmtime::Result<Vec<Result<T, String>>> {
    let got = answers.len();
    if got != expected {
        wasmtime::bail!("`{name}` returned {got} results for {expected} {what}");
    }
    let answers = answers.into_iter();
    Ok(answers.map(|answer| answer.map_err(bounded)).collect())
}
