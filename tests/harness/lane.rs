//! One operator on one lane without a pipeline around it: a worker and the tokio runtime it needs.

use super::{cache, guests};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use weir::config::limits::Limits;
use weir::config::resolved::HeaderSelection;
use weir::headers::Headers;
use weir::message::{Message, Outcome};
use weir::plugin::{Fault, OperatorSettings, Plugin, Runtime, RuntimeOptions, Worker};
use weir::telemetry::metrics::{Metrics, OperatorMetrics};

/// One engine for all tests, as in a host; what it compiles is kept between runs.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let options = RuntimeOptions {
            cache_dir: Some(cache().join("compiled")),
            compiler: Some(env!("CARGO_BIN_EXE_weir").into()),
            ..RuntimeOptions::default()
        };
        Runtime::new(options).unwrap()
    })
}

/// A guest of `tests/guests/`, loaded.
pub fn plugin(name: &str) -> Arc<Plugin> {
    runtime().load(&guests::guest(name)).unwrap()
}

/// As by default, with a deadline that no call of a test comes near on a busy machine.
pub fn limits() -> Limits {
    Limits {
        deadline: Duration::from_secs(60),
        ..Limits::default()
    }
}

/// What runs a plugin as an operator of the pipeline `shop`.
pub fn worker(operator: &str, plugin: Arc<Plugin>, limits: Limits, config: &str) -> Worker {
    let settings = OperatorSettings {
        pipeline: "shop".into(),
        operator: operator.into(),
        config: config.into(),
        headers: HeaderSelection::All,
        limits,
        windows: None,
        metrics: Metrics::new().operator("shop", operator),
    };
    Worker::new(runtime(), plugin, Arc::new(settings))
}

/// A runtime that waits on the thread of the test.
pub fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A worker, and what drives it.
pub struct Lane {
    pub tokio: tokio::runtime::Runtime,
    pub worker: Worker,
    pub metrics: Arc<OperatorMetrics>,
}

impl Lane {
    /// The misbehaving guest, without configuration.
    pub fn misbehaving(limits: Limits) -> Self {
        Self::new(plugin("misbehave"), limits, "null")
    }

    pub fn new(plugin: Arc<Plugin>, limits: Limits, config: &str) -> Self {
        let worker = worker("price", plugin, limits, config);
        let metrics = Arc::clone(&worker.settings().metrics);
        Self {
            tokio: tokio(),
            worker,
            metrics,
        }
    }

    /// Calls with a batch of messages that have these payloads.
    pub fn call(&mut self, payloads: &[&str]) -> Result<Vec<Outcome>, Fault> {
        let batch: Vec<Message> = payloads.iter().map(|payload| message(payload)).collect();
        self.tokio.block_on(self.worker.process(&batch))
    }

    /// A call that must fail.
    pub fn fault(&mut self, payloads: &[&str]) -> Fault {
        self.call(payloads).unwrap_err()
    }

    /// The payload of the only output for a message with this payload.
    pub fn output(&mut self, payload: &str) -> String {
        let outcomes = self.call(&[payload]).unwrap();
        let [Outcome::Emit(outputs)] = &*outcomes else {
            panic!("{outcomes:?}")
        };
        assert_eq!(outputs.len(), 1);
        String::from_utf8(outputs[0].payload.clone().unwrap().to_vec()).unwrap()
    }
}

/// A message on `orders.a` with this payload.
pub fn message(payload: &str) -> Message {
    Message {
        watermark: None,
        is_late: false,
        foreign: None,
        subject: "orders.a".into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        headers: Headers::default(),
        key: None,
        source: None,
        event_time: 1_700_000_000_000_000_000,
        sequence: 1,
        attempt: 1,
    }
}
