//! A warm plugin and a batch of messages for it.

use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime as Tokio};
use weir::config::limits::Limits;
use weir::config::resolved::HeaderSelection;
use weir::headers::Headers;
use weir::message::Message;
use weir::plugin::{OperatorSettings, Runtime, RuntimeOptions, Worker};
use weir::telemetry::metrics::Metrics;

/// Messages in a batch.
pub(crate) const BATCH: u64 = 64;

/// What the plugin does, and with which messages.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// 128 bytes, passed on as they came.
    Identity,
    /// The same, and the plugin sees eight headers.
    Headers,
    /// An order of some 300 bytes, to which its total is added.
    Json,
}

/// One warm instance and its batch.
pub(crate) struct Border {
    tokio: Tokio,
    worker: Worker,
    batch: Vec<Message>,
}

impl Border {
    pub(crate) fn new(work: Work) -> Self {
        let (tokio, worker) = warm(work);
        let batch = (1..=BATCH).map(|number| message(work, number)).collect();
        let mut border = Self {
            tokio,
            worker,
            batch,
        };
        // The first call touches pages and grows buffers that the others find.
        border.call();
        border
    }

    /// Calls the plugin with the batch; how many outcomes it gave.
    pub(crate) fn call(&mut self) -> usize {
        let answered = self.worker.process(&self.batch);
        self.tokio.block_on(answered).unwrap().len()
    }
}

/// A worker that has been configured.
pub(crate) fn warm(work: Work) -> (Tokio, Worker) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let options = RuntimeOptions {
        cache_dir: Some(root.join("target/bench/instructions")),
        max_instances: 4,
        compiler: None,
    };
    let runtime = Runtime::new(options).unwrap();
    let plugin = runtime.load(&component(&root, work)).unwrap();
    let settings = OperatorSettings {
        pipeline: "bench".into(),
        operator: "work".into(),
        config: "null".into(),
        headers: match work {
            Work::Headers => HeaderSelection::All,
            Work::Identity | Work::Json => HeaderSelection::None,
        },
        limits: Limits {
            // Under valgrind everything takes fifty times as long.
            deadline: std::time::Duration::from_secs(600),
            ..Limits::default()
        },
        windows: None,
        metrics: Metrics::new().operator("bench", "work"),
    };
    let mut worker = Worker::new(&runtime, plugin, Arc::new(settings));
    let tokio = Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(worker.warm()).unwrap();
    (tokio, worker)
}

/// The component, for whichever of the two targets it was built.
fn component(root: &Path, work: Work) -> PathBuf {
    let name = match work {
        Work::Identity | Work::Headers => "identity.wasm",
        Work::Json => "json.wasm",
    };
    let built = |target: &&str| {
        let folder = root.join("target/guests").join(target);
        let file = folder.join("release").join(name);
        file.is_file().then_some(file)
    };
    let targets = ["wasm32-wasip2", "wasm32-unknown-unknown"];
    targets.iter().find_map(built).unwrap()
}

/// The message with this number; its sequence.
pub(crate) fn message(work: Work, number: u64) -> Message {
    let headers = match work {
        Work::Headers => (0..8)
            .map(|line| {
                (
                    format!("Name-{line}").into(),
                    format!("value {line}").into(),
                )
            })
            .collect(),
        Work::Identity | Work::Json => Headers::default(),
    };
    Message {
        watermark: None,
        is_late: false,
        source: None,
        foreign: None,
        subject: "bench.in".into(),
        payload: payload(work, number),
        headers,
        key: None,
        event_time: 0,
        sequence: number,
        attempt: 1,
    }
}

fn payload(work: Work, number: u64) -> Bytes {
    match work {
        Work::Identity | Work::Headers => format!("{number:0128}").into(),
        Work::Json => {
            let line = |index: u64| {
                let item = format!("item-{}", (number * 7 + index) % 5000);
                serde_json::json!({"item": item, "quantity": 1 + index, "unit-cents": 99 + number})
            };
            let lines: Vec<_> = (0..4).map(line).collect();
            let order = serde_json::json!({
                "id": number, "user": "ann", "currency": "EUR", "lines": lines,
            });
            order.to_string().into()
        }
    }
}
