//! Whatever is a key, a message or a stream, a job has a clear end for it, and everything else goes on.

use super::{JOB, by_subject};
use crate::harness::{NatsServer, Site, Weir, replaced, series, wait_until};
use async_nats::jetstream::stream::Config;
use std::collections::BTreeMap;

/// In place of the usual subject: all results on one.
const ONE_SUBJECT: (&str, &str) = ("out.{subject}", "out.all");

#[test]
fn any_text_is_a_key_and_what_lacks_it_or_is_no_text_goes_its_way() {
    let site = Site::new();
    let file = site.job(&[ONE_SUBJECT], "");
    let text = std::fs::read_to_string(&file).unwrap();
    let file = site.file(
        "p.yaml",
        replaced(&text, &[("{subject[1]}", "{payload:/key}")]),
    );
    let long = "k".repeat(10_000);
    let keys = ["", " ", "a b", "a.b", "*", ">", "a\nb", "\u{0}", "ä", &long];
    let mut payloads: Vec<Vec<u8>> = keys
        .iter()
        .map(|key| {
            let payload = serde_json::json!({ "key": key, "n": 1 });
            payload.to_string().into_bytes()
        })
        .collect();
    payloads.push(b"no json".to_vec());
    payloads.push(b"\xff\xfe{\"key\":".to_vec());
    payloads.push(br#"{"other": 1}"#.to_vec());
    let client = site.nats.client();
    for payload in &payloads {
        client.publish("in.a", payload.clone());
    }
    let weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", payloads.len() as u64);
    let mut stored: Vec<Vec<u8>> = out.iter().map(|message| message.payload.to_vec()).collect();
    stored.sort();
    payloads.sort();
    assert_eq!(stored, payloads);
    assert_eq!(weir.metric(&series("dead_total")), 0.0);
}

#[test]
fn a_message_larger_than_a_commit_is_a_dead_letter_and_those_behind_it_go_on() {
    let site = Site::on(NatsServer::start_with("max_payload: 8388608"));
    site.create_streams();
    let client = site.nats.client();
    let large = "x".repeat(7_500_000);
    client.publish("in.a", "before");
    client.publish("in.a", large.clone());
    client.publish("in.a", "behind");
    let _weir = site.run_job(&site.job(&[], ""));
    let out = site.wait_for_messages("OUT", 2);
    assert_eq!(by_subject(&out)["out.in.a"], ["before", "behind"]);
    let dead = site.wait_for_messages("DEAD", 1);
    assert_eq!(dead[0].payload, large);
    let reason = dead[0].header("Weir-Reason").unwrap();
    assert!(reason.contains("more than a commit holds"), "{reason}");
}

#[test]
fn a_message_with_more_results_than_a_commit_holds_is_a_dead_letter_and_others_go_on() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.a", "before");
    client.publish("in.a", "emit:5000");
    client.publish("in.a", "behind");
    client.publish("in.a", "emit:900");
    let _weir = site.run_job(&site.job(&[], ""));
    let out = site.wait_for_messages("OUT", 902);
    assert_eq!(out.len(), 902);
    let dead = site.wait_for_messages("DEAD", 1);
    assert_eq!(dead[0].text(), "emit:5000");
    let reason = dead[0].header("Weir-Reason").unwrap();
    assert_eq!(
        reason,
        "its results and writes are more than a commit holds"
    );
}

#[test]
fn a_message_as_large_as_the_server_takes_is_a_dead_letter_if_it_does_not_fit_into_a_commit() {
    let site = Site::new();
    let client = site.nats.client();
    let largest = 1 << 20;
    let payload = |bytes: usize| vec![b'x'; bytes];
    client.publish("in.a", "before");
    for bytes in [largest, largest - 100, largest - 1000] {
        client.publish("in.a", payload(bytes));
    }
    client.publish("in.a", "behind");
    let weir = site.run_job(&site.job(&[], ""));
    let out = site.wait_for_messages("OUT", 3);
    let sizes: Vec<usize> = out.iter().map(|message| message.payload.len()).collect();
    assert_eq!(sizes, ["before".len(), largest - 1000, "behind".len()]);
    wait_until("the others are dead letters", || {
        weir.metric(&series("dead_total")) == 2.0
    });
    assert_eq!(weir.metric(&series("reconnects_total")), 0.0);
}

#[test]
fn results_wait_while_their_stream_does_not_source_them_and_the_host_says_so() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.job(&[], "stalled-after: 3s\n");
    client.publish("in.a", "1");
    let mut weir = site.run_job(&file);
    site.wait_for_messages("OUT", 1);
    // Somebody takes the source out of the stream of the results.
    client
        .run(client.jetstream.update_stream(Config {
            name: "OUT".to_owned(),
            subjects: vec!["out.>".to_owned()],
            ..Config::default()
        }))
        .unwrap();
    client.publish_all((2..20).map(|number| ("in.a", number.to_string())));
    weir.wait_until_output("stream `OUT` does not source the results of the job");
    assert_eq!(client.count("OUT"), 1);
    drop(weir);
    let _weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 19);
    let numbers: Vec<String> = (1..20).map(|number| number.to_string()).collect();
    let expected = BTreeMap::from([("out.in.a".to_owned(), numbers)]);
    assert_eq!(by_subject(&out), expected);
}

#[test]
fn a_stream_of_a_job_that_somebody_edits_or_deletes_ends_the_job_with_the_reason() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.a", "1");
    let file = site.job(&[], "");
    let mut weir = site.run_job(&file);
    site.wait_for_messages("OUT", 1);
    let mut config = client.stream_info(JOB).unwrap().config;
    config.max_messages = 5;
    client.run(client.jetstream.update_stream(config)).unwrap();
    drop(std::mem::replace(&mut weir, site.start_job(&file)));
    weir.wait_until_output(
        "cannot use stream `WEIR_JOB_P` for a job: it has limits, which drop state",
    );
}

#[test]
fn a_stream_of_a_job_that_is_deleted_while_it_runs_is_made_anew_only_by_whoever_starts_it() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.a", "1");
    let mut weir = site.run_job(&site.job(&[], ""));
    site.wait_for_messages("OUT", 1);
    client.run(client.jetstream.delete_stream(JOB)).unwrap();
    client.publish("in.a", "2");
    weir.wait_until_output("cannot continue pipeline `p`");
    assert_says_why(&weir);
}

fn assert_says_why(weir: &Weir) {
    wait_until("the log says why", || {
        let log = weir.stderr();
        log.contains("stream not found") || log.contains("the log was replaced")
    });
}
