//! Windows: what a window got is said once when event time has passed its end, whatever is killed.
//! What comes before and after that is in `windows/late.rs`, many of one key in `windows/many.rs`, and what a replay and a
//! shadow find in `windows/replay.rs`.

mod late;
mod many;
mod replay;

use super::by_subject;
use crate::harness::{Site, Stored, guests, replaced, repository, series, wait_until};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Event times in a header, as whole seconds.
pub(super) const TIMED: &str = "partitions: 1\nevent-time: { header: Time, unit: s }\n";
/// What the usual operator has, and `window:` comes behind.
const OPERATOR: &str = "    limits: { deadline: 1m }\n";

impl Site {
    /// The usual pipeline as a job with these windows, whose results are on `out.<key>`.
    pub(super) fn windows(&self, window: &str, more: &str) -> PathBuf {
        self.file("plugin.wasm", guests::bytes("windows"));
        let operator = format!("{OPERATOR}    window: {window}\n");
        self.job(
            &[("out.{subject}", "out.{key}"), (OPERATOR, &operator)],
            more,
        )
    }

    /// Messages of this key, each with the second at which it happened.
    fn events(&self, key: &str, events: &[(u64, &str)]) {
        let client = self.nats.client();
        for (second, payload) in events {
            let time = second.to_string();
            let (subject, headers) = (format!("in.{key}"), [("Time", &*time)]);
            client.publish_with_headers(&subject, &headers, (*payload).to_owned());
        }
    }
}

fn texts(messages: &[Stored]) -> Vec<String> {
    messages.iter().map(Stored::text).collect()
}

/// The results once there are so many, of a job with these windows, of one key.
fn emitted(window: &str, more: &str, events: &[(u64, &str)], count: u64) -> Vec<String> {
    let site = Site::new();
    let _weir = site.run_job(&site.windows(window, &format!("{TIMED}{more}")));
    site.events("a", events);
    texts(&site.wait_for_messages("OUT", count))
}

#[test]
fn a_window_is_emitted_once_the_watermark_has_passed_its_end_and_its_headers_say_which_it_is() {
    let site = Site::new();
    let file = site.windows(
        "{ tumbling: 10s }",
        &format!("{TIMED}watermark: {{ bound: 5s }}\n"),
    );
    let weir = site.run_job(&file);
    site.events("b", &[(3, "other")]);
    // The third is behind the watermark, and its window is open.
    site.events(
        "a",
        &[(12, "x"), (19, "y"), (11, "z"), (21, "next"), (24, "next")],
    );
    site.events("b", &[(25, "next")]);
    let out = site.wait_for_messages("OUT", 2);
    let by_key = by_subject(&out);
    assert_eq!(by_key["out.a"], ["10..20 on-time 0: x y z"]);
    assert_eq!(by_key["out.b"], ["0..10 on-time 0: other"]);
    let result = out
        .iter()
        .find(|result| &*result.subject == "out.a")
        .unwrap();
    for (name, value) in [
        ("Weir-Window-Start", "1970-01-01T00:00:10Z"),
        ("Weir-Window-End", "1970-01-01T00:00:20Z"),
        ("Weir-Pane", "on-time"),
        ("Weir-Pane-Index", "0"),
        ("Own", "header"),
    ] {
        assert_eq!(result.header(name), Some(value), "{name}");
    }
    wait_until("all is committed", || {
        weir.metric(&series("acked_total")) == 7.0
    });
    assert_eq!(site.nats.client().count("OUT"), 2);
    assert_eq!(weir.metric(&series("late_messages_total")), 0.0);
}

#[test]
fn hopping_windows_share_their_messages_and_begin_before_the_first() {
    let events = [(101, "a"), (104, "b"), (107, "c"), (120, "end")];
    assert_eq!(
        emitted("{ hopping: { size: 6s, every: 3s } }", "", &events, 4),
        [
            "96..102 on-time 0: a",
            "99..105 on-time 0: a b",
            "102..108 on-time 0: b c",
            "105..111 on-time 0: c",
        ]
    );
}

#[test]
fn a_session_ends_a_gap_after_its_last_message_and_what_comes_between_two_joins_them() {
    let events = [
        (10, "a"),
        (18, "b"),
        (14, "between"),
        (23, "next"),
        (40, "end"),
    ];
    let more = "watermark: { bound: 10s }\n";
    assert_eq!(
        emitted("{ session: { gap: 5s } }", more, &events, 2),
        ["10..23 on-time 0: a b between", "23..28 on-time 0: next"]
    );
}

#[test]
fn a_day_is_that_of_its_time_zone() {
    // The clocks go forward on 29 March 2026 in Berlin.
    let midnight = 1_774_738_800;
    let window = "{ tumbling: day, timezone: Europe/Berlin }";
    let last = midnight + 23 * 3600 - 1;
    let events = [(midnight, "first"), (last, "last"), (last + 1, "next day")];
    assert_eq!(
        emitted(window, "", &events, 1),
        [format!("{midnight}..{} on-time 0: first last", last + 1)]
    );
}

