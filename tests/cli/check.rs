//! `weir check` finds everything that can be known before traffic, at once.

use super::{PIPELINE, json};
use crate::harness::{Weir, pipeline_folder, put, replaced};
use std::process::Stdio;

/// A configuration that the plugin refuses.
const CONFIGURED: (&str, &str) = (
    "plugin: plugin.wasm",
    "plugin: plugin.wasm\n    config: { no: such }",
);

#[test]
fn a_sound_pipeline_passes_and_its_plugins_are_named() {
    let folder = pipeline_folder("echo", PIPELINE);
    let finished = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let stdout = finished.stdout;
    let digest = blake3::hash(&std::fs::read(folder.path().join("plugin.wasm")).unwrap());
    assert!(
        stdout.starts_with("pipeline.yaml: pipeline `demo`\n"),
        "{stdout}"
    );
    let line = format!(
        "  `work`: ok, weir:plugin/operator@0.1.0, {}",
        &digest.to_hex()[..12]
    );
    assert!(stdout.contains(&line), "{stdout}");
}

#[test]
fn a_job_is_said_to_need_its_streams_and_to_keep_what_has_no_time_to_live() {
    let job = format!(
        "{PIPELINE}delivery: exactly-once\nkey: '{{subject}}'\nviews: [{{ name: last }}]\n"
    );
    let folder = pipeline_folder("stateful", &job);
    let finished = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    for note in [
        "stream `WEIR_JOB_DEMO` on `weir.job.demo.>`",
        "view `last` of results: bucket `demo-last`, whose stream `KV_demo-last` sources the values by `{key}`",
        "the stream of `out.*` sources the results",
        "the stream of `weir.dead.demo` sources the dead letters",
        "if `ORDERS` deletes settled messages, like a work queue: stream `WEIR_JOB_DEMO_IN` sources it",
        "`work` keeps state: values without a time to live are kept for ever; set `state.ttl` to limit that",
        "event time is when the stream stored a message: a timer fires when a message of its time or later is \
         processed, or the clock is 30s later and nothing comes; a time more than 10m ahead of the clock does not count",
    ] {
        let line = format!("  note: {note}");
        assert!(finished.stdout.contains(&line), "{finished:#?}");
    }
    let forward = [("sink: { ", "sink: { forward: true, message-ids: off, ")];
    let forward = replaced(&job, &forward)
        + "dead-letter: { forward: true }\n\
            event-time: { header: At }\nwatermark: { bound: 5s, max-ahead: off }\n";
    let folder = pipeline_folder("stateful", &forward);
    let finished = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]);
    for note in [
        "`sink.forward`: the job publishes its results, so a repeat",
        "dead letters are forwarded to `weir.dead.demo`",
        "`sink.message-ids: off`: `weir trace` and `weir replay --compare`",
        "event time is header `At`: a timer fires when a message that is 5s later is processed, and waits while nothing \
         comes (`watermark.idle-timeout` limits that); a time far ahead of the clock makes all before it late",
    ] {
        assert!(
            finished.stdout.contains(&format!("  note: {note}")),
            "{finished:#?}"
        );
    }
}

#[test]
fn every_stream_of_several_sources_is_named_with_what_it_is_needed_for() {
    let sources = "sources:\n  clicks: { stream: CLICKS, subjects: [\"clicks.>\"] }\n  \
        left: { stream: BOTH, subjects: [left.*], event-time: { header: At } }\n  \
        right: { stream: BOTH, subjects: [right.*] }\n";
    let one = "source: { stream: ORDERS, subjects: [\"orders.>\"] }\n";
    let job = replaced(PIPELINE, &[(one, sources)]);
    let folder = pipeline_folder(
        "stateful",
        &format!("{job}key: '{{subject[1]}}'\norder: key\n"),
    );
    let finished = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    for note in [
        "stream `CLICKS`, read as `clicks`",
        "stream `BOTH`, read as `left` and `right`",
        "if `CLICKS` deletes settled messages, like a work queue: stream `WEIR_JOB_DEMO_IN_CLICKS` sources it",
        "if `BOTH` deletes settled messages, like a work queue: stream `WEIR_JOB_DEMO_IN_BOTH` sources it",
        "event time is when the stream stored a message of `clicks`, header `At` of `left`, when the stream stored a \
         message of `right`: a timer fires when a message of each stream of its time or later is processed, and waits",
    ] {
        let line = format!("  note: {note}");
        assert!(finished.stdout.contains(&line), "{finished:#?}");
    }
}

