//! The standard plugins for windows, rankings, joins and order, by configuration alone: their results are those of all messages
//! at once, whatever is killed.

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

/// A job that brings the streams `IN` and `MORE` into one order.
fn merge(site: &Site, config: &str) -> PathBuf {
    let bytes = std::fs::read(guests::plugin("merge")).unwrap();
    site.file("plugin.wasm", bytes);
    site.nats.client().create_stream("MORE", &["more.>"]);
    let operator = format!("limits: {{ deadline: 1m }}\n    headers: all\n    {config}\n");
    let changes = [
        (
            "source: { stream: IN, consumer: p }",
            "sources: { one: { stream: IN }, two: { stream: MORE } }",
        ),
        ("limits: { deadline: 1m }\n", &*operator),
    ];
    let timed = "event-time: { payload: /at, unit: s }\nwatermark: { bound: 20s }\n";
    site.pipeline_but(
        &changes,
        &format!("delivery: exactly-once\npartitions: 1\n{timed}"),
    )
}

/// Moves the watermark of both streams to 20 seconds before this one.
fn end(site: &Site, second: u64) {
    for stream in ["in", "more"] {
        let payload = json!({ "end": second, "at": second }).to_string();
        site.nats
            .client()
            .publish(&format!("{stream}.end"), payload);
    }
}

const LATE: &str = "weir_plugin_counter_total{pipeline=\"p\",operator=\"op\",name=\"late\"}";

#[test]
fn two_streams_out_of_order_become_one_in_order_of_event_time_though_the_host_is_killed() {
    const EVENTS: u64 = 600;
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let site = Site::new();
    let file = merge(&site, "");
    // Three a second, mixed with those of the next few: none is behind by more than the bound.
    let mut events: Vec<(u64, &str)> = (0..EVENTS)
        .map(|id| (id, ["in", "more"][random.random_range(0..2)]))
        .collect();
    events
        .chunks_mut(50)
        .for_each(|some| some.shuffle(&mut random));
    let shown = |id: u64| json!({ "id": id, "at": id / 3 });
    let client = site.nats.client();
    let mut weir = site.run_job(&file);
    for third in events.chunks(EVENTS as usize / 3) {
        for (id, stream) in third {
            let (subject, id_text) = (format!("{stream}.{id}"), id.to_string());
            client.publish_with_headers(&subject, &[("Id", &id_text)], shown(*id).to_string());
        }
        kill(&site, &mut weir, &file);
    }
    end(&site, 10_000);
    let out = site.wait_for_messages("OUT", EVENTS);
    assert_eq!(out.len() as u64, EVENTS);
    let times = out.iter().map(|message| message.json()["at"].as_u64());
    assert!(times.is_sorted());
    // Those of one second and stream are in the order of the stream, which the sort keeps.
    for stream in ["in", "more"] {
        let mut expected: Vec<u64> = events
            .iter()
            .filter(|event| event.1 == stream)
            .map(|(id, _)| *id)
            .collect();
        expected.sort_by_key(|id| id / 3);
        let prefix = format!("out.{stream}.");
        let found: Vec<u64> = out
            .iter()
            .filter_map(|message| {
                let id: u64 = message.subject.strip_prefix(&prefix)?.parse().unwrap();
                assert_eq!(message.json(), shown(id));
                assert_eq!(message.header("Id"), Some(&*id.to_string()));
                Some(id)
            })
            .collect();
        assert_eq!(found, expected, "{stream}");
    }
    assert_eq!(weir.metric_of_plugin(LATE), None);
    client.publish("in.late", shown(3).to_string());
    wait_until("it is late", || weir.metric_of_plugin(LATE) == Some(1.0));
    end(&site, 20_000);
    let out = site.wait_for_messages("OUT", EVENTS + 2);
    let last = out.iter().skip(EVENTS as usize).map(Stored::json);
    let last: Vec<Value> = last.map(|message| message["end"].clone()).collect();
    assert_eq!(last, [10_000, 10_000]);
}

#[test]
fn a_burst_of_one_event_time_that_no_commit_holds_is_merged_and_a_late_message_passes_if_it_may() {
    const BURST: u64 = 2_000;
    let site = Site::new();
    let file = merge(&site, "config: { late: pass }");
    let padding = "x".repeat(4_000);
    let burst = (0..BURST).map(|id| {
        let payload = json!({ "id": id, "at": 100, "padding": padding });
        ("in.burst", payload.to_string())
    });
    let client = site.nats.client();
    client.publish_all(burst);
    let weir = site.run_job(&file);
    end(&site, 200);
    let ids = |out: &[Stored]| -> Vec<Option<u64>> {
        let ids = out.iter().map(|message| message.json()["id"].as_u64());
        ids.collect()
    };
    let out = site.wait_for_messages("OUT", BURST);
    assert_eq!(ids(&out), (0..BURST).map(Some).collect::<Vec<_>>());
    client.publish("in.late", json!({ "id": BURST, "at": 99 }).to_string());
    let out = site.wait_for_messages("OUT", BURST + 1);
    assert_eq!(ids(&out).last(), Some(&Some(BURST)));
    assert_eq!(weir.metric_of_plugin(LATE), Some(1.0));
    assert_eq!(client.count("DEAD"), 0);
}

