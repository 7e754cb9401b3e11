//! `plugins/sdk/conformance/aggregator.yaml`, read and run: an aggregator, with the windows of a pipeline file on a
//! state of the host's.

use super::{Subject, memory, run, stateful, tokio};
use crate::harness::{put, repository};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use weir::config::Loader;
use weir::config::resolved::Bounds;
use weir::config::windows::state_id;
use weir::message::Message;
use weir::process::chain::{Chain, Verdict};
use weir::process::route::OperatorSet;
use weir::state::{Clock, SharedState};
use weir::time::windows::Windows;

/// Batches of a stretch of the soak, and messages in each.
const BATCHES: usize = 40;
const MESSAGES: usize = 250;

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

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
    /// What stands under `window:`.
    window: Value,
    #[serde(default)]
    config: Value,
    /// What `configure` must refuse the configuration with; there are no steps then.
    refused: Option<String>,
    steps: Vec<Step>,
}

/// A batch, or what becomes due.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default)]
    batch: Vec<Input>,
    /// In seconds, as the others.
    watermark: Option<u64>,
    clock: Option<u64>,
    ends: Vec<End>,
}

#[derive(Deserialize)]
struct Input {
    #[serde(rename = "do")]
    case: String,
    key: Option<String>,
    at: u64,
    #[serde(flatten)]
    payload: serde_json::Map<String, Value>,
}

/// What must become of a message or a window.
#[derive(Deserialize)]
#[serde(untagged)]
enum End {
    /// Outputs with these payloads, compared as values, and with the key of the window.
    Panes(Vec<Value>),
    /// Part of what is known of its end.
    Dead {
        dead: String,
    },
    Set {
        set: Set,
    },
}

/// An output that leaves nothing out.
#[derive(Deserialize)]
struct Set {
    subject: String,
    key: String,
    header: [String; 2],
    text: String,
}

/// One operator with windows, and the state of its partition.
struct Job {
    chain: Chain,
    state: SharedState,
    watermark: Option<u64>,
    memory: Arc<weir::telemetry::metrics::OperatorMetrics>,
}

impl Job {
    fn new(subject: &Subject, window: &Value, config: &Value) -> Self {
        let windows = windows(window);
        let id = state_id("suite", Some(&windows)).into_owned();
        let counted = subject.worker_with(&config.to_string(), Some(windows));
        let bounds = Bounds {
            messages: 1000,
            bytes: 1 << 20,
        };
        Self {
            chain: Chain::new(vec![counted.worker], bounds),
            state: SharedState::scratch([&*id], u64::MAX).unwrap(),
            watermark: None,
            memory: counted.operator,
        }
    }

    async fn run(&mut self, batch: &[Input]) -> Vec<Verdict> {
        let watermark = self.watermark.map(u64::cast_signed);
        let batch = batch.iter().map(|input| {
            let message = Message {
                watermark,
                is_late: false,
                foreign: None,
                subject: format!("window.{}", input.case).into(),
                payload: serde_json::to_vec(&input.payload).unwrap().into(),
                headers: weir::headers::Headers::default(),
                key: input.key.as_deref().map(Into::into),
                source: None,
                event_time: input.at * SECOND,
                sequence: 1,
                attempt: 1,
            };
            (message, OperatorSet::ALL)
        });
        self.chain.run_on(batch.collect(), &mut self.state).await
    }

    /// What is due once a clock has reached this.
    async fn reach(&mut self, clock: Clock, seconds: u64) -> Vec<Verdict> {
        let at = seconds * SECOND;
        let due = {
            let mut state = self.state.lock();
            match clock {
                Clock::EventTime => {
                    self.watermark = Some(at);
                    state.set_watermark(at);
                }
                Clock::ProcessingTime => state.begin(at),
            }
            state.take_due(clock, at, 1000)
        };
        self.chain.fire(0, due, None, &mut self.state).await
    }