#[test]
fn windows_that_end_together_are_emitted_once_each_whatever_is_killed() {
    let site = Site::new();
    let file = site.windows("{ tumbling: 10s }", TIMED);
    let mut weir = site.run_job(&file);
    let client = site.nats.client();
    for key in 0..600 {
        site.events(&key.to_string(), &[(1, "x")]);
    }
    wait_until("all are taken", || {
        weir.metric(&series("acked_total")) == 600.0
    });
    site.events("end", &[(10, "end")]);
    wait_until("some are emitted", || client.count("OUT") > 0);
    weir.kill9();
    let _weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 600);
    let subjects: BTreeSet<_> = out
        .iter()
        .map(|message| message.subject.to_string())
        .collect();
    assert_eq!((out.len(), subjects.len()), (600, 600));
    assert!(
        out.iter()
            .all(|message| message.text() == "0..10 on-time 0: x")
    );
}

#[test]
fn a_window_that_ends_while_no_host_runs_is_emitted_once() {
    let site = Site::new();
    let file = site.windows(
        "{ tumbling: 1s }",
        "partitions: 3\nwatermark: { idle-timeout: 200ms }\n",
    );
    let mut weir = site.run_job(&file);
    let client = site.nats.client();
    client.publish_all((0..20).map(|key| (format!("in.{key}"), "x")));
    wait_until("all are taken", || {
        weir.metric(&series("acked_total")) == 20.0
    });
    weir.kill9();
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis()
    };
    let ended = now() + 1200;
    wait_until("the window has ended", || now() > ended);
    let _weir = site.run_job(&file);
    // Nothing comes behind: the quiet stream follows the clock.
    wait_until("each is emitted", || {
        let out = client.messages("OUT");
        let words = out
            .iter()
            .map(|message| message.text().matches('x').count());
        words.sum::<usize>() == 20
    });
}

#[test]
fn a_message_that_the_plugin_refuses_is_a_dead_letter_and_the_others_of_its_window_count() {
    let site = Site::new();
    let _weir = site.run_job(&site.windows("{ tumbling: 10s }", TIMED));
    site.events(
        "a",
        &[(1, "x"), (2, "reject"), (3, "trap"), (4, "y"), (10, "end")],
    );
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(texts(&out), ["0..10 on-time 0: x y"]);
    let dead = site.wait_for_messages("DEAD", 2);
    let of = |name: &str| {
        dead.iter()
            .map(|dead| dead.header(name).unwrap().to_owned())
            .collect()
    };
    let (kinds, payloads): (Vec<String>, Vec<String>) = (of("Weir-Kind"), texts(&dead));
    assert_eq!(kinds, ["reject", "trap"]);
    assert_eq!(payloads, ["reject", "trap"]);
}