#[test]
fn an_ordered_pipeline_is_said_to_be_a_job() {
    let ordered = format!("order: stream\n{PIPELINE}");
    for (pipeline, notes) in [(PIPELINE, 0), (&*ordered, 4)] {
        let folder = pipeline_folder("echo", pipeline);
        let finished = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        let note = "  note: ";
        assert_eq!(
            finished.stdout.matches(note).count(),
            notes,
            "{finished:#?}"
        );
        let finished = Weir::run_in(folder.path(), &["check", "pipeline.yaml", "--json"]);
        let report = json(&finished.stdout);
        assert_eq!(
            report["pipelines"][0]["notes"].as_array().unwrap().len(),
            notes
        );
    }
}

#[test]
fn mistakes_in_a_file_and_in_a_plugin_of_another_are_reported_at_once() {
    let folder = pipeline_folder("echo", PIPELINE);
    put(
        folder.path(),
        "plugin.wasm",
        "\0asm\x0d\0\x01\0 and then nothing",
    );
    put(
        folder.path(),
        "other.yaml",
        "name: other\nsuorce: { stream: A }\nsink: { subject: b }\n",
    );
    let files = ["check", "other.yaml", "pipeline.yaml"];
    let finished = Weir::run_in(folder.path(), &files);
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    let stderr = finished.stderr;
    assert!(stderr.contains("other.yaml:2:1: error: "), "{stderr}");
    assert!(stderr.contains("`source`"), "{stderr}");
    assert!(stderr.contains("error: cannot load plugin `"), "{stderr}");
    let finished = Weir::run_in(folder.path(), &[&files[..], &["--json"]].concat());
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    let report = json(&finished.stdout);
    assert_eq!(report["sound"], false);
    let findings = report["findings"].as_array().unwrap();
    let of_other = |finding: &&serde_json::Value| finding["file"] == "other.yaml";
    assert_eq!(findings.iter().rfind(of_other).unwrap()["line"], 2);
    let last = findings.last().unwrap();
    assert_eq!(last["file"], "pipeline.yaml");
    let text = last["message"].as_str().unwrap();
    assert!(text.starts_with("cannot load plugin `"), "{text}");
    let problem = &report["pipelines"][0]["operators"][0]["problem"];
    assert!(
        problem["error"]
            .as_str()
            .unwrap()
            .starts_with("cannot load plugin `")
    );
}

#[test]
fn a_plugin_that_refuses_its_configuration_is_quoted() {
    let pipeline = replaced(PIPELINE, &[CONFIGURED]);
    let folder = pipeline_folder("echo", &pipeline);
    let finished = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]);
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(
        finished.stdout.contains("  `work`: refused\n"),
        "{finished:#?}"
    );
    let stderr = finished.stderr;
    let line = PIPELINE
        .lines()
        .position(|line| line.contains("plugin: plugin.wasm"))
        .unwrap()
        + 2;
    assert!(
        stderr.starts_with(&format!(
            "pipeline.yaml:{line}:13: error: cannot start plugin `"
        )),
        "{stderr}"
    );
    assert!(
        stderr.contains("of operator `work`: configure refused: "),
        "{stderr}"
    );
    assert!(
        stderr.contains("\n  hint: correct `config:` of operator `work`\n"),
        "{stderr}"
    );
    let end = "\n\nerror: there is a problem in the configuration\n";
    assert!(stderr.ends_with(end), "{stderr}");
}

