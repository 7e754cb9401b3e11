//! The host's side of `next.wit`: all that a further version of the contract adds to the host, but for
//! its row and its variant in `host/src/plugin/guest/mod.rs`. Compiled with the library's own tests
//! only, which are below: it runs beside the published contract.

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

#[expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
mod tests {
    use super::*;
    use crate::config::limits::Limits;
    use crate::config::resolved::HeaderSelection;
    use crate::headers::Headers;
    use crate::plugin::{
        HostServices, LoadOptions, OperatorSettings, Plugin, Runtime, RuntimeOptions, Worker,
        component, contract,
    };
    use crate::telemetry::metrics::Metrics;
    use bytes::Bytes;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex};
    use tracing::Level;
    use wit_component::{StringEncoding, embed_component_metadata};
    use wit_parser::Resolve;

    /// A file of the repository's `tests/`.
    fn file(name: &str) -> PathBuf {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
        tests.join(name)
    }

    /// A plugin of the next contract, encoded from its text.
    fn next() -> Vec<u8> {
        let mut module = wat::parse_file(file("contract/next.wat")).unwrap();
        let mut resolve = Resolve::default();
        let package = resolve.push_file(file("contract/next.wit")).unwrap();
        let world = resolve.select_world(&[package], Some("operator")).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        component::encode(&module).unwrap()
    }

    /// A lane that keeps what its guests log.
    #[derive(Default)]
    struct Entries(Mutex<Vec<String>>);

    impl HostServices for Entries {
        fn is_logged(&self, _: Level) -> bool {
            true
        }

        fn log(&self, level: Level, entry: &str) {
            self.0.lock().unwrap().push(format!("{level} {entry}"));
        }
    }

    fn message(attempt: u32) -> Message {
        Message {
            watermark: None,
            is_late: false,
            foreign: None,
            subject: "orders.a".into(),
            payload: Bytes::from_static(b"{}"),
            headers: Headers::default(),
            key: None,
            source: None,
            event_time: 0,
            sequence: 1,
            attempt,
        }
    }

    #[test]
    fn components_of_two_contract_versions_run_side_by_side() {
        let options = RuntimeOptions {
            cache_dir: None,
            max_instances: 4,
            compiler: None,
        };
        let runtime = Runtime::new(options).unwrap();
        let published = runtime.load(&file("witness/operator-0.1.0.wasm")).unwrap();
        let next = runtime.load_bytes(&next(), "next.wasm", LoadOptions::default());
        let next = next.unwrap();
        assert_eq!(published.contract(), "weir:plugin/operator@0.1.0");
        assert_eq!(next.contract(), "weir:plugin/operator@0.2.0-test");

        let entries = Arc::<Entries>::default();
        let worker = |plugin: Arc<Plugin>| {
            let settings = OperatorSettings {
                pipeline: "shop".into(),
                operator: "price".into(),
                config: "null".into(),
                headers: HeaderSelection::All,
                limits: Limits::default(),
                windows: None,
                metrics: Metrics::new().operator("shop", "price"),
            };
            Worker::new(&runtime, plugin, Arc::new(settings)).with_services(entries.clone())
        };
        let (mut published, mut next) = (worker(published), worker(next));
        let batch = [message(1), message(2)];
        let mut tokio = tokio::runtime::Builder::new_current_thread();
        let tokio = tokio.enable_all().build().unwrap();
        let pass = Outcome::Emit(SmallVec::from([Output::default()]));
        let drop = Outcome::Emit(SmallVec::new());
        for _ in 0..2 {
            let outcomes = tokio.block_on(published.process(&batch)).unwrap();
            assert_eq!(outcomes, [pass.clone(), pass.clone()]);
            let outcomes = tokio.block_on(next.process(&batch)).unwrap();
            assert_eq!(outcomes, [pass.clone(), drop.clone()]);
        }
        assert_eq!(*entries.0.lock().unwrap(), ["INFO one batch"; 2]);
    }

    #[test]
    fn a_component_that_was_built_for_several_contracts_runs_as_the_newest() {
        let of =
            |version| ["configurable", "handler"].map(|it| format!("weir:plugin/{it}@{version}"));
        let (old, new) = (of("0.1.0"), of("0.2.0-test"));
        let both = [new.clone(), old.clone()].concat();
        let world = |exports: &[String]| contract::find(&[], exports).map(|found| found.world);
        assert_eq!(world(&old).unwrap(), "weir:plugin/operator@0.1.0");
        assert_eq!(world(&both).unwrap(), "weir:plugin/operator@0.2.0-test");
        let mixed = [old[0].clone(), new[1].clone()];
        let refusal = world(&mixed).unwrap_err().to_string();
        assert_eq!(refusal, format!("it does not export `{}`", new[0]));
    }

    #[test]
    fn a_refusal_names_every_version_that_the_host_runs() {
        let refusal = contract::find(&[], &["weir:plugin/handler@0.3.0".to_owned()]);
        assert_eq!(
            refusal.err().unwrap().to_string(),
            "it was built for version 0.3.0 of the contract `weir:plugin`; this host runs 0.1.0 and \
             0.2.0-test"
        );
    }
}
