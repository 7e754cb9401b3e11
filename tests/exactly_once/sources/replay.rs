//! The history of a job that reads several streams runs through other settings, and is compared as a set.

use super::KEYS;
use crate::cli::json;
use crate::harness::{Finished, Site, Weir, guests, series, wait_until};
use async_nats::jetstream::stream;
use serde_json::Value;

/// The span of event time between two views of a key, in seconds: no click is near two of them.
const EACH: usize = 100;

impl Site {
    /// Views from `first` on, each with a click 3 seconds later and one 8 seconds later.
    fn pair_each(&self, rounds: std::ops::Range<usize>) {
        let keys = || (0..KEYS).map(|key| key.to_string());
        for round in rounds {
            let at = |later: usize| (1000 + round * EACH + later).to_string();
            keys().for_each(|key| self.view(&key, &at(0), &format!("\"view {round}\"")));
            keys().for_each(|key| self.click(&key, &at(3), &format!("\"soon {round}\"")));
            keys().for_each(|key| self.click(&key, &at(8), &format!("\"late {round}\"")));
        }
    }

    /// Waits until there are so many results, and all of them are committed.
    fn committed(&self, weir: &Weir, results: usize) {
        self.wait_for_messages("OUT", results as u64);
        wait_until("all is committed", || {
            weir.metric(&series("in_flight")) == 0.0
                && weir.metric("weir_lag{pipeline=\"p\"}") == 0.0
        });
    }

    /// Lets the stream of the results source nothing; returns what it had.
    fn source_nothing(&self) -> stream::Config {
        let client = self.nats.client();
        let whole = client.stream_info("OUT").unwrap().config;
        let cut = stream::Config {
            sources: None,
            ..whole.clone()
        };
        client.run(client.jetstream.update_stream(cut)).unwrap();
        whole
    }

    /// Waits until the job has committed a result with this text.
    fn is_committed(&self, text: &str) {
        wait_until("the result is committed", || {
            let mut stored = self.nats.client().messages("WEIR_JOB_P").into_iter();
            stored.any(|it| it.subject.contains(".out.") && it.text().contains(text))
        });
    }

    #[track_caller]
    fn compare_joined(&self, code: i32, more: &[&str]) -> Value {
        let all = [&["replay", "p.yaml", "--compare", "--json"], more].concat();
        let finished: Finished = self.weir(&all);
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        json(&finished.stdout)
    }
}

#[track_caller]
fn assert_found(report: &Value, same: usize, different: usize) {
    let found = &report["comparison"];
    let expected = (&Value::from(same), &Value::from(different));
    assert_eq!((&found["same"], &found["different"]), expected, "{report}");
}