#[test]
fn what_is_wrong_with_a_file_and_with_its_plugins_is_said_at_once_in_the_order_of_the_lines() {
    let more = "  - { name: text, plugin: text.wasm }\n  - { name: gone, plugin: gone.wasm }\n  \
                - { name: folder, plugin: folder }\n  - name: work\n";
    let lanes = ("sink:", "lanes: many\nsink:");
    let pipeline = replaced(PIPELINE, &[lanes, ("  - name: work\n", more), CONFIGURED]);
    let folder = pipeline_folder("echo", &pipeline);
    put(folder.path(), "text.wasm", "I am a text, and no plugin");
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let finished = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]);
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    let stderr = finished.stderr;
    let findings: Vec<&str> = stderr
        .lines()
        .filter(|line| line.starts_with("pipeline.yaml:"))
        .collect();
    let expected = [
        ("text.wasm", "it is not WebAssembly"),
        ("gone.wasm", "does not exist"),
        ("plugin: folder }", "`folder` is a folder"),
        ("config: {", "configure refused"),
        ("lanes:", "found text"),
    ];
    assert_eq!(findings.len(), expected.len(), "{stderr}");
    for (finding, (line, text)) in findings.iter().zip(expected) {
        let number = pipeline
            .lines()
            .position(|each| each.contains(line))
            .unwrap()
            + 1;
        let place = format!("pipeline.yaml:{number}:");
        assert!(
            finding.starts_with(&place) && finding.contains(text),
            "{line}: {stderr}"
        );
    }
    let end = "\n\nerror: there are 5 problems in the configuration\n";
    assert!(stderr.ends_with(end), "{stderr}");
}

#[test]
fn the_schema_is_json_and_the_reference_is_markdown() {
    let schema = json(&Weir::run(&["config", "schema"]).stdout);
    assert!(schema["properties"]["source"].is_object(), "{schema:#}");
    assert!(Weir::run(&["config", "reference"]).stdout.starts_with("# "));
}

#[test]
fn a_trusted_operator_is_refused_on_a_host_that_trusts_none() {
    let trusting = replaced(PIPELINE, &[("    headers: all", "    trusted: true")]);
    let folder = pipeline_folder("echo", &trusting);
    let check = |more: &[&str], environment: &[(&str, &str)]| {
        let arguments = [&["check", "pipeline.yaml"], more].concat();
        Weir::start_with(folder.path(), &arguments, environment, Stdio::null()).finish()
    };
    assert_eq!(check(&[], &[]).code, Some(0));
    assert_eq!(check(&[], &[("WEIR_FORBID_TRUSTED", "no")]).code, Some(0));
    for finished in [
        check(&["--forbid-trusted"], &[]),
        check(&[], &[("WEIR_FORBID_TRUSTED", "1")]),
    ] {
        assert_eq!(finished.code, Some(2), "{finished:#?}");
        let said = finished.stderr;
        let finding = "pipeline.yaml:6:14: error: `operators[0].trusted`: trusted plugins are forbidden on this host";
        assert!(said.contains(finding), "{said}");
        assert!(said.contains("hint: remove it"), "{said}");
    }
}

#[test]
fn subjects_that_lack_the_token_of_the_key_are_noted() {
    let pipeline = replaced(PIPELINE, &[("[\"orders.>\"]", "[orders, \"orders.>\"]")]);
    let folder = pipeline_folder("echo", &format!("{pipeline}key: '{{subject[1]}}'\n"));
    let finished = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let note = "  note: messages on `orders` have no key: their subject has no token 1, which `{subject[1]}` asks for\n";
    assert!(finished.stdout.contains(note), "{finished:#?}");
}

#[test]
fn a_key_that_only_an_operator_can_set_is_noted() {
    let pipeline = replaced(PIPELINE, &[("out.{subject[1]}", "out.{key}")]);
    let folder = pipeline_folder("echo", &pipeline);
    let finished = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let note = "  note: `{key}`: the pipeline has no `key`, so a result has one only if an operator sets it\n";
    assert!(finished.stdout.contains(note), "{finished:#?}");
}

#[test]
fn a_value_that_does_not_fit_the_typed_configuration_of_a_plugin_has_its_line_and_column() {
    let config = (
        "plugin: plugin.wasm",
        "plugin: plugin.wasm\n    config:\n      mark: a\n      trap: maybe",
    );
    let folder = pipeline_folder("misbehave", &replaced(PIPELINE, &[config]));
    let stderr = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]).stderr;
    let mut lines = PIPELINE.lines();
    let line = lines.position(|line| line.contains("plugin.wasm")).unwrap() + 4;
    let expected = format!(
        "pipeline.yaml:{line}:13: error: `operators[0].config.trap`: invalid type: string \"maybe\", expected a boolean\n"
    );
    assert!(stderr.starts_with(&expected), "{stderr}");
}
