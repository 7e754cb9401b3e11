//! The host's side of `next.wit`: all that a further version of the contract adds to the host, but for
//! its row and its variant in `host/src/plugin/guest/mod.rs`. Compiled with the library's own tests
//! only.

use super::{Bind, Capability, Contract, Guest as AnyGuest};
use crate::message::{Message, Outcome, Output};
use crate::plugin::instance::State;
use exports::weir::plugin::{configurable, handler};
use smallvec::SmallVec;
use wasmtime::Store;
use wasmtime::component::{HasSelf, InstancePre};
use weir::plugin::{log, types};

wasmtime::component::bindgen!({
    path: "../tests/contract/next.wit",
    world: "operator",
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(super) static CONTRACT: Contract = Contract {
    world: "weir:plugin/operator@0.2.0-test",
    exports: &[
        "weir:plugin/configurable@0.2.0-test",
        "weir:plugin/handler@0.2.0-test",
    ],
    imports: Capability {
        grant: None,
        interfaces: &["weir:plugin/log@0.2.0-test", "weir:plugin/types@0.2.0-test"],
        link: |linker| Operator::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
    },
    bind,
};

impl types::Host for State {}

impl log::Host for State {
    fn write(&mut self, entry: String) {
        self.services.log(tracing::Level::INFO, &entry);
    }
}

/// The exports of one instance.
pub(in crate::plugin) struct Guest {
    configurable: configurable::Guest,
    handler: handler::Guest,
}

fn bind(pre: &InstancePre<State>) -> wasmtime::Result<Bind> {
    let configurable = configurable::GuestIndices::new(pre)?;
    let handler = handler::GuestIndices::new(pre)?;
    Ok(Box::new(move |store, instance| {
        Ok(AnyGuest::Next(Guest {
            configurable: configurable.load(&mut *store, instance)?,
            handler: handler.load(store, instance)?,
        }))
    }))
}

impl Guest {
    pub(super) async fn configure(
        &self,
        store: &mut Store<State>,
        config: &str,
    ) -> wasmtime::Result<Result<(), String>> {
        self.configurable.call_configure(store, config).await
    }

    pub(super) async fn process(
        &self,
        store: &mut Store<State>,
        batch: &[Message],
    ) -> wasmtime::Result<Vec<Outcome>> {
        let messages: Vec<types::Message<'_>> = batch.iter().map(lower).collect();
        let outcomes = self.handler.call_process(store, &messages).await?;
        Ok(outcomes.into_iter().map(lift).collect())
    }
}

fn lower(message: &Message) -> types::Message<'_> {
    types::Message {
        subject: &message.subject,
        payload: &message.payload,
        redelivered: message.attempt > 1,
    }
}

fn lift(outcome: types::Outcome) -> Outcome {
    Outcome::Emit(match outcome {
        types::Outcome::Pass => SmallVec::from([Output::default()]),
        types::Outcome::Drop => SmallVec::new(),
    })
}
