//! Every folder under `examples/` is complete and does what its files say: its plugin turns
//! `input.jsonl` into `expected.jsonl`. After a change that is meant, `BLESS=1` writes
//! `expected.jsonl` anew.

use crate::harness::guests::{example, repository};
use crate::harness::{cache, guests};
use rebates_oracle::{Check, generate};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir::jsonl::{self, Dead, Line, Record};
use weir::pipeline::message::{Headers, Message, Outcome};
use weir::plugin::{OperatorSettings, Runtime, RuntimeOptions, Worker};
use weir::telemetry::metrics::Metrics;

/// What every example consists of.
const PARTS: [&str; 5] = [
    "README.md",
    "pipeline.yaml",
    "input.jsonl",
    "expected.jsonl",
    "plugin",
];

fn folder(example: &str) -> PathBuf {
    repository().join("examples").join(example)
}

/// The only operator of an example, with its plugin, on a lane of its own.
struct Operator {
    tokio: tokio::runtime::Runtime,
    worker: Worker,
}

impl Operator {
    fn of(name: &str) -> Self {
        let file = folder(name).join("pipeline.yaml");
        let pipelines = weir::config::load_unbuilt(&[file], &|_| None).unwrap();
        let [pipeline] = pipelines.as_slice() else {
            panic!("{} pipelines", pipelines.len())
        };
        let [operator] = pipeline.operators.as_slice() else {
            panic!("not one operator")
        };
        let settings = OperatorSettings {
            pipeline: pipeline.name.clone(),
            operator: operator.name.clone(),
            config: operator.config.to_string(),
            headers: operator.headers.clone(),
            limits: operator.limits,
            metrics: Metrics::new().operator(&pipeline.name, &operator.name),
        };
        let options = RuntimeOptions {
            cache_dir: Some(cache().join("compiled")),
            ..RuntimeOptions::default()
        };
        let runtime = Runtime::new(options).unwrap();
        let plugin = runtime.load(&example(name)).unwrap();
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            tokio,
            worker: Worker::new(&runtime, plugin, Arc::new(settings)),
        }
    }

    fn process(&mut self, batch: &[Message]) -> Vec<Outcome> {
        self.tokio.block_on(self.worker.process(batch)).unwrap()
    }
}

/// The lines that one message leads to, as they stand in `expected.jsonl`.
fn lines(operator: &str, input: &Message, outcome: Outcome) -> Vec<Line> {
    match outcome {
        Outcome::Emit(outputs) => outputs
            .into_iter()
            .map(|output| {
                let mut record = Record::from(&output.onto(input));
                record.event_time = None;
                Line::Message(record)
            })
            .collect(),
        Outcome::Reject(reason) => vec![Line::Dead(Dead {
            reject: reason,
            operator: Some(operator.into()),
            kind: Some("reject".into()),
            sequence: Some(input.sequence),
        })],
        Outcome::Retry { reason, .. } => panic!("message {}: retry: {reason}", input.sequence),
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_example_is_complete_and_has_a_test() {
    let entries = std::fs::read_dir(repository().join("examples")).unwrap();
    let found: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        found,
        BTreeSet::from(["advisories".into(), "rebates".into()])
    );
    for example in found {
        for part in PARTS {
            let path = folder(&example).join(part);
            assert!(path.exists(), "there is no {}", path.display());
        }
    }
}

/// Compares what the plugin makes of `input.jsonl` with `expected.jsonl`, line by line.
fn the_input_becomes_what_is_expected(example: &str) {
    let input = jsonl::parse_messages(&read(&folder(example).join("input.jsonl"))).unwrap();
    let input: Vec<Message> = (1..)
        .zip(input)
        .map(|(number, record)| record.into_message(number, 0))
        .collect();
    let mut operator = Operator::of(example);
    let outcomes = operator.process(&input);
    let name = &operator.worker.settings().operator;
    let output = input
        .iter()
        .zip(outcomes)
        .flat_map(|(input, outcome)| lines(name, input, outcome));
    let output: Vec<String> = output.map(|line| line.to_string()).collect();
    let path = folder(example).join("expected.jsonl");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, output.join("\n") + "\n").unwrap();
    }
    let expected = read(&path);
    let expected: Vec<&str> = expected.lines().collect();
    for (number, (expected, output)) in (1..).zip(expected.iter().zip(&output)) {
        assert_eq!(output, expected, "line {number} of {}", path.display());
    }
    assert_eq!(output.len(), expected.len(), "lines in {}", path.display());
}

#[test]
fn the_input_of_rebates_becomes_what_is_expected() {
    the_input_becomes_what_is_expected("rebates");
}

#[test]
fn the_input_of_advisories_becomes_what_is_expected() {
    the_input_becomes_what_is_expected("advisories");
}

/// The plugin sees one message at a time and the oracle sees what happened; they share no code.
#[test]
fn the_plugin_and_the_oracle_agree_to_the_cent() {
    const SEED: u64 = 20_261_121;
    const COUNT: u64 = 100_000;
    let mut operator = Operator::of("rebates");
    let mut check = Check::new(SEED, COUNT);
    let mut events = generate(SEED, COUNT).zip(1..).peekable();
    while events.peek().is_some() {
        let batch: Vec<Message> = events
            .by_ref()
            .take(256)
            .map(|(event, sequence)| Message {
                subject: event.subject.into(),
                payload: event.payload.into(),
                headers: Headers::default(),
                key: None,
                event_time: 0,
                sequence,
                attempt: 1,
            })
            .collect();
        for (input, outcome) in batch.iter().zip(operator.process(&batch)) {
            match outcome {
                Outcome::Emit(outputs) => {
                    for output in outputs {
                        let output = output.onto(input);
                        check.output(&output.subject, &output.payload);
                    }
                }
                Outcome::Reject(_) => check.dead_sequence(input.sequence),
                Outcome::Retry { reason, .. } => panic!("message {}: {reason}", input.sequence),
            }
        }
    }
    let report = check.finish();
    assert!(report.agree, "{report}");
    assert_eq!(
        (report.found.repeated_outputs, report.found.repeated_dead),
        (0, 0),
        "{report}"
    );
}

/// The unit tests of a plugin run natively, without a host: `cargo test` in its folder.
#[test]
fn the_unit_tests_of_the_plugins_pass() {
    for example in ["advisories", "rebates"] {
        guests::unit_tests(&folder(example).join("plugin"));
    }
}
