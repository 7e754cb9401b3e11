//! `order: key` publishes each key's messages in the order of the stream, and `order: stream` all of
//! them, whatever is retried; a key that fails holds back only itself.

use crate::harness::{SHORT_ACK_WAIT, Site, Stored};
use std::collections::BTreeMap;

/// Attempts of message `number`: some succeed at once, some at their second or third attempt.
fn payload(number: usize) -> String {
    match number % 17 {
        5 => "retry-until:3".to_owned(),
        11 => "retry-until:2".to_owned(),
        _ => "x".to_owned(),
    }
}

/// Source sequences of results, from their message ids.
fn sequence(message: &Stored) -> u64 {
    let id = message.header("Nats-Msg-Id").unwrap();
    id.split('/').nth(3).unwrap().parse().unwrap()
}

#[test]
fn results_of_one_key_keep_the_order_of_the_stream() {
    let site = Site::new();
    let keyed = |number: usize| (format!("in.{}", number % 7), payload(number));
    site.nats.client().publish_all((0..2000).map(keyed));
    let _weir = site.run(&site.pipeline("order: key\nkey: \"{subject[1]}\"\n"));
    let out = site.wait_for_messages("OUT", 2000);
    site.wait_until_settled();
    let mut by_key: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for message in &out {
        by_key
            .entry(&message.subject)
            .or_default()
            .push(sequence(message));
    }
    assert_eq!(by_key.len(), 7);
    for (key, sequences) in by_key {
        assert!(sequences.is_sorted(), "{key}: {sequences:?}");
    }
}

#[test]
fn results_of_a_stream_keep_its_order() {
    let site = Site::new();
    site.nats
        .client()
        .publish_all((0..500).map(|number| ("in.a", payload(number))));
    let _weir = site.run(&site.pipeline("order: stream\n"));
    let out = site.wait_for_messages("OUT", 500);
    let sequences: Vec<u64> = out.iter().map(sequence).collect();
    assert_eq!(sequences, (1..=500).collect::<Vec<u64>>());
    site.wait_until_settled();
}

#[test]
fn a_key_that_keeps_failing_holds_back_only_itself() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.bad", "retry");
    client.publish("in.bad", "x");
    client.publish_all((0..200).map(|_| ("in.good", "x")));
    let for_ever = ("initial: 10ms", "max-attempts: 1000000, initial: 10ms");
    let file = site.pipeline_but(&[for_ever], "order: key\nkey: \"{subject[1]}\"\n");
    let _weir = site.run(&file);
    let subjects = |count| {
        let out = site.wait_for_messages("OUT", count);
        let subjects = out.iter().map(|message| message.subject.clone());
        subjects.collect::<Vec<_>>()
    };
    assert_eq!(subjects(200), ["out.in.good"; 200]);
    // Until there is a version that does not fail.
    site.install("v1");
    assert_eq!(subjects(202)[200..], ["out.in.bad"; 2]);
    let out = client.messages("OUT");
    assert!(sequence(&out[200]) < sequence(&out[201]));
}

#[test]
fn another_host_takes_over_in_order_when_the_first_is_killed() {
    let site = Site::new();
    site.nats
        .client()
        .publish_all((0..400).map(|_| ("in.a", "slow:5")));
    let more = "order: stream\nbatch: { max-messages: 16 }\nin-flight: { max-messages: 64 }\n";
    let file = site.pipeline_but(&[SHORT_ACK_WAIT], more);
    let mut first = site.start(&file, &[("WEIR_HALT_AT", "called:100")]);
    first.wait_until_output("halted at");
    first.kill9();
    let _second = site.run(&file);
    let out = site.wait_for_messages("OUT", 400);
    let sequences: Vec<u64> = out.iter().map(sequence).collect();
    assert_eq!(sequences, (1..=400).collect::<Vec<u64>>());
}
