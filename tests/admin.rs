//! A running host can be watched: metrics, health and status over HTTP, status over NATS.

use crate::harness::weir::get;
use crate::harness::{SLEEPER, Site, operator_series, series, wait_for, wait_until};
use std::net::{TcpListener, TcpStream};

#[test]
fn what_happened_to_each_message_is_counted() {
    let site = Site::new();
    let client = site.nats.client();
    for payload in ["good", "emit:3", "drop", "reject", "retry-until:2", "trap"] {
        client.publish("in.a", payload);
    }
    let weir = site.run(&site.pipeline(""));
    let pipeline = |name: &str| weir.metric(&series(name));
    wait_for("every message is settled", || {
        let settled = pipeline("acked_total") + pipeline("termed_total");
        if settled >= 6.0 {
            Ok(())
        } else {
            Err(format!("{settled} of 6"))
        }
    });
    assert_eq!(
        pipeline("received_total"),
        6.0,
        "a short retry waits in the lane"
    );
    assert_eq!(pipeline("redelivered_total"), 0.0);
    assert_eq!(
        pipeline("published_total"),
        7.0,
        "five results and two dead letters"
    );
    assert_eq!(pipeline("dropped_total"), 1.0);
    assert_eq!(pipeline("retried_total"), 1.0);
    assert_eq!(pipeline("dead_total"), 2.0);
    assert_eq!(pipeline("acked_total"), 4.0);
    assert_eq!(pipeline("in_flight"), 0.0);
    let operator = |name: &str| weir.metric(&operator_series(name, "op"));
    assert!(operator("traps_total") >= 1.0);
    assert!(operator("instances_created_total") >= 2.0);
    assert!(operator("call_seconds_count") >= 2.0);
    assert!(operator("memory_bytes") > 0.0);
    assert_eq!((client.count("OUT"), client.count("DEAD")), (5, 2));
}

#[test]
fn what_comes_and_what_goes_is_counted_in_bytes() {
    let site = Site::new();
    let client = site.nats.client();
    let thousand = "x".repeat(1000);
    for payload in [&*thousand, "emit:3", "drop", "reject"] {
        client.publish("in.a", payload.to_owned());
    }
    let header = "NATS/1.0\r\nName: value\r\n\r\n";
    client.publish_with_headers("in.a", &[("Name", "value")], "y");
    let weir = site.run(&site.pipeline(""));
    let pipeline = |name: &str| weir.metric(&series(name));
    wait_until("every message is settled", || {
        pipeline("acked_total") + pipeline("termed_total") == 5.0
    });
    let received = 1000 + "emit:3".len() + "drop".len() + "reject".len() + header.len() + 1;
    assert_eq!(pipeline("received_bytes_total"), received as f64);
    // Payloads: what was passed on, three digits, the dead letter.
    let published = 1000 + 3 + "reject".len() + 1;
    assert_eq!(pipeline("published_bytes_total"), published as f64);
    // `backpressure.rs` has what it is in between.
    assert_eq!(pipeline("in_flight_bytes"), 0.0);
}

#[test]
fn unless_told_otherwise_the_pages_are_for_this_machine_alone() {
    let site = Site::new();
    site.pipeline("");
    let weir = site.weir_with(&["run", "p.yaml"], &[]);
    for page in ["metrics", "status"] {
        let address = weir.address_of(page);
        let (host, port) = address.split_once(':').unwrap();
        assert_eq!(host, "127.0.0.1");
        assert_eq!(get(&address, &format!("/{page}")).0, 200);
        // What listens on all addresses listens on this one, too.
        assert!(TcpStream::connect(format!("127.0.0.2:{port}")).is_err());
    }
}

#[test]
fn the_metrics_of_a_plugin_are_on_the_page_under_the_names_it_gave() {
    let site = Site::new();
    site.nats.client().publish("in.a", "metrics:2");
    let weir = site.run(&site.pipeline(""));
    wait_until("the plugin counted", || {
        let labels = "pipeline=\"p\",operator=\"op\",name=\"counter_1\"";
        weir.metric_of_plugin(&format!("weir_plugin_counter_total{{{labels}}}")) == Some(1.0)
    });
}

