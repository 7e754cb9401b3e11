//! A job with several sources: a plugin sees of which each message is, keys meet whatever rule they come by, and event
//! time is that of the source that is furthest behind.

mod changes;
mod replay;

use super::by_subject;
use crate::cli::json;
use crate::harness::{
    Finished, Site, Stored, Weir, guests, replaced, series, wait_for, wait_until,
};
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use std::collections::BTreeMap;
use std::path::PathBuf;

const KEYS: usize = 7;
const CLICKS: &str = "clicks: { stream: CLICKS, key: \"{subject[1]}\" }";
const VIEWS: &str = "views: { stream: VIEWS, key: \"{header:User}\" }";
const TIME: &str = "event-time: { header: Time, unit: s }\n";

impl Site {
    /// The streams `CLICKS` and `VIEWS`, besides the usual ones.
    fn with_two() -> Self {
        let site = Self::new();
        let client = site.nats.client();
        client.create_stream("CLICKS", &["clicks.>"]);
        client.create_stream("VIEWS", &["views.>"]);
        site.file("plugin.wasm", guests::bytes("stateful"));
        site
    }

    /// A job of the plugin that keeps state, with these sources.
    fn joins(&self, sources: &[&str], more: &str) -> PathBuf {
        let sources = sources.join("\n  ");
        let changes = [
            (
                "source: { stream: IN, consumer: p }",
                &*format!("sources:\n  {sources}"),
            ),
            ("out.{subject}", "out.{key}"),
        ];
        self.pipeline_but(&changes, &format!("delivery: exactly-once\n{more}"))
    }

    /// A job of the standard join: views with the clicks on them so long after.
    fn pairs(&self, after: &str) -> PathBuf {
        let file = self.joins(&[CLICKS, VIEWS], TIME);
        let join = std::fs::read(guests::plugin("join")).unwrap();
        self.file("plugin.wasm", join);
        let limits = "    limits: { deadline: 1m }\n";
        let sides = "left: { name: view, source: views }, right: { name: click, source: clicks }";
        let config = format!("{limits}    config: {{ {sides}, after: {after} }}\n");
        let text = std::fs::read_to_string(&file).unwrap();
        self.file("p.yaml", replaced(&text, &[(limits, &config)]))
    }

    fn click(&self, key: &str, second: &str, script: &str) {
        let subject = format!("clicks.{key}");
        let client = self.nats.client();
        client.publish_with_headers(&subject, &[("Time", second)], script.to_owned());
    }

    fn view(&self, key: &str, second: &str, script: &str) {
        let headers = [("Time", second), ("User", key)];
        let client = self.nats.client();
        client.publish_with_headers("views.page", &headers, script.to_owned());
    }

    /// The next number of each key, in both streams.
    fn both(&self, number: usize) {
        let script = format!("count; set SOURCE {number}; get clicks; get views");
        for key in 0..KEYS {
            self.click(&key.to_string(), "1", &script);
            self.view(&key.to_string(), "1", &script);
        }
    }

    fn show(&self) -> String {
        self.operate(&["show", "p"]).stdout
    }

    /// Runs a host that is refused.
    fn refused(&self, file: &std::path::Path) -> Finished {
        let refused = self.start_job(file).finish();
        assert_eq!(refused.code, Some(1), "{refused:#?}");
        refused
    }
}

fn texts(messages: &[Stored]) -> Vec<String> {
    messages.iter().map(Stored::text).collect()
}

/// Each key has counted all messages of both sources once, and has the last of each at the end.
#[track_caller]
fn assert_joined(out: &[Stored], numbers: usize) {
    let found = by_subject(out);
    assert_eq!(found.len(), KEYS);
    for (key, texts) in found {
        let values = texts.iter().map(|text| text.split(',').collect());
        let values: Vec<Vec<&str>> = values.collect();
        let counts: Vec<usize> = values.iter().map(|it| it[0].parse().unwrap()).collect();
        let expected: Vec<usize> = (1..=2 * numbers).collect();
        assert_eq!(counts, expected, "{key}");
        let last = (numbers - 1).to_string();
        assert_eq!(values.last().unwrap()[1..], [&*last, &last], "{key}");
        for place in [1, 2] {
            let seen = values
                .iter()
                .filter_map(|it| it[place].parse::<usize>().ok());
            let seen: Vec<usize> = seen.collect();
            assert!(seen.is_sorted(), "{key}: {seen:?}");
        }
    }
}

