//! What is wrong outside of weir is said in words, with what to do about it; bad input is a dead
//! letter and loses nothing.

use crate::harness::{Finished, NatsServer, Scene, Weir};
use bytes::Bytes;

fn run(scene: &Scene, file: &std::path::Path) -> Finished {
    let file = file.to_str().unwrap();
    Weir::run_in(
        scene.folder.path(),
        &[
            "run",
            file,
            "--metrics-listen",
            "off",
            "--admin-listen",
            "off",
        ],
    )
}

#[test]
fn a_missing_stream_is_named_with_the_way_to_make_it() {
    let scene = Scene::bare();
    let ended = run(&scene, &scene.pipeline(""));
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("there is no stream `IN`"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("hint: create it with"),
        "{}",
        ended.stderr
    );
}

#[test]
fn create_makes_the_missing_streams() {
    let scene = Scene::bare();
    let file = scene.pipeline("");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("stream: IN,", "stream: IN, subjects: [\"in.>\"],"),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let mut weir = Weir::start(
        scene.folder.path(),
        &[
            "run",
            file,
            "--create",
            "--metrics-listen",
            "off",
            "--admin-listen",
            "off",
        ],
    );
    weir.wait_until_output("running");
    scene.nats.client().publish("in.a", "x");
    scene.wait_for_messages("OUT", 1);
    scene.nats.client().publish("in.a", "reject:x");
    scene.wait_for_messages("DEAD_P", 1);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let scene = Scene::bare();
    let file = scene.pipeline("");
    let text = std::fs::read_to_string(&file)
        .unwrap()
        .replace(&scene.nats.url(), "nats://127.0.0.1:1");
    std::fs::write(&file, text).unwrap();
    let ended = run(&scene, &file);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stderr
            .contains("cannot connect to nats at `nats://127.0.0.1:1"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("hint: start a server"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_wrong_password_is_said_to_be_one() {
    let mut scene = Scene::bare();
    scene.nats = NatsServer::start_with("authorization { user: a, password: right }");
    let file = scene.pipeline("");
    let text = std::fs::read_to_string(&file).unwrap();
    let credentials = format!("url: \"{}\", user: a, password: wrong", scene.nats.url());
    let text = text.replace(&format!("url: \"{}\"", scene.nats.url()), &credentials);
    std::fs::write(&file, text).unwrap();
    let ended = run(&scene, &file);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("authorization violation"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("hint: check `nats.user`"),
        "{}",
        ended.stderr
    );
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
    let mut scene = Scene::bare();
    scene.nats = NatsServer::start_with(
        "authorization { users = [ { user: all, password: a }, \
         { user: host, password: h, permissions: { publish: { deny: [\"out.>\"] } } } ] }\n\
         no_auth_user: all",
    );
    let client = scene.nats.client();
    client.create_stream("IN", &["in.>"]);
    client.create_stream("OUT", &["out.>"]);
    client.create_stream("DEAD", &["dead.>"]);
    let file = scene.pipeline("");
    let text = std::fs::read_to_string(&file).unwrap();
    let credentials = format!("url: \"{}\", user: host, password: h", scene.nats.url());
    let text = text.replace(&format!("url: \"{}\"", scene.nats.url()), &credentials);
    std::fs::write(&file, text).unwrap();
    let mut weir = scene.run(&file);
    client.publish("in.a", "x");
    weir.wait_until_output("cannot publish to `out.in.a`: Permissions Violation for Publish");
    assert!(weir.is_running());
    assert_eq!(client.count("DEAD"), 0);
    let info = client.consumer("IN", "p").unwrap();
    assert_eq!(info.num_ack_pending, 1, "the message was let go");
}
