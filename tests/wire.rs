//! The connection of a lane lasts as long as there is a server that takes it: it is found again at another
//! server of a cluster, and with credentials that were renewed.

use crate::harness::identity::Operator;
use crate::harness::weir::get;
use crate::harness::{NatsServer, Site, Weir, series, wait_for, wait_until};
use async_nats::ConnectOptions;
use std::collections::BTreeSet;

/// Waits until `/ready` answers with this status.
#[track_caller]
fn wait_until_ready_is(weir: &Weir, expected: u16) -> String {
    let address = weir.address_of("metrics");
    wait_for(&format!("/ready answers {expected}"), || {
        match get(&address, "/ready") {
            (status, text) if status == expected => Ok(text),
            (status, text) => Err(format!("{status}: {text}")),
        }
    })
}

#[test]
fn credentials_that_are_renewed_in_their_file_are_used_at_the_next_connection() {
    let operator = Operator::new();
    let site = Site::on(NatsServer::start_with(&operator.server_configuration()));
    let options = ConnectOptions::with_credentials(&operator.credentials()).unwrap();
    let client = site.nats.client_with(options);
    site.create_streams();
    site.file("host.creds", operator.short_credentials(8));
    let weir =
        site.run(&site.pipeline_but(&[("nats: { ", "nats: { credentials: host.creds, ")], ""));
    client.publish("in.a", "before");
    site.wait_for_messages("OUT", 1);
    // Nobody renews them in time: the server ends the connection and takes no other.
    let why = wait_for("the reason is told", || {
        let why = wait_until_ready_is(&weir, 503);
        // In the second of the expiry the server may still let it in, to end it at once.
        if why.contains("cannot reconnect") && why.contains("authorization violation") {
            Ok(why)
        } else {
            Err(why)
        }
    });
    assert!(why.contains(&site.nats.url()), "{why}");
    client.publish("in.a", "meanwhile");
    let lines = weir.stderr().matches("cannot reconnect to nats").count();
    assert!(lines <= 8, "{lines} lines: {}", weir.stderr());
    site.file("host.creds", operator.credentials());
    site.wait_for_messages("OUT", 2);
    wait_until_ready_is(&weir, 200);
    assert_eq!(weir.metric(&series("restarts_total")), 0.0);
}

#[test]
fn credentials_that_are_renewed_before_they_expire_interrupt_nothing() {
    let operator = Operator::new();
    let site = Site::on(NatsServer::start_with(&operator.server_configuration()));
    let options = ConnectOptions::with_credentials(&operator.credentials()).unwrap();
    let client = site.nats.client_with(options);
    site.create_streams();
    site.file("host.creds", operator.short_credentials(6));
    let weir =
        site.run(&site.pipeline_but(&[("nats: { ", "nats: { credentials: host.creds, ")], ""));
    site.file("host.creds", operator.credentials());
    wait_until("the server has ended the connection", || {
        weir.metric(&series("reconnects_total")) >= 1.0
    });
    wait_until_ready_is(&weir, 200);
    client.publish("in.a", "after");
    site.wait_for_messages("OUT", 1);
    assert!(
        !weir.stderr().contains("cannot reconnect"),
        "{}",
        weir.stderr()
    );
}

#[test]
fn a_lane_whose_server_shuts_down_in_lame_duck_mode_goes_on_at_another_and_loses_nothing() {
    let lame = "lame_duck_duration: 30s\nlame_duck_grace_period: 1s";
    let [first, second, _third] = NatsServer::start_cluster_with(lame);
    let site = Site::on(first);
    site.create_streams_on(3);
    let mut weir = site.run(&site.pipeline(""));
    let client = second.client();
    let publish = |number: u32| client.publish_once("in.a", &number.to_string());
    (0..10).for_each(publish);
    site.nats.lame_duck();
    weir.wait_until_output("about to shut down");
    (10..20).for_each(publish);
    wait_until("the lane has found another server", || {
        weir.metric(&series("reconnects_total")) >= 1.0
    });
    (20..30).for_each(publish);
    wait_until("all have gone through", || client.count("OUT") >= 30);
    let out = client.messages("OUT");
    let distinct: BTreeSet<_> = out.iter().map(|one| one.text()).collect();
    assert_eq!((distinct.len(), out.len()), (30, 30));
    assert_eq!(weir.metric(&series("restarts_total")), 0.0);
}

#[test]
fn a_lane_whose_server_is_killed_goes_on_at_another_that_the_cluster_has_named() {
    let [first, second, _third] = NatsServer::start_cluster();
    let mut site = Site::on(first);
    site.create_streams_on(3);
    let mut weir = site.run(&site.pipeline(""));
    site.nats.client().publish("in.a", "before");
    site.wait_for_messages("OUT", 1);
    site.nats.kill9();
    weir.wait_until_output("the connection to nats was lost");
    wait_until("the lane has found another server", || {
        weir.metric(&series("reconnects_total")) >= 1.0
    });
    let client = second.client();
    client.publish_once("in.b", "after");
    wait_until("it has gone through", || client.count("OUT") == 2);
    assert_eq!(weir.metric(&series("restarts_total")), 0.0);
}
