//! Where the stream of the results may not source them, the job publishes them, in order, and keeps in its own
//! stream what is not acknowledged.

use super::{JOB, by_subject, expected};
use crate::harness::{
    AS_HOST, Fate, NatsServer, Proxy, Sender, Site, replaced, series, wait_until,
};
use async_nats::ConnectOptions;
use async_nats::jetstream::stream::Config;
use std::time::Duration;

/// Results and dead letters are published by the job.
const FORWARD: (&str, &str) = ("sink: { ", "sink: { forward: true, ");
const FORWARD_DEAD: (&str, &str) = ("dead-letter: { ", "dead-letter: { forward: true, ");

/// Everything but a checkpoint for each partition, and the definition, has left the stream of the job.
fn wait_until_forwarded(site: &Site) {
    wait_until("nothing is left to be forwarded", || {
        site.nats.client().count(JOB) == 9
    });
}

#[test]
fn a_stream_that_may_not_be_changed_has_its_results_once_and_in_order_although_hosts_are_killed() {
    let site = Site::permitting(
        "permissions: { publish: { deny: [\"$JS.API.STREAM.UPDATE.OUT\", \"$JS.API.STREAM.UPDATE.DEAD\"] } }",
    );
    let client = site.nats.client();
    let refused = site.start_job(&site.job(&[AS_HOST], "")).finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("`forward: true`"), "{refused:#?}");
    let file = site.job(&[AS_HOST, FORWARD, FORWARD_DEAD], "");
    let mut weir = site.run_job(&file);
    for round in 0..3 {
        let numbers = round * 500..(round + 1) * 500;
        let some = client.count("OUT") + 50;
        client
            .publish_all(numbers.map(|number| (format!("in.{}", number % 7), number.to_string())));
        client.publish("in.bad", format!("reject:{round}"));
        wait_until("some results are there", || client.count("OUT") >= some);
        weir.kill9();
        weir = site.run_job(&file);
    }
    let out = site.wait_for_messages("OUT", 1500);
    let dead = site.wait_for_messages("DEAD", 3);
    wait_until_forwarded(&site);
    assert_eq!(by_subject(&out), expected(1500));
    assert_eq!((client.count("OUT"), dead.len()), (1500, 3));
    assert!(dead[0].header("Weir-Reason").is_some());
    assert!(out[0].header("Nats-Batch-Id").is_none());
    assert_eq!(weir.metric(&series("job_forward_failures_total")), 0.0);
}

#[test]
fn a_stream_of_another_account_has_the_results_of_a_job() {
    let nats = NatsServer::start_with(
        "accounts { A: { jetstream: enabled, users: [ { user: a, password: a } ], \
         imports: [ { service: { account: B, subject: \"out.>\" } } ] }, \
         B: { jetstream: enabled, users: [ { user: b, password: b } ], exports: [ { service: \"out.>\" } ] } }\n\
         no_auth_user: a",
    );
    let other = crate::harness::Client::connect(
        &nats.url(),
        ConnectOptions::with_user_and_password("b".to_owned(), "b".to_owned()),
    );
    other.create_stream("OUT", &["out.>"]);
    let site = Site::on(nats);
    let client = site.nats.client();
    client.create_stream("IN", &["in.>"]);
    client.create_stream("DEAD", &["dead.>"]);
    client.publish_all((0..100).map(|number| (format!("in.{}", number % 7), number.to_string())));
    let refused = site
        .start_with(&[site.job(&[], "").to_str().unwrap()], &[])
        .finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let _weir = site.run_job(&site.job(&[FORWARD], ""));
    wait_until("the other account has them", || other.count("OUT") >= 100);
    assert_eq!(by_subject(&other.messages("OUT")), expected(100));
}

