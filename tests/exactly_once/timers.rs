//! What a timer emits is stored with the end of the timer, also where an operator behind refuses it.

use crate::harness::{Site, guests};

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
        ] {
            assert_eq!(letter.header(name), Some(value), "{name} of {letter:#?}");
        }
    }
    let shown = site.weir(&["dlq", "show", "p.yaml", "1"]).stdout;
    assert!(
        shown.contains("reject") && shown.contains("1970-01-01T00:00:10Z"),
        "{shown}"
    );
    // Only the last one waits, also for a host that reads the state again.
    weir.kill9();
    let state = site.operate(&["state", "get", "p", "a"]).stdout;
    assert!(state.contains(r#"{"held":1,"next":4}"#), "{state}");
    let _weir = site.run_job(&file);
    publish("200", "further");
    assert_eq!(site.wait_for_messages("OUT", 2)[1].text(), "end");
    assert_eq!(client.count("DEAD"), 2);
}
