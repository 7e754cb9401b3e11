//! What a timer emits is stored with the end of the timer, also where an operator behind refuses it. A dead letter of a
//! timer says which one it is.

use super::windows::TIMED;
use crate::cli::json;
use crate::harness::{Site, guests};

/// Of the timers of `std:merge` for the second and the third message.
const NAMES: [&str; 2] = ["00000000000000000001", "00000000000000000002"];

#[test]
fn a_message_that_has_waited_and_is_refused_then_is_a_dead_letter_and_leaves_nothing_in_the_state()
{
    let site = Site::new();
    let merge = std::fs::read(guests::plugin("merge")).unwrap();
    site.file("plugin.wasm", merge);
    let last = std::fs::read(guests::guest("misbehave")).unwrap();
    site.file("last.wasm", last);
    let limits = "limits: { deadline: 1m }\n";
    let headers = format!("{limits}    headers: all\n");
    let last = format!("  - name: last\n    plugin: last.wasm\n    {limits}sink:");
    let changes = [(limits, &*headers), ("sink:", &*last)];
    let timed = "partitions: 1\nevent-time: { header: At, unit: s }\nwatermark: { bound: 1s }\n";
    let file = site.job(&changes, timed);
    let mut weir = site.run_job(&file);
    let client = site.nats.client();
    let publish = |at: &str, payload: &str| {
        client.publish_with_headers("in.a", &[("At", at), ("Id", payload)], payload.to_owned());
    };
    publish("11", "fine");
    publish("10", "reject");
    publish("10", "trap");
    publish("100", "end");
    assert_eq!(site.wait_for_messages("OUT", 1)[0].text(), "fine");
    let dead = site.wait_for_messages("DEAD", 2);
    for (letter, payload) in dead.iter().zip(["reject", "trap"]) {
        assert_eq!(letter.text(), payload);
        for (name, value) in [
            ("Id", payload),
            ("Weir-Kind", payload),
            ("Weir-Operator", "last"),
            ("Weir-Subject", "in.a"),
            ("Weir-Sequence", "0"),
            ("Weir-Key", "a"),
            ("Weir-Timer", "1970-01-01T00:00:10Z"),
            ("Weir-Timer-Name", NAMES[usize::from(payload == "trap")]),
        ] {
            assert_eq!(letter.header(name), Some(value), "{name} of {letter:#?}");
        }
    }
    let shown = site.weir(&["dlq", "show", "p.yaml", "1"]).stdout;
    assert!(
        shown.contains("reject") && shown.contains("1970-01-01T00:00:10Z"),
        "{shown}"
    );
    let listed = site.weir(&["dlq", "ls", "p.yaml"]).stdout;
    let origin = format!(
        "  in.a, key a, timer {} of 1970-01-01T00:00:10Z  ",
        NAMES[0]
    );
    assert!(listed.contains(&origin), "{listed}");
    // Only the last one waits, also for a host that reads the state again.
    weir.kill9();
    let state = site.operate(&["state", "get", "p", "a"]).stdout;
    assert!(state.contains(r#"{"held":1,"next":4}"#), "{state}");
    let _weir = site.run_job(&file);
    publish("200", "further");
    assert_eq!(site.wait_for_messages("OUT", 2)[1].text(), "end");
    assert_eq!(client.count("DEAD"), 2);
}

#[test]
fn a_timer_that_does_not_fit_into_a_commit_is_a_dead_letter_that_says_which_one_it_was() {
    let site = Site::new();
    let _weir = site.run_job(&site.stateful("partitions: 1\n"));
    let client = site.nats.client();
    let large = "fill many 900000 9";
    client.publish("in.a", format!("timer event 1 {large}; drop"));
    client.publish("in.a", "behind");
    let dead = &site.wait_for_messages("DEAD", 1)[0];
    assert_eq!(site.wait_for_messages("OUT", 1)[0].text(), "behind");
    for (name, value) in [
        ("Weir-Kind", "sink"),
        ("Weir-Operator", "op"),
        ("Weir-Key", "a"),
        ("Weir-Timer", "1970-01-01T00:00:00.000000001Z"),
        ("Weir-Timer-Name", large),
        (
            "Weir-Reason",
            "its results and writes are more than a commit holds",
        ),
    ] {
        assert_eq!(dead.header(name), Some(value), "{name} of {dead:#?}");
    }
}

#[test]
fn a_list_of_dead_letters_says_which_window_failed_and_a_resend_what_to_do_instead() {
    let site = Site::new();
    let _weir = site.run_job(&site.windows("{ tumbling: 10s }", TIMED));
    for (second, payload) in [("1", "stuck"), ("11", "end")] {
        let client = site.nats.client();
        client.publish_with_headers("in.a", &[("Time", second)], payload.to_owned());
    }
    site.wait_for_messages("DEAD", 1);
    let listed = site.weir(&["dlq", "ls", "p.yaml"]).stdout;
    let origin = "  key a, window or timer of 1970-01-01T00:00:10Z  ";
    assert!(listed.contains(origin), "{listed}");
    let listed = json(&site.weir(&["dlq", "ls", "p.yaml", "--json"]).stdout);
    let window = (&listed["key"], &listed["timer"]);
    assert_eq!(window, (&"a".into(), &"1970-01-01T00:00:10Z".into()));
    let refused = site.weir(&["dlq", "resend", "p.yaml", "1"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let hint =
        "hint: correct the plugin, and compute the result from the stored messages: `weir replay ";
    assert!(refused.stderr.contains(hint), "{refused:#?}");
}
