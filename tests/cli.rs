//! The command line tells a stranger what it wants and a machine what happened.
//!
//! Exit codes are 0 done, 1 the run failed, 2 wrong usage or configuration; results go to stdout,
//! errors to stderr; `--json` makes both readable for a machine.

mod bench;
mod check;
mod dlq;
mod job;
mod pipe;
mod progress;
mod status;
mod trace;

use crate::harness::guests::guest;
use crate::harness::{Finished, Weir, assert_file_holds, put, repository};

/// A pipeline of one operator that needs no server to be looked at.
const PIPELINE: &str = "\
name: demo
source: { stream: ORDERS, subjects: [\"orders.>\"] }
operators:
  - name: work
    plugin: plugin.wasm
    headers: all
sink: { subject: \"out.{subject[1]}\" }
";

/// Runs to the end with an expected exit code.
#[track_caller]
fn weir(code: i32, arguments: &[&str]) -> Finished {
    let finished = Weir::run(arguments);
    assert_eq!(finished.code, Some(code), "{arguments:?}: {finished:#?}");
    finished
}

pub fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

const VERBS: [&str; 12] = [
    "run",
    "check",
    "pipe",
    "status",
    "plugin",
    "dlq",
    "dev",
    "bench",
    "replay",
    "config",
    "metrics",
    "completions",
];

#[test]
fn help_names_every_verb_and_the_exit_codes() {
    let help = weir(0, &["--help"]).stdout;
    for verb in VERBS {
        let line = help
            .lines()
            .find(|line| line.trim_start().starts_with(verb));
        assert!(line.is_some(), "{verb} in {help}");
        assert!(weir(0, &[verb, "--help"]).stdout.contains("Usage: weir"));
    }
    assert!(help.contains("0 done, 1 the run failed, 2 wrong usage"));
}

#[test]
fn the_version_names_the_contract_and_wasmtime() {
    assert_eq!(weir(0, &["-V"]).stdout, "weir 0.1.0\n");
    let version = weir(0, &["--version"]).stdout;
    assert!(
        version.starts_with("weir 0.1.0\ncontract weir:plugin@0.1.0\nwasmtime 48."),
        "{version}"
    );
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_was_meant() {
    let finished = weir(2, &["plugim"]);
    assert!(finished.stderr.contains("'plugin'"), "{}", finished.stderr);
    assert_eq!(finished.stdout, "");
    assert!(weir(2, &[]).stderr.contains("Usage: weir"));
    weir(2, &["plugin", "inspect"]);
}

#[test]
fn with_json_an_error_is_one_line_of_json() {
    let finished = weir(2, &["plugin", "inspect", "/nonexistent.wasm", "--json"]);
    assert_eq!(finished.stderr.lines().count(), 1);
    let error = json(&finished.stderr);
    assert_eq!(error["error"], "cannot read `/nonexistent.wasm`");
    assert_eq!(error["exit_code"], 2);
    let error = json(&weir(2, &["plugim", "--json"]).stderr);
    assert_eq!(error["error"], "unrecognized subcommand 'plugim'");
    assert_eq!(error["hints"][0], "a similar subcommand exists: 'plugin'");
    let error = json(&weir(2, &["plugin", "inspect", "--json"]).stderr);
    let missing = "the following required arguments were not provided: <FILE>";
    assert_eq!(error["error"], missing);
    let error = json(&weir(2, &["dlq", "ls", "a.yaml", "--kind", "bad", "--json"]).stderr);
    let text = error["error"].as_str().unwrap();
    assert!(text.contains("[possible values: reject, trap,"), "{text}");
    let error = json(&weir(2, &["plugin", "--json"]).stderr);
    let text = error["error"].as_str().unwrap();
    assert!(
        text.starts_with("'weir plugin' requires a subcommand"),
        "{text}"
    );
}

#[test]
fn an_error_is_printed_with_its_cause_on_a_line_of_its_own() {
    let finished = weir(2, &["plugin", "inspect", "/nonexistent.wasm"]);
    assert_eq!(
        finished.stderr,
        "error: cannot read `/nonexistent.wasm`\n  cause: there is no such file\n\n\
         hint: check the path, or build it with `weir plugin build`\n"
    );
}

#[test]
fn what_is_named_and_not_there_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let gone = format!("{place}/gone");
    let hint = |arguments: &[&str]| {
        let stderr = weir(2, arguments).stderr;
        let (_, hint) = stderr
            .split_once("hint: ")
            .unwrap_or_else(|| panic!("{stderr}"));
        hint.trim().to_owned()
    };
    assert!(hint(&["plugin", "build", &gone]).starts_with("name the folder"));
    assert!(hint(&["plugin", "inspect", place]).starts_with("name the `.wasm` file"));
    let missing = format!("{gone}.yaml");
    assert!(hint(&["run", &missing]).starts_with("check the path"));
    put(folder.path(), "input.jsonl", "");
    put(folder.path(), "expected.jsonl", "");
    let component = format!("{gone}.wasm");
    let test = [
        "plugin",
        "test",
        &component,
        "--input",
        &format!("{place}/input.jsonl"),
    ];
    assert!(hint(&test).starts_with("check the path"));
}

#[test]
fn a_log_level_that_is_none_is_wrong_usage() {
    for level in ["nonsense", "", "info,verbose"] {
        let finished = weir(2, &["metrics", "--log-level", level]);
        assert!(
            finished.stderr.contains("cannot parse log level"),
            "{level}"
        );
    }
    let finished = weir(2, &["metrics", "--log-level", "weir=loud"]);
    assert!(
        finished
            .stderr
            .starts_with("error: cannot parse log level `weir=loud`\n")
    );
    assert!(
        finished
            .stderr
            .contains("\n\nhint: give `error`, `warn`, `info`")
    );
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = weir(0, &["completions", shell]).stdout;
        assert!(script.contains("inspect"), "{shell}: {script}");
    }
}

#[test]
fn a_plugin_is_described_by_its_contract_imports_size_and_digest() {
    let file = guest("echo");
    let file = file.to_str().unwrap();
    let text = weir(0, &["plugin", "inspect", file]).stdout;
    assert!(
        text.starts_with("contract  weir:plugin/operator@0.1.0\n"),
        "{text}"
    );
    assert!(text.contains("\ngrants    none\n"), "{text}");
    let bytes = std::fs::read(file).unwrap();
    let digest = blake3::hash(&bytes).to_hex().to_string();
    assert!(
        text.contains(&format!("digest    blake3:{digest}\n")),
        "{text}"
    );
    let described = json(&weir(0, &["plugin", "inspect", file, "--json"]).stdout);
    assert_eq!(described["digest"], digest);
    assert_eq!(described["size"], bytes.len());
    assert_eq!(described["contract"], "weir:plugin/operator@0.1.0");
    assert!(
        weir(0, &["plugin", "inspect", file, "--wit"])
            .stdout
            .contains("export weir:plugin/handler")
    );
}

#[test]
fn a_file_that_is_no_plugin_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("empty.wasm");
    std::fs::write(&file, "").unwrap();
    let finished = weir(1, &["plugin", "inspect", file.to_str().unwrap()]);
    assert!(
        finished.stderr.starts_with("error: cannot inspect `"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("\n  cause: "),
        "{}",
        finished.stderr
    );
}

#[test]
fn the_reference_page_of_the_metrics_is_the_one_that_is_printed() {
    let page = weir(0, &["metrics"]).stdout;
    assert_file_holds(&repository().join("docs/metrics.md"), &page);
    let rows = json(&weir(0, &["metrics", "--json"]).stdout);
    assert!(page.contains(rows[0]["name"].as_str().unwrap()));
}
