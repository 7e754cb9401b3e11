//! Minutes, days, gaps and drift of sensors are the oracle's, each once, if their host is killed in the middle, and
//! the view has the last minute of each sensor.

use super::killed::wait_until_read;
use super::{folder, published};
use crate::harness::guests::example;
use crate::harness::{Site, Weir, replaced, wait_for, wait_until};
use crate::views::pages::{get, pages};
use example_streams::compare;
use iot_oracle::{batch, readings};
use std::ffi::OsStr;
use std::path::Path;

/// What there is besides the pipelines.
pub(super) const PARTS: [&str; 6] = [
    "README.md",
    "input.jsonl",
    "expected.jsonl",
    "expected-gaps.jsonl",
    "plugin",
    "oracle",
];

const FILES: [&str; 4] = [
    "pipeline.yaml",
    "pipeline-gaps.yaml",
    "pipeline-drift.yaml",
    "pipeline-days.yaml",
];

const PIPELINES: [&str; 5] = [
    "iot-minutes",
    "iot-gaps",
    "iot-drift",
    "iot-days-hamburg",
    "iot-days-pune",
];

/// Copies the pipelines to where `weir` is run, with the component.
pub(super) fn install(directory: &Path) -> Vec<String> {
    let copy = directory.join("iot");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(example("iot"), copy.join("iot.wasm")).unwrap();
    let names = FILES.iter().map(|name| {
        std::fs::copy(folder("iot").join(name), copy.join(name)).unwrap();
        format!("iot/{name}")
    });
    names.collect()
}

#[test]
fn the_input_of_iot_becomes_what_is_expected() {
    let directory = tempfile::tempdir().unwrap();
    install(directory.path());
    for (file, expected) in [
        ("iot/pipeline.yaml", "expected.jsonl"),
        ("iot/pipeline-gaps.yaml", "expected-gaps.jsonl"),
    ] {
        let [input, expected] = ["input.jsonl", expected].map(|name| folder("iot").join(name));
        let mut arguments: Vec<&OsStr> = ["plugin", "test", file, "--input"].map(OsStr::new).into();
        arguments.extend([input.as_os_str(), "--expected".as_ref(), expected.as_ref()]);
        let tested = Weir::run_in(directory.path(), &arguments);
        assert_eq!(tested.code, Some(0), "{}\n{}", tested.stdout, tested.stderr);
    }
}

#[test]
fn minutes_days_gaps_and_drift_are_the_oracles_each_once_though_the_host_is_killed() {
    const SEED: u64 = 3;
    /// Two days, with the one on which the clocks are set back.
    const COUNT: u64 = 5_184;
    let site = Site::bare();
    let files = install(site.folder.path());
    // All readings are there before the host is, so a quiet second is the end of them.
    for file in &files {
        let text = std::fs::read_to_string(site.path(file)).unwrap();
        let sooner = ("idle-timeout: 10s", "idle-timeout: 1s");
        // The minutes are compared in their order, without event time.
        if file != "iot/pipeline-drift.yaml" {
            site.file(file, replaced(&text, &[sooner]));
        }
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let run = || {
        let weir = site.start_with(&files, &[]);
        wait_until("all pipelines run", || {
            weir.stderr().matches("running").count() >= PIPELINES.len()
        });
        weir
    };
    let all = readings(SEED, COUNT);
    let client = site.nats.client();
    client.create_stream("SENSORS", &["sensors.>"]);
    client.publish_all(
        all.iter()
            .map(|reading| (reading.subject(), reading.payload())),
    );
    let mut weir = run();
    wait_until("half of the minutes are there", || {
        client.count("MINUTES") > COUNT / 6
    });
    weir.kill9();
    let weir = run();
    for (stream, prefix, expected) in batch::expected(&all) {
        assert!(compare::count(&expected) > 5, "{expected:?}");
        wait_for(&format!("{prefix}> is what is expected"), || {
            let found = compare::results(&published(&site, stream), prefix);
            match &*compare::differences(&expected, &found) {
                [] => Ok(()),
                differences => Err(format!("{differences:?}")),
            }
        });
    }
    wait_until_read(&weir, &PIPELINES);
    for dead in ["DEAD_MINUTES", "DEAD_GAPS", "DEAD_DRIFT", "DEAD_DAYS"] {
        assert_eq!(client.count(dead), 0, "{dead}");
    }
    let latest = batch::latest(&all);
    wait_for("the view has the last minute of each sensor", || {
        let (found, _) = pages(&weir, "latest", "&limit=1000");
        let is_right = |(device, minute)| {
            let found = found.get::<String>(device);
            found.is_some_and(|found| compare::is_same(found, minute))
        };
        match found.len() == latest.len() && latest.iter().all(is_right) {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    });
    let (device, minute) = latest.first_key_value().unwrap();
    let answer = get(&weir, &format!("/views/latest/{device}"));
    assert_eq!(answer.status, 200);
    assert!(compare::is_same(&answer.json(), minute), "{answer:?}");
}
