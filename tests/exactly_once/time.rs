//! Event time: what waits for a time goes on when messages, or a quiet input, say that it has come, and never because
//! of a wrong clock.

use crate::cli::json;
use crate::harness::{Site, Stored, replaced, series, wait_until};

/// Event times in a header, as whole seconds.
const TIMED: &str = "partitions: 1\nevent-time: { header: Time, unit: s }\n";

fn texts(messages: &[Stored]) -> Vec<String> {
    messages.iter().map(Stored::text).collect()
}

impl Site {
    /// A message that happened at this second.
    fn event(&self, key: &str, second: &str, script: &str) {
        let (subject, headers) = (format!("in.{key}"), [("Time", second)]);
        let client = self.nats.client();
        client.publish_with_headers(&subject, &headers, script.to_owned());
    }
}

#[test]
fn a_timer_waits_for_the_watermark_which_comes_back_after_a_kill() {
    let site = Site::new();
    let file = site.stateful(&format!("{TIMED}watermark: {{ bound: 10s }}\n"));
    let mut weir = site.run_job(&file);
    site.event("a", "100", "drop; timer event 120000000000 say fired");
    site.event("b", "129", "say early");
    site.wait_for_messages("OUT", 1);
    weir.kill9();
    let weir = site.run_job(&file);
    // It is far behind, and moves nothing back.
    site.event("c", "1", "now event");
    site.wait_for_messages("OUT", 2);
    site.event("d", "130", "say late");
    let out = site.wait_for_messages("OUT", 4);
    assert_eq!(texts(&out), ["early", "119000000000", "late", "fired"]);
    wait_until("the metric has it", || {
        weir.metric(&series("watermark_seconds")) == 120.0
    });
    assert!(weir.metric(&series("event_time_lag_seconds")) > 1e9);
    let shown = json(&site.weir(&["job", "show", "p", "--json"]).stdout);
    let partition = &shown["state"][0];
    let mark = &partition["checkpoint"]["inputs"][0]["watermark"];
    assert_eq!(mark, 120_000_000_000_u64, "{shown}");
    assert!(partition["event_time_lag_seconds"][0].as_f64() > Some(1e9));
    let shown = site.weir(&["job", "show", "p"]).stdout;
    assert!(
        shown.contains("watermark 1970-01-01T00:02:00Z, "),
        "{shown}"
    );
    assert!(shown.contains(" s behind the clock"), "{shown}");
}

#[test]
fn a_time_far_ahead_of_the_clock_is_counted_and_makes_no_message_late() {
    let site = Site::new();
    let file = site.stateful(TIMED);
    let weir = site.run_job(&file);
    site.event("a", "100", "say first");
    // In the year 2200.
    site.event("a", "7258118400", "say poison");
    for second in 101..=110 {
        site.event("a", &second.to_string(), "now event");
    }
    let out = site.wait_for_messages("OUT", 12);
    let (said, seen) = out.split_at(2);
    assert_eq!(texts(said), ["first", "poison"]);
    // What a message sees of the watermark is from before it: at most its own time.
    for (second, seen) in (101..).zip(texts(seen)) {
        let seen: u64 = seen.parse().unwrap();
        assert!(seen < second * 1_000_000_000, "{seen} at {second}");
    }
    wait_until("it is counted", || {
        weir.metric(&series("event_times_ahead_total")) == 1.0
    });
}

#[test]
fn a_message_without_a_valid_event_time_is_a_dead_letter_with_the_reason_or_has_that_of_the_stream()
{
    let site = Site::new();
    let file = site.stateful(TIMED);
    let client = site.nats.client();
    let mut weir = site.run_job(&file);
    site.event("a", "100", "say first");
    client.publish("in.a", "say none");
    for second in ["soon", "-1", "253370764800"] {
        site.event("a", second, "say none");
    }
    let dead = site.wait_for_messages("DEAD", 4);
    let reasons = dead.iter().map(|dead| dead.header("Weir-Reason").unwrap());
    let expected = [
        "is missing",
        "is neither RFC 3339 text nor a number",
        "is before 1970",
        "is after 2262",
    ];
    for (reason, expected) in reasons.zip(expected) {
        let expected = format!("its event time in header `Time` {expected}");
        assert!(reason.contains(&expected), "{reason}");
    }
    let is_kind = |dead: &Stored| dead.header("Weir-Kind") == Some("event-time");
    assert!(dead.iter().all(is_kind), "{dead:#?}");
    weir.wait_until_output("operator=\"source\" kind=\"event-time\"");
    wait_until("they are counted", || {
        weir.metric(&series("event_times_invalid_total")) == 4.0
    });
    weir.kill9();
    let text = std::fs::read_to_string(&file).unwrap();
    let other = ("unit: s }", "unit: s, on-invalid: stream-time }");
    site.file("p.yaml", replaced(&text, &[other]));
    let weir = site.run_job(&file);
    site.event("a", "soon", "say something");
    site.wait_for_messages("OUT", 2);
    site.event("a", "101", "now event");
    let out = site.wait_for_messages("OUT", 3);
    assert_eq!(texts(&out), ["first", "something", "100000000000"]);
    wait_until("it is counted", || {
        weir.metric(&series("event_times_invalid_total")) == 1.0
    });
}

#[test]
fn the_last_timer_of_a_quiet_stream_fires_once_whatever_is_killed() {
    let site = Site::new();
    let file = site.stateful("partitions: 3\nwatermark: { idle-timeout: 200ms }\n");
    let mut weir = site.run_job(&file);
    let client = site.nats.client();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let soon = now.unwrap().as_nanos() + 500_000_000;
    // Each partition has some, and nothing comes behind them.
    let script = format!("drop; timer event {soon} say fired");
    client.publish_all((0..20).map(|key| (format!("in.{key}"), script.clone())));
    wait_until("some have fired", || client.count("OUT") > 0);
    weir.kill9();
    let _weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 20);
    assert_eq!(super::by_subject(&out).len(), 20);
}

#[test]
fn a_timer_of_event_time_waits_for_the_messages_of_its_key_that_are_retried() {
    let site = Site::new();
    let file = site.stateful(TIMED);
    // All of it is there when the host begins, so that the timer is due while the second message waits.
    site.event("a", "100", "drop; timer event 110000000000 say timer");
    site.event("a", "101", "retry");
    site.event("a", "109", "say behind");
    site.event("b", "130", "say other; timer event 120000000000 say its");
    let _weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 4);
    let found = super::by_subject(&out);
    assert_eq!(found["out.a"], ["behind", "timer"]);
    assert_eq!(found["out.b"], ["other", "its"]);
    site.wait_for_messages("DEAD", 1);
}

#[test]
fn seconds_that_are_read_as_milliseconds_are_said_once() {
    let site = Site::new();
    let file = site.stateful("event-time: { header: Time }\n");
    let weir = site.run_job(&file);
    let word = "before 1973; if it counts seconds, set `event-time.unit: s`";
    site.event("a", "1700000000000", "say right");
    site.wait_for_messages("OUT", 1);
    assert!(!weir.stderr().contains(word), "{}", weir.stderr());
    for key in ["a", "b", "c", "d"] {
        site.event(key, "1700000000", "say early");
    }
    site.wait_for_messages("OUT", 5);
    wait_until("it is said", || weir.stderr().contains(word));
    assert_eq!(weir.stderr().matches(word).count(), 1);
}
