//! A pipeline whose stream, consumer or parking stream is deleted says so, comes back by itself when
//! it can, and takes no other pipeline with it; an outage is seen from outside while it lasts.

use crate::harness::weir::get;
use crate::harness::{
    AS_HOST, Client, NatsServer, SHORT_ACK_WAIT, SLEEPER, Site, Weir, replaced, series, wait_for,
    wait_until,
};
use crate::permissions::denying;
use std::collections::BTreeSet;

/// `weir run` with these arguments, once all its pipelines run.
fn run(site: &Site, arguments: &[&str]) -> Weir {
    let weir = site.start_with(arguments, &[]);
    wait_until_ready(&weir);
    weir
}

/// A pipeline `q` beside `p`.
fn other_pipeline(site: &Site) {
    site.nats.client().create_stream("OTHER", &["other.>"]);
    site.second_pipeline("OTHER", &[]);
}

#[track_caller]
fn wait_until_ready(weir: &Weir) {
    let address = weir.address_of("metrics");
    wait_for("the host is ready", || match get(&address, "/ready") {
        (200, _) => Ok(()),
        (_, why) => Err(why),
    });
}

/// Waits until `/ready` is refused with this in its reason.
#[track_caller]
fn wait_until_not_ready(weir: &Weir, reason: &str) -> String {
    let address = weir.address_of("metrics");
    wait_for(&format!("/ready says {reason:?}"), || {
        match get(&address, "/ready") {
            (503, why) if why.contains(reason) => Ok(why),
            (status, why) => Err(format!("{status}: {why}")),
        }
    })
}

fn of_q(name: &str) -> String {
    replaced(&series(name), &[("\"p\"", "\"q\"")])
}

fn subjects(client: &Client, stream: &str) -> Vec<String> {
    let messages = client.messages(stream);
    messages
        .into_iter()
        .map(|message| message.subject)
        .collect()
}

#[test]
fn a_deleted_stream_stops_its_own_pipeline_and_no_other_until_it_is_there_again() {
    let site = Site::new();
    let client = site.nats.client();
    other_pipeline(&site);
    site.pipeline("");
    let mut weir = run(&site, &["p.yaml", "q.yaml"]);
    client.publish("in.first", "x");
    site.wait_for_messages("OUT", 1);
    site.wait_until_settled();

    client.run(client.jetstream.delete_stream("IN")).unwrap();
    let why = wait_until_not_ready(&weir, "there is no stream `IN`");
    assert!(
        why.contains("hint: create it with `nats stream add IN`"),
        "{why}"
    );
    assert_eq!(weir.metric(&series("running")), 0.0);
    assert_eq!(weir.metric(&of_q("running")), 1.0);
    let (_, status) = get(&weir.address_of("status"), "/status");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let problem = status["pipelines"][0]["problem"]["error"].as_str().unwrap();
    assert!(
        problem.starts_with("cannot restart pipeline `p`"),
        "{problem}"
    );
    assert_eq!(status["pipelines"][1]["problem"], serde_json::Value::Null);
    site.wait_until_status("\n    problem: cannot restart pipeline `p`");
    client.publish("other.a", "x");
    wait_until("the other pipeline goes on", || {
        subjects(client, "OUT").contains(&"out.other.a".to_owned())
    });

    // Its sequences begin again at 1: the message id of the first result must not be the one from
    // before, or the server would take it for a repeat.
    client.create_stream("IN", &["in.>"]);
    client.publish("in.again", "x");
    wait_until("the pipeline is back", || {
        subjects(client, "OUT").contains(&"out.in.again".to_owned())
    });
    wait_until_ready(&weir);
    assert_eq!(weir.metric(&series("restarts_total")), 1.0);
    assert_eq!(weir.metric(&of_q("restarts_total")), 0.0);
    let said = weir.stderr();
    assert_eq!(said.matches("there is no stream `IN`").count(), 1, "{said}");
    assert!(weir.is_running());
}

#[test]
fn a_deleted_consumer_is_made_again_and_skips_nothing_though_it_starts_with_what_is_new() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.old", "x");
    site.pipeline_but(&[("consumer: p", "consumer: p, start: new")], "");
    let weir = run(&site, &["p.yaml"]);
    client.publish("in.a", "x");
    site.wait_for_messages("OUT", 1);
    site.wait_until_settled();
    client
        .run(client.jetstream.delete_consumer_from_stream("p", "IN"))
        .unwrap();
    // Perhaps before the consumer is there again.
    client.publish("in.b", "x");
    wait_until("the message comes through", || {
        subjects(client, "OUT").contains(&"out.in.b".to_owned())
    });
    wait_until_ready(&weir);
    assert!(!subjects(client, "OUT").contains(&"out.in.old".to_owned()));
    assert!(
        weir.stderr()
            .contains("cannot pull from consumer `p` of stream `IN`")
    );
}

