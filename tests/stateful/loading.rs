//! A plugin that keeps state is one wherever it is looked at, and runs only where there is state.

use super::{Job, end, load, stateful};
use crate::harness::guests::{bytes, guest, repository};
use crate::harness::lane::{limits, message, tokio, worker};
use crate::harness::{Weir, pipeline_folder, put};
use weir::config;
use weir::process::dry_run::DryRun;
use weir::process::outputs::Target;
use weir::process::route::OperatorSet;
use weir::report;
use weir::state::Clock;

#[test]
fn there_is_no_state_in_configure_nor_without_a_job() {
    let reason = "trapped: state is available only in process and on-timer";
    let config = r#"{"configure": "get x"}"#;
    let mut configured = worker("first", stateful(), limits(), config);
    let refusal = tokio().block_on(configured.warm()).unwrap_err();
    assert_eq!(refusal.root_cause().to_string(), reason);

    let mut job = Job::new();
    assert_eq!(job.one("k", "@first count"), "k:1");
    let batch = vec![(message("@first count"), OperatorSet::ALL)];
    let verdicts = tokio().block_on(job.chain.run(batch));
    assert_eq!(end(&verdicts[0]), format!("trap: {reason}"));
}

const PIPELINE: &str = "
name: demo
source: { stream: IN }
operators:
  - { name: work, plugin: plugin.wasm }
sink: { subject: out.a }
";

#[test]
fn a_pipeline_that_delivers_at_least_once_refuses_it_with_what_to_add() {
    let folder = pipeline_folder("stateful", PIPELINE);
    let commands: [&[&str]; 4] = [
        &["check", "pipeline.yaml"],
        &["run", "pipeline.yaml"],
        &["pipe", "pipeline.yaml"],
        &["plugin", "test", "."],
    ];
    put(folder.path(), "input.jsonl", "");
    put(folder.path(), "expected.jsonl", "");
    for command in commands {
        let finished = Weir::run_in(folder.path(), command);
        assert_eq!(finished.code, Some(2), "{finished:#?}");
        assert!(finished.stderr.contains("it keeps state"), "{finished:#?}");
        let hint = "add `delivery: exactly-once` to the pipeline";
        assert!(finished.stderr.contains(hint), "{finished:#?}");
    }
}

#[test]
fn a_pipeline_that_delivers_exactly_once_may_keep_state() {
    let exactly_once = format!("{PIPELINE}delivery: exactly-once\nkey: '{{subject[1]}}'\n");
    let folder = pipeline_folder("stateful", &exactly_once);
    let finished = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let contract = "`work`: ok, weir:state/stateful-operator@0.2.0, ";
    assert!(finished.stdout.contains(contract), "{finished:#?}");
    let line = |subject: &str| format!("{{\"subject\":\"{subject}\",\"text\":\"count\"}}\n");
    let input = ["in.a", "in.b", "in.a"].map(line).concat();
    let finished = Weir::run_with_input(folder.path(), &["pipe", "pipeline.yaml"], &input);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let payloads = finished
        .stdout
        .lines()
        .map(|line| line.split("\"payload\":").last());
    assert_eq!(
        payloads.collect::<Vec<_>>(),
        [Some("1}"), Some("1}"), Some("2}")],
        "{finished:#?}"
    );
}

#[test]
fn a_component_alone_has_a_state_that_begins_empty() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(guest("stateful"), folder.path().join("plugin.wasm")).unwrap();
    let line =
        |script: &str| format!("{{\"subject\":\"a\",\"key\":\"k\",\"text\":\"{script}\"}}\n");
    let input: String = ["count", "set x 1; reject", "count", "get x"]
        .map(line)
        .concat();
    put(folder.path(), "input.jsonl", &input);
    let test = ["plugin", "test", "plugin.wasm", "--bless"];
    for _ in 0..2 {
        let finished = Weir::run_in(folder.path(), &test);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        let lines = std::fs::read_to_string(folder.path().join("expected.jsonl")).unwrap();
        let texts: Vec<_> = lines.lines().collect();
        let expected = [
            "\"payload\":1",
            "told to reject",
            "\"payload\":2",
            "\"text\":\"-\"",
        ];
        assert_eq!(texts.len(), expected.len(), "{lines}");
        for (text, expected) in texts.iter().zip(expected) {
            assert!(text.contains(expected), "{lines}");
        }
    }
}

#[test]
fn a_dry_run_refuses_it_for_it_has_no_state() {
    let folder = pipeline_folder("stateful", PIPELINE);
    let environment = |_: &str| None;
    let file = folder.path().join("pipeline.yaml");
    let pipelines = config::Loader::new(&environment).load(&[file]).unwrap();
    let Job { chain, .. } = Job::of(stateful());
    let mut dry_run = DryRun::new(&pipelines[0], chain, "IN@1", Target::nowhere());
    let refusal = tokio().block_on(dry_run.warm()).unwrap_err();
    assert_eq!(report::exit_code(&refusal), report::USAGE);
    assert_eq!(
        report::text(&refusal),
        "error: cannot run a plugin that keeps state without its state\n\n\
         hint: run it as a pipeline with a name and a sink of its own\n"
    );
}

/// See `tests/witness/README.md`.
#[test]
fn a_component_built_for_the_published_world_still_runs() {
    let path = repository().join("tests/witness/stateful-operator-0.2.0.wasm");
    let mut job = Job::of(load(&path));
    assert_eq!(
        job.one("k", "@first count; @first timer event 5 count"),
        "k:1"
    );
    assert_eq!(job.fire(0, Clock::EventTime, 5), ["k:2"]);
}

#[test]
fn the_component_names_its_world() {
    let inspection = weir::plugin::inspect(&bytes("stateful")).unwrap();
    assert_eq!(
        inspection.contract.as_deref(),
        Ok("weir:state/stateful-operator@0.2.0")
    );
    assert!(
        inspection
            .wit
            .contains("on-timer: func(batch: list<timer>) -> list<outcome>;")
    );
    // The SDK has bindings of both worlds; a plugin has those that it uses.
    let inspection = weir::plugin::inspect(&bytes("echo")).unwrap();
    let imports_state = |import: &String| import.starts_with("weir:state");
    assert!(
        !inspection.imports.iter().any(imports_state),
        "{:?}",
        inspection.imports
    );
}
