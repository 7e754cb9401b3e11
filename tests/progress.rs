//! A pipeline that has work and settles nothing is not ready, and says what it waits for; when it goes on,
//! it says that too. An idle one is never stalled.

use crate::harness::weir::get;
use crate::harness::{
    AS_HOST, NatsServer, SHORT_ACK_WAIT, SLEEPER, Site, Weir, series, wait_for, wait_until,
};
use async_nats::jetstream::{consumer, stream};
use futures_util::StreamExt;
use std::path::Path;
use std::time::Duration;

/// So that nobody waits for half a minute.
const SOON: &str = "stalled-after: 1s\n";

/// Waits until the host says everywhere that the pipeline is stalled, with this cause and hint.
#[track_caller]
fn wait_until_stalled(site: &Site, weir: &Weir, cause: &str, hint: &str) {
    let address = weir.address_of("metrics");
    wait_for(&format!("/ready says {cause:?}"), || {
        match get(&address, "/ready") {
            (503, why)
                if why.contains("pipeline `p` is stalled")
                    && why.contains(cause)
                    && why.contains(hint) =>
            {
                Ok(())
            }
            (status, why) => Err(format!("{status}: {why}")),
        }
    });
    assert_eq!(weir.metric(&series("stalled")), 1.0);
    assert_eq!(weir.metric(&series("running")), 1.0);
    let (_, status) = get(&weir.address_of("status"), "/status");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let stalled = &status["pipelines"][0]["stalled"];
    assert!(
        stalled["waits_for"].to_string().contains(cause),
        "{stalled}"
    );
    site.wait_until_status("\n    stalled for ");
}

/// Waits until it goes on; the log has one line for the beginning of the stall, and one for its end.
#[track_caller]
fn wait_until_it_goes_on(weir: &Weir) {
    let address = weir.address_of("metrics");
    wait_for("the host is ready", || match get(&address, "/ready") {
        (200, _) => Ok(()),
        (_, why) => Err(why),
    });
    wait_until("the gauge follows", || {
        weir.metric(&series("stalled")) == 0.0
    });
    let log = weir.stderr();
    let (began, ended) = (
        log.matches(" is stalled").count(),
        log.matches("continues after").count(),
    );
    assert_eq!((began, ended), (1, 1), "{log}");
}

fn run(site: &Site, file: &Path) -> Weir {
    let weir = site.run(file);
    assert_eq!(weir.metric(&series("stalled")), 0.0);
    weir
}

#[test]
fn a_sink_that_refuses_stalls_a_pipeline_until_it_has_room() {
    let site = Site::new();
    let client = site.nats.client();
    let full = stream::Config {
        name: "OUT".to_owned(),
        subjects: vec!["out.>".to_owned()],
        max_messages: 1,
        discard: stream::DiscardPolicy::New,
        ..stream::Config::default()
    };
    client.run(client.jetstream.update_stream(&full)).unwrap();
    let weir = run(&site, &site.pipeline(SOON));
    client.publish("in.a", "1");
    site.wait_for_messages("OUT", 1);
    client.publish("in.a", "2");
    wait_until_stalled(&site, &weir, "maximum messages exceeded", "");
    client.purge("OUT");
    site.wait_until_settled();
    wait_until_it_goes_on(&weir);
}

#[test]
fn a_server_without_storage_for_results_stalls_a_pipeline_until_it_has_some() {
    let limits = "jetstream { max_file_store: 400KB }";
    let site = Site::on(NatsServer::start_with(limits));
    site.create_streams();
    let client = site.nats.client();
    client.create_stream("FILLER", &["filler.>"]);
    let weir = run(&site, &site.pipeline(SOON));
    // The server refuses what comes when it has more than it should.
    client.publish("filler.a", vec![b'x'; 200 * 1024]);
    client.publish("in.a", vec![b'x'; 250 * 1024]);
    wait_until_stalled(&site, &weir, "insufficient", "");
    client
        .run(client.jetstream.delete_stream("FILLER"))
        .unwrap();
    site.wait_until_settled();
    wait_until_it_goes_on(&weir);
}

#[test]
fn a_server_without_storage_for_commits_stalls_a_job_until_it_has_some() {
    let site = Site::on(NatsServer::start_with(
        "jetstream { max_file_store: 400KB }",
    ));
    site.create_streams();
    let client = site.nats.client();
    client.create_stream("FILLER", &["filler.>"]);
    let job = format!("delivery: exactly-once\nkey: \"{{subject[1]}}\"\npartitions: 1\n{SOON}");
    let changes = [("stream: IN, consumer: p", "stream: IN")];
    let file = site.pipeline_but(&changes, &job);
    let mut weir = site.start_with(&[file.to_str().unwrap(), "--create"], &[]);
    weir.wait_until_output("running");
    client.publish("in.a", "first");
    site.wait_for_messages("OUT", 1);
    // As above. What is in `IN` needs as much again for its commit, and for its result.
    client.publish("filler.a", vec![b'x'; 300 * 1024]);
    client.publish("in.a", vec![b'x'; 110 * 1024]);
    wait_until_stalled(&site, &weir, "insufficient", "");
    assert_eq!(client.count("OUT"), 1);
    client
        .run(client.jetstream.delete_stream("FILLER"))
        .unwrap();
    client.publish("in.a", "last");
    let results = site.wait_for_messages("OUT", 3);
    let sizes: Vec<_> = results.iter().map(|result| result.text().len()).collect();
    assert_eq!(sizes, [5, 110 * 1024, 4]);
    wait_until_it_goes_on(&weir);
}

