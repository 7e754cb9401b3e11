//! Results carry no message id where the file says so. Nothing is lost by it, and what needs the ids says that
//! it has none.

use crate::harness::guests::versions as version;
use crate::harness::{SHORT_ACK_WAIT, Site, series, wait_until};
use std::collections::BTreeSet;

const OFF: (&str, &str) = ("\"out.{subject}\"", "\"out.{subject}\", message-ids: off");

#[test]
fn results_without_message_ids_are_stored_and_what_needs_the_ids_says_so() {
    let site = Site::new();
    let client = site.nats.client();
    for payload in ["one", "emit:2", "reject"] {
        client.publish("in.a", payload);
    }
    let weir = site.run(&site.pipeline_but(&[OFF], ""));
    let out = site.wait_for_messages("OUT", 3);
    site.wait_until_settled();
    for result in &out {
        assert_eq!(result.header("Nats-Msg-Id"), None);
        assert!(result.header("Weir-Digest").is_some());
    }
    // Dead letters are few, and `weir dlq` finds them by their ids.
    let dead = &site.wait_for_messages("DEAD", 1)[0];
    assert!(dead.header("Nats-Msg-Id").unwrap().contains("/dead/IN@"));
    assert_eq!(weir.metric(&series("publish_duplicates_total")), 0.0);

    let trace = site.weir(&["trace", "out.in.a", "1"]).done();
    assert!(
        trace.contains("made by weir, from an unknown input"),
        "{trace}"
    );
    let check = site.weir(&["check", "p.yaml"]).done();
    assert!(check.contains("note: `sink.message-ids: off`"), "{check}");
    let compared = site.weir(&["replay", "p.yaml", "--compare"]);
    assert_eq!(compared.code, Some(2), "{compared:#?}");
    let said = "cause: they carry no message ids (`sink.message-ids: off`)";
    assert!(compared.stderr.contains(said), "{compared:#?}");
    let replayed = site.weir(&["replay", "p.yaml"]).done();
    assert_eq!(replayed.lines().count(), 4, "{replayed}");
}

#[test]
fn a_shadow_says_that_it_cannot_compare_results_without_message_ids_and_the_pipeline_goes_on() {
    let site = Site::new();
    site.install("same");
    site.file("wrong", version("wrong"));
    let mut weir = site.run(&site.pipeline_but(&[OFF], ""));
    let applied = site.deploy("wrong", &["--shadow"]);
    assert_eq!(applied.code, Some(0), "{applied:#?}");
    weir.wait_until_output("they carry no message ids (`sink.message-ids: off`)");
    let said = "a shadow has stopped: cannot compare with the results of pipeline `p`";
    assert!(weir.stderr().contains(said), "{}", weir.stderr());
    assert!(!site.has_shadow("wrong"));
    assert_eq!(site.result(1), "same 1");
}

#[test]
fn a_host_that_is_killed_loses_no_result_that_has_no_message_id() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.pipeline_but(&[OFF, SHORT_ACK_WAIT], "");
    client.publish_all((0..500).map(|number| ("in.a", number.to_string())));
    let mut weir = site.start(&file, &[("WEIR_HALT_AT", "confirmed:100")]);
    weir.wait_until_output("halted at");
    weir.kill9();
    let _weir = site.run(&file);
    wait_until("the results of the first host are there again", || {
        client.count("OUT") > 500
    });
    site.wait_until_settled();
    let found: BTreeSet<String> = client
        .messages("OUT")
        .iter()
        .map(|one| one.text())
        .collect();
    assert_eq!(found.len(), 500);
}