#[test]
fn a_server_that_comes_back_without_its_streams_is_gone_on_with_once_they_are_there() {
    let mut site = Site::new();
    site.pipeline("");
    let weir = run(&site, &["p.yaml"]);
    site.nats.client().publish("in.a", "x");
    site.wait_for_messages("OUT", 1);
    site.nats.stop();
    site.nats.start_empty();
    wait_until_not_ready(&weir, "there is no stream `IN`");
    site.create_streams();
    site.nats.client().publish("in.b", "x");
    site.wait_for_messages("OUT", 1);
    wait_until_ready(&weir);
}

#[test]
fn a_pipeline_that_may_not_pull_fails_alone_and_the_host_ends_with_its_error() {
    let denied = "{ deny: [\"$JS.API.CONSUMER.MSG.NEXT.IN.p\"] }";
    let site = Site::permitting(&format!("permissions: {{ publish: {denied} }}"));
    let client = site.nats.client();
    other_pipeline(&site);
    site.pipeline_but(&[AS_HOST], "");
    let weir = site.start_with(&["p.yaml", "q.yaml"], &[]);
    let why = wait_until_not_ready(&weir, "Permissions Violation");
    let hint = "hint: allow this user to publish to `$JS.API.CONSUMER.MSG.NEXT.IN.p`";
    assert!(why.contains(hint), "{why}");
    client.publish("other.a", "x");
    site.wait_for_messages("OUT", 1);
    weir.terminate();
    let ended = weir.finish();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("\nerror: cannot continue pipeline `p`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_outage_is_seen_while_it_lasts_and_counted_once() {
    let mut site = Site::new();
    site.pipeline("");
    let weir = run(&site, &["p.yaml", "--create"]);
    assert_eq!(weir.metric(&series("connected")), 1.0);
    site.nats.kill9();
    wait_until_not_ready(
        &weir,
        "pipeline `p` has lost its connection to nats at `nats://",
    );
    assert_eq!(weir.metric(&series("connected")), 0.0);
    assert_eq!(weir.metric(&series("running")), 1.0);
    wait_until("the host misses what its pulls should bring", || {
        weir.metric(&series("missed_heartbeats_total")) > 0.0
    });
    site.nats.start_again();
    wait_until_ready(&weir);
    assert_eq!(weir.metric(&series("connected")), 1.0);
    site.nats.client().publish("in.a", "x");
    site.wait_for_messages("OUT", 1);
    let waiting = wait_for("a pull waits", || {
        let waiting = site.nats.client().consumer("IN", "p").unwrap().num_waiting;
        (waiting > 0).then_some(waiting).ok_or(String::new())
    });
    assert!(
        waiting <= 2,
        "{waiting} pulls: those of the outage were sent as well"
    );
    assert_eq!(weir.metric(&series("reconnects_total")), 1.0);
    assert_eq!(weir.metric(&series("restarts_total")), 0.0);
}

#[test]
fn a_lane_that_panics_loses_no_message_and_its_pipeline_goes_on() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..400).map(|number| ("in.a", number.to_string())));
    let file = site.pipeline_but(&[SHORT_ACK_WAIT], "lanes: 2\n");
    let mut weir = site.start(&file, &[("WEIR_PANIC_AT", "called:50")]);
    weir.wait_until_output("a lane panicked; this is a bug in weir");
    let results = site.wait_for_messages("OUT", 400);
    site.wait_until_settled();
    let numbers: BTreeSet<String> = results.iter().map(|one| one.text().to_owned()).collect();
    assert_eq!((results.len(), numbers.len()), (400, 400));
    assert_eq!(weir.metric(&series("restarts_total")), 1.0);
    assert!(weir.metric(&series("redelivered_total")) > 0.0);
    assert_eq!(weir.metric(&series("in_flight")), 0.0);
}

