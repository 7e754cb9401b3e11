//! SIGTERM and SIGINT stop softly: nothing more is taken, what is in hand is finished, and nothing
//! is lost; a second signal stops at once and loses nothing either.

use crate::harness::{Finished, SHORT_ACK_WAIT, SLEEPER, Scene, Weir, guests, series, wait_until};
use std::path::{Path, PathBuf};

const FIRST_SIGNAL: &str = "finishing what is in hand; a second signal stops at once";
const HANDED_BACK: &str = "handed back what was in hand";

/// A pipeline that never ends by itself: a call may take hours, and so may a soft stop. What is not
/// handed back at a hard one would be delivered again after an hour, and be missed.
fn endless(scene: &Scene, drain: &str) -> PathBuf {
    let changes = [SLEEPER, ("consumer: p", "consumer: p, ack-wait: 1h")];
    scene.pipeline_but(&changes, &format!("drain: {drain}\n"))
}

/// Starts a host in whose hand one message is that it will never finish: the next host will.
fn run_with_one_in_hand(scene: &Scene, file: &Path) -> Weir {
    scene.nats.client().publish("in.a", "sleep-once");
    let weir = scene.run(file);
    wait_until("the message is in hand", || {
        weir.metric(&series("in_flight")) == 1.0
    });
    weir
}

/// The host has stopped as it was asked to, without finishing; another gets the message at once.
#[track_caller]
fn assert_handed_back(scene: &Scene, file: &Path, ended: &Finished, before: u64) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains(HANDED_BACK), "{}", ended.stderr);
    assert_eq!(scene.nats.client().count("OUT"), before);
    let weir = scene.run(file);
    scene.wait_for_messages("OUT", before + 1);
    scene.wait_until_settled();
    assert_eq!(weir.metric(&series("redelivered_total")), 1.0);
    weir.terminate();
    let ended = weir.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(HANDED_BACK), "{}", ended.stderr);
}

#[test]
fn either_signal_in_mid_flow_is_a_soft_stop_that_settles_what_is_in_hand() {
    const FLOW: u64 = 12_000;
    let scene = Scene::new();
    let client = scene.nats.client();
    let file = scene.pipeline("in-flight: { max-messages: 32 }\nbatch: { max-messages: 8 }\n");
    // A minute of work, of which a host does some.
    client.publish_all((0..FLOW).map(|_| ("in.a", "slow:5")));
    for stop in [Weir::terminate, Weir::interrupt] {
        let weir = scene.run(&file);
        let before = client.count("OUT");
        wait_until("something has come through", || {
            client.count("OUT") > before && weir.metric(&series("in_flight")) > 0.0
        });
        stop(&weir);
        let ended = weir.finish();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(!ended.stderr.contains(HANDED_BACK), "{}", ended.stderr);
        // Without a host that pulls, what was left unsettled would stay so. The server may take a
        // moment to work through the last acks.
        wait_until("nothing is left unsettled", || {
            client.consumer("IN", "p").unwrap().num_ack_pending == 0
        });
        let delivered = client.consumer("IN", "p").unwrap().delivered;
        assert_eq!(client.count("OUT"), delivered.consumer_sequence);
        assert!(client.count("OUT") < FLOW, "not in mid-flow");
    }
    // To this one it is no work.
    scene.file("plugin.wasm", guests::bytes("echo"));
    let _weir = scene.run(&file);
    scene.wait_for_messages("OUT", FLOW);
    scene.wait_until_settled();
    assert_eq!(client.count("OUT"), FLOW);
}

#[test]
fn a_second_signal_hands_back_what_is_in_hand_and_finishes_nothing() {
    let scene = Scene::new();
    let file = endless(&scene, "1h");
    let signals = [
        [Weir::terminate, Weir::interrupt],
        [Weir::interrupt, Weir::terminate],
    ];
    for (before, [first, second]) in signals.iter().enumerate() {
        let mut weir = run_with_one_in_hand(&scene, &file);
        first(&weir);
        weir.wait_until_output(FIRST_SIGNAL);
        assert!(weir.is_running());
        second(&weir);
        assert_handed_back(&scene, &file, &weir.finish(), before as u64);
    }
}

#[test]
fn a_soft_stop_hands_back_what_is_not_finished_within_the_drain_time() {
    let scene = Scene::new();
    let file = endless(&scene, "100ms");
    let weir = run_with_one_in_hand(&scene, &file);
    weir.terminate();
    let ended = weir.finish();
    let said = "not finished within the drain time";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert_handed_back(&scene, &file, &ended, 0);
}

#[test]
fn a_hard_stop_in_the_middle_of_many_loses_none() {
    let scene = Scene::new();
    let client = scene.nats.client();
    client.publish_all((0..20).map(|_| ("in.a", "slow:300")));
    let file = scene.pipeline("");
    let mut weir = scene.run(&file);
    wait_until("a message is in hand", || {
        weir.metric(&series("in_flight")) > 0.0
    });
    weir.terminate();
    weir.wait_until_output(FIRST_SIGNAL);
    weir.terminate();
    let ended = weir.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let _weir = scene.run(&file);
    scene.wait_for_messages("OUT", 20);
    scene.wait_until_settled();
    assert_eq!(client.count("OUT"), 20);
}

#[test]
fn a_stop_without_a_connection_waits_for_nothing_and_loses_nothing() {
    let mut scene = Scene::new();
    // So long that waiting for it would be seen as a hang.
    let more = "drain: 1h\norder: stream\n";
    let file = scene.pipeline_but(&[SHORT_ACK_WAIT], more);
    let mut weir = scene.run(&file);
    let messages = (0..500).map(|number| ("in.a", format!("slow:{}", number % 20)));
    scene.nats.client().publish_all(messages);
    wait_until("something has come through", || {
        scene.nats.client().count("OUT") > 0
    });
    scene.nats.stop();
    weir.wait_until_output("the connection to nats was lost");
    weir.terminate();
    let ended = weir.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("stopped without a connection to nats"),
        "{}",
        ended.stderr
    );
    scene.nats.start_again();
    let _weir = scene.run(&file);
    scene.wait_for_messages("OUT", 500);
    scene.wait_until_settled();
}