    async fn step(&mut self, step: &Step) -> Vec<Verdict> {
        match (step.watermark, step.clock) {
            (Some(seconds), _) => self.reach(Clock::EventTime, seconds).await,
            (None, Some(seconds)) => self.reach(Clock::ProcessingTime, seconds).await,
            (None, None) => self.run(&step.batch).await,
        }
    }
}

/// The windows of an operator in a pipeline file.
fn windows(window: &Value) -> Arc<Windows> {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = format!(
        "name: suite\nsource: {{ stream: IN, subjects: ['window.>'] }}\n\
         delivery: exactly-once\nkey: '{{subject}}'\n\
         operators: [{{ name: suite, plugin: suite.wasm, window: {window} }}]\n\
         sink: {{ subject: 'out.{{key}}' }}\n"
    );
    put(folder.path(), "pipeline.yaml", pipeline);
    let file = folder.path().join("pipeline.yaml");
    let pipelines = Loader::new(&|_| None).unbuilt().load(&[file]);
    let [pipeline] = &pipelines.unwrap()[..] else {
        panic!("not one pipeline")
    };
    pipeline.operators[0].windows.clone().unwrap()
}

/// Runs all cases, and tells of those that fail.
pub fn conforms(subject: &Subject) {
    let path = repository().join("plugins/sdk/conformance/aggregator.yaml");
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
    let mut job = Job::new(subject, &case.window, &case.config);
    if let Some(reason) = &case.refused {
        return match job.chain.warm().await {
            Err(error) if format!("{error:#}").contains(reason) => Ok(()),
            Err(error) => Err(format!("refused, but not with {reason:?}: {error:#}")),
            Ok(()) => Err("the configuration was not refused".into()),
        };
    }
    for (number, step) in case.steps.iter().enumerate() {
        let verdicts = job.step(step).await;
        if verdicts.len() != step.ends.len() {
            return Err(format!("step {number}: {verdicts:?}"));
        }
        for (index, (verdict, end)) in verdicts.iter().zip(&step.ends).enumerate() {
            if !agrees(verdict, end) {
                return Err(format!("step {number}, {index}: {verdict:?}"));
            }
        }
    }
    Ok(())
}

fn agrees(verdict: &Verdict, end: &End) -> bool {
    match (verdict, end) {
        (Verdict::Publish(outputs), End::Panes(panes)) => {
            let is = |(output, pane): (&Message, &Value)| {
                let payload: Option<Value> = serde_json::from_slice(&output.payload).ok();
                let key = output.key.as_deref().unwrap_or_default();
                payload.as_ref() == Some(pane) && pane["key"].as_str().is_none_or(|of| of == key)
            };
            outputs.len() == panes.len() && outputs.iter().zip(panes).all(is)
        }
        (Verdict::Publish(outputs), End::Set { set }) => match outputs.as_slice() {
            [output] => {
                let [name, value] = &set.header;
                output.subject == set.subject
                    && output.key.as_deref() == Some(&*set.key)
                    && output.headers.get(name) == Some(value)
                    && output.payload == set.text
            }
            _ => false,
        },
        (Verdict::Dead(rejection), End::Dead { dead }) => run::said(rejection).contains(dead),
        _ => false,
    }
}

/// Memory over many messages, merges and panes, as for a plugin without windows.
async fn stays_flat(subject: &Subject) -> Result<(), String> {
    let window = serde_json::json!({"hopping": {"size": "6s", "every": "3s"}});
    let mut job = Job::new(subject, &window, &Value::Null);
    memory::stays_flat(subject, BATCHES, async |number| {
        let second = number as u64 * 3;
        let inputs = (0..MESSAGES).map(|index| Input {
            case: "add".into(),
            key: Some(format!("key-{}", index % 40)),
            at: second + index as u64 % 3,
            payload: serde_json::Map::from_iter([
                ("n".to_owned(), index.into()),
                ("word".to_owned(), "x".repeat(100).into()),
            ]),
        });
        let mut verdicts = job.run(&inputs.collect::<Vec<_>>()).await;
        verdicts.extend(job.reach(Clock::EventTime, second).await);
        stateful::all_published(&verdicts)?;
        Ok(job.memory.memory_bytes.get())
    })
    .await
}
