//! A pipeline can use the JetStream of another domain or of another account: all of its requests go under
//! the prefix that its `nats:` section says, and everything it promises holds there.

use crate::harness::{NatsServer, Site, replaced, series, wait_for, wait_until};
use std::path::PathBuf;

/// Retries are parked at once, so that the parking stream is used too.
const PARKED: (&str, &str) = (
    "retry: { initial: 10ms, max: 50ms }",
    "retry: { park-after: 100ms, initial: 1s, max: 1s }",
);

/// Results, a dead letter and a parked retry arrive where they belong, and everything is settled.
#[track_caller]
fn everything_flows(site: &Site, changes: &[(&str, &str)]) -> PathBuf {
    let file = site.pipeline_but(&[&[PARKED], changes].concat(), "");
    let arguments = [file.to_str().unwrap(), "--create"];
    let mut weir = site.start_with(&arguments, &[]);
    weir.wait_until_output("running");
    let client = site.nats.client();
    client.publish("in.a", "1");
    client.publish("in.b", "reject:no");
    client.publish("in.c", "retry-until:2");
    site.wait_for_messages("OUT", 2);
    site.wait_for_messages("DEAD", 1);
    site.wait_until_settled();
    wait_until("the parked one is settled", || {
        weir.metric(&series("unparked_total")) == 1.0 && client.count("WEIR_PARKED_P") == 0
    });
    wait_for("the host has the lag of the other side", || {
        let settled = weir.metric(&series("ack_pending")) == 0.0;
        settled.then_some(()).ok_or(weir.stderr())
    });
    assert_eq!(weir.metric(&series("redelivered_total")), 0.0);
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));
    file
}

#[test]
fn a_host_on_a_leaf_node_uses_the_streams_of_the_hub_by_its_domain() {
    let hub = "jetstream { domain: hub }\nleafnodes { listen: \"127.0.0.1:-1\" }";
    let site = Site::on(NatsServer::start_with(hub));
    site.create_streams();
    let port = wait_for("the hub listens for leaf nodes", || {
        let log = std::fs::read_to_string(site.nats.log()).unwrap_or_default();
        let line = log.split("leafnode connections on 127.0.0.1:").nth(1);
        let port = line.and_then(|rest| rest.lines().next());
        port.map(|port| port.trim().to_owned()).ok_or(log)
    });
    let leaf = NatsServer::start_with(&format!(
        "jetstream {{ domain: leaf }}\n\
         leafnodes {{ remotes: [ {{ url: \"nats-leaf://127.0.0.1:{port}\" }} ] }}"
    ));
    wait_for("the leaf node is connected", || {
        let log = std::fs::read_to_string(leaf.log()).unwrap_or_default();
        let connected = log.contains("Leafnode connection created");
        connected.then_some(()).ok_or(log)
    });
    let at_leaf = format!("nats: {{ domain: hub, url: \"{}\"", leaf.url());
    let at_hub = format!("nats: {{ url: \"{}\"", site.nats.url());
    let file = everything_flows(&site, &[(&at_hub, &at_leaf)]);

    let listed = site.weir(&["dlq", "ls", file.to_str().unwrap()]).done();
    assert!(listed.contains("in.b"), "{listed}");
    assert!(leaf.client().stream_info("IN").is_none());

    // Without the domain the host asks the leaf node, which has none of these streams.
    let text = std::fs::read_to_string(&file).unwrap();
    let file = site.file("q.yaml", replaced(&text, &[("domain: hub, ", "")]));
    let checked = site.weir(&["run", file.to_str().unwrap()]);
    assert!(
        checked.stderr.contains("there is no stream `IN`"),
        "{checked:#?}"
    );
}

#[test]
fn a_host_uses_the_streams_of_another_account_by_the_prefix_of_its_import() {
    let service = |subject: &str, more: &str| format!("{{ service: \"{subject}\" {more} }}");
    let exported = [
        service("$JS.API.>", ", response: stream"),
        service("$JS.ACK.>", ""),
        service("out.>", ""),
        service("dead.>", ""),
        service("weir.parked.>", ""),
    ];
    let import = |subject: &str, to: &str| {
        format!("{{ service: {{ account: A, subject: \"{subject}\" }}, to: \"{to}\" }}")
    };
    let imported = [
        import("$JS.API.>", "JS.acme.API.>"),
        import("$JS.ACK.>", "$JS.ACK.>"),
        import("out.>", "out.>"),
        import("dead.>", "dead.>"),
        import("weir.parked.>", "weir.parked.>"),
    ];
    let site = Site::on(NatsServer::start_with(&format!(
        "accounts {{\n\
         A {{ jetstream: enabled, users: [ {{ user: a, password: a }} ], exports: [ {} ] }}\n\
         B {{ users: [ {{ user: host, password: h }} ], imports: [ {} ] }}\n}}\nno_auth_user: a",
        exported.join(", "),
        imported.join(", "),
    )));
    site.create_streams();
    let as_host = "nats: { user: host, password: h, api-prefix: JS.acme.API, ";
    everything_flows(&site, &[("nats: { ", as_host)]);
}