#[test]
fn two_streams_with_keys_by_different_rules_are_joined_exactly_once_whenever_the_host_is_killed() {
    let site = Site::with_two();
    let file = site.joins(&[CLICKS, VIEWS], "");
    let client = site.nats.client();
    let mut weir = site.run_job(&file);
    let numbers = 60;
    for number in 0..numbers {
        site.both(number);
        if number % 20 == 10 {
            let some = client.count("OUT") + 30;
            wait_until("some are joined", || client.count("OUT") >= some);
            weir.kill9();
            weir = site.run_job(&file);
        }
    }
    let out = site.wait_for_messages("OUT", 2 * (KEYS * numbers) as u64);
    assert_joined(&out, numbers);
    let shown = site.show();
    for (name, stream) in [("clicks", "CLICKS"), ("views", "VIEWS")] {
        let line = format!("    {name} {stream}@");
        assert_eq!(shown.matches(&line).count(), 8, "{shown}");
    }
    wait_until("both have no lag", || {
        let lag = |source| format!("weir_source_lag{{pipeline=\"p\",source=\"{source}\"}}");
        weir.metric(&lag("clicks")) == 0.0 && weir.metric(&lag("views")) == 0.0
    });
    let status = json(&site.weir(&["status", "--json"]).stdout);
    let job = status.pointer("/0/pipelines/0/job").unwrap();
    let sources = job["sources"].as_array().unwrap();
    let names = sources.iter().map(|source| source["names"][0].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["clicks", "views"], "{status}");
}

#[test]
fn three_hosts_join_and_leave_while_two_streams_are_joined() {
    let site = Site::with_two();
    let file = site.joins(&[CLICKS, VIEWS], "partitions: 6\nstate: { standby: 1 }\n");
    let first = site.run_job(&file);
    let mut hosts: Vec<Weir> = Vec::new();
    let numbers = 60;
    for number in 0..numbers {
        site.both(number);
        match number {
            10 | 20 => hosts.push(site.run_job(&file)),
            30 => {
                wait_for("all three own some", || {
                    let shown = json(&site.operate(&["show", "p", "--json"]).stdout);
                    let hosts = shown["hosts"].as_array().unwrap();
                    let owns = |host: &&serde_json::Value| host["owned"] != serde_json::json!([]);
                    match hosts.iter().filter(owns).count() {
                        3 => Ok(()),
                        _ => Err(shown.to_string()),
                    }
                });
                hosts.remove(0).kill9();
            }
            _ => {}
        }
    }
    first.terminate();
    assert_eq!(first.finish().code, Some(0));
    let out = site.wait_for_messages("OUT", 2 * (KEYS * numbers) as u64);
    assert_joined(&out, numbers);
}

#[test]
fn event_time_is_that_of_the_source_that_is_furthest_behind_and_one_without_a_message_holds_it() {
    let site = Site::with_two();
    let file = site.joins(&[CLICKS, VIEWS], &format!("partitions: 1\n{TIME}"));
    let mut weir = site.run_job(&file);
    site.click("a", "100", "drop; timer event 150000000000 say fired");
    site.click("a", "200", "say ahead");
    // There may be views from any time.
    site.click("a", "200", "now event");
    site.wait_for_messages("OUT", 2);
    wait_for("it is said who waits for whom", || {
        let shown = site.show();
        let line = |name: &str| shown.lines().find(|line| line.contains(name)).unwrap_or("");
        let [clicks, views] = ["clicks CLICKS@", "views VIEWS@"].map(line);
        let is_said = views.ends_with("event time waits for it") && !clicks.contains("waits");
        is_said.then_some(()).ok_or(shown)
    });
    weir.kill9();
    weir = site.run_job(&file);
    site.view("a", "120", "say view");
    site.wait_for_messages("OUT", 3);
    site.view("a", "120", "now event");
    site.wait_for_messages("OUT", 4);
    site.view("b", "160", "say later");
    let out = site.wait_for_messages("OUT", 6);
    let expected = ["ahead", "0", "view", "120000000000", "later", "fired"];
    assert_eq!(texts(&out), expected);
    wait_until("the metric has it", || {
        weir.metric(&series("watermark_seconds")) == 160.0
    });
}

#[test]
fn a_source_that_is_idle_holds_the_other_back_no_more_whether_it_had_a_message_or_not() {
    for had_one in [false, true] {
        let site = Site::with_two();
        let more = format!("partitions: 1\n{TIME}watermark: {{ idle-timeout: 300ms }}\n");
        let file = site.joins(&[CLICKS, VIEWS], &more);
        let _weir = site.run_job(&file);
        if had_one {
            site.view("a", "1", "say first");
            site.wait_for_messages("OUT", 1);
        }
        site.click("a", "100", "drop; timer event 150000000000 say fired");
        site.click("a", "200", "say ahead");
        let out = site.wait_for_messages("OUT", 2 + u64::from(had_one));
        assert_eq!(texts(&out)[usize::from(had_one)..], ["ahead", "fired"]);
    }
}

