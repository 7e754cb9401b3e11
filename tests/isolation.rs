//! Whatever a plugin does, only the call that did it fails: the host goes on, the instance is thrown
//! away, and the fault says what happened, where, and with what resources.

use crate::harness::{cache, guests};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use weir::config::resolved::HeaderSelection;
use weir::pipeline::message::{Headers, Message, Outcome};
use weir::plugin::limits::Limits;
use weir::plugin::{Fault, FaultKind, OperatorSettings, Plugin, Runtime, RuntimeOptions, Worker};
use weir::telemetry::metrics::Metrics;

/// One engine for all tests of this file, as in a host.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let cache_dir = Some(cache().join("compiled"));
        let options = RuntimeOptions {
            cache_dir,
            ..RuntimeOptions::default()
        };
        Runtime::new(options).unwrap()
    })
}

fn misbehave() -> Arc<Plugin> {
    static PLUGIN: OnceLock<Arc<Plugin>> = OnceLock::new();
    let load = || runtime().load(&guests::guest("misbehave")).unwrap();
    Arc::clone(PLUGIN.get_or_init(load))
}

/// A worker with a tokio runtime of its own, as a lane has.
struct Lane {
    tokio: tokio::runtime::Runtime,
    worker: Worker,
}

impl Lane {
    fn new(limits: Limits) -> Self {
        Self::configured(limits, "null", HeaderSelection::None)
    }

    fn configured(limits: Limits, config: &str, headers: HeaderSelection) -> Self {
        let settings = OperatorSettings {
            pipeline: "p".into(),
            operator: "o".into(),
            config: config.into(),
            headers,
            limits,
            metrics: Metrics::new().operator("p", "o"),
        };
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let worker = Worker::new(runtime(), misbehave(), Arc::new(settings));
        Self { tokio, worker }
    }

    fn call(&mut self, payloads: &[&str]) -> Result<Vec<Outcome>, Fault> {
        let batch: Vec<Message> = payloads.iter().map(|payload| message(payload)).collect();
        self.tokio.block_on(self.worker.process(&batch))
    }

    fn fault(&mut self, payloads: &[&str]) -> Fault {
        self.call(payloads).unwrap_err()
    }

    /// Which call of its instance this one is, as the instance counts.
    fn calls_served(&mut self) -> String {
        let outcomes = self.call(&["calls"]).unwrap();
        let Outcome::Emit(outputs) = &outcomes[0] else {
            panic!("{outcomes:?}")
        };
        String::from_utf8(outputs[0].payload.clone().unwrap().to_vec()).unwrap()
    }
}

fn message(payload: &str) -> Message {
    Message {
        subject: "orders.a".into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        headers: Headers::default(),
        key: None,
        event_time: 1_700_000_000_000_000_000,
        sequence: 1,
        attempt: 1,
    }
}

#[test]
fn a_trap_is_reported_with_its_stack_and_the_next_call_has_a_fresh_instance() {
    let mut lane = Lane::new(Limits::default());
    assert_eq!(lane.calls_served(), "1");
    assert_eq!(lane.calls_served(), "2");
    let fault = lane.fault(&["fine", "trap"]);
    assert_eq!(fault.kind, FaultKind::Trap, "{fault:?}");
    assert!(!fault.first_call);
    assert!(fault.message.contains("unreachable"), "{}", fault.message);
    assert!(
        fault
            .backtrace
            .iter()
            .any(|frame| frame.ends_with("process_batch")),
        "{:#?}",
        fault.backtrace
    );
    assert!(fault.memory_bytes > 0);
    assert_eq!(lane.calls_served(), "1");
}