#[test]
fn what_another_client_has_of_the_consumer_is_said_when_nothing_else_may_be_delivered() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..5).map(|number| ("in.a", number.to_string())));
    let by_hand = consumer::pull::Config {
        durable_name: Some("p".to_owned()),
        ack_wait: Duration::from_secs(3600),
        max_ack_pending: 3,
        ..Default::default()
    };
    let taken = client.run(async {
        let stream = client.jetstream.get_stream("IN").await.unwrap();
        let consumer = stream.create_consumer(by_hand).await.unwrap();
        let taken = consumer.fetch().max_messages(3).messages().await.unwrap();
        taken.map(Result::unwrap).collect::<Vec<_>>().await
    });
    let settings = "consumer: p, ack-wait: 1h, max-ack-pending: 3";
    let file = site.pipeline_but(&[("consumer: p", settings)], SOON);
    let weir = run(&site, &file);
    let hint = "raise `source.max-ack-pending`";
    wait_until_stalled(&site, &weir, "all 3 deliveries that consumer `p`", hint);
    for message in taken {
        let reply = message.reply.clone().unwrap();
        client
            .run(client.nats.publish(reply, "+ACK".into()))
            .unwrap();
    }
    site.wait_until_settled();
    site.wait_for_messages("OUT", 2);
    wait_until_it_goes_on(&weir);
}

#[test]
fn a_paused_consumer_is_told_from_an_idle_one() {
    let site = Site::new();
    let client = site.nats.client();
    let weir = run(&site, &site.pipeline(SOON));
    client.publish("in.a", "1");
    site.wait_until_settled();
    let later = std::time::SystemTime::now() + Duration::from_secs(3600);
    client.run(async {
        let stream = client.jetstream.get_stream("IN").await.unwrap();
        stream.pause_consumer("p", later.into()).await.unwrap();
    });
    client.publish("in.a", "2");
    let hint = "`nats consumer resume IN p`";
    wait_until_stalled(&site, &weir, "consumer `p` of stream `IN` is paused", hint);
    client.run(async {
        let stream = client.jetstream.get_stream("IN").await.unwrap();
        stream.resume_consumer("p").await.unwrap();
    });
    site.wait_until_settled();
    wait_until_it_goes_on(&weir);
}

#[test]
fn a_message_that_is_larger_than_any_pull_may_ask_for_is_said() {
    let site = Site::new();
    let client = site.nats.client();
    let by_hand = consumer::pull::Config {
        durable_name: Some("p".to_owned()),
        max_bytes: 2000,
        ..Default::default()
    };
    client.run(async {
        let stream = client.jetstream.get_stream("IN").await.unwrap();
        stream.create_consumer(by_hand).await.unwrap();
    });
    let weir = run(&site, &site.pipeline(SOON));
    client.publish("in.a", "small");
    site.wait_until_settled();
    let large = client.publish("in.a", vec![b'x'; 5000]);
    wait_until_stalled(
        &site,
        &weir,
        "Exceeds MaxBytes",
        "`nats consumer info IN p`",
    );
    client.delete("IN", large);
    client.publish("in.a", "small");
    site.wait_for_messages("OUT", 2);
    wait_until_it_goes_on(&weir);
}

#[test]
fn a_plugin_that_hangs_within_its_deadline_is_named() {
    let site = Site::new();
    let mut weir = run(&site, &site.pipeline_but(&[SLEEPER], SOON));
    site.nats.client().publish("in.a", "slow:3600000");
    let hint = "`limits.deadline` of operator `op`";
    wait_until_stalled(&site, &weir, "operator `op` has been in a call for", hint);
    weir.kill9();
}

#[test]
fn acks_that_the_server_refuses_settle_nothing_until_it_takes_them_again() {
    let permitting = |denied: &str| {
        format!(
            "authorization {{ users = [ {{ user: all, password: a }}, {{ user: host, password: h, \
             permissions: {{ publish: {{ deny: [{denied}] }} }} }} ] }}\nno_auth_user: all"
        )
    };
    let site = Site::on(NatsServer::start_with(&permitting("")));
    site.create_streams();
    let client = site.nats.client();
    let weir = run(&site, &site.pipeline_but(&[AS_HOST, SHORT_ACK_WAIT], SOON));
    client.publish("in.a", "1");
    site.wait_until_settled();
    site.nats.reload(&permitting("\"$JS.ACK.>\""));
    client.publish("in.a", "2");
    let hint = "allow this user to publish there";
    wait_until_stalled(&site, &weir, "the server refuses the acks: ", hint);
    site.nats.reload(&permitting(""));
    site.wait_until_settled();
    wait_until_it_goes_on(&weir);
}

#[test]
fn a_pipeline_with_nothing_to_do_but_a_retry_that_is_far_off_is_not_stalled() {
    let site = Site::new();
    let client = site.nats.client();
    let far = (
        "retry: { initial: 10ms, max: 50ms }",
        "retry: { initial: 6s, max: 6s, park-after: 3s }",
    );
    let near = ("park-after: 3s", "park-after: 1m");
    for (changes, create) in [(&[far][..], "--create"), (&[far, near][..], "--create")] {
        let file = site.pipeline_but(changes, SOON);
        let mut weir = site.start_with(&[file.to_str().unwrap(), create], &[]);
        weir.wait_until_output("running");
        let before = client.count("OUT");
        client.publish("in.a", "retry-until:2");
        site.wait_for_messages("OUT", before + 1);
        assert!(!weir.stderr().contains("is stalled"), "{}", weir.stderr());
    }
}