#[test]
fn what_a_lane_held_when_it_panicked_goes_to_another_host_while_its_neighbour_still_computes() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.pipeline_but(
        &[SHORT_ACK_WAIT, SLEEPER],
        "lanes: 2\nin-flight: { max-messages: 1 }\nbatch: { max-messages: 1 }\ndrain: 1h\n",
    );
    // One lane is in a call that ends after all else; the other panics with one message in hand.
    let mut first = site.start(&file, &[("WEIR_PANIC_AT", "called:5")]);
    first.wait_until_output("running");
    client.publish("in.slow", "slow:3600000");
    wait_until("a lane is in the long call", || {
        first.metric(&series("in_flight")) == 1.0
    });
    client.publish_all((0..9).map(|number| ("in.a", number.to_string())));
    first.wait_until_output("panicked at Called");
    let _second = site.run(&file);
    let results = site.wait_for_messages("OUT", 9);
    let numbers: BTreeSet<String> = results.iter().map(|one| one.text().to_owned()).collect();
    assert_eq!(numbers, (0..9).map(|number| number.to_string()).collect());
    // The long call goes on, and what it works on is still the first host's.
    assert_eq!(first.metric(&series("restarts_total")), 0.0);
    first.kill9();
}

#[test]
fn results_follow_the_largest_payload_that_the_server_takes_when_it_changes() {
    let nats = NatsServer::start_with("max_payload: 1048576");
    let site = Site::on(nats);
    site.create_streams();
    let client = site.nats.client();
    let weir = site.run(&site.pipeline(""));
    client.publish("in.a", "flood:200000");
    site.wait_for_messages("OUT", 1);
    site.nats.reload("max_payload: 65536");
    client.publish("in.a", "flood:200000");
    client.publish("in.a", "fine");
    assert_eq!(site.wait_for_messages("OUT", 2)[1].text(), "fine");
    let dead = site.wait_for_messages("DEAD", 1);
    assert_eq!(dead[0].header("Weir-Kind"), Some("sink"));
    site.wait_until_settled();
    assert_eq!(weir.metric(&series("running")), 1.0);
}

#[test]
fn a_pipeline_whose_stream_is_missing_at_the_start_waits_for_it_beside_one_that_runs() {
    let site = Site::new();
    let client = site.nats.client();
    site.pipeline("");
    site.second_pipeline("OTHER", &[]);
    let weir = site.start_with(&["q.yaml", "p.yaml"], &[]);
    let why = wait_until_not_ready(&weir, "cannot start pipeline `q`");
    assert!(why.contains("there is no stream `OTHER`"), "{why}");
    assert!(
        why.contains("hint: create it with `nats stream add OTHER`"),
        "{why}"
    );
    client.publish("in.a", "x");
    site.wait_for_messages("OUT", 1);
    site.wait_until_status("\n    problem: cannot start pipeline `q`");
    assert_eq!(weir.metric(&series("running")), 1.0);
    assert_eq!(weir.metric(&of_q("running")), 0.0);
    client.create_stream("OTHER", &["other.>"]);
    wait_until_ready(&weir);
    client.publish("other.a", "x");
    site.wait_for_messages("OUT", 2);
    assert_eq!(weir.metric(&of_q("restarts_total")), 0.0);
    let said = weir.stderr();
    assert_eq!(
        said.matches("there is no stream `OTHER`").count(),
        1,
        "{said}"
    );
}

#[test]
fn a_pipeline_that_lacks_something_else_at_the_start_waits_for_it_beside_one_that_runs() {
    let info = "$JS.API.STREAM.INFO.OTHER";
    let site = Site::on(NatsServer::start_with(&denying(&[info])));
    site.create_streams();
    let client = site.nats.client();
    client.create_stream("OTHER", &["other.>"]);
    site.pipeline("");
    site.second_pipeline("OTHER", &[AS_HOST, ("out.{subject}", "late.{subject}")]);
    let weir = site.start_with(&["q.yaml", "p.yaml"], &[]);
    wait_until_not_ready(
        &weir,
        "allow this user to publish to `$JS.API.STREAM.INFO.OTHER`",
    );
    site.nats.reload(&denying(&[]));
    wait_until_not_ready(&weir, "no stream captures the sink subject `late.>`");
    client.publish("in.a", "x");
    site.wait_for_messages("OUT", 1);
    client.create_stream("LATE", &["late.>"]);
    wait_until_ready(&weir);
    client.publish("other.a", "x");
    site.wait_for_messages("LATE", 1);
}

#[test]
fn a_host_none_of_whose_pipelines_can_start_ends_at_once() {
    let site = Site::bare();
    site.pipeline("");
    site.second_pipeline("OTHER", &[]);
    let ended = site.weir(&["run", "p.yaml", "q.yaml"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let hint = "hint: create it with `nats stream add IN`";
    assert!(
        ended.stderr.contains("error: cannot start pipeline `p`"),
        "{ended:#?}"
    );
    assert!(ended.stderr.contains(hint), "{ended:#?}");
}
