//! What a window emits before and after its end, and what becomes of messages that come too late for that.

use super::{TIMED, emitted};
use crate::exactly_once::by_subject;
use crate::harness::{Fate, Proxy, Sender, Site, Stored, guests, replaced, series, wait_until};
use std::path::PathBuf;

#[test]
fn early_results_come_at_exactly_the_count_and_the_last_one_has_them_all() {
    let events =
        [1, 2, 3, 4, 5].map(|second| (second, ["a", "b", "c", "d", "e"][second as usize - 1]));
    let events = [&events[..], &[(20, "end")]].concat();
    let window = "{ tumbling: 10s, early: { count: 2 } }";
    assert_eq!(
        emitted(window, "", &events, 3),
        [
            "0..10 early 0: a b",
            "0..10 early 1: a b c d",
            "0..10 on-time 2: a b c d e"
        ]
    );
    let window = "{ tumbling: 10s, early: { count: 2 }, panes: discarding }";
    assert_eq!(
        emitted(window, "", &events, 3),
        [
            "0..10 early 0: a b",
            "0..10 early 1: c d",
            "0..10 on-time 2: e"
        ]
    );
    // Nothing comes behind, so that the clock alone emits it.
    let window = "{ tumbling: 10s, early: { interval: 50ms } }";
    assert_eq!(emitted(window, "", &[(1, "a")], 1), ["0..10 early 0: a"]);
}

/// Together they have more than a call may hand back; each by itself has not.
#[test]
fn large_windows_that_a_message_ends_are_emitted_and_the_message_counts() {
    let site = Site::new();
    let more = format!("{TIMED}watermark: {{ bound: 60s }}\n");
    let file = site.windows("{ tumbling: 10s }", &more);
    let text = std::fs::read_to_string(&file).unwrap();
    let small = [("deadline: 1m }", "deadline: 1m, output: 64KiB }")];
    site.file("p.yaml", replaced(&text, &small));
    let large = "x".repeat(20_000);
    let mut events: Vec<(u64, &str)> = (0..6).map(|window| (10 * window, &*large)).collect();
    events.extend([(1000, "far ahead"), (1010, "innocent"), (2000, "end")]);
    site.events("a", &events);
    let _weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 8);
    let texts: Vec<String> = out.iter().map(Stored::text).collect();
    assert!(
        texts.iter().any(|text| text.ends_with(": innocent")),
        "{texts:?}"
    );
    assert_eq!(site.nats.client().count("DEAD"), 0);
}

#[test]
fn a_result_that_the_sink_cannot_place_is_kept_in_its_dead_letter() {
    let site = Site::new();
    let file = site.windows("{ tumbling: 10s }", TIMED);
    let text = std::fs::read_to_string(&file).unwrap();
    let key = [("{subject[1]}", "{header:Town}")];
    site.file("p.yaml", replaced(&text, &key));
    let _weir = site.run_job(&file);
    let client = site.nats.client();
    for (second, town) in [("1", "New York"), ("2", "Rome"), ("30", "Rome")] {
        let headers = [("Time", second), ("Town", town)];
        client.publish_with_headers("in.a", &headers, format!("at {second}"));
    }
    let dead = site.wait_for_messages("DEAD", 1);
    assert_eq!(dead[0].text(), "0..10 on-time 0: at 1");
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(&*out[0].subject, "out.Rome");
}

#[test]
fn a_result_that_is_refused_is_no_fault_of_the_messages_that_end_its_window() {
    let site = Site::new();
    let file = site.windows("{ tumbling: 10s }", TIMED);
    let text = std::fs::read_to_string(&file).unwrap();
    let key = [("{subject[1]}", "{header:Town}")];
    site.file("p.yaml", replaced(&text, &key));
    let client = site.nats.client();
    let york = [1, 30, 31, 60, 61].map(|second| (second, "New York"));
    for (second, town) in [&york[..], &[(62, "Rome"), (100, "New York")]].concat() {
        let second = second.to_string();
        let headers = [("Time", &*second), ("Town", town)];
        client.publish_with_headers("in.a", &headers, format!("at {second}"));
    }
    // All of them are in one batch.
    let _weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(out[0].text(), "60..70 on-time 0: at 62");
    let dead = site.wait_for_messages("DEAD", 3);
    let texts: Vec<String> = dead.iter().map(Stored::text).collect();
    assert_eq!(
        texts,
        [
            "0..10 on-time 0: at 1",
            "30..40 on-time 0: at 30 at 31",
            "60..70 on-time 0: at 60 at 61"
        ]
    );
    assert!(
        dead.iter()
            .all(|letter| letter.header("Weir-Timer").is_some())
    );
}

