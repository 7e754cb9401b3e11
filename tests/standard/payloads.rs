//! A payload that a standard plugin cannot read is refused with a reason, and ends no instance; a file of CSV goes
//! through row by row.

use crate::harness::guests::{plugin, repository};
use crate::harness::lane::{Lane, limits, message, runtime};
use crate::harness::{Weir, put, replaced};
use bytes::Bytes;
use serde_json::{Value, json};
use weir::message::Outcome;

fn lane(name: &str, config: &Value) -> Lane {
    let plugin = runtime().load(&plugin(name)).unwrap();
    Lane::new(plugin, limits(), &config.to_string())
}

/// The only output for a payload, or why there is none.
fn outcome(lane: &mut Lane, payload: Vec<u8>) -> Result<String, String> {
    let mut message = message("");
    message.payload = Bytes::from(payload);
    let batch = [message.clone()];
    let outcomes = lane.tokio.block_on(lane.worker.process(&batch)).unwrap();
    match &*outcomes {
        [Outcome::Emit(outputs)] => {
            // One without a payload has that of the message.
            let payload = outputs[0].payload.as_ref().unwrap_or(&message.payload);
            Ok(String::from_utf8(payload.to_vec()).unwrap())
        }
        [Outcome::Reject(reason)] => Err(reason.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Something with so many levels.
type Nested<'a, T> = &'a dyn Fn(usize) -> T;

/// A plugin with its configuration, a payload, and what it makes of it.
type Case<'a> = (&'a str, Value, Nested<'a, Vec<u8>>, Nested<'a, String>);

#[test]
fn a_payload_that_is_nested_a_thousand_levels_is_refused_and_one_of_a_hundred_is_read() {
    let brackets = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let node = json!({ "type": "record", "name": "Node", "fields": [{ "name": "next", "type": ["null", "Node"] }] });
    // The second branch for each level but the last, which has the first.
    let avro = |levels: usize| [vec![2; levels - 1], vec![0]].concat();
    let records = |levels: usize| r#"{"next":"#.repeat(levels) + "null" + &"}".repeat(levels);
    let cbor = |levels: usize| [vec![0x81; levels - 1], vec![0x80]].concat();
    let messagepack = |levels: usize| [vec![0x91; levels - 1], vec![0x90]].concat();
    let all: [Case<'_>; 4] = [
        (
            "decode",
            json!({ "format": { "avro": { "schema": node } } }),
            &avro,
            &records,
        ),
        ("decode", json!({ "format": "cbor" }), &cbor, &brackets),
        (
            "decode",
            json!({ "format": "messagepack" }),
            &messagepack,
            &brackets,
        ),
        (
            "jq",
            json!({ "query": "." }),
            &|levels| brackets(levels).into_bytes(),
            &brackets,
        ),
    ];
    for (name, config, payload, expected) in all {
        let mut lane = lane(name, &config);
        for levels in [100, 127] {
            assert_eq!(
                outcome(&mut lane, payload(levels)),
                Ok(expected(levels)),
                "{config}"
            );
        }
        for levels in [1_000, 100_000] {
            let refused = "the payload has more than 127 levels of nesting".to_owned();
            assert_eq!(
                outcome(&mut lane, payload(levels)),
                Err(refused),
                "{config}"
            );
        }
        assert_eq!(lane.metrics.instances_created.get(), 1);
    }
}

#[test]
fn a_number_of_any_size_is_json_for_every_plugin_and_goes_on_as_it_was_written() {
    const PAYLOAD: &str = r#"{"far":1e400,"id":7,"long":12345678901234567890.10}"#;
    let passing = [
        ("filter", json!({ "when": "payload.id == 7" })),
        ("map", json!({ "fields": { "id": "payload.id" } })),
        ("validate", json!({ "schema": { "type": "object" } })),
        ("jq", json!({ "query": "." })),
        (
            "redact",
            json!({ "rules": [{ "fields": ["/none"], "method": "remove" }] }),
        ),
        ("sample", json!({ "one-in": 1, "by": "{/id}" })),
        (
            "route",
            json!({ "by": "/id", "routes": { "7": "out.{/id}" }, "otherwise": "drop" }),
        ),
    ];
    for (name, config) in passing {
        let mut lane = lane(name, &config);
        let passed = outcome(&mut lane, PAYLOAD.into());
        assert_eq!(passed.as_deref(), Ok(PAYLOAD), "{name}");
    }
    let reading = [
        (
            "filter",
            json!({ "when": "payload.far > 1" }),
            "`>` does not work with a number out of range at /far (`payload.far`) and the whole number 1",
        ),
        (
            "map",
            json!({ "fields": { "id": "payload.far" } }),
            "number out of range at /far",
        ),
    ];
    for (name, config, reason) in reading {
        let refused = outcome(&mut lane(name, &config), PAYLOAD.into()).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }
}

/// The pipeline of docs/standard-plugins.md, with parts of it replaced: its results for these lines, and its reasons.
fn rows(changes: &[(&str, &str)], file: &str) -> (Vec<Value>, Vec<String>) {
    let page = std::fs::read_to_string(repository().join("docs/standard-plugins.md")).unwrap();
    let (_, section) = page.split_once("\n## CSV files\n").unwrap();
    let (_, pipeline) = section.split_once("```yaml\n").unwrap();
    let (pipeline, _) = pipeline.split_once("```\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    // No call comes near its deadline on a busy machine.
    let limits = ("    plugin:", "    limits: { deadline: 1m }\n    plugin:");
    let pipeline = replaced(pipeline, &[&[limits], changes].concat());
    put(folder.path(), "p.yaml", pipeline);
    let input = json!({ "subject": "files.a", "text": file }).to_string() + "\n";
    let finished = Weir::run_with_input(folder.path(), &["pipe", "p.yaml"], &input);
    let lines = |text: &str| -> Vec<Value> {
        let lines = text.lines().map(serde_json::from_str);
        lines.filter_map(Result::ok).collect()
    };
    let rows = lines(&finished.stdout);
    let rows = rows.into_iter().map(|line| line["payload"].clone());
    let dead = lines(&finished.stderr);
    let reasons = dead.iter().filter_map(|line| line["reject"].as_str());
    (rows.collect(), reasons.map(str::to_owned).collect())
}

const FILE: &str = "sensor,celsius,note\na,20.50,\nb,warm,\"x, y\"\n\nc,-1,z\n";

#[test]
fn a_row_of_a_file_that_cannot_be_read_is_left_out_alone_or_named() {
    let (found, reasons) = rows(&[], FILE);
    let expected = [
        json!({ "sensor": "a", "celsius": 20.5, "note": "" }),
        json!({ "sensor": "c", "celsius": -1, "note": "z" }),
    ];
    assert_eq!((found, reasons), (expected.to_vec(), Vec::new()));
    let (found, reasons) = rows(&[("      on-error: drop\n", "")], FILE);
    assert_eq!(reasons, ["part 3: column `celsius`: `warm` is no number"]);
    assert_eq!(found, Vec::<Value>::new());
}
