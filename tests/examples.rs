//! Every folder under `examples/` is complete and does what its files say: its plugin turns
//! `input.jsonl` into `expected.jsonl` (after a change that is meant, `weir plugin test --bless`
//! writes that anew), and the rebates are right to the cent.

mod advisories;
mod clicks;
mod iot;
pub(crate) mod killed;
pub(crate) mod nexmark;

use crate::harness::guests::{example, repository};
use crate::harness::{NatsServer, Site, Weir, guests, wait_until};
use rebates_oracle::{Check, generate, jsonl};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What every example consists of, but for those with a pipeline for each question.
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

#[test]
fn every_example_is_known_and_complete() {
    let entries = std::fs::read_dir(repository().join("examples")).unwrap();
    let found = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<String> = found.collect();
    let expected = [
        "advisories",
        "bridges",
        "ci",
        "clicks",
        "fraud",
        "iot",
        "monitoring",
        "nexmark",
        "rebates",
        "streams",
    ];
    assert_eq!(found, BTreeSet::from(expected.map(String::from)));
    for example in found {
        let parts: &[&str] = match &*example {
            "clicks" => &clicks::PARTS,
            "iot" => &iot::PARTS,
            "nexmark" => &nexmark::PARTS,
            // `ci_for_plugins.rs` and `monitoring.rs` have their tests. The bridges need servers that are none
            // of ours: `docs/bridges.md` says how they were tried.
            "bridges" => &["http_in.py", "postgres_out.py", "requirements.txt"],
            "ci" => &["plugin.yml"],
            "monitoring" => &["alerts.yaml", "grafana.json", "prometheus.yaml"],
            // What the oracles of the others have in common.
            "streams" => continue,
            _ => &PARTS,
        };
        for part in parts {
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

/// A second pipeline of an example.
fn install_second(example: &str, file: &str, directory: &Path) -> String {
    let path = format!("{example}/{file}");
    std::fs::copy(folder(example).join(file), directory.join(&path)).unwrap();
    path
}

/// `pipeline-exactly-once.yaml` of rebates, with its component.
fn install_totals(directory: &Path) -> String {
    let totals = guests::example_plugin("rebates/totals", "totals");
    std::fs::copy(totals, directory.join("rebates/totals.wasm")).unwrap();
    install_second("rebates", "pipeline-exactly-once.yaml", directory)
}

/// Subject and payload of each message of a stream, in its order.
fn published(site: &Site, stream: &str) -> Vec<(String, Vec<u8>)> {
    let messages = site.nats.client().messages(stream).into_iter();
    messages
        .map(|message| (message.subject, message.payload.to_vec()))
        .collect()
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
fn the_input_of_fraud_becomes_what_is_expected() {
    the_input_becomes_what_is_expected("fraud");
}

#[test]
fn the_input_of_advisories_becomes_what_is_expected() {
    the_input_becomes_what_is_expected("advisories");
}

#[test]
fn no_example_has_anything_that_weir_check_finds() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["advisories", "fraud", "rebates"] {
        install(name, directory.path());
    }
    let totals = install_totals(directory.path());
    let merchants = install_second("fraud", "pipeline-merchants.yaml", directory.path());
    let nexmark = nexmark::install_common(directory.path());
    let iot = iot::install(directory.path());
    let clicks = clicks::install(directory.path());
    let mut files = vec![
        "check",
        "advisories/pipeline.yaml",
        "fraud/pipeline.yaml",
        &merchants,
        "rebates/pipeline.yaml",
        &totals,
    ];
    files.extend(
        nexmark
            .iter()
            .chain(&iot)
            .chain(&clicks)
            .map(String::as_str),
    );
    let checked = Weir::run_in(directory.path(), &files);
    assert_eq!(
        checked.code,
        Some(0),
        "{}\n{}",
        checked.stdout,
        checked.stderr
    );
}

/// What the README of rebates says to do, on more events than it could show.
#[test]
fn what_weir_pipe_makes_of_generated_events_agrees_with_the_oracle_to_the_cent() {
    const SEED: u64 = 20_261_121;
    const COUNT: u64 = 30_000;
    let directory = tempfile::tempdir().unwrap();
    install("rebates", directory.path());
    let mut events = Vec::new();
    for event in generate(SEED, COUNT) {
        jsonl::write(&mut events, &event.subject, &event.payload).unwrap();
    }
    let piped = Weir::run_with_input(
        directory.path(),
        &["pipe", "rebates/pipeline.yaml"],
        &events,
    );
    assert_eq!(piped.code, Some(1), "there are dead letters");
    let mut check = Check::new(SEED, COUNT);
    for line in jsonl::read(piped.stdout.as_bytes()) {
        check.output_line(line.unwrap());
    }
    for line in jsonl::read(piped.stderr.as_bytes()) {
        check.dead_line(line.unwrap());
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
    for plugin in [
        "advisories/plugin",
        "fraud/plugin",
        "iot/plugin",
        "nexmark/plugin",
        "rebates/plugin",
        "rebates/totals",
    ] {
        guests::unit_tests(&folder(plugin));
    }
}
