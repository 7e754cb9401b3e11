//! Pairs, bursts and rates of clicks are the oracle's, each once, if their host is killed in the middle, and the view
//! has the rate of the last hour of each campaign.

use super::killed::wait_until_read;
use super::{folder, published};
use crate::harness::{Site, Weir, replaced, wait_for, wait_until};
use crate::views::pages::{get, pages};
use clicks_oracle::{Event, batch, events};
use example_streams::compare;
use std::ffi::OsStr;
use std::path::Path;

/// What there is besides the pipelines.
pub(super) const PARTS: [&str; 8] = [
    "README.md",
    "input.jsonl",
    "expected.jsonl",
    "input-bursts.jsonl",
    "expected-bursts.jsonl",
    "input-rates.jsonl",
    "expected-rates.jsonl",
    "oracle",
];

const FILES: [&str; 3] = [
    "pipeline.yaml",
    "pipeline-bursts.yaml",
    "pipeline-rates.yaml",
];

/// Copies the pipelines to where `weir` is run.
pub(super) fn install(directory: &Path) -> Vec<String> {
    let copy = directory.join("clicks");
    std::fs::create_dir(&copy).unwrap();
    let names = FILES.iter().map(|name| {
        std::fs::copy(folder("clicks").join(name), copy.join(name)).unwrap();
        format!("clicks/{name}")
    });
    names.collect()
}

#[test]
fn the_input_of_clicks_becomes_what_is_expected_in_each_pipeline() {
    let directory = tempfile::tempdir().unwrap();
    let files = install(directory.path());
    for (file, (input, expected)) in files.iter().zip([
        ("input.jsonl", "expected.jsonl"),
        ("input-bursts.jsonl", "expected-bursts.jsonl"),
        ("input-rates.jsonl", "expected-rates.jsonl"),
    ]) {
        let [input, expected] = [input, expected].map(|name| folder("clicks").join(name));
        let mut arguments: Vec<&OsStr> = ["plugin", "test", file, "--input"].map(OsStr::new).into();
        arguments.extend([input.as_os_str(), "--expected".as_ref(), expected.as_ref()]);
        let tested = Weir::run_in(directory.path(), &arguments);
        assert_eq!(tested.code, Some(0), "{}\n{}", tested.stdout, tested.stderr);
    }
}

/// Runs these files over what is there, with a kill when this stream has so many messages, until the results of each
/// stream are what is expected of them.
fn agree_though_the_host_is_killed(
    site: &Site,
    files: &[&str],
    pipelines: &[&str],
    (stream, half): (&str, u64),
    events: &[Event],
) -> Weir {
    let client = site.nats.client();
    let run = || {
        let weir = site.start_with(files, &[]);
        wait_until("all pipelines run", || {
            weir.stderr().matches("running").count() >= pipelines.len()
        });
        weir
    };
    let mut weir = run();
    wait_until("half of the results are there", || {
        client.count(stream) >= half
    });
    weir.kill9();
    let weir = run();
    let is_made = |stream: &str| files.iter().any(|file| made_by(stream) == *file);
    let all = batch::expected(events).into_iter();
    for (stream, prefix, expected) in all.filter(|(stream, _, _)| is_made(stream)) {
        assert!(compare::count(&expected) > 5, "{expected:?}");
        wait_for(&format!("{prefix}> is what is expected"), || {
            let found = batch::sorted(compare::results(&published(site, stream), prefix));
            match &*compare::differences(&expected, &found) {
                [] => Ok(()),
                differences => Err(format!("{differences:?}")),
            }
        });
        assert_eq!(client.count(&format!("DEAD_{stream}")), 0);
    }
    wait_until_read(&weir, pipelines);
    weir
}

fn made_by(stream: &str) -> &'static str {
    match stream {
        "JOINED" => "clicks/pipeline.yaml",
        "BURSTS" => "clicks/pipeline-bursts.yaml",
        _ => "clicks/pipeline-rates.yaml",
    }
}

/// The rates are of pairs that are all there: a host that joins and is slow to do so is no pause, which is the end of
/// them.
#[test]
fn pairs_bursts_and_rates_are_the_oracles_each_once_though_the_host_is_killed() {
    const SEED: u64 = 8;
    /// More than an hour.
    const COUNT: u64 = 4_000;
    let site = Site::bare();
    for file in install(site.folder.path()) {
        let text = std::fs::read_to_string(site.path(&file)).unwrap();
        let sooner = ("idle-timeout: 10s", "idle-timeout: 1s");
        site.file(&file, replaced(&text, &[sooner]));
    }
    let all = events(SEED, COUNT);
    let client = site.nats.client();
    client.create_stream("IMPRESSIONS", &["impressions.>"]);
    client.create_stream("CLICKS", &["clicks.>"]);
    client.publish_all(all.iter().map(|event| (event.subject(), event.payload())));
    let (first, pipelines) = (&FILES[..2], ["clicks-joined", "clicks-bursts"]);
    let first: Vec<String> = first.iter().map(|file| format!("clicks/{file}")).collect();
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let joined = ("JOINED", COUNT / 2);
    drop(agree_though_the_host_is_killed(
        &site, &first, &pipelines, joined, &all,
    ));
    let (rates, half) = (["clicks/pipeline-rates.yaml"], ("RATES", 1));
    let weir = agree_though_the_host_is_killed(&site, &rates, &["clicks-rates"], half, &all);
    let current = batch::current(&all);
    wait_for("the view has the last hour of each campaign", || {
        let (found, _) = pages(&weir, "rates", "&limit=1000");
        let is_right = |(campaign, hour)| {
            let found = found.get::<String>(campaign);
            found.is_some_and(|found| compare::is_same(found, hour))
        };
        match found.len() == current.len() && current.iter().all(is_right) {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    });
    let (campaign, hour) = current.first_key_value().unwrap();
    let answer = get(&weir, &format!("/views/rates/{campaign}"));
    assert_eq!(answer.status, 200);
    assert!(compare::is_same(&answer.json(), hour), "{answer:?}");
}
