//! A contract that only the tests have, in `tests/contract/`, runs beside the published one.

use crate::config::limits::Limits;
use crate::config::resolved::HeaderSelection;
use crate::headers::Headers;
use crate::message::{Message, Outcome, Output};
use crate::plugin::{
    HostServices, LoadOptions, OperatorSettings, Plugin, Runtime, RuntimeOptions, Worker,
    component, contract,
};
use crate::telemetry::metrics::Metrics;
use bytes::Bytes;
use smallvec::SmallVec;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tracing::Level;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The repository's `tests/`.
fn tests() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests")
}

/// A plugin of the next contract, encoded from its text.
fn next() -> Vec<u8> {
    let mut module = wat::parse_file(tests().join("contract/next.wat")).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve
        .push_file(tests().join("contract/next.wit"))
        .unwrap();
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
        subject: "orders.a".into(),
        payload: Bytes::from_static(b"{}"),
        headers: Headers::default(),
        key: None,
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
    };
    let runtime = Runtime::new(options).unwrap();
    let witness = tests().join("witness/operator-0.1.0.wasm");
    let published = runtime.load(&witness).unwrap();
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
    let of = |version| ["configurable", "handler"].map(|it| format!("weir:plugin/{it}@{version}"));
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
