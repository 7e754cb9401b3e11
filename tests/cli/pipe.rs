//! `weir pipe` and `weir plugin test` run a pipeline on lines of JSON, without a broker.

use super::{PIPELINE, json};
use crate::harness::{Finished, Weir, pipeline_folder, put, replaced};
use std::process::Stdio;

fn pipe(guest: &str, input: &str) -> Finished {
    pipe_through(PIPELINE, guest, input)
}

fn pipe_through(pipeline: &str, guest: &str, input: &str) -> Finished {
    let folder = pipeline_folder(guest, pipeline);
    Weir::run_with_input(folder.path(), &["pipe", "pipeline.yaml"], input)
}

#[test]
fn messages_come_out_as_they_would_be_published() {
    let finished = pipe(
        "echo",
        concat!(
            r#"{"subject":"orders.a","payload":{"total": 1.50}}"#,
            "\n\n",
            r#"{"subject":"orders.b","headers":{"Id":["1","2"]},"key":"k","text":"not JSON"}"#,
            "\n",
        ),
    );
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(
        finished.stdout,
        concat!(
            r#"{"sequence":1,"subject":"out.a","payload":{"total":1.50}}"#,
            "\n",
            r#"{"sequence":2,"subject":"out.b","key":"k","headers":{"Id":["1","2"]},"text":"not JSON"}"#,
            "\n",
        )
    );
}

#[test]
fn dead_letters_retries_and_bad_lines_go_to_stderr_and_the_rest_goes_on() {
    let all = replaced(PIPELINE, &[("[\"orders.>\"]", "[orders, \"orders.>\"]")]);
    let finished = pipe_through(
        &all,
        "misbehave",
        concat!(
            r#"{"subject":"orders.a","text":"trap"}"#,
            "\n",
            r#"{"subject":"orders.a","text":"retry-after:5"}"#,
            "\nno message\n",
            r#"{"subject":"orders","text":"drop"}"#,
            "\n",
            r#"{"subject":"orders","text":"no token for the sink"}"#,
            "\n",
            r#"{"subject":"orders.a","text":"reject"}"#,
            "\n",
            r#"{"subject":"orders.a","text":"good"}"#,
            "\n",
        ),
    );
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert_eq!(
        finished.stdout,
        "{\"sequence\":6,\"subject\":\"out.a\",\"text\":\"good\"}\n"
    );
    let lines: Vec<_> = finished
        .stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(json)
        .collect();
    let find = |field: &str, value: serde_json::Value| {
        let found = lines.iter().find(|line| line[field] == value);
        found
            .unwrap_or_else(|| panic!("{field} {value}: {finished:#?}"))
            .clone()
    };
    assert_eq!(find("sequence", 1.into())["kind"], "trap");
    assert_eq!(find("sequence", 1.into())["operator"], "work");
    assert_eq!(find("sequence", 2.into())["retry"], "the payload said so");
    assert_eq!(find("sequence", 2.into())["after_ms"], 5);
    assert_eq!(
        find("kind", "line".into())["reject"],
        "line 3: a JSON object is expected"
    );
    assert_eq!(find("sequence", 4.into())["kind"], "sink");
    assert_eq!(find("sequence", 5.into())["reject"], "the payload said so");
    assert_eq!(lines.len(), 5, "{finished:#?}");
}

#[test]
fn under_isolation_by_message_each_has_a_fresh_configured_instance_to_itself() {
    let by_message = "  - name: work\n    isolation: message\n    config: {mark: m}\n";
    let isolated = replaced(PIPELINE, &[("  - name: work\n", by_message)]);
    let folder = pipeline_folder("misbehave", &isolated);
    let input: String = ["calls", "trap", "calls", "marked"]
        .map(|text| format!("{{\"subject\":\"orders.a\",\"text\":\"{text}\"}}\n"))
        .concat();
    let finished = Weir::run_with_input(folder.path(), &["pipe", "pipeline.yaml"], &input);
    let out: Vec<_> = finished.stdout.lines().map(json).collect();
    assert_eq!(out.len(), 3, "{finished:#?}");
    assert_eq!(
        (&out[0]["payload"], &out[1]["payload"]),
        (&json("1"), &json("1"))
    );
    assert_eq!(out[2]["headers"]["Mark"], "m");
    assert!(
        finished.stderr.contains("\"kind\":\"trap\""),
        "{finished:#?}"
    );
}