#[test]
fn an_input_that_the_server_is_silent_about_is_not_idle() {
    let site = Site::new();
    let proxy = Proxy::before(&site.nats);
    let more = format!("{TIMED}watermark: {{ idle-timeout: 4s }}\n");
    let file = site.windows("{ tumbling: 10s }", &more);
    let text = std::fs::read_to_string(&file).unwrap();
    site.file(
        "p.yaml",
        replaced(&text, &[(&site.nats.url(), &proxy.url())]),
    );
    let weir = site.run_job(&file);
    site.events("a", &[(1, "a")]);
    wait_until("the first message is read", || {
        weir.metric(&series("received_total")) > 0.0
    });
    // As if the node were gone that has the consumer: what it would send is lost, messages and heartbeats.
    proxy.rule(|sender, _, content| match sender {
        Sender::Server if content.contains("NATS/1.0") => Fate::Lost,
        _ => Fate::Arrives,
    });
    site.events("a", &[(2, "b"), (3, "c")]);
    let silent = weir.metric(&series("job_failures_total"));
    wait_until("the host notices that it hears nothing", || {
        weir.metric(&series("job_failures_total")) > silent
    });
    proxy.release();
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(out[0].text(), "0..10 on-time 0: a b c");
    assert_eq!(weir.metric(&series("late_messages_total")), 0.0);
}

#[test]
fn a_message_within_the_allowed_lateness_emits_its_window_again() {
    let window = "{ tumbling: 10s, allowed-lateness: 20s }";
    let events = [
        (1, "a"),
        (10, "b"),
        (2, "late"),
        (29, "c"),
        (3, "later"),
        (30, "d"),
        (4, "too late"),
    ];
    let mut out = emitted(window, "late: \"out.late.{subject}\"\n", &events, 6);
    out.sort();
    assert_eq!(
        out,
        [
            "0..10 late 1: a late",
            "0..10 late 2: a late later",
            "0..10 on-time 0: a",
            "10..20 on-time 0: b",
            "20..30 on-time 0: c",
            "too late",
        ]
    );
}

#[test]
fn a_message_that_is_too_late_goes_to_its_subject_as_it_came_or_nowhere_and_is_counted() {
    let site = Site::new();
    let view = "views:\n  - { name: v, key: \"{subject}\" }\n";
    let more = format!("{TIMED}late: \"out.late.{{subject[1]}}\"\n{view}");
    site.file("behind.wasm", guests::bytes("misbehave"));
    let file = site.windows("{ tumbling: 10s }", &more);
    let behind = "  - { name: behind, plugin: behind.wasm, config: { mark: behind } }\nsink:";
    let text = std::fs::read_to_string(&file).unwrap();
    site.file("p.yaml", replaced(&text, &[("sink:", behind)]));
    let mut weir = site.run_job(&file);
    site.events(
        "a",
        &[
            (25, "x"),
            (9, "late"),
            (12, "late as well"),
            (20, "y"),
            (30, "end"),
        ],
    );
    let out = site.wait_for_messages("OUT", 3);
    let by_subject = by_subject(&out);
    assert_eq!(by_subject["out.late.a"], ["late", "late as well"]);
    assert_eq!(by_subject["out.a"], ["20..30 on-time 0: x y"]);
    let late = out.iter().find(|message| message.text() == "late").unwrap();
    assert_eq!(late.header("Time"), Some("9"));
    assert_eq!(
        (late.header("Weir-Pane"), late.header("Mark")),
        (None, None)
    );
    let result = out.iter().find(|it| &*it.subject == "out.a").unwrap();
    assert_eq!(result.header("Mark"), Some("behind"));
    let count = || weir.metric(&series("late_messages_total"));
    wait_until("they are counted", || count() == 2.0);
    // What is late is no result.
    wait_until("the view has the result alone", || {
        site.nats.client().count("KV_p-v") == 1
    });
    weir.kill9();
    let text = std::fs::read_to_string(&file).unwrap();
    site.file(
        "p.yaml",
        replaced(&text, &[("late: \"out.late.{subject[1]}\"\n", "")]),
    );
    let weir = site.run_job(&file);
    site.events("a", &[(9, "late"), (40, "end")]);
    site.wait_for_messages("OUT", 4);
    let count = || weir.metric(&series("late_messages_total"));
    wait_until("it is counted", || count() == 1.0);
    assert_eq!(site.nats.client().count("OUT"), 4);
}

/// The windows of the usual operator, with another before it.
fn behind(site: &Site, before: &str) -> PathBuf {
    let file = site.windows("{ tumbling: 10s }", TIMED);
    site.file("before.wasm", guests::bytes(before));
    let text = std::fs::read_to_string(&file).unwrap();
    let both = "operators:\n  - { name: before, plugin: before.wasm }\n";
    site.file("p.yaml", replaced(&text, &[("operators:\n", both)]))
}

#[test]
fn what_a_timer_before_the_windows_emits_has_its_time_and_is_late_once_its_window_has_ended() {
    let site = Site::new();
    let weir = site.run_job(&behind(&site, "stateful"));
    site.events(
        "a",
        &[(1, "drop; timer event 5000000000 say timer"), (6, "x")],
    );
    wait_until("it is taken", || weir.metric(&series("acked_total")) == 2.0);
    site.events("a", &[(12, "drop; timer event 3000000000 say late")]);
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(out[0].text(), "0..10 on-time 0: timer x");
    wait_until("the other is late", || {
        weir.metric(&series("late_messages_total")) == 1.0
    });
}

#[test]
fn a_message_that_waits_for_a_retry_is_not_late_for_that() {
    let site = Site::new();
    let file = behind(&site, "misbehave");
    site.events("a", &[(1, "retry-until:3"), (2, "behind it")]);
    site.events("b", &[(30, "x")]);
    let weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(out[0].text(), "0..10 on-time 0: behind it retry-until:3");
    assert_eq!(weir.metric(&series("late_messages_total")), 0.0);
}