#[test]
fn a_host_is_live_at_once_ready_when_it_works_and_not_when_it_stops() {
    let site = Site::new();
    let file = site.pipeline_but(&[SLEEPER], "drain: 1h\n");
    let weir = site.start(&file, &[]);
    let address = weir.address_of("metrics");
    assert_eq!(get(&address, "/live"), (200, "live\n".to_owned()));
    wait_for("the host is ready", || match get(&address, "/ready") {
        (200, text) if text == "ready\n" => Ok(()),
        (status, text) => Err(format!("{status}: {text}")),
    });
    assert_eq!(get(&address, "/nowhere").0, 404);
    // A message that is being worked on keeps the host from ending.
    site.nats.client().publish("in.a", "sleep");
    wait_until("the message is in hand", || {
        weir.metric(&series("in_flight")) == 1.0
    });
    weir.terminate();
    wait_until("the host is not ready", || get(&address, "/ready").0 == 503);
    assert_eq!(get(&address, "/live").0, 200);
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));
}

#[test]
fn the_status_is_the_same_over_http_and_over_nats() {
    let site = Site::new();
    let weir = site.run(&site.pipeline(""));
    let (code, page) = get(&weir.address_of("status"), "/status");
    assert_eq!(code, 200);
    let over_http: serde_json::Value = serde_json::from_str(&page).unwrap();
    let pipeline = &over_http["pipelines"][0];
    assert_eq!(pipeline["name"], "p");
    let plugin = std::fs::read(site.path("plugin.wasm")).unwrap();
    let digest = blake3::hash(&plugin).to_hex().to_string();
    assert_eq!(pipeline["operators"][0]["digest"], digest);

    site.wait_until_status("pipeline p");
    let over_nats = site.weir(&["status", "--json"]).done();
    let over_nats: serde_json::Value = serde_json::from_str(&over_nats).unwrap();
    assert_eq!(over_nats[0]["pid"], weir.pid());
    assert_eq!(
        over_nats[0]["pipelines"][0]["operators"],
        pipeline["operators"]
    );
    let text = site.wait_until_status("\n  pipeline p: IN -> out.{subject}, 1 lane");
    assert!(text.contains(&digest[..12]), "{text}");
    let by_file = site.weir(&["status", "p.yaml"]);
    assert!(by_file.stdout.contains(&digest[..12]), "{by_file:#?}");
}

#[test]
fn a_status_without_hosts_or_without_a_server_is_a_failure() {
    let mut site = Site::bare();
    let url = site.nats.url();
    let nobody = site.weir(&["status"]);
    assert_eq!(nobody.code, Some(1), "{nobody:#?}");
    assert!(
        nobody
            .stderr
            .starts_with(&format!("error: no host responds at `{url}`\n")),
        "{nobody:#?}"
    );
    site.nats.stop();
    let nowhere = site.weir(&["status"]);
    assert_eq!(nowhere.code, Some(1), "{nowhere:#?}");
    assert!(
        nowhere
            .stderr
            .contains(&format!("cannot connect to nats at `{url}`")),
        "{nowhere:#?}"
    );
}

#[test]
fn a_server_can_be_off_and_an_address_that_is_taken_is_refused() {
    let site = Site::new();
    site.pipeline("");
    let off = [
        "run",
        "p.yaml",
        "--metrics-listen",
        "off",
        "--admin-listen",
        "off",
    ];
    let mut weir = site.weir_with(&off, &[]);
    weir.wait_until_output("running");
    assert!(!weir.stderr().contains("http://"), "{}", weir.stderr());
    weir.interrupt();
    assert_eq!(weir.finish().code, Some(0));

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = site.weir(&["run", "p.yaml", "--metrics-listen", &address]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(
        refused
            .stderr
            .contains(&format!("error: cannot listen on `{address}`\n")),
        "{refused:#?}"
    );
    let wrong = site.weir(&["run", "p.yaml", "--admin-listen", "here"]);
    assert_eq!(wrong.code, Some(2), "{wrong:#?}");
}

#[test]
fn two_hosts_on_one_machine_need_no_options() {
    let site = Site::new();
    site.pipeline("");
    let run = ["run", "p.yaml"];
    let [mut first, mut second] = [site.weir_with(&run, &[]), site.weir_with(&run, &[])];
    first.wait_until_output("running");
    second.wait_until_output("running");
    assert_ne!(first.address_of("metrics"), second.address_of("metrics"));
}

#[test]
fn logs_are_json_when_asked() {
    let site = Site::new();
    site.pipeline("");
    let mut weir = site.start_with(&["p.yaml", "--log-format", "json"], &[]);
    weir.wait_until_output("running");
    for line in weir.stderr().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            entry["level"].is_string() && entry["timestamp"].is_string(),
            "{entry}"
        );
    }
}
