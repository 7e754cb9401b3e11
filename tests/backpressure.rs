//! Nothing is pulled without room to work on it, by count and by bytes, and batches form by
//! themselves within their bounds.

use crate::harness::{Scene, operator_series, series, wait_until};
use bytes::Bytes;

#[test]
fn no_more_is_in_flight_than_the_bound_allows() {
    let scene = Scene::new();
    let client = scene.nats.client();
    client.publish_all((0..300).map(|_| ("in.a", "slow:10")));
    let _weir =
        scene.run(&scene.pipeline("in-flight: { max-messages: 8 }\nbatch: { max-messages: 4 }\n"));
    let mut most = 0;
    wait_until("all have come through", || {
        let pending = client
            .consumer("IN", "p")
            .map_or(0, |info| info.num_ack_pending);
        most = most.max(pending);
        client.count("OUT") == 300
    });
    // Two pulls may be under way at once, each within the room there was when it was sent.
    assert!(most <= 16, "{most} were in flight");
    assert!(most > 0);
}

#[test]
fn large_messages_are_bounded_by_their_bytes() {
    let scene = Scene::new();
    let client = scene.nats.client();
    let payload = Bytes::from(vec![b'x'; 512 << 10]);
    client.publish_all((0..64).map(|_| ("in.a", payload.clone())));
    let file = scene.pipeline("in-flight: { max-bytes: 8MiB }\nbatch: { max-bytes: 2MiB }\n");
    let weir = scene.run(&file);
    let out = scene.wait_for_messages("OUT", 64);
    scene.wait_until_settled();
    assert!(out.iter().all(|message| message.payload == payload));
    // 32 MiB in calls of at most 2 MiB.
    assert!(weir.metric(&operator_series("calls_total", "op")) >= 16.0);
    assert_eq!(weir.metric(&series("dead_total")), 0.0);
}
