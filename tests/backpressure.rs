//! Nothing is pulled without room to work on it, by count and by bytes: neither while messages flow
//! nor while a plugin stands still.

use crate::harness::{SHORT_ACK_WAIT, SLEEPER, Site, Weir, operator_series, series, wait_until};
use bytes::Bytes;

/// How often messages must be seen in hand before it is believed that there are never more.
const LOOKS: u32 = 50;

/// Waits until the plugin has slept over one message for so long that the host has told the server
/// twice. Whatever was asked for has come by then.
fn wait_until_it_stands_still(weir: &Weir) {
    wait_until("the host says twice that it is still at work", || {
        let held = weir.metric(&series("in_flight"));
        held > 0.0 && weir.metric(&series("in_progress_sent_total")) >= 2.0 * held
    });
}

#[test]
fn while_messages_flow_a_lane_never_holds_more_than_its_bound() {
    const LIMIT: usize = 8;
    let site = Site::new();
    let client = site.nats.client();
    let bounds = format!("in-flight: {{ max-messages: {LIMIT} }}\nbatch: {{ max-messages: 4 }}\n");
    let weir = site.run(&site.pipeline(&bounds));
    let (mut held, mut pending) = (0.0_f64, 0);
    let (mut looks, mut fed) = (0, 0);
    wait_until("messages were in hand often enough", || {
        if client.count("OUT") + 100 > fed {
            client.publish_all((0..100).map(|_| ("in.a", "slow:10")));
            fed += 100;
        }
        let now = weir.metric(&series("in_flight"));
        held = held.max(now);
        looks += u32::from(now > 0.0);
        let info = client.consumer("IN", "p");
        pending = pending.max(info.map_or(0, |info| info.num_ack_pending));
        looks == LOOKS
    });
    assert!(held <= LIMIT as f64, "{held} were held");
    // A lane asks for more in the place of what it has just acked, LIMIT at most. The server may
    // answer before it has worked through those acks, and then counts both.
    assert!(pending > 0 && pending <= 2 * LIMIT, "{pending} were out");
}

#[test]
fn a_lane_whose_plugin_stands_still_has_been_sent_no_more_messages_than_its_bound() {
    const LIMIT: usize = 8;
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..100).map(|_| ("in.a", "sleep")));
    let bounds =
        format!("in-flight: {{ max-messages: {LIMIT} }}\nbatch: {{ max-messages: {LIMIT} }}\n");
    let weir = site.run(&site.pipeline_but(&[SHORT_ACK_WAIT, SLEEPER], &bounds));
    wait_until_it_stands_still(&weir);
    let info = client.consumer("IN", "p").unwrap();
    assert_eq!((info.num_ack_pending, info.num_pending), (LIMIT, 92));
}

#[test]
fn a_lane_whose_plugin_stands_still_has_been_sent_no_more_bytes_than_its_bound() {
    const SIZE: usize = 512 << 10;
    const LIMIT: usize = 8 << 20;
    let site = Site::new();
    let client = site.nats.client();
    let mut payload = b"sleep:".to_vec();
    payload.resize(SIZE, b'x');
    let payload = Bytes::from(payload);
    client.publish_all((0..64).map(|_| ("in.a", payload.clone())));
    let bounds = "in-flight: { max-bytes: 8MiB }\nbatch: { max-bytes: 8MiB }\n";
    let weir = site.run(&site.pipeline_but(&[SHORT_ACK_WAIT, SLEEPER], bounds));
    wait_until_it_stands_still(&weir);
    let sent = client.consumer("IN", "p").unwrap().num_ack_pending;
    // One request, for 8 MiB: the server counts subjects with it, so that 16 payloads do not fit.
    assert_eq!(sent, LIMIT / SIZE - 1);
    let held = weir.metric(&series("in_flight"));
    assert_eq!(
        weir.metric(&series("in_flight_bytes")),
        held * SIZE as f64,
        "{held} messages are held"
    );
}

#[test]
fn while_large_messages_flow_a_lane_never_holds_more_than_its_bytes() {
    const SIZE: usize = 512 << 10;
    const LIMIT: usize = 4 << 20;
    let site = Site::new();
    let client = site.nats.client();
    let payload = Bytes::from(vec![b'x'; SIZE]);
    client.publish_all((0..64).map(|_| ("in.a", payload.clone())));
    let bounds = "in-flight: { max-bytes: 4MiB }\nbatch: { max-bytes: 2MiB }\n";
    let weir = site.run(&site.pipeline(bounds));
    let (mut held, mut pending) = (0.0_f64, 0);
    wait_until("all have come through", || {
        held = held.max(weir.metric(&series("in_flight_bytes")));
        let info = client.consumer("IN", "p");
        pending = pending.max(info.map_or(0, |info| info.num_ack_pending));
        client.count("OUT") == 64
    });
    assert!(held <= LIMIT as f64, "{held} bytes were held");
    // As by count: those whose acks the server has yet to read, and those in their place.
    assert!(pending * SIZE <= 2 * LIMIT, "{pending} were out");
    let out = client.messages("OUT");
    assert!(out.iter().all(|message| message.payload == payload));
    // 32 MiB in calls of at most 2 MiB.
    assert!(weir.metric(&operator_series("calls_total", "op")) >= 16.0);
    assert_eq!(weir.metric(&series("dead_total")), 0.0);
}

#[test]
fn a_queue_that_is_longer_than_any_clients_is_taken_without_losing_one() {
    const QUEUED: u64 = 300_000;
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..QUEUED).map(|_| ("in.a", "")));
    let text = std::fs::read_to_string(site.pipeline("")).unwrap();
    let (start, rest) = text.split_once("operators:\n").unwrap();
    let (_, end) = rest.split_once("sink:").unwrap();
    let bounds = "in-flight: { max-messages: 1000000, max-bytes: 2GiB }\n";
    let file = site.file("p.yaml", format!("{start}sink:{end}{bounds}"));
    let weir = site.run(&file);
    wait_until("all of them are settled", || {
        weir.metric(&series("acked_total")) == QUEUED as f64
    });
    assert_eq!(weir.metric(&series("received_total")), QUEUED as f64);
    assert_eq!(weir.metric(&series("redelivered_total")), 0.0);
}