#[test]
fn a_line_is_answered_before_the_next_one_is_there() {
    let folder = pipeline_folder("echo", PIPELINE);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let arguments = ["pipe", "pipeline.yaml"];
    let mut weir = Weir::start_with(folder.path(), &arguments, &[], Stdio::from(reader));
    for number in 1..4 {
        let line = format!("{{\"subject\":\"orders.{number}\"}}\n");
        std::io::Write::write_all(&mut writer, line.as_bytes()).unwrap();
        weir.wait_until_output(&format!("\"out.{number}\""));
    }
    drop(writer);
    assert_eq!(weir.finish().code, Some(0));
}

#[test]
fn a_message_that_no_source_reads_is_skipped_and_counted() {
    let line = |subject, text| format!("{{\"subject\":\"{subject}\",\"text\":\"{text}\"}}\n");
    let input = line("other.a", "reject") + &line("orders.a", "good");
    let said = "skipped 1 message that no source of the pipeline reads (`subjects`, `keys`)\n";
    let piped = pipe("misbehave", &input);
    assert_eq!((piped.code, &*piped.stderr), (Some(0), said), "{piped:#?}");
    assert_eq!(json(&piped.stdout)["text"], "good");
    let folder = pipeline_folder("misbehave", PIPELINE);
    put(folder.path(), "input.jsonl", input);
    let tested = Weir::run_in(folder.path(), &["plugin", "test", "--bless"]);
    assert_eq!(
        tested.stdout, "wrote 1 line to expected.jsonl: 1 result\n",
        "{tested:#?}"
    );
    assert_eq!(tested.stderr, said);
}

#[test]
fn what_still_waits_for_a_timer_at_the_end_of_the_input_is_said_with_what_brings_it_out() {
    let job = "delivery: exactly-once\nkey: \"{subject[1]}\"\nevent-time: { payload: /at, unit: s }\nwatermark: { bound: 5s }\n";
    let job = format!("{job}{PIPELINE}");
    let merge = replaced(&job, &[("plugin.wasm", "std:merge")]);
    let line = |at: u64| format!("{{\"subject\":\"orders.a\",\"payload\":{{\"at\":{at}}}}}\n");
    let piped = pipe_through(&merge, "echo", &(line(10) + &line(40)));
    assert_eq!(piped.code, Some(0), "{piped:#?}");
    assert_eq!(piped.stdout.lines().count(), 1, "{piped:#?}");
    let said = "1 timer of event time did not fire before the input ended, so messages may still wait in the state; \
                one more message with the event time 1970-01-01T00:00:45Z or later brings them out\n";
    assert_eq!(piped.stderr, said);
    let piped = pipe_through(&merge, "echo", &(line(10) + &line(40) + &line(45)));
    assert_eq!(piped.stdout.lines().count(), 2, "{piped:#?}");

    let by_clock = "timer processing 9000000000000000000 say it; drop";
    let by_clock = format!("{{\"subject\":\"orders.a\",\"text\":\"{by_clock}\"}}");
    let untimed = replaced(&job, &[("event-time: { payload: /at, unit: s }\n", "")]);
    let piped = pipe_through(&untimed, "stateful", &by_clock);
    let said =
        "1 timer of processing time did not fire before the input ended, the last is due at 2255-";
    assert!(piped.stderr.starts_with(said), "{piped:#?}");
}

#[test]
fn a_test_passes_when_everything_became_what_was_expected() {
    let folder = pipeline_folder("misbehave", PIPELINE);
    put(
        folder.path(),
        "input.jsonl",
        "{\"subject\":\"orders.a\",\"text\":\"good\"}\n{\"subject\":\"orders.a\",\"text\":\"reject\"}\n",
    );
    let test = |arguments: &[&str]| {
        Weir::run_in(folder.path(), &[&["plugin", "test"], arguments].concat())
    };
    let missing = test(&["--expected", "expected.jsonl"]);
    assert_eq!(missing.code, Some(2), "{missing:#?}");
    assert!(
        missing
            .stderr
            .contains("hint: create the file with `--bless`"),
        "{missing:#?}"
    );
    assert_eq!(
        test(&["--bless"]).stdout,
        "wrote 2 lines to expected.jsonl: 1 result, 1 dead letter\n"
    );
    let passed = test(&[]);
    assert_eq!(passed.code, Some(0), "{passed:#?}");
    assert_eq!(passed.stdout, "ok: 2 messages, 1 result, 1 dead letter\n");

    put(
        folder.path(),
        "expected.jsonl",
        "{\"subject\":\"out.a\",\"text\":\"better\"}\n{\"reject\":\"the payload said so\"}\n",
    );
    let failed = test(&["--json"]);
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    let differences = &json(&failed.stdout)["differences"];
    assert_eq!(differences[0]["got"]["text"], "good");
    assert!(differences[1].is_null(), "{differences}");
    let failed = test(&[]).stdout;
    assert!(
        failed.contains("    text: expected \"better\", got \"good\"\n"),
        "{failed}"
    );
    assert!(
        failed.ends_with("different: 1 changed, 0 missing, 0 unexpected\n"),
        "{failed}"
    );
}

