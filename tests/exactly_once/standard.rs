//! The standard plugins for windows and joins, by configuration alone: their results are those of all messages at
//! once, whatever is killed.

use super::golden::{lines, rows};
use crate::harness::{Site, Stored, Weir, guests, series, wait_until};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A job whose operator is a standard plugin.
fn job(site: &Site, plugin: &str, operator: &str, more: &str) -> PathBuf {
    site.file(
        "plugin.wasm",
        std::fs::read(guests::plugin(plugin)).unwrap(),
    );
    let limits = "    limits: { deadline: 1m }\n";
    let operator = format!("{limits}    {operator}\n");
    let timed = "partitions: 1\nevent-time: { payload: /at, unit: s }\n";
    let changes = [(limits, &*operator), ("out.{subject}", "out.{key}")];
    site.job(&changes, &format!("{timed}{more}"))
}

/// Kills the host once it has committed something more, and starts it again.
fn kill(site: &Site, weir: &mut Weir, file: &Path) {
    wait_until("something is committed", || {
        weir.metric(&series("acked_total")) > 0.0
    });
    weir.kill9();
    *weir = site.run_job(file);
}

#[test]
fn a_join_is_that_of_all_pairs_though_its_host_is_killed_and_messages_come_out_of_order() {
    const EVENTS: u64 = 600;
    const AFTER: u64 = 30;
    const BEFORE: u64 = 10;
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let site = Site::new();
    let operator = "config: { left: { name: l, subject: \"in.*.left\" }, right: { name: r, subject: \"in.*.right\" }, \
                    kind: full, after: 30s, before: 10s }";
    let file = job(&site, "join", operator, "watermark: { bound: 20s }\n");
    // A second each, mixed with the next few: none is behind by more than the bound.
    let mut events: Vec<(u64, &str, u64)> = (0..EVENTS)
        .map(|id| {
            (
                random.random_range(0..4),
                ["left", "right"][random.random_range(0..2)],
                id,
            )
        })
        .collect();
    events
        .chunks_mut(20)
        .for_each(|some| some.shuffle(&mut random));
    let shown = |id: u64| json!({ "id": id, "at": id });
    let client = site.nats.client();
    let mut weir = site.run_job(&file);
    for third in events.chunks(EVENTS as usize / 3) {
        client.publish_all(
            third
                .iter()
                .map(|(key, side, id)| (format!("in.{key}.{side}"), shown(*id).to_string())),
        );
        kill(&site, &mut weir, &file);
    }
    // Far behind all of them, so that none of them can have a match any more.
    client.publish(
        "in.end.left",
        json!({ "id": "end", "at": 10_000 }).to_string(),
    );

    let of = |side: &'static str| events.iter().filter(move |event| event.1 == side);
    let is_pair = |left: &(u64, &str, u64), right: &(u64, &str, u64)| {
        left.0 == right.0 && right.2 <= left.2 + AFTER && right.2 + BEFORE >= left.2
    };
    let mut expected = Vec::new();
    for left in of("left") {
        let pairs = of("right").filter(|right| is_pair(left, right));
        let pairs = pairs.map(|right| json!({ "l": shown(left.2), "r": shown(right.2) }));
        let before = expected.len();
        expected.extend(pairs);
        if expected.len() == before {
            expected.push(json!({ "l": shown(left.2), "r": null }));
        }
    }
    let alone = of("right").filter(|right| !of("left").any(|left| is_pair(left, right)));
    expected.extend(alone.map(|right| json!({ "l": null, "r": shown(right.2) })));
    let out = site.wait_for_messages("OUT", expected.len() as u64);
    assert_eq!(rows(out.iter().map(Stored::json)), rows(expected));
}

/// Without a broker: the window is emitted at the end of the lines.
#[test]
fn the_median_is_near_that_of_another_engine() {
    let folder = tempfile::tempdir().unwrap();
    let put =
        |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).unwrap();
    put(
        "aggregate.wasm",
        &std::fs::read(guests::plugin("aggregate")).unwrap(),
    );
    let pipeline = "name: p\nnats: { url: \"nats://127.0.0.1:1\" }\nsource: { stream: IN }\ndelivery: exactly-once\n\
         key: \"{subject[1]}\"\nevent-time: { payload: /timestamp }\noperators:\n  - name: all\n    plugin: aggregate.wasm\n    \
         limits: { deadline: 1m }\n    window: { tumbling: 36500d }\n    \
         config: { by: { event_type: /event_type }, results: { \
         quantiles: { quantiles: /driver_id, ranks: [0.5] } } }\nsink: { subject: out }\n";
    put("p.yaml", pipeline.as_bytes());
    let rides = lines("arroyo/cars.jsonl").into_iter();
    let rides =
        rides.map(|ride| json!({ "subject": "in.all", "payload": ride }).to_string() + "\n");
    let input: String = rides.collect();
    let finished = Weir::run_with_input(folder.path(), &["pipe", "p.yaml"], &input);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let found = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found: Vec<Value> = found.map(|line| line["payload"].clone()).collect();
    assert_eq!(found.len(), 2);
    // Each line has the figures so far: the last one has them all.
    let last: BTreeMap<String, Value> = lines("arroyo/every-aggregate.expected.jsonl")
        .into_iter()
        .map(|row| (row["after"]["event_type"].to_string(), row["after"].clone()))
        .collect();
    for result in found {
        let expected = &last[&result["event_type"].to_string()];
        let median = result["quantiles"]["0.5"].as_f64().unwrap();
        let exact = expected["median_driver"].as_f64().unwrap();
        assert!((median - exact).abs() <= 1.0, "{median} for {exact}");
    }
}
