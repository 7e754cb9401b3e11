//! SIGTERM and SIGINT stop softly: nothing more is taken, what is in hand is finished, and nothing
//! is lost; a second signal stops at once and loses nothing either.

use crate::harness::{Scene, wait_until};

#[test]
fn a_soft_stop_in_mid_flow_settles_what_is_in_hand() {
    let scene = Scene::new();
    let client = scene.nats.client();
    client.publish_all((0..5000).map(|number| ("in.a", number.to_string())));
    let file = scene.pipeline("");
    let weir = scene.run(&file);
    wait_until("something has come through", || client.count("OUT") > 0);
    weir.terminate();
    let ended = weir.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // Without a host that pulls, what was left unsettled would stay so. The server may take a moment
    // to work through the last acks.
    wait_until("nothing is left unsettled", || {
        client.consumer("IN", "p").unwrap().num_ack_pending == 0
    });
    let weir = scene.run(&file);
    scene.wait_for_messages("OUT", 5000);
    scene.wait_until_settled();
    weir.interrupt();
    assert_eq!(weir.finish().code, Some(0));
    assert_eq!(client.count("OUT"), 5000);
}

#[test]
fn a_hard_stop_hands_back_what_is_in_hand() {
    let scene = Scene::new();
    let client = scene.nats.client();
    for _ in 0..20 {
        client.publish("in.a", "slow:300");
    }
    let file = scene.pipeline("");
    let weir = scene.run(&file);
    wait_until("a message is in hand", || {
        client
            .consumer("IN", "p")
            .is_some_and(|info| info.num_ack_pending > 0)
    });
    weir.terminate();
    weir.terminate();
    let ended = weir.finish();
    assert!(ended.code.is_some(), "{}", ended.stderr);
    let _weir = scene.run(&file);
    scene.wait_for_messages("OUT", 20);
    scene.wait_until_settled();
}

#[test]
fn a_stop_without_a_connection_waits_for_nothing_and_loses_nothing() {
    let mut scene = Scene::new();
    // So long that waiting for it would be seen as a hang.
    let file = scene.pipeline("drain: 1h\norder: stream\n");
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