#[test]
fn a_failure_of_the_plugin_is_blessed_on_request_alone_and_without_its_traceback() {
    for verb in ["raise", "trap"] {
        let folder = pipeline_folder("misbehave", PIPELINE);
        let line = |text| format!("{{\"subject\":\"orders.a\",\"text\":\"{text}\"}}\n");
        put(
            folder.path(),
            "input.jsonl",
            [line("good"), line(verb)].concat(),
        );
        let bless = |more: &[&str]| {
            Weir::run_in(
                folder.path(),
                &[&["plugin", "test", "--bless"], more].concat(),
            )
        };
        let refused = bless(&[]);
        assert_eq!(refused.code, Some(1), "{refused:#?}");
        assert!(
            refused
                .stderr
                .contains("error: `expected.jsonl` is as it was")
                && refused.stderr.contains("the plugin fails on a message: "),
            "{refused:#?}"
        );
        assert!(!folder.path().join("expected.jsonl").exists());
        assert_eq!(bless(&["--failures"]).code, Some(0));
        let expected = std::fs::read_to_string(folder.path().join("expected.jsonl")).unwrap();
        assert!(expected.contains("\"reject\":"), "{expected}");
        assert!(!expected.contains("traceback"), "{expected}");
        let passed = Weir::run_in(folder.path(), &["plugin", "test"]);
        assert_eq!(passed.code, Some(0), "{passed:#?}");
    }
}

#[test]
fn a_lone_component_can_be_tested_without_a_pipeline() {
    let folder = pipeline_folder("echo", PIPELINE);
    put(
        folder.path(),
        "in.jsonl",
        "{\"subject\":\"orders.a\",\"payload\":1,\"headers\":{\"A\":\"b\"}}\n",
    );
    put(
        folder.path(),
        "out.jsonl",
        "{\"subject\":\"orders.a\",\"payload\":1,\"headers\":{\"A\":\"b\"}}\n",
    );
    let arguments = [
        "plugin",
        "test",
        "plugin.wasm",
        "--input",
        "in.jsonl",
        "--expected",
        "out.jsonl",
    ];
    let finished = Weir::run_in(folder.path(), &arguments);
    assert_eq!(
        finished.stdout, "ok: 1 message, 1 result\n",
        "{finished:#?}"
    );
    put(folder.path(), "in.jsonl", "{}\n[]\n");
    let finished = Weir::run_in(folder.path(), &arguments);
    assert_eq!(finished.code, Some(2));
    assert_eq!(
        finished.stderr,
        "error: cannot read `in.jsonl`\n  cause: line 1: `subject` is missing\n         \
         line 2: a JSON object is expected\n"
    );
}

#[test]
fn a_message_of_a_job_without_a_valid_event_time_is_refused_and_moves_no_watermark() {
    let pipeline = "name: p\nnats: { url: \"nats://127.0.0.1:1\" }\nsource: { stream: IN }\n\
                    delivery: exactly-once\nkey: \"{subject[1]}\"\nevent-time: { header: Time, unit: s }\n\
                    operators:\n  - name: op\n    plugin: plugin.wasm\n    limits: { deadline: 1m }\n    \
                    window: { tumbling: 10s }\nsink: { subject: \"out.{key}\" }\n";
    let folder = pipeline_folder("windows", pipeline);
    let line = |time: &str| {
        serde_json::json!({ "subject": "in.a", "headers": { "Time": time }, "text": time })
            .to_string()
            + "\n"
    };
    let input = [line("1"), line("soon"), line("2")].concat();
    let finished = Weir::run_with_input(folder.path(), &["pipe", "pipeline.yaml"], &input);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let dead = json(&finished.stderr);
    assert_eq!(
        (&dead["kind"], &dead["sequence"]),
        (&"event-time".into(), &2.into())
    );
    let reason = "its event time in header `Time` is neither RFC 3339 text nor a number";
    assert_eq!(dead["reject"], reason);
    assert_eq!(json(&finished.stdout)["text"], "0..10 on-time 0: 1 2");
}
