//! One component in weir's runtime: how long it takes to compile, to start and to call, and how
//! much memory it holds.
//!
//! Times are those of the processor, not of the clock: other work on the machine does not count.

use crate::clock::{process_time, thread_time};
use crate::scene::closed_folder;
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use weir::config::limits::Limits;
use weir::config::resolved::HeaderSelection;
use weir::headers::Headers;
use weir::message::{Message, Outcome};
use weir::plugin::{LoadOptions, OperatorSettings, Plugin, Runtime, RuntimeOptions, Worker};
use weir::telemetry::metrics::{Metrics, OperatorMetrics};

/// Messages in a call, as many as a pipeline's batch holds unless it says otherwise.
const BATCH: usize = 64;

/// Bytes of a payload.
const PAYLOAD: usize = 1024;

/// Calls before the first that is measured.
const WARM_UP: usize = 50;

/// Parts that the calls are measured in; the middle one counts.
const ROUNDS: usize = 9;

/// Instances that are started to measure a start.
const STARTS: u32 = 20;

/// Memory that an instance may have: more than the heaviest runtime takes.
const MEMORY: usize = 192 << 20;

/// What one component costs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cost {
    /// Bytes of the file.
    pub(crate) size: u64,
    /// Seconds of processor to compile it, once for each version of the file.
    pub(crate) compile_seconds: f64,
    /// Milliseconds to load what was compiled before.
    pub(crate) load_ms: f64,
    /// Microseconds to make an instance and configure it.
    pub(crate) start_us: f64,
    /// Microseconds of a call, for each of its messages.
    pub(crate) message_us: f64,
    /// Bytes of an instance that has been configured.
    pub(crate) memory_at_start: i64,
    /// The most bytes of an instance in the first and in the second half of the messages.
    pub(crate) memory_halves: [i64; 2],
    /// Instances that served the messages; more than one where memory grew without end.
    pub(crate) instances: u64,
}

/// Measures the component at `path` over `messages` messages.
pub(crate) fn measure(path: &Path, messages: usize) -> Result<Cost> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let cache = path.with_extension("compiled");
    closed_folder(&cache)?;
    let open = || {
        Runtime::new(RuntimeOptions {
            cache_dir: Some(cache.clone()),
            max_instances: 4,
            compiler: None,
        })
    };
    let before = process_time()?;
    open()?.load_bytes(&bytes, "bench", LoadOptions::default())?;
    let compile_seconds = process_time()? - before;
    let runtime = open()?;
    let before = thread_time();
    let plugin = runtime.load_bytes(&bytes, "bench", LoadOptions::default())?;
    let load = thread_time() - before;
    if !plugin.from_cache() {
        bail!("the compiled component is not in the cache");
    }
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let subject = Subject { runtime, plugin };
    let start_us = tokio.block_on(subject.start())?;
    let calls = tokio.block_on(subject.call(messages))?;
    Ok(Cost {
        size: bytes.len() as u64,
        compile_seconds,
        load_ms: load.as_secs_f64() * 1e3,
        start_us,
        message_us: calls.message_us,
        memory_at_start: calls.memory_at_start,
        memory_halves: calls.memory_halves,
        instances: calls.instances,
    })
}

struct Subject {
    runtime: Runtime,
    plugin: Arc<Plugin>,
}

struct Calls {
    message_us: f64,
    memory_at_start: i64,
    memory_halves: [i64; 2],
    instances: u64,
}

impl Subject {
    fn worker(&self) -> (Worker, Arc<OperatorMetrics>) {
        let metrics = Metrics::new().operator("bench", "hot-rooms");
        let settings = OperatorSettings {
            pipeline: "bench".into(),
            operator: "hot-rooms".into(),
            config: r#"{"limit":30}"#.into(),
            headers: HeaderSelection::None,
            limits: Limits {
                memory_bytes: MEMORY,
                recycle_bytes: MEMORY / 4 * 3,
                deadline: Duration::from_secs(30),
                ..Limits::default()
            },
            windows: None,
            metrics: Arc::clone(&metrics),
        };
        let plugin = Arc::clone(&self.plugin);
        let worker = Worker::new(&self.runtime, plugin, Arc::new(settings));
        (worker, metrics)
    }

    /// Microseconds to make and configure an instance.
    async fn start(&self) -> Result<f64> {
        // The first touches pages of the compiled code that the others find in memory.
        self.worker().0.warm().await?;
        let before = thread_time();
        for _ in 0..STARTS {
            self.worker().0.warm().await?;
        }
        Ok((thread_time() - before).as_secs_f64() * 1e6 / f64::from(STARTS))
    }

    async fn call(&self, messages: usize) -> Result<Calls> {
        let batch = batch();
        let (mut worker, metrics) = self.worker();
        worker.warm().await?;
        let memory_at_start = metrics.memory_bytes.get();
        let total = (messages / BATCH).max(WARM_UP + ROUNDS);
        let round = ((total - WARM_UP) / ROUNDS).max(1);
        let mut halves = [0, 0];
        let mut times = Vec::new();
        let mut before = thread_time();
        for number in 0..total {
            if number == WARM_UP {
                before = thread_time();
            }
            let outcomes = worker.process(&batch).await;
            let outcomes = outcomes.map_err(|fault| anyhow!("{fault}: {}", fault.stderr))?;
            if number == 0 {
                check(&outcomes)?;
            }
            let half = usize::from(number * 2 >= total);
            if let Some(most) = halves.get_mut(half) {
                *most = (*most).max(metrics.memory_bytes.get());
            }
            if number > WARM_UP && (number - WARM_UP).is_multiple_of(round) {
                let now = thread_time();
                let messages = u32::try_from(round * BATCH).unwrap_or(u32::MAX);
                times.push((now - before).as_secs_f64() * 1e6 / f64::from(messages));
                before = now;
            }
        }
        times.sort_by(f64::total_cmp);
        Ok(Calls {
            message_us: times.get(times.len() / 2).copied().unwrap_or_default(),
            memory_at_start,
            memory_halves: halves,
            instances: metrics.instances_created.get(),
        })
    }
}

/// Readings of a sensor of about [`PAYLOAD`] bytes, every second one above the limit.
fn batch() -> Vec<Message> {
    (0..BATCH)
        .map(|number| {
            let celsius = if number % 2 == 0 { 12.5 } else { 31.5 };
            let reading = |history: &[f64]| {
                serde_json::json!({
                    "sensor": format!("room-{number}"),
                    "site": {"name": "Hauptgebäude", "floor": 3, "tags": ["north", "roof \"A\""]},
                    "history": history,
                    "celsius": celsius,
                })
                .to_string()
            };
            let mut history = Vec::new();
            let mut payload = reading(&history);
            while payload.len() < PAYLOAD {
                history.push(20.25 + f64::from(u32::try_from(history.len() % 40).unwrap_or(0)));
                payload = reading(&history);
            }
            Message {
                watermark: None,
                is_late: false,
                source: None,
                foreign: None,
                subject: "readings.room".into(),
                payload: Bytes::from(payload),
                headers: Headers::default(),
                key: None,
                event_time: 1_790_000_000_000_000_000,
                sequence: number as u64 + 1,
                attempt: 1,
            }
        })
        .collect()
}

/// The plugin must have done the work that is measured.
fn check(outcomes: &[Outcome]) -> Result<()> {
    for (number, outcome) in outcomes.iter().enumerate() {
        let expected = usize::from(number % 2 == 1);
        match outcome {
            Outcome::Emit(outputs) if outputs.len() == expected => {}
            other => bail!("message {number} is {other:?}, not {expected} outputs"),
        }
    }
    Ok(())
}