#[test]
fn a_result_that_its_stream_refuses_for_good_waits_and_the_host_says_how_to_give_it_up() {
    let site = Site::new();
    let client = site.nats.client();
    client
        .run(client.jetstream.update_stream(Config {
            name: "OUT".to_owned(),
            subjects: vec!["out.>".to_owned()],
            max_message_size: 300,
            ..Config::default()
        }))
        .unwrap();
    client.publish("in.a", "1");
    client.publish("in.a", "x".repeat(400));
    client.publish("in.a", "3");
    let mut weir = site.run_job(&site.job(&[FORWARD], "stalled-after: 3s\n"));
    weir.wait_until_output("delete it with `nats stream rmm WEIR_JOB_P ");
    let log = weir.stderr();
    assert!(log.contains("pipeline `p` is stalled"), "{log}");
    assert!(weir.metric(&series("job_forward_failures_total")) > 0.0);
    // What is behind it in its partition waits, and other partitions go on.
    client.publish_all((0..7).map(|number| (format!("in.{number}"), "other".to_owned())));
    wait_until("other partitions go on", || client.count("OUT") > 1);
    let given_up = log.split("rmm WEIR_JOB_P ").nth(1).unwrap();
    let sequence = given_up.split('`').next().unwrap().parse().unwrap();
    let stream = client.run(client.jetstream.get_stream(JOB)).unwrap();
    client.run(stream.delete_message(sequence)).unwrap();
    let out = site.wait_for_messages("OUT", 9);
    assert_eq!(by_subject(&out)["out.in.a"], ["1", "3"]);
    weir.wait_until_output("continues after");
}

#[test]
fn an_answer_that_is_lost_does_not_store_a_result_twice() {
    let site = Site::new();
    let proxy = Proxy::before(&site.nats);
    let text = std::fs::read_to_string(site.job(&[FORWARD], "")).unwrap();
    let file = site.file(
        "p.yaml",
        replaced(&text, &[(&site.nats.url(), &proxy.url())]),
    );
    let mut lost = 0;
    proxy.rule(move |sender, _, content| {
        let is_ack = sender == Sender::Server && content.starts_with("{\"stream\":\"OUT\"");
        lost += usize::from(is_ack);
        // Of the first answers one is lost, and with another the connection.
        match lost {
            3 if is_ack => Fate::Lost,
            9 if is_ack => Fate::Cut,
            _ => Fate::Arrives,
        }
    });
    let client = site.nats.client();
    client.publish_all((0..200).map(|number| (format!("in.{}", number % 7), number.to_string())));
    let weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 200);
    wait_until("repeats are counted", || {
        weir.metric(&series("job_forward_duplicates_total")) >= 2.0
    });
    wait_until_forwarded(&site);
    assert_eq!(by_subject(&out), expected(200));
    assert_eq!(client.count("OUT"), 200);
}

#[test]
fn an_owner_that_was_stopped_for_long_forwards_nothing_more_when_another_has_taken_over() {
    let site = Site::new();
    let client = site.nats.client();
    // Repeats are stored after a while that is shorter than the stop.
    client
        .run(client.jetstream.update_stream(Config {
            name: "OUT".to_owned(),
            subjects: vec!["out.>".to_owned()],
            duplicate_window: Duration::from_secs(3),
            ..Config::default()
        }))
        .unwrap();
    let file = site.job(&[FORWARD], "");
    let first = site.run_job(&file);
    client.publish_all((0..70).map(|number| (format!("in.{}", number % 7), number.to_string())));
    site.wait_for_messages("OUT", 70);
    wait_until_forwarded(&site);
    first.pause();
    let second = site.run_job(&file);
    client.publish_all((70..700).map(|number| (format!("in.{}", number % 7), number.to_string())));
    site.wait_for_messages("OUT", 700);
    wait_until_forwarded(&site);
    first.resume();
    wait_until("it is deposed", || {
        first.metric(&series("job_deposed_total")) >= 1.0
    });
    client.publish_all((700..800).map(|number| (format!("in.{}", number % 7), number.to_string())));
    let out = site.wait_for_messages("OUT", 800);
    wait_until_forwarded(&site);
    assert_eq!((out.len(), by_subject(&out)), (800, expected(800)));
    drop(second);
}

#[test]
fn a_stream_that_sources_the_job_is_not_forwarded_to() {
    let site = Site::new();
    let weir = site.run_job(&site.job(&[], ""));
    drop(weir);
    let refused = site.start_job(&site.job(&[FORWARD], "")).finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let words = "cannot forward to stream `OUT`: it sources job `WEIR_JOB_P`";
    assert!(refused.stderr.contains(words), "{refused:#?}");
}
