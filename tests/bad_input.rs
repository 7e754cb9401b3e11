//! What is wrong outside of weir is said in words, with what to do about it; bad input is a dead
//! letter and loses nothing.

use crate::harness::{AS_HOST, NatsServer, Scene};
use bytes::Bytes;

/// A host that cannot start says this of it, and what to do.
#[track_caller]
fn assert_refused(scene: &Scene, cause: &str, hint: &str) {
    let ended = scene.start_with(&["p.yaml"], &[]).finish();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains(cause), "{}", ended.stderr);
    assert!(ended.stderr.contains(hint), "{}", ended.stderr);
}

#[test]
fn a_missing_stream_is_named_with_the_way_to_make_it() {
    let scene = Scene::bare();
    scene.pipeline("");
    assert_refused(&scene, "there is no stream `IN`", "hint: create it with");
}

#[test]
fn create_makes_the_missing_streams() {
    let scene = Scene::bare();
    scene.pipeline_but(&[("stream: IN,", "stream: IN, subjects: [\"in.>\"],")], "");
    let mut weir = scene.start_with(&["p.yaml", "--create"], &[]);
    weir.wait_until_output("running");
    scene.nats.client().publish("in.a", "x");
    scene.wait_for_messages("OUT", 1);
    scene.nats.client().publish("in.a", "reject:x");
    scene.wait_for_messages("DEAD_P", 1);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let scene = Scene::bare();
    let nowhere = "nats://127.0.0.1:1";
    scene.pipeline_but(&[(&scene.nats.url(), nowhere)], "");
    let cause = format!("cannot connect to nats at `{nowhere}");
    assert_refused(&scene, &cause, "hint: start a server");
}

#[test]
fn a_wrong_password_is_said_to_be_one() {
    let users = "authorization { user: a, password: right }";
    let scene = Scene::on(NatsServer::start_with(users));
    let wrong = "nats: { user: a, password: wrong, ";
    scene.pipeline_but(&[("nats: { ", wrong)], "");
    assert_refused(&scene, "authorization violation", "hint: check `nats.user`");
}

#[test]
fn payloads_of_every_kind_come_through_byte_for_byte() {
    let scene = Scene::new();
    let client = scene.nats.client();
    let payloads = [
        Bytes::new(),
        Bytes::from_static(b"\xff\xfe\x00 not UTF-8"),
        Bytes::from_static(b"{ not json"),
        Bytes::from(vec![0xab; (1 << 20) - 512]),
    ];
    for payload in &payloads {
        client.publish("in.a", payload.clone());
    }
    let _weir = scene.run(&scene.pipeline(""));
    let out = scene.wait_for_messages("OUT", 4);
    let same = out
        .iter()
        .zip(&payloads)
        .all(|(message, payload)| message.payload == payload);
    assert!(same, "a payload was changed");
    scene.wait_until_settled();
}

#[test]
fn a_subject_that_may_not_be_published_to_is_named_and_its_messages_are_kept() {
    let scene = Scene::permitting("permissions: { publish: { deny: [\"out.>\"] } }");
    let client = scene.nats.client();
    let mut weir = scene.run(&scene.pipeline_but(&[AS_HOST], ""));
    client.publish("in.a", "x");
    weir.wait_until_output("cannot publish to `out.in.a`: Permissions Violation for Publish");
    assert!(weir.is_running());
    assert_eq!(client.count("DEAD"), 0);
    let info = client.consumer("IN", "p").unwrap();
    assert_eq!(info.num_ack_pending, 1, "the message was let go");
}
