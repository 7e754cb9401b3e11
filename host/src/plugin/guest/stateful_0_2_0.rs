//! The world `weir:state/stateful-operator@0.2.0`: an operator that keeps state and sets timers.
//!
//! Everything but the timers is the operator of `operator_0_1_0.rs`, with the same records. What the plugin
//! imports of state is in `capability/state.rs`; values in older formats are in `migration_0_1_0.rs`.

use super::{Bind, Capability, Contract, Guest as AnyGuest, migration_0_1_0, operator_0_1_0};
use crate::message::Outcome;
use crate::plugin::instance::State;
use crate::state::{Clock, Timer};
use exports::weir::state0_2_0::timer_handler;
use wasmtime::Store;
use wasmtime::component::{HasSelf, InstancePre};

wasmtime::component::bindgen!({
    path: "../wit",
    world: "weir:worlds/stateful-operator",
    imports: { default: trappable },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
    with: { "weir:plugin": super::operator_0_1_0::weir::plugin },
});

use self::weir::state0_2_0::{state, timers};

pub(super) static CONTRACT: Contract = Contract {
    world: "weir:state/stateful-operator@0.2.0",
    exports: &[
        "weir:plugin/configurable@0.1.0",
        "weir:plugin/handler@0.1.0",
        "weir:state/timer-handler@0.2.0",
    ],
    imports: Capability {
        grant: None,
        interfaces: &[
            "weir:plugin/config@0.1.0",
            "weir:plugin/log@0.1.0",
            "weir:plugin/metrics@0.1.0",
            "weir:plugin/types@0.1.0",
            "weir:state/state@0.2.0",
            "weir:state/timers@0.2.0",
        ],
        // Those of `weir:plugin` are linked with the operator.
        link: |linker| {
            state::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
            timers::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        },
    },
    bind,
};

/// The exports of one instance.
pub(in crate::plugin) struct Guest {
    pub(super) operator: operator_0_1_0::Guest,
    timer_handler: timer_handler::Guest,
    migration: Option<migration_0_1_0::Guest>,
}

fn bind(pre: &InstancePre<State>) -> wasmtime::Result<Bind> {
    let operator = operator_0_1_0::Exports::find(pre)?;
    let timer_handler = timer_handler::GuestIndices::new(pre)?;
    let migration = migration_0_1_0::Export::find(pre);
    Ok(Box::new(move |store, instance| {
        let migration = migration.as_ref();
        let migration = migration.map(|export| export.take(&mut *store, instance));
        Ok(AnyGuest::Stateful020(Guest {
            operator: operator.take(&mut *store, instance)?,
            migration: migration.transpose()?,
            timer_handler: timer_handler.load(store, instance)?,
        }))
    }))
}

impl Guest {
    pub(super) async fn configure(
        &self,
        store: &mut Store<State>,
        config: &str,
    ) -> wasmtime::Result<Result<(), String>> {
        let configured = self.operator.configure(store, config).await?;
        if let Some(migration) = &self.migration {
            store.data_mut().format = migration.format(store).await?;
        }
        Ok(configured)
    }

    /// Brings the values of these keys to the format of this version, if it has one.
    pub(super) async fn migrate<'a>(
        &self,
        store: &mut Store<State>,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> wasmtime::Result<()> {
        match &self.migration {
            Some(migration) => migration.migrate(store, keys).await,
            None => Ok(()),
        }
    }

    pub(super) async fn on_timer(
        &self,
        store: &mut Store<State>,
        due: &[Timer],
    ) -> wasmtime::Result<Vec<Outcome>> {
        let keys = due.iter().map(|timer| &*timer.key);
        self.migrate(store, keys).await?;
        let due = due.iter().map(lower).collect::<Result<Vec<_>, _>>()?;
        let outcomes = self.timer_handler.call_on_timer(store, &due).await?;
        Ok(outcomes.into_iter().map(operator_0_1_0::outcome).collect())
    }
}

/// A record that borrows from the timer.
fn lower(timer: &Timer) -> wasmtime::Result<timer_handler::Timer<'_>> {
    Ok(timer_handler::Timer {
        key: str::from_utf8(&timer.key)?,
        tag: str::from_utf8(&timer.tag)?,
        clock: match timer.clock {
            Clock::EventTime => timers::Clock::EventTime,
            Clock::ProcessingTime => timers::Clock::ProcessingTime,
        },
        at: timer.at,
    })
}