#[test]
fn two_sources_of_one_stream_have_their_names_keys_and_times_by_subject() {
    let site = Site::with_two();
    let sources = [
        "left: { stream: CLICKS, subjects: [clicks.left.>], key: \"{subject[2]}\" }",
        "right: { stream: CLICKS, subjects: [clicks.right], key: \"{header:User}\", event-time: stream }",
    ];
    let file = site.joins(&sources, TIME);
    let client = site.nats.client();
    let weir = site.run_job(&file);
    site.click("left.a", "100", "count; say SOURCE");
    client.publish_with_headers("clicks.right", &[("User", "a")], "count; say SOURCE");
    // No time, and none is needed; and what no source reads is not read.
    client.publish("clicks.other", "count; say SOURCE");
    client.publish("clicks.left.a", "say no time");
    site.wait_for_messages("DEAD", 1);
    let out = site.wait_for_messages("OUT", 2);
    assert_eq!(texts(&out), ["1,left", "2,right"]);
    assert_eq!(client.count("DEAD"), 1);
    let shown = site.show();
    assert!(shown.contains("    left right CLICKS@"), "{shown}");
    drop(weir);
    // There is one order of them, so it can be repeated.
    let replayed = site.weir(&["replay", "p.yaml"]);
    assert_eq!(replayed.code, Some(0), "{replayed:#?}");
    assert!(replayed.stdout.contains("1,left"), "{replayed:#?}");
}

#[test]
fn a_message_that_waited_for_a_retry_or_was_made_by_an_operator_before_is_of_the_same_source() {
    let site = Site::with_two();
    let text = std::fs::read_to_string(site.joins(&[CLICKS, VIEWS], "")).unwrap();
    let two = "operators:\n  - { name: before, plugin: plugin.wasm }\n";
    let file = site.file("p.yaml", replaced(&text, &[("operators:\n", two)]));
    let _weir = site.run_job(&file);
    site.click("a", "1", "@before retry");
    site.view("a", "1", "@op say SOURCE");
    // Nothing of the key goes on before the first is given up.
    site.wait_for_messages("DEAD", 1);
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(texts(&out), ["views"]);
}

#[test]
fn a_work_queue_is_joined_with_a_stream_through_a_stream_of_the_jobs_own() {
    let site = Site::with_two();
    let client = site.nats.client();
    client.create_stream_with(Config {
        name: "QUEUE".to_owned(),
        subjects: vec!["queue.>".to_owned()],
        retention: RetentionPolicy::WorkQueue,
        ..Config::default()
    });
    let queue = "tasks: { stream: QUEUE, key: \"{subject[1]}\" }";
    let file = site.joins(&[CLICKS, queue], "");
    let mut weir = site.run_job(&file);
    for number in 0..40 {
        let script = "count; say SOURCE";
        client.publish(&format!("queue.{}", number % KEYS), script);
        site.click(&(number % KEYS).to_string(), "1", script);
        if number == 20 {
            weir.kill9();
            weir = site.run_job(&file);
        }
    }
    let out = site.wait_for_messages("OUT", 80);
    let mut sources: BTreeMap<String, usize> = BTreeMap::new();
    for text in texts(&out) {
        *sources
            .entry(text.split_once(',').unwrap().1.to_owned())
            .or_default() += 1;
    }
    let expected = [("clicks".to_owned(), 40), ("tasks".to_owned(), 40)];
    assert_eq!(sources, BTreeMap::from(expected));
    wait_until("the queue is empty", || client.count("QUEUE") == 0);
    let shown = site.show();
    assert!(shown.contains("    tasks WEIR_JOB_P_IN_QUEUE@"), "{shown}");
}

#[test]
fn the_standard_join_pairs_the_messages_of_two_streams() {
    let site = Site::with_two();
    let file = site.pairs("10s");
    let _weir = site.run_job(&file);
    site.view("a", "100", r#""first""#);
    site.click("a", "105", r#""clicked""#);
    site.click("a", "111", r#""too late""#);
    site.view("b", "104", r#""other""#);
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(&*out[0].subject, "out.a");
    let pair = serde_json::json!({ "view": "first", "click": "clicked" });
    assert_eq!(out[0].json(), pair);
}
