//! Guests by the version and world of the contract that they were built for: a file for each.
//!
//! Such a file has the `bindgen!` of its world, the conversions between its records and the host's
//! messages, and its row of [`CONTRACTS`]. Everything else in the host sees a [`Guest`]. A version or a
//! world more is a file, a row, and a variant: see `docs/adr/0017-guests-are-an-enum-and-capabilities-a-table.md`.

mod aggregator_0_2_0;
mod migration_0_1_0;
#[cfg(test)]
#[path = "../../../../tests/contract/next.rs"]
mod next;
pub(super) mod operator_0_1_0;
pub(super) mod stateful_0_2_0;

use super::capability::Capability;
use super::instance::State;
use crate::config::resolved::HeaderSelection;
use crate::message::{Message, Outcome};
use crate::state::Timer;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

/// A version of a world that this host runs.
pub(super) struct Contract {
    /// With its version, as people name it.
    pub(super) world: &'static str,
    /// What every component of it exports.
    pub(super) exports: &'static [&'static str],
    /// What the contract itself offers to import.
    pub(super) imports: Capability,
    /// Finds the exports in a component that is linked, once for all of its instances.
    pub(super) bind: fn(&InstancePre<State>) -> wasmtime::Result<Bind>,
}

impl Contract {
    /// Whether it has state and timers: it exports the handler of timers, or is called for windows.
    pub(super) fn is_stateful(&self) -> bool {
        let exports = &mut self.exports.iter();
        self.is_windowed() || exports.any(|export| export.starts_with("weir:state/"))
    }

    /// Whether it is called for windows.
    pub(super) fn is_windowed(&self) -> bool {
        let exports = &mut self.exports.iter();
        exports.any(|export| export.starts_with("weir:window/"))
    }
}

/// Takes the exports of an instance.
pub(super) type Bind =
    Box<dyn Fn(&mut Store<State>, &Instance) -> wasmtime::Result<Guest> + Send + Sync>;

/// The contracts that this host runs. Where a component has the exports of several, the last wins.
pub(super) static CONTRACTS: &[&Contract] = &[
    &aggregator_0_2_0::CONTRACT,
    &operator_0_1_0::CONTRACT,
    &stateful_0_2_0::CONTRACT,
    #[cfg(test)]
    &next::CONTRACT,
];

/// The contract that `weir plugin build` builds for.
pub(super) static BUILT: &Contract = &operator_0_1_0::CONTRACT;

/// The contract of plugins that keep state.
pub(super) static STATEFUL: &Contract = &stateful_0_2_0::CONTRACT;

/// The contract of plugins that aggregate windows.
pub(super) static WINDOWED: &Contract = &aggregator_0_2_0::CONTRACT;

/// What a plugin is called with.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// `process`, with a batch.
    Messages(&'a [Message]),
    /// `on-timer`, with timers that are due.
    Timers(&'a [Timer]),
}

impl Call<'_> {
    /// Of how many it is, and what they are.
    pub(super) fn size(&self) -> (usize, &'static str) {
        match self {
            Self::Messages(batch) => (batch.len(), "messages"),
            Self::Timers(due) => (due.len(), "timers"),
        }
    }
}

/// The exports of one instance.
pub(super) enum Guest {
    Operator010(operator_0_1_0::Guest),
    Stateful020(stateful_0_2_0::Guest),
    Aggregator020(aggregator_0_2_0::Guest),
    #[cfg(test)]
    Next(next::Guest),
}

impl Guest {
    /// Hands over the operator's `config:`. The inner error is the plugin's refusal.
    pub(super) async fn configure(
        &self,
        store: &mut Store<State>,
        config: &str,
    ) -> wasmtime::Result<Result<(), String>> {
        match self {
            Self::Operator010(guest) => guest.configure(store, config).await,
            Self::Stateful020(guest) => guest.configure(store, config).await,
            Self::Aggregator020(guest) => guest.configure(store, config).await,
            #[cfg(test)]
            Self::Next(guest) => guest.configure(store, config).await,
        }
    }

    /// As many outcomes as the plugin gave.
    pub(super) async fn call(
        &self,
        store: &mut Store<State>,
        call: Call<'_>,
        headers: &HeaderSelection,
    ) -> wasmtime::Result<Vec<Outcome>> {
        match (self, call) {
            (Self::Operator010(guest), Call::Messages(batch)) => {
                guest.process(store, batch, headers).await
            }
            (Self::Stateful020(guest), Call::Messages(batch)) => {
                let keys = batch.iter().map(Message::state_key);
                guest.migrate(store, keys).await?;
                guest.operator.process(store, batch, headers).await
            }
            (Self::Stateful020(guest), Call::Timers(due)) => guest.on_timer(store, due).await,
            (Self::Aggregator020(guest), call) => guest.call(store, call, headers).await,
            #[cfg(test)]
            (Self::Next(guest), Call::Messages(batch)) => guest.process(store, batch).await,
            // Another version of the plugin has set them.
            (_, Call::Timers(_)) => Err(wasmtime::format_err!("it exports no `on-timer`")),
        }
    }
}
