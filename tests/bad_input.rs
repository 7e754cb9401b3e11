//! What is wrong outside of weir is said in words, with what to do about it; bad input is a dead
//! letter and loses nothing.

use crate::harness::{AS_HOST, NatsServer, Site};
use crate::permissions::denying;
use bytes::Bytes;

/// A host that cannot start says this of it, and what to do.
#[track_caller]
fn assert_refused(site: &Site, cause: &str, hint: &str) {
    let ended = site.start_with(&["p.yaml"], &[]).finish();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains(cause), "{}", ended.stderr);
    assert!(ended.stderr.contains(hint), "{}", ended.stderr);
}

#[test]
fn a_missing_stream_is_named_with_the_way_to_make_it() {
    let site = Site::bare();
    site.pipeline("");
    assert_refused(&site, "there is no stream `IN`", "hint: create it with");
}

#[test]
fn a_stream_of_results_that_lacks_their_subject_is_named_with_the_way_to_add_it() {
    let create = "$JS.API.STREAM.CREATE.OUT";
    let site = Site::on(NatsServer::start_with(&denying(&[create])));
    let client = site.nats.client();
    client.create_stream("IN", &["in.>"]);
    client.create_stream("DEAD", &["dead.>"]);
    client.create_stream("OUT", &["other.>"]);
    let said = "stream `OUT` exists and does not capture `out.>`";
    let hint = "hint: add the subject with `nats stream edit OUT --subjects 'other.>,out.>'`";
    // Whether or not the host may create streams, and is asked to.
    for (changes, arguments) in [
        (&[][..], &["p.yaml"][..]),
        (&[], &["p.yaml", "--create"]),
        (&[AS_HOST], &["p.yaml", "--create"]),
    ] {
        site.pipeline_but(changes, "");
        let ended = site.start_with(arguments, &[]).finish();
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(ended.stderr.contains(said), "{ended:#?}");
        assert!(ended.stderr.contains(hint), "{ended:#?}");
    }
}

#[test]
fn a_host_of_a_job_that_may_not_create_its_stream_is_told_how_to() {
    let site = Site::new();
    let source = [("stream: IN, consumer: p", "stream: IN")];
    site.pipeline_but(&source, "order: stream\n");
    assert_refused(
        &site,
        "there is no stream `WEIR_JOB_P` for the job",
        "hint: pass `--create`",
    );
}

#[test]
fn create_makes_the_missing_streams() {
    let site = Site::bare();
    site.pipeline_but(&[("stream: IN,", "stream: IN, subjects: [\"in.>\"],")], "");
    let mut weir = site.start_with(&["p.yaml", "--create"], &[]);
    weir.wait_until_output("running");
    site.nats.client().publish("in.a", "x");
    site.wait_for_messages("OUT", 1);
    site.nats.client().publish("in.a", "reject:x");
    site.wait_for_messages("DEAD_P", 1);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let site = Site::bare();
    let nowhere = "nats://127.0.0.1:1";
    site.pipeline_but(&[(&site.nats.url(), nowhere)], "");
    let cause = format!("cannot connect to nats at `{nowhere}");
    assert_refused(&site, &cause, "hint: start a server");
}

#[test]
fn a_wrong_password_is_said_to_be_one() {
    let users = "authorization { user: a, password: right }";
    let site = Site::on(NatsServer::start_with(users));
    let wrong = "nats: { user: a, password: wrong, ";
    site.pipeline_but(&[("nats: { ", wrong)], "");
    assert_refused(&site, "authorization violation", "hint: check `nats.user`");
}

#[test]
fn payloads_of_every_kind_come_through_byte_for_byte() {
    let site = Site::new();
    let client = site.nats.client();
    let payloads = [
        Bytes::new(),
        Bytes::from_static(b"\xff\xfe\x00 not UTF-8"),
        Bytes::from_static(b"{ not json"),
        Bytes::from(vec![0xab; (1 << 20) - 512]),
    ];
    for payload in &payloads {
        client.publish("in.a", payload.clone());
    }
    let _weir = site.run(&site.pipeline(""));
    let out = site.wait_for_messages("OUT", 4);
    let same = out
        .iter()
        .zip(&payloads)
        .all(|(message, payload)| message.payload == payload);
    assert!(same, "a payload was changed");
    site.wait_until_settled();
}

#[test]
fn a_subject_that_may_not_be_published_to_is_named_and_its_messages_are_kept() {
    let site = Site::permitting("permissions: { publish: { deny: [\"out.>\"] } }");
    let client = site.nats.client();
    let mut weir = site.run(&site.pipeline_but(&[AS_HOST], ""));
    client.publish("in.a", "x");
    weir.wait_until_output("cannot publish to `out.in.a`: Permissions Violation for Publish");
    assert!(weir.is_running());
    assert_eq!(client.count("DEAD"), 0);
    let info = client.consumer("IN", "p").unwrap();
    assert_eq!(info.num_ack_pending, 1, "the message was let go");
}
