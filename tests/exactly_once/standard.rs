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

/// Two jobs: the rides of each driver in each hour, and how many drivers have more than two in it.
#[test]
fn windows_of_the_results_of_windows_are_those_that_another_engine_expects() {
    let site = Site::new();
    let client = site.nats.client();
    let operator = "window: { tumbling: 1h }\n    config: { by: { driver: /driver }, results: { pickups: count } }";
    let drivers = job(&site, "aggregate", operator, "watermark: { bound: 1m }\n");
    site.file(
        "filter.wasm",
        std::fs::read(guests::plugin("filter")).unwrap(),
    );
    let url = site.nats.url();
    let hours = site.file(
        "q.yaml",
        format!(
            "name: q\nnats: {{ url: \"{url}\" }}\nsource: {{ stream: OUT, subjects: [out.all] }}\n\
             delivery: exactly-once\nkey: \"{{subject[1]}}\"\npartitions: 1\n\
             event-time: {{ header: Weir-Window-Start }}\noperators:\n  - name: many\n    plugin: filter.wasm\n    \
             limits: {{ deadline: 1m }}\n    config: {{ when: payload.pickups > 2 }}\n  - name: drivers\n    \
             plugin: plugin.wasm\n    limits: {{ deadline: 1m }}\n    window: {{ tumbling: 1h }}\n    \
             config: {{ results: {{ drivers: count }} }}\nsink: {{ subject: \"hours.all\", stream: HOURS, create: true }}\n"
        ),
    );
    let mut weir = site.run_job(&drivers);
    let _hours = site.run_job(&hours);
    let rides = lines("cars.jsonl").into_iter();
    let rides = rides.filter(|ride| ride["event_type"] == "pickup");
    let mut rides: Vec<(u64, Value)> = rides
        .map(|ride| (seconds(&ride["timestamp"]), ride["driver_id"].clone()))
        .collect();
    let last = rides.iter().map(|(at, _)| *at).max().unwrap();
    // Three of each later hour, so that both jobs pass the last one that counts.
    let later = [10, 10, 10, 20, 20, 20].map(|hours| (last + hours * 3600, json!(0)));
    rides.extend(later);
    let publish = |some: &[(u64, Value)]| {
        client.publish_all(
            some.iter()
                .map(|(at, driver)| ("in.all", json!({ "at": at, "driver": driver }).to_string())),
        );
    };
    let (first, rest) = rides.split_at(rides.len() / 2);
    publish(first);
    kill(&site, &mut weir, &drivers);
    publish(rest);
    let expected = rows(lines("window-of-window.expected.jsonl"));
    let out = site.wait_for_messages("HOURS", expected.len() as u64);
    let row = |result: &Stored| {
        let time = |name| result.header(name).unwrap().trim_end_matches('Z');
        let (start, end) = (time("Weir-Window-Start"), time("Weir-Window-End"));
        json!({ "start": start, "end": end, "drivers": result.json()["drivers"] })
    };
    assert_eq!(rows(out.iter().map(row)), expected);
}

fn seconds(timestamp: &Value) -> u64 {
    let time: jiff::Timestamp = timestamp.as_str().unwrap().parse().unwrap();
    time.as_second().try_into().unwrap()
}

/// Without a broker: the window is emitted at the end of the lines.
#[test]
fn every_figure_is_that_of_another_engine() {
    let folder = tempfile::tempdir().unwrap();
    let put =
        |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).unwrap();
    put(
        "aggregate.wasm",
        &std::fs::read(guests::plugin("aggregate")).unwrap(),
    );
    let field = |figure: &str| format!("{{ {figure}: /driver_id }}");
    let figures = [
        ("avg_driver", "average"),
        ("max_driver", "max"),
        ("min_driver", "min"),
        ("sum_driver", "sum"),
        ("stddev_driver", "stddev"),
        ("stddev_pop_driver", "population-stddev"),
        ("var_driver", "variance"),
        ("var_pop_driver", "population-variance"),
        ("approx_distinct_driver", "distinct-estimated"),
    ];
    let results = figures.map(|(name, figure)| format!("{name}: {}", field(figure)));
    let results = results.join(", ");
    let pipeline = format!(
        "name: p\nnats: {{ url: \"nats://127.0.0.1:1\" }}\nsource: {{ stream: IN }}\ndelivery: exactly-once\n\
         key: \"{{subject[1]}}\"\nevent-time: {{ payload: /timestamp }}\noperators:\n  - name: all\n    plugin: aggregate.wasm\n    \
         limits: {{ deadline: 1m }}\n    window: {{ tumbling: 36500d }}\n    \
         config: {{ by: {{ event_type: /event_type }}, results: {{ cnt: count, {results}, \
         quantiles: {{ quantiles: /driver_id, ranks: [0.5] }} }} }}\nsink: {{ subject: out }}\n"
    );
    put("p.yaml", pipeline.as_bytes());
    let rides = lines("cars.jsonl").into_iter();
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
    let last: BTreeMap<String, Value> = lines("every-aggregate.expected.jsonl")
        .into_iter()
        .map(|row| (row["after"]["event_type"].to_string(), row["after"].clone()))
        .collect();
    let rounded = |value: &Value| (value.as_f64().unwrap() * 1e4).round() / 1e4;
    for result in found {
        let expected = &last[&result["event_type"].to_string()];
        for name in figures.map(|(name, _)| name).into_iter().chain(["cnt"]) {
            assert_eq!(
                rounded(&result[name]),
                rounded(&expected[name]),
                "{name}: {result}"
            );
        }
        let median = result["quantiles"]["0.5"].as_f64().unwrap();
        let exact = expected["median_driver"].as_f64().unwrap();
        assert!((median - exact).abs() <= 1.0, "{median} for {exact}");
    }
}
