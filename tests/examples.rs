//! Every folder under `examples/` is complete and does what its files say: its plugin turns
//! `input.jsonl` into `expected.jsonl` (after a change that is meant, `weir plugin test --bless`
//! writes that anew), and the rebates are right to the cent.

use crate::harness::guests::{example, repository};
use crate::harness::{NatsServer, Weir, cache, guests, wait_until};
use rebates_oracle::{Check, generate};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
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

/// Copies an example to where `weir` is run, its component built and beside the pipeline.
fn install(name: &str, directory: &Path) -> PathBuf {
    let copy = directory.join(name);
    std::fs::create_dir(&copy).unwrap();
    for part in PARTS.iter().filter(|part| **part != "plugin") {
        std::fs::copy(folder(name).join(part), copy.join(part)).unwrap();
    }
    std::fs::copy(example(name), copy.join(name).with_extension("wasm")).unwrap();
    copy
}

fn the_input_becomes_what_is_expected(example: &str) {
    let directory = tempfile::tempdir().unwrap();
    let folder = install(example, directory.path());
    let arguments: [&OsStr; 4] = [
        "plugin".as_ref(),
        "test".as_ref(),
        folder.as_ref(),
        "--no-build".as_ref(),
    ];
    let tested = Weir::run_in(directory.path(), &arguments);
    assert_eq!(tested.code, Some(0), "{}\n{}", tested.stdout, tested.stderr);
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

/// Both examples in one host, on a server of their own: every rebate is right to the cent, every
/// malformed event is a dead letter, and the server's report of each becomes an alert.
#[test]
fn a_hundred_thousand_events_through_a_server_earn_what_the_oracle_says() {
    const SEED: u64 = 42;
    const COUNT: u64 = 100_000;
    let server = NatsServer::start();
    let client = server.client();
    let directory = tempfile::tempdir().unwrap();
    for name in ["rebates", "advisories"] {
        install(name, directory.path());
    }
    let arguments = [
        "run",
        "rebates/pipeline.yaml",
        "advisories/pipeline.yaml",
        "--metrics-listen=off",
        "--admin-listen=off",
    ];
    let url = server.url();
    let mut weir = Weir::start_with(
        directory.path(),
        &arguments,
        &[("NATS_URL", &url)],
        Stdio::null(),
    );
    wait_until("the host has created the streams and consumers", || {
        assert!(weir.is_running());
        client.consumer("ORDERS", "weir-rebates").is_some()
            && client.consumer("ADVISORIES", "weir-advisories").is_some()
    });

    let events = generate(SEED, COUNT).map(|event| (event.subject, event.payload));
    client.publish_all(events);
    let settled = |stream, consumer| {
        let info = client.consumer(stream, consumer).unwrap();
        info.num_pending == 0 && info.num_ack_pending == 0
    };
    wait_until("all orders are settled", || {
        settled("ORDERS", "weir-rebates")
    });

    let mut check = Check::new(SEED, COUNT);
    for message in client.messages("REBATES") {
        check.output(&message.subject, &message.payload);
    }
    let mut dead = BTreeSet::new();
    for letter in client.messages("DEAD_REBATES") {
        assert_eq!(letter.header("Weir-Kind"), Some("reject"));
        dead.insert(
            letter
                .header("Weir-Sequence")
                .unwrap()
                .parse::<u64>()
                .unwrap(),
        );
        check.dead(
            letter.header("Weir-Subject").unwrap().to_owned(),
            letter.payload.to_vec(),
        );
    }
    let report = check.finish();
    assert!(report.agree, "{report}");
    // Nothing failed, so nothing was delivered twice.
    assert_eq!(
        (report.found.repeated_outputs, report.found.repeated_dead),
        (0, 0),
        "{report}"
    );

    let terminated = || {
        let alerts = client.messages("ALERTS").into_iter();
        let alerts = alerts.filter(|alert| alert.subject == "alerts.warning.terminated");
        let alerts = alerts.map(|alert| alert.json());
        alerts
            .filter(|alert| alert["consumer"] == "weir-rebates")
            .map(|alert| alert["sequence"].as_u64().unwrap())
            .collect::<BTreeSet<u64>>()
    };
    wait_until("every dead letter is an alert", || terminated() == dead);
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));
}

/// The unit tests of a plugin run natively, without a host: `cargo test` in its folder.
#[test]
fn the_unit_tests_of_the_plugins_pass() {
    for example in ["advisories", "rebates"] {
        guests::unit_tests(&folder(example).join("plugin"));
    }
}