#[test]
fn a_replay_of_a_join_of_two_streams_is_what_was_published_and_another_interval_differs() {
    let site = Site::with_two();
    let weir = site.run_job(&site.pairs("10s"));
    site.pair_each(0..10);
    site.committed(&weir, 2 * 10 * KEYS);
    let made = site.weir(&["job", "savepoint", "create", "p", "--name", "s1"]);
    assert_eq!(made.code, Some(0), "{made:#?}");
    site.pair_each(10..15);
    site.committed(&weir, 2 * 15 * KEYS);

    let report = site.compare_joined(0, &[]);
    assert_found(&report, 30 * KEYS, 0);
    let streams = (
        &report["replayed"]["stream"],
        &report["replayed"]["more"][0]["stream"],
    );
    assert_eq!(streams, (&"CLICKS".into(), &"VIEWS".into()), "{report}");
    assert_found(&site.compare_joined(0, &["--lanes", "2"]), 30 * KEYS, 0);
    assert_found(&site.compare_joined(0, &["--from", "s1"]), 10 * KEYS, 0);

    // With half of the interval, each late click has no view.
    site.pairs("5s");
    let report = site.compare_joined(1, &[]);
    assert_found(&report, 15 * KEYS, 15 * KEYS);
    let found = &report["comparison"];
    assert_eq!(found["differences"]["missing"], 15 * KEYS, "{found}");
    let sample = &found["samples"][0];
    assert!(
        sample["live"]["payload"]["click"]
            .as_str()
            .unwrap()
            .starts_with("late"),
        "{sample}"
    );
    assert_found(
        &site.compare_joined(1, &["--from", "s1"]),
        5 * KEYS,
        5 * KEYS,
    );

    let refused = site.weir(&["replay", "p.yaml", "--from", "7"]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    for said in ["it reads several: CLICKS, VIEWS", "give a time"] {
        assert!(refused.stderr.contains(said), "{refused:#?}");
    }
}

#[test]
fn what_a_timer_emitted_before_a_savepoint_is_not_missing_if_its_stream_gets_it_after() {
    let site = Site::with_two();
    let weir = site.run_job(&site.joins(&[super::CLICKS, super::VIEWS], ""));
    let client = site.nats.client();
    site.view("1", "1", "say first");
    site.committed(&weir, 1);
    // The stream of the results sources nothing, until messages have come after the savepoint.
    let whole = site.source_nothing();
    site.click("1", "1", "timer processing 1 say fired; drop");
    site.is_committed("fired");
    let made = site.weir(&["job", "savepoint", "create", "p", "--name", "s1"]);
    assert_eq!(made.code, Some(0), "{made:#?}");
    site.click("1", "1", "say after");
    site.view("1", "1", "say after");
    client.run(client.jetstream.update_stream(whole)).unwrap();
    site.wait_for_messages("OUT", 4);
    // So the stream of the results has the timer's before the last message of the replay was stored.
    site.click("1", "1", "say last");
    site.committed(&weir, 5);

    let report = site.compare_joined(0, &["--from", "s1"]);
    assert_found(&report, 3, 0);
    // The first result, and that of the timer.
    assert_eq!(report["comparison"]["without_input"], 2, "{report}");
    let text = site.weir(&["replay", "p.yaml", "--compare", "--from", "s1"]);
    let said = "not compared: 2 outputs of the pipeline\n  They come of messages that were not replayed, or";
    assert!(text.stdout.contains(said), "{text:#?}");
}

#[test]
fn a_difference_is_shown_between_results_of_the_same_message_or_between_those_of_timers() {
    let site = Site::with_two();
    let weir = site.run_job(&site.joins(&[super::CLICKS, super::VIEWS], ""));
    let payload = "keep; timer processing 1 get kept; get kept; say message";
    site.view("1", "1", payload);
    site.committed(&weir, 2);
    let other = site.file("other.wasm", guests::stateful("other"));
    let report = site.compare_joined(1, &["--operator", &format!("op={}", other.display())]);
    let found = &report["comparison"];
    assert_eq!(found["differences"]["payload"], 2, "{report}");
    let sides = |sample: &Value| ["live", "candidate"].map(|side| sample[side]["text"].clone());
    let samples = found["samples"].as_array().unwrap().iter().map(sides);
    let mut samples: Vec<[Value; 2]> = samples.collect();
    samples.sort_by_key(|sides| sides[0].to_string());
    assert_eq!(
        samples,
        [["first", "other"], ["first,message", "other,message"]]
    );
}

#[test]
fn results_that_their_stream_has_not_sourced_yet_are_not_compared() {
    let site = Site::with_two();
    let _weir = site.run_job(&site.joins(&[super::CLICKS, super::VIEWS], ""));
    let client = site.nats.client();
    site.view("1", "1", "say first");
    site.wait_for_messages("OUT", 1);
    site.source_nothing();
    site.click("1", "1", "say second");
    site.is_committed("second");
    let report = site.compare_joined(0, &[]);
    assert_found(&report, 1, 0);
    let left = &report["comparison"]["not_compared"];
    assert_eq!(left["unsettled"], 1, "{report}");
    assert_eq!(client.count("OUT"), 1);
}

#[test]
fn a_shadow_of_a_job_with_two_streams_is_the_same_and_another_version_differs() {
    let site = Site::with_two();
    let file = site.joins(&[super::CLICKS, super::VIEWS], "partitions: 3\n");
    let _weir = site.run_job(&file);
    site.both(0);
    site.wait_for_messages("OUT", 2 * KEYS as u64);
    site.file("other", guests::stateful("other"));
    let applied = site.deploy("other", &["--shadow"]);
    assert_eq!(applied.code, Some(0), "{applied:#?}");
    site.found("every partition has a copy", |total| {
        total["states"]["partitions"] == 3
    });
    let publish = |click: &str, view: &str| {
        for key in (0..KEYS).map(|key| key.to_string()) {
            site.click(&key, "1", click);
            site.view(&key, "1", view);
        }
    };
    // What does not depend on the order of the streams, and what a timer emits.
    publish("keep", "keep");
    publish("say SOURCE; timer processing 1 say fired", "say SOURCE");
    let same = |total: &Value| total["comparison"]["same"].as_u64().unwrap();
    let total = site.found("all is compared", |total| same(total) == 5 * KEYS as u64);
    assert_eq!(total["comparison"]["different"], 0, "{total}");
    publish("get kept", "get kept");
    let total = site.found("the versions differ", |total| {
        total["comparison"]["different"] == 2 * KEYS
    });
    let found = &total["comparison"];
    assert_eq!(found["differences"]["payload"], 2 * KEYS, "{total}");
    let sample = &found["samples"][0];
    let sides = (&sample["live"]["text"], &sample["candidate"]["text"]);
    assert_eq!(sides, (&"first".into(), &"other".into()), "{total}");
    assert_eq!(total["problems"], serde_json::json!([]), "{total}");
}
