//! `plugins/sdk/conformance/stateful.yaml`, read and run: a plugin with state, on a state of the host's.

use super::{Subject, memory, run, tokio};
use crate::harness::repository;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use weir::config::resolved::Bounds;
use weir::message::Message;
use weir::process::chain::{Chain, Verdict};
use weir::process::route::OperatorSet;
use weir::state::{Clock, SharedState};

/// Batches of a stretch of the soak, and messages in each. The plugin keeps as many values and timers.
const BATCHES: usize = 20;
const MESSAGES: usize = 250;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    cases: Vec<Case>,
}

/// A fresh instance on an empty state.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Bytes of the partition's state.
    budget: Option<u64>,
    steps: Vec<Step>,
}

/// A batch, or timers that fire; the time first, where it moves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// In milliseconds since the Unix epoch.
    at: Option<u64>,
    watermark: Option<u64>,
    #[serde(default)]
    batch: Vec<Input>,
    fire: Option<Which>,
    #[serde(default)]
    upto: u64,
    ends: Vec<End>,
}

#[derive(Deserialize)]
struct Input {
    #[serde(rename = "do")]
    case: String,
    key: Option<String>,
    #[serde(flatten)]
    payload: serde_json::Map<String, Value>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    Event,
    Processing,
}

/// What must become of a message or a timer.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum End {
    Drop,
    /// One output, compared as a value.
    Json(Value),
    Retry(String),
    /// Part of what is known of its end.
    Dead(String),
}

impl Input {
    fn message(&self) -> Message {
        Message {
            watermark: None,
            is_late: false,
            foreign: None,
            subject: format!("state.{}", self.case).into(),
            payload: serde_json::to_vec(&self.payload).unwrap().into(),
            headers: weir::headers::Headers::default(),
            key: self.key.as_deref().map(Into::into),
            source: None,
            event_time: 0,
            sequence: 1,
            attempt: 1,
        }
    }
}

/// One operator, and the state of its partition.
struct Job {
    chain: Chain,
    state: SharedState,
    memory: std::sync::Arc<weir::telemetry::metrics::OperatorMetrics>,
}

impl Job {
    fn new(subject: &Subject, budget: u64) -> Self {
        let counted = subject.worker("null");
        let bounds = Bounds {
            messages: 1000,
            bytes: 1 << 20,
        };
        Self {
            chain: Chain::new(vec![counted.worker], bounds),
            state: SharedState::scratch(["suite"], budget).unwrap(),
            memory: counted.operator,
        }
    }

    async fn run(&mut self, batch: Vec<Message>) -> Vec<Verdict> {
        let batch = batch.into_iter();
        let batch = batch.map(|message| (message, OperatorSet::ALL));
        self.chain.run_on(batch.collect(), &mut self.state).await
    }

    async fn step(&mut self, step: &Step) -> Vec<Verdict> {
        if let Some(at) = step.at {
            self.state.lock().begin(at * 1_000_000);
        }
        if let Some(watermark) = step.watermark {
            self.state.lock().set_watermark(watermark);
        }
        let clock = match step.fire {
            None => {
                return self
                    .run(step.batch.iter().map(Input::message).collect())
                    .await;
            }
            Some(Which::Event) => Clock::EventTime,
            Some(Which::Processing) => Clock::ProcessingTime,
        };
        let due = self.state.lock().take_due(clock, step.upto, 100);
        self.chain.fire(0, due, None, &mut self.state).await
    }
}

/// Runs all cases, and tells of those that fail.
pub fn conforms(subject: &Subject) {
    let path = repository().join("plugins/sdk/conformance/stateful.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let suite: Suite = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    assert!(suite.cases.len() > 10, "the suite is not whole");
    let tokio = tokio();
    let failed = suite.cases.iter().filter_map(|case| {
        let failed = tokio.block_on(passes(subject, case)).err()?;
        Some(format!("{}: {failed}", case.name))
    });
    let failed: Vec<String> = failed.collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    if let Err(error) = tokio.block_on(stays_flat(subject)) {
        panic!("{error}");
    }
}

async fn passes(subject: &Subject, case: &Case) -> Result<(), String> {
    let mut job = Job::new(subject, case.budget.unwrap_or(u64::MAX));
    for (number, step) in case.steps.iter().enumerate() {
        let verdicts = job.step(step).await;
        if verdicts.len() != step.ends.len() {
            return Err(format!("step {number}: {} ends", verdicts.len()));
        }
        for (index, (verdict, end)) in verdicts.iter().zip(&step.ends).enumerate() {
            agrees(verdict, end).map_err(|error| format!("step {number}, {index}: {error}"))?;
        }
    }
    Ok(())
}

fn agrees(verdict: &Verdict, end: &End) -> Result<(), String> {
    let agree = match (verdict, end) {
        (Verdict::Publish(outputs), End::Drop) => outputs.is_empty(),
        (Verdict::Publish(outputs), End::Json(json)) => match outputs.as_slice() {
            [output] => read(&output.payload).as_ref() == Some(json),
            _ => false,
        },
        (Verdict::Retry(retry), End::Retry(reason)) => retry.reason == *reason,
        (Verdict::Dead(rejection), End::Dead(words)) => run::said(rejection).contains(words),
        _ => false,
    };
    agree.then_some(()).ok_or_else(|| format!("{verdict:?}"))
}

fn read(payload: &Bytes) -> Option<Value> {
    serde_json::from_slice(payload).ok()
}

/// Memory over many reads, writes, scans and timers, as for a plugin without state.
async fn stays_flat(subject: &Subject) -> Result<(), String> {
    let mut job = Job::new(subject, u64::MAX);
    let inputs = (0..MESSAGES).map(|number| {
        let (case, payload) = match number % 5 {
            0 => ("scan", json!({"limit": 9})),
            1 => (
                "note",
                json!({"note": {"text": "x".repeat(500), "n": number}}),
            ),
            2 => ("counts", json!({"keys": ["key-3", "key-8", "none"]})),
            3 => ("count", json!({})),
            _ => ("timer", json!({"tag": "count", "event_time": 5})),
        };
        let key = Some(format!("key-{}", number % 40));
        Input {
            case: case.into(),
            key,
            payload: payload.as_object().unwrap().clone(),
        }
    });
    let inputs: Vec<Input> = inputs.collect();
    memory::stays_flat(subject, BATCHES, async |_| {
        let mut verdicts = job.run(inputs.iter().map(Input::message).collect()).await;
        let due = job.state.lock().take_due(Clock::EventTime, 9, MESSAGES);
        verdicts.extend(job.chain.fire(0, due, None, &mut job.state).await);
        all_published(&verdicts)?;
        Ok(job.memory.memory_bytes.get())
    })
    .await
}

/// No message of a soak has another end.
pub fn all_published(verdicts: &[Verdict]) -> Result<(), String> {
    let other = |end: &&Verdict| !matches!(end, Verdict::Publish(_));
    match verdicts.iter().find(other) {
        Some(other) => Err(format!("{other:?}")),
        None => Ok(()),
    }
}