#[test]
fn a_ranking_is_that_of_all_messages_though_its_host_is_killed_and_they_come_out_of_order() {
    const EVENTS: u64 = 600;
    const WINDOW: u64 = 100;
    const N: usize = 3;
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let site = Site::new();
    let operator = "window: { tumbling: 100s }\n    \
                    config: { by: /price, n: 3, ties: keep, of: { color: /color } }";
    let file = job(&site, "top", operator, "watermark: { bound: 20s }\n");
    // A second each; few prices, so that many are equal.
    let mut events: Vec<(u64, u64, u64)> = (0..EVENTS)
        .map(|at| {
            let color = random.random_range(0..2);
            (at, color, random.random_range(0..8))
        })
        .collect();
    let shown =
        |(at, color, price): (u64, u64, u64)| json!({ "at": at, "color": color, "price": price });
    let mut expected = Vec::new();
    for window in events.chunks(WINDOW as usize) {
        for color in 0..2 {
            let of: Vec<_> = window.iter().filter(|event| event.1 == color).collect();
            for event in &of {
                let above = of.iter().filter(|other| other.2 > event.2).count();
                if above < N {
                    let mut result = shown(**event);
                    result["rank"] = json!(above + 1);
                    expected.push(result);
                }
            }
        }
    }
    events
        .chunks_mut(20)
        .for_each(|some| some.shuffle(&mut random));
    let client = site.nats.client();
    let mut weir = site.run_job(&file);
    for third in events.chunks(EVENTS as usize / 3) {
        let third = third.iter();
        client.publish_all(third.map(|event| ("in.all", shown(*event).to_string())));
        kill(&site, &mut weir, &file);
    }
    // Ends the last window, and is in one that stays open.
    client.publish("in.all", shown((10_000, 0, 0)).to_string());
    let out = site.wait_for_messages("OUT", expected.len() as u64);
    assert_eq!(rows(out.iter().map(Stored::json)), rows(expected));
}

#[test]
fn sessions_are_those_of_all_messages_though_their_host_is_killed_and_they_come_out_of_order() {
    const EVENTS: u64 = 600;
    const GAP: u64 = 10;
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let site = Site::new();
    let operator = "window: { session: { gap: 10s } }\n    \
                    config: { first: { from: /id }, last: { to: /id }, events: { show: /id, most: 3 } }";
    let file = job(
        &site,
        "sessionize",
        operator,
        "watermark: { bound: 200s }\n",
    );
    // Of four keys, each a few seconds after the one before it or some more.
    let mut now = 0;
    let events: Vec<(u64, u64)> = (0..EVENTS)
        .map(|_| {
            now += random.random_range(1..8);
            (random.random_range(0..4), now)
        })
        .collect();
    let mut expected = Vec::new();
    let text = |second: u64| {
        let time = jiff::Timestamp::from_second(second as i64).unwrap();
        time.to_string()
    };
    for key in 0..4 {
        let all = events.iter().enumerate();
        let of_key = all.filter(|(_, event)| event.0 == key);
        let times: Vec<(usize, u64)> = of_key.map(|(id, event)| (id, event.1)).collect();
        for session in times.chunk_by(|one, next| next.1 - one.1 < GAP) {
            let (first, last) = (session[0], session[session.len() - 1]);
            let ids: Vec<usize> = session.iter().take(3).map(|(id, _)| *id).collect();
            expected.push(json!({
                "start": text(first.1), "end": text(last.1), "duration": last.1 - first.1,
                "count": session.len(), "from": first.0, "to": last.0, "events": ids,
            }));
        }
    }
    let mut numbered: Vec<_> = events.into_iter().enumerate().collect();
    numbered
        .chunks_mut(25)
        .for_each(|some| some.shuffle(&mut random));
    let client = site.nats.client();
    let mut weir = site.run_job(&file);
    for third in numbered.chunks(EVENTS as usize / 3) {
        let third = third.iter();
        client.publish_all(third.map(|(id, (key, at))| {
            let payload = json!({ "id": id, "at": at });
            (format!("in.{key}"), payload.to_string())
        }));
        kill(&site, &mut weir, &file);
    }
    client.publish("in.0", json!({ "id": EVENTS, "at": 100_000 }).to_string());
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
