//! What people measure and compare pipelines with works for jobs.

use crate::harness::guests::versions;
use crate::harness::{Site, Weir, pipeline_folder, put, series, wait_until};
use serde_json::Value;

#[test]
fn a_version_is_compared_with_what_a_job_has_published() {
    let site = Site::new();
    site.file("plugin.wasm", versions("same-1"));
    let client = site.nats.client();
    client.publish_all((0..500).map(|number| (format!("in.{}", number % 7), number.to_string())));
    let weir = site.run_job(&site.job(&[], ""));
    wait_until("all are there", || client.count("OUT") == 500);
    wait_until("the last is committed", || {
        weir.metric(&series("in_flight")) == 0.0
    });
    for (name, code, different) in [("same-2", 0, 0), ("wrong-3", 1, 5)] {
        let file = site.file(&format!("{name}.wasm"), versions(name));
        let operator = format!("op={}", file.display());
        let replay = [
            "replay",
            "p.yaml",
            "--compare",
            "--json",
            "--operator",
            &operator,
        ];
        let replayed = site.weir(&replay);
        assert_eq!(replayed.code, Some(code), "{replayed:#?}");
        let report: Value = serde_json::from_str(&replayed.stdout).unwrap();
        let found = &report["comparison"];
        assert_eq!(
            (&found["same"], &found["different"]),
            (&(500 - different).into(), &different.into()),
            "{report}"
        );
    }
}

#[test]
fn a_job_is_measured_until_all_that_it_read_is_committed() {
    let folder = pipeline_folder(
        "misbehave",
        "name: p\nsource: { stream: IN, subjects: [\"in.>\"] }\noperators:\n  - { name: op, plugin: plugin.wasm }\n\
         delivery: exactly-once\nkey: \"{subject}\"\npartitions: 2\nsink: { subject: \"out.{subject}\" }\n",
    );
    let texts = ["emit:2", "drop", "reject", "one"];
    let lines = texts.map(|text| format!("{{\"subject\": \"in.a\", \"text\": \"{text}\"}}\n"));
    put(folder.path(), "input.jsonl", lines.concat());
    let bench = [
        "bench",
        "pipeline.yaml",
        "--json",
        "--runs",
        "2",
        "--seconds",
        "0",
        "--messages",
        "400",
    ];
    let finished = Weir::run_in(folder.path(), &bench);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    let counts = &report["runs"][0]["counts"];
    let found =
        ["messages", "results", "dropped", "dead_letters"].map(|name| counts[name].as_u64());
    assert_eq!(found, [400, 300, 100, 100].map(Some), "{report}");
}
