//! Every message of the source becomes outputs, a drop or a dead letter, and none is lost: not when
//! the host is killed at any station of the corridor, not when the server restarts.

use crate::harness::{Scene, Stored, series, wait_until};
use std::collections::BTreeMap;

/// Payloads by how often they stand in a stream.
fn counted(messages: &[Stored]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in messages {
        *counts.entry(message.text()).or_default() += 1;
    }
    counts
}

#[test]
fn messages_go_through_the_plugin_to_the_sink_and_are_acked() {
    let scene = Scene::new();
    let client = scene.nats.client();
    for number in 0..100 {
        client.publish("in.a", format!("message {number}"));
    }
    let weir = scene.run(&scene.pipeline(""));
    scene.wait_until_settled();
    let out = scene.wait_for_messages("OUT", 100);
    assert_eq!(out.len(), 100);
    assert_eq!(out[0].subject, "out.in.a");
    assert!(
        out[0]
            .header("Nats-Msg-Id")
            .unwrap()
            .starts_with("p/op/IN@")
    );
    assert_eq!(counted(&out).len(), 100);
    assert_eq!(weir.metric(&series("acked_total")), 100.0);
    assert_eq!(weir.metric(&series("published_total")), 100.0);
}

#[test]
fn one_message_may_become_none_or_many() {
    let scene = Scene::new();
    let client = scene.nats.client();
    client.publish("in.a", "drop");
    client.publish("in.a", "emit:3");
    let weir = scene.run(&scene.pipeline(""));
    scene.wait_until_settled();
    assert_eq!(scene.wait_for_messages("OUT", 3).len(), 3);
    assert_eq!(weir.metric(&series("dropped_total")), 1.0);
    assert_eq!(weir.metric(&series("acked_total")), 2.0);
}

#[test]
fn every_input_is_accounted_for_when_the_host_is_killed_at_each_station() {
    const MESSAGES: usize = 20_000;
    const IN_FLIGHT: usize = 512;
    let scene = Scene::new();
    let client = scene.nats.client();
    // One in 100 is dropped, one in 100 is rejected.
    let payload = |number: usize| match number % 100 {
        7 => "drop".to_owned(),
        8 => format!("reject:{number}"),
        _ => number.to_string(),
    };
    client.publish_all((0..MESSAGES).map(|number| ("in.a", payload(number))));
    let file = scene.pipeline(&format!("in-flight: {{ max-messages: {IN_FLIGHT} }}\n"));
    let mut kills = 0;
    for station in ["pulled", "called", "published", "confirmed", "settled"] {
        for count in [1, 1500] {
            let halt = format!("{station}:{count}");
            let mut weir = scene.start(&file, &[("WEIR_HALT_AT", &halt)]);
            weir.wait_until_output("halted at");
            weir.kill9();
            kills += 1;
        }
    }
    let weir = scene.run(&file);
    scene.wait_until_settled();
    let out = counted(&client.messages("OUT"));
    let dead = counted(&client.messages("DEAD"));
    for number in 0..MESSAGES {
        let expected = payload(number);
        match number % 100 {
            7 => assert!(
                !out.contains_key(&expected),
                "a dropped message was published"
            ),
            8 => assert!(
                dead.contains_key(&expected),
                "`{expected}` is missing from DEAD"
            ),
            _ => assert!(
                out.contains_key(&expected),
                "`{expected}` is missing from OUT"
            ),
        }
    }
    // The server drops repeats by message id, so each is there once; what was repeated beyond that
    // is bounded by what was in flight at each kill.
    assert_eq!(out.values().max(), Some(&1));
    let redelivered = weir.metric(&series("redelivered_total"));
    assert!(
        redelivered <= (kills * IN_FLIGHT) as f64,
        "{redelivered} redelivered"
    );
}

#[test]
fn a_pipeline_goes_on_by_itself_when_the_server_restarts() {
    let mut scene = Scene::new();
    let file = scene.pipeline("");
    let mut weir = scene.run(&file);
    let publish = |scene: &Scene, from: usize| {
        let messages = (from..from + 2000).map(|number| ("in.a", number.to_string()));
        scene.nats.client().publish_all(messages);
    };
    publish(&scene, 0);
    wait_until("something has come through", || {
        scene.nats.client().count("OUT") > 100
    });
    scene.nats.kill9();
    scene.nats.start_again();
    publish(&scene, 2000);
    scene.wait_until_settled();
    let out = counted(&scene.wait_for_messages("OUT", 4000));
    assert_eq!(out.len(), 4000);
    assert!(weir.is_running());
    wait_until("the reconnect is counted", || {
        weir.metric(&series("reconnects_total")) >= 1.0
    });
}

#[test]
fn a_trace_goes_from_the_input_to_its_results() {
    let scene = Scene::new();
    let trace = (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
    scene
        .nats
        .client()
        .publish_with_headers("in.a", &[trace, ("Nats-Msg-Id", "mine")], "x");
    let _weir = scene.run(&scene.pipeline(""));
    let out = &scene.wait_for_messages("OUT", 1)[0];
    assert_eq!(out.header("traceparent"), Some(trace.1));
    assert!(out.header("Nats-Msg-Id").unwrap().starts_with("p/op/IN@"));
}

#[test]
fn the_lag_of_a_consumer_is_shown() {
    let scene = Scene::new();
    scene
        .nats
        .client()
        .publish_all((0..50).map(|_| ("in.a", "slow:500")));
    let weir =
        scene.run(&scene.pipeline("in-flight: { max-messages: 2 }\nbatch: { max-messages: 1 }\n"));
    wait_until("the lag is seen", || weir.metric(&series("lag")) > 0.0);
    wait_until("acks are pending", || {
        weir.metric(&series("ack_pending")) > 0.0
    });
}
