//! They run as any other plugin: at least once, exactly once, swapped, and without a signature of their own.

use crate::harness::guests::plugin;
use crate::harness::signer::Signer;
use crate::harness::{Site, Stored, Weir, wait_until};
use std::fmt::Write;

/// A file with a pipeline for each name, which reads `in.NAME.>`: its operator, and the rest.
fn pipelines(all: &[(&str, &str, &str)]) -> String {
    let mut text = String::new();
    for (name, operator, rest) in all {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "---\nname: {name}\nsource: {{ stream: IN, subjects: [\"in.{name}.>\"] }}\noperators:\n  - name: op\n    \
             limits: {{ deadline: 1m }}\n    {operator}\ndead-letter: {{ subject: dead.{name} }}\n{rest}",
        );
    }
    text
}

fn results(messages: &[Stored]) -> Vec<(String, String)> {
    let mut results: Vec<_> = messages
        .iter()
        .map(|it| (it.subject.to_string(), it.text()))
        .collect();
    results.sort();
    results
}

#[test]
fn filter_jq_route_and_validate_process_a_stream_without_any_file() {
    let filter = "plugin: std:filter\n    config: { when: payload.total > 10 }";
    let jq = "plugin: std:jq\n    config: { query: \".lines[]\" }";
    let route = "plugin: std:route\n    config: { subject: \"to.{/country}\" }";
    let validate = "plugin: std:validate\n    config: { schema: { type: object, required: [id] } }";
    let sink = "sink: { subject: \"out.{subject}\" }\n";
    let text = pipelines(&[
        ("filter", filter, sink),
        ("jq", jq, sink),
        ("route", route, sink),
        ("validate", validate, sink),
    ]);
    let site = Site::new();
    let file = site.file("p.yaml", text);
    let weir = site.start(&file, &[]);
    wait_until("all run", || weir.stderr().matches("running").count() >= 4);
    let client = site.nats.client();
    client.publish("in.filter.a", r#"{"total":5}"#);
    client.publish("in.filter.b", r#"{"total":50}"#);
    client.publish("in.jq.a", r#"{"lines":[1,2]}"#);
    client.publish("in.route.a", r#"{"country":"de"}"#);
    client.publish("in.validate.a", r#"{"id":1}"#);
    client.publish("in.validate.b", "{}");
    let dead = site.wait_for_messages("DEAD", 1);
    assert_eq!(&*dead[0].subject, "dead.validate");
    let out = results(&site.wait_for_messages("OUT", 5));
    let expected = [
        ("out.in.filter.b", r#"{"total":50}"#),
        ("out.in.jq.a", "1"),
        ("out.in.jq.a", "2"),
        ("out.in.validate.a", r#"{"id":1}"#),
        ("out.to.de", r#"{"country":"de"}"#),
    ];
    let expected = expected.map(|(subject, text)| (subject.to_owned(), text.to_owned()));
    assert_eq!(out, expected);
    let status = site.weir(&["status"]).stdout;
    assert!(status.contains("std:filter"), "{status}");
}

#[test]
fn dedupe_aggregate_and_join_are_exact_if_the_host_is_killed() {
    let dedupe = "plugin: std:dedupe\n    config: { by: /id, within: 1h }";
    let aggregate = "plugin: std:aggregate\n    window: { tumbling: 1m }\n    \
        config: { results: { n: count, total: { sum: /v } } }";
    let join = "plugin: std:join\n    config: { left: { name: l, subject: in.join.left }, \
        right: { name: r, subject: in.join.right }, after: 10s }";
    let job = "delivery: exactly-once\npartitions: 1\nkey: \"{subject[1]}\"\n\
        sink: { subject: \"out.{key}\" }\n";
    let timed = format!("{job}event-time: {{ payload: /at }}\nwatermark: {{ bound: 0s }}\n");
    let text = pipelines(&[
        ("dedupe", dedupe, job),
        ("aggregate", aggregate, &timed),
        ("join", join, &timed),
    ]);
    let site = Site::new();
    let file = site.file("p.yaml", text);
    let run = || -> Weir {
        let weir = site.start_with(&[file.to_str().unwrap(), "--create"], &[]);
        wait_until("all run", || weir.stderr().matches("running").count() >= 3);
        weir
    };
    let client = site.nats.client();
    let mut weir = run();
    client.publish("in.dedupe.k", r#"{"id":1}"#);
    client.publish("in.dedupe.k", r#"{"id":1}"#);
    client.publish("in.aggregate.k", r#"{"at":"2026-03-02T09:00:05Z","v":2}"#);
    client.publish("in.join.left", r#"{"at":"2026-03-02T09:00:05Z","id":"x"}"#);
    site.wait_for_messages("OUT", 1);
    weir.kill9();
    let _weir = run();
    client.publish("in.dedupe.k", r#"{"id":1}"#);
    client.publish("in.dedupe.k", r#"{"id":2}"#);
    client.publish("in.aggregate.k", r#"{"at":"2026-03-02T09:00:45Z","v":3.5}"#);
    client.publish("in.aggregate.k", r#"{"at":"2026-03-02T09:02:00Z","v":9}"#);
    client.publish("in.join.right", r#"{"at":"2026-03-02T09:00:09Z","id":"x"}"#);
    let out = results(&site.wait_for_messages("OUT", 4));
    let texts: Vec<_> = out.iter().map(|(_, text)| text.as_str()).collect();
    let pair = r#"{"l":{"at":"2026-03-02T09:00:05Z","id":"x"},"r":{"at":"2026-03-02T09:00:09Z","id":"x"}}"#;
    assert_eq!(texts.len(), 4, "{out:?}");
    for text in [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"n":2,"total":5.5}"#, pair] {
        assert!(texts.contains(&text), "{text}: {out:?}");
    }
    assert_eq!(client.count("DEAD"), 0);
}

/// The same component with a section that means nothing: another version with the same work.
fn another(name: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(plugin(name)).unwrap();
    bytes.extend([0, 3, 1, b'x', b'y']);
    bytes
}

#[test]
fn one_is_deployed_over_a_file_and_a_file_over_one() {
    let site = Site::new();
    site.file("plugin.wasm", another("filter"));
    let config = "    config: { when: \"true\" }\n    limits";
    let file = site.pipeline_but(&[("    limits", config)], "");
    let _weir = site.run(&file);
    let digest = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    let own = digest(&std::fs::read(plugin("filter")).unwrap());
    site.deploy("std:filter", &[]).done();
    wait_until("it is swapped in", || {
        site.status(1)[0]["digest"] == own.as_str()
    });
    site.nats.client().publish("in.a", "x");
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(out[0].header("Weir-Digest"), Some(&own[..16]));
    assert!(site.weir(&["status"]).stdout.contains("std:filter"));
    let other = site.file("other.wasm", another("filter"));
    site.deploy(other.to_str().unwrap(), &[]).done();
    let other = digest(&another("filter"));
    wait_until("the file is swapped in", || {
        site.status(1)[0]["digest"] == other.as_str()
    });
}

#[test]
fn one_needs_no_signature_because_it_is_part_of_the_host() {
    let site = Site::new();
    let key = format!(
        "    require-signature: [\"{}\"]\n    config: {{ when: \"true\" }}\n    limits",
        Signer::new(1).public()
    );
    let changes = [("plugin.wasm", "std:filter"), ("    limits", &*key)];
    let file = site.pipeline_but(&changes, "");
    let _weir = site.run(&file);
    site.nats.client().publish("in.a", "x");
    site.wait_for_messages("OUT", 1);
    // A file with the same bytes is the same component, and any other needs one.
    site.file("other.wasm", another("filter"));
    let refused = site.pipeline_but(&[("plugin.wasm", "other.wasm"), ("    limits", &*key)], "");
    let check = site.weir(&["check", refused.to_str().unwrap()]);
    assert!(
        check.stderr.contains("it has no signature"),
        "{}",
        check.stderr
    );
}