#[test]
fn a_window_that_the_plugin_does_not_emit_is_a_dead_letter_and_holds_back_no_other() {
    let site = Site::new();
    let file = site.windows("{ tumbling: 10s }", TIMED);
    let mut weir = site.run_job(&file);
    site.events("a", &[(1, "stuck")]);
    site.events("b", &[(1, "x")]);
    site.events("a", &[(11, "y"), (20, "end")]);
    let out = site.wait_for_messages("OUT", 2);
    let mut out = texts(&out);
    out.sort();
    assert_eq!(out, ["0..10 on-time 0: x", "10..20 on-time 0: y"]);
    let dead = site.wait_for_messages("DEAD", 1);
    assert!(
        dead[0]
            .header("Weir-Reason")
            .unwrap()
            .contains("a window is stuck"),
        "{dead:#?}"
    );
    let of = ["Weir-Key", "Weir-Timer"].map(|name| dead[0].header(name));
    assert_eq!(of, [Some("a"), Some("1970-01-01T00:00:10Z")]);
    let refused = site.weir(&["dlq", "resend", "p.yaml", "--all"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let why = "it is of a window or a timer, and no message of the source";
    assert!(refused.stderr.contains(why), "{refused:#?}");
    weir.kill9();
    let _weir = site.run_job(&file);
    site.events("a", &[(30, "end")]);
    site.wait_for_messages("OUT", 3);
    assert_eq!(site.nats.client().count("DEAD"), 1);
}

#[test]
fn a_job_whose_windows_were_changed_is_refused_and_reads_no_accumulator_of_others() {
    let site = Site::new();
    let file = site.windows("{ tumbling: 10s }", TIMED);
    let weir = site.run_job(&file);
    site.events("a", &[(1, "x")]);
    wait_until("it is taken", || weir.metric(&series("acked_total")) == 1.0);
    weir.terminate();
    weir.finish();
    let text = std::fs::read_to_string(&file).unwrap();
    site.file(
        "p.yaml",
        replaced(&text, &[("tumbling: 10s", "tumbling: 20s")]),
    );
    let mut weir = site.start_job(&file);
    weir.wait_until_output(
        "the state has values of operator `op` with the windows `tumbling 10s`, which the pipeline does not have",
    );
    wait_until("it was tried again", || {
        weir.metric(&series("restarts_total")) >= 2.0
    });
    let said = weir.stderr();
    assert_eq!(
        said.matches("or delete the state with `weir job reset`")
            .count(),
        1,
        "{said}"
    );
    weir.kill9();
    site.file("p.yaml", text);
    let weir = site.run_job(&file);
    wait_until("what it has found is counted before it commits", || {
        weir.metric(&series("job_state_keys")) == 1.0
    });
    let shown = site
        .weir(&["job", "state", "get", "p", "a", "--operator", "op"])
        .stdout;
    assert!(shown.contains("op tumbling 10s"), "{shown}");
    site.events("a", &[(10, "end")]);
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(texts(&out), ["0..10 on-time 0: x"]);
}

#[test]
fn a_plugin_and_an_operator_that_do_not_fit_together_are_refused_with_what_to_do() {
    let site = Site::new();
    let refused = |cause: &str, hint: &str| {
        let checked = site.weir(&["check", "p.yaml"]);
        assert_eq!(checked.code, Some(2), "{checked:#?}");
        assert!(checked.stderr.contains(cause), "{}", checked.stderr);
        assert!(checked.stderr.contains(hint), "{}", checked.stderr);
    };
    site.windows("{ tumbling: 10s }", "");
    site.file("plugin.wasm", guests::bytes("echo"));
    refused(
        "the operator has `window:`, and it was built for `weir:plugin/operator@0.1.0`",
        "remove `window:`, or build it for the world `weir:window/aggregator@0.2.0`",
    );
    site.file("plugin.wasm", guests::bytes("windows"));
    site.job(&[], "");
    refused(
        "it aggregates windows, but the operator has no `window:`",
        "add `window: { tumbling: 1m }` to the operator",
    );
    site.pipeline("");
    refused(
        "it keeps state, which needs exactly-once delivery",
        "add `delivery: exactly-once`",
    );
}

#[test]
fn weir_check_says_when_results_appear_and_what_becomes_of_late_messages() {
    let site = Site::new();
    let says = |more: &str, words: &[&str]| {
        site.windows("{ tumbling: 10s }", more);
        let checked = site.weir(&["check", "p.yaml"]);
        assert_eq!(checked.code, Some(0), "{checked:#?}");
        for words in words {
            assert!(checked.stdout.contains(words), "{}", checked.stdout);
        }
    };
    says(
        "",
        &[
            "event time is when the stream stored a message: the result of a window appears when a message of its \
             end or later is processed, or the clock is 30s later than its end and nothing comes;",
            "messages that are too late for all their windows are dropped",
        ],
    );
    says(
        &format!("{TIMED}watermark: {{ bound: 5s }}\nlate: late.a\n"),
        &[
            "the result of a window appears when a message that is 5s later than its end is processed, and waits \
             while nothing comes (`watermark.idle-timeout` limits that);",
            "messages that are too late for all their windows go to `late.a`",
        ],
    );
}

#[test]
fn windows_go_on_when_a_second_host_takes_some_of_them_over() {
    let site = Site::new();
    let more = "partitions: 4\nevent-time: { header: Time, unit: s }\n";
    let file = site.windows("{ tumbling: 10s }", more);
    let first = site.run_job(&file);
    for key in 0..40 {
        site.events(&key.to_string(), &[(1, "x")]);
    }
    wait_until("all are taken", || {
        first.metric(&series("acked_total")) == 40.0
    });
    let second = site.run_job(&file);
    wait_until("it has its share", || {
        second.metric(&series("job_takeovers_total")) == 2.0
    });
    for key in 0..40 {
        site.events(&key.to_string(), &[(2, "y")]);
    }
    for key in 0..40 {
        site.events(&key.to_string(), &[(10, "end")]);
    }
    let out = site.wait_for_messages("OUT", 40);
    assert!(
        out.iter()
            .all(|message| message.text() == "0..10 on-time 0: x y"),
        "{out:#?}"
    );
}

/// See `tests/witness/README.md`.
#[test]
fn a_component_that_was_built_for_the_published_contract_aggregates_for_ever() {
    let site = Site::new();
    let file = site.windows("{ hopping: { size: 20s, every: 10s } }", TIMED);
    let witness = repository().join("tests/witness/aggregator-0.2.0.wasm");
    site.file("plugin.wasm", std::fs::read(witness).unwrap());
    let _weir = site.run_job(&file);
    site.events("a", &[(12, "x"), (21, "y"), (40, "end")]);
    let out = site.wait_for_messages("OUT", 3);
    let expected = [
        "0..20 on-time 0: x",
        "10..30 on-time 0: x y",
        "20..40 on-time 0: y",
    ];
    assert_eq!(texts(&out), expected);
}
