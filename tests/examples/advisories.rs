//! What goes wrong on a server becomes an alert of the advisories example.

use super::install;
use crate::harness::{Client, NatsServer, Weir, wait_for};
use async_nats::jetstream::consumer::pull;
use futures_util::StreamExt;
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

/// The alert of this subject about the stream `ORDERS`, once there is one.
fn alert(client: &Client, subject: &str) -> Value {
    wait_for(&format!("there is an alert on {subject}"), || {
        let alerts = client.messages("ALERTS");
        let found = alerts
            .iter()
            .filter(|alert| alert.subject == subject)
            .map(|alert| alert.json())
            .find(|alert| alert["stream"] == "ORDERS");
        let subjects: Vec<_> = alerts.into_iter().map(|alert| alert.subject).collect();
        found.ok_or(format!("{subjects:?}"))
    })
}

#[test]
fn what_goes_wrong_with_consumers_and_streams_of_a_server_becomes_alerts() {
    let server = NatsServer::start();
    let client = server.client();
    let directory = tempfile::tempdir().unwrap();
    install("advisories", directory.path());
    let arguments = [
        "run",
        "advisories/pipeline.yaml",
        "--metrics-listen=off",
        "--admin-listen=off",
    ];
    let url = server.url();
    let environment = [("NATS_URL", &*url)];
    let mut weir = Weir::start_with(directory.path(), &arguments, &environment, Stdio::null());
    weir.wait_until_output("running");

    client.create_stream("ORDERS", &["orders.>"]);
    let sequence = client.publish("orders.a", "1");
    client.run(async {
        let stream = client.jetstream.get_stream("ORDERS").await.unwrap();
        let config = pull::Config {
            durable_name: Some("mailer".to_owned()),
            max_deliver: 1,
            ack_wait: Duration::from_millis(100),
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.unwrap();
        let mut delivered = consumer.fetch().max_messages(1).messages().await.unwrap();
        // Nobody settles it, and there is no second time.
        delivered.next().await.unwrap().unwrap();
    });
    let given_up = alert(client, "alerts.warning.max-deliveries");
    let text = "consumer `mailer` of stream `ORDERS` gave up on message 1, delivered once";
    assert_eq!(given_up["text"], text);
    assert_eq!(given_up["sequence"], sequence);

    client.run(async {
        let stream = client.jetstream.get_stream("ORDERS").await.unwrap();
        stream.delete_consumer("mailer").await.unwrap();
    });
    let deleted = alert(client, "alerts.warning.consumer-deleted");
    let text = "consumer `mailer` of stream `ORDERS` was deleted";
    assert_eq!(deleted["text"], text);

    client
        .run(client.jetstream.delete_stream("ORDERS"))
        .unwrap();
    let deleted = alert(client, "alerts.critical.stream-deleted");
    assert_eq!(deleted["text"], "stream `ORDERS` was deleted");
}

/// As the README of advisories says: one `weir dev` watches the server that another one works on.
#[test]
fn weir_dev_shows_the_alerts_while_the_rebates_example_makes_them_happen() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["rebates", "advisories"] {
        install(name, directory.path());
    }
    let mut watching = Weir::start(directory.path(), &["dev", "advisories"]);
    watching.wait_until_output("waiting for a change");
    let log = watching.stderr();
    let (_, address) = log.split_once("private nats-server at ").unwrap();
    let url = address.lines().next().unwrap();
    let fed = Weir::run_in(
        directory.path(),
        &["dev", "--once", "--nats", url, "rebates"],
    );
    assert_eq!(fed.code, Some(0), "{}\n{}", fed.stdout, fed.stderr);
    assert!(
        fed.stdout
            .contains("40 in, 14 out, 7 dropped, 19 dead letters"),
        "{}",
        fed.stdout
    );
    // The truncated event of `input.jsonl`.
    let alert = "consumer `weir-rebates` of stream `ORDERS` will never process message 20";
    watching.wait_until_output(alert);
    watching.interrupt();
    assert_eq!(watching.finish().code, Some(0));
}
