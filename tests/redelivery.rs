//! A message that fails for now is delivered again, later and later, and gives up after its attempts;
//! slow is not dead, and an outage condemns nothing.

use crate::harness::web::Web;
use crate::harness::{
    NatsServer, SHORT_ACK_WAIT, SLEEPER, Site, guests, operator_series, series, wait_until,
};
use std::process::Command;

/// Not so short that a pause of a busy machine is one: a third of it is the host's.
const KEPT_ALIVE: (&str, &str) = ("consumer: p", "consumer: p, ack-wait: 8s");

#[test]
fn a_retry_is_delivered_again_with_its_attempt_until_it_succeeds() {
    let site = Site::new();
    site.nats.client().publish("in.a", "retry-until:3");
    let weir = site.run(&site.pipeline(""));
    site.wait_for_messages("OUT", 1);
    site.wait_until_settled();
    assert_eq!(weir.metric(&series("retried_total")), 2.0);
    assert_eq!(weir.metric(&series("dead_total")), 0.0);
}

#[test]
fn a_message_that_is_retried_too_often_becomes_a_dead_letter_that_says_so() {
    let site = Site::new();
    site.nats.client().publish("in.a", "retry");
    let thrice = ("initial: 10ms", "max-attempts: 3, initial: 10ms");
    let weir = site.run(&site.pipeline_but(&[thrice], ""));
    let dead = site.wait_for_messages("DEAD", 1);
    site.wait_until_settled();
    assert_eq!(dead[0].header("Weir-Kind"), Some("retries"));
    assert!(
        dead[0]
            .header("Weir-Reason")
            .unwrap()
            .starts_with("gave up after 3 attempts")
    );
    assert_eq!(dead[0].text(), "retry");
    assert_eq!(weir.metric(&series("retried_total")), 2.0);
    assert_eq!(site.nats.client().count("OUT"), 0);
}

#[test]
fn a_delay_beyond_what_the_server_counts_is_no_reason_to_deliver_at_once() {
    let site = Site::new();
    let client = site.nats.client();
    // Nothing is parked, so that it is the consumer that waits.
    let weir = site.run(&site.pipeline(""));
    client.publish("in.a", format!("retry-after:{}", u64::MAX));
    wait_until("it goes back", || {
        weir.metric(&series("retried_total")) > 0.0
    });
    client.publish("in.a", "retry-until:3");
    site.wait_for_messages("OUT", 1);
    let info = client.consumer("IN", "p").unwrap();
    assert_eq!(
        (info.delivered.consumer_sequence, info.num_ack_pending),
        (2, 1)
    );
    assert_eq!(weir.metric(&series("dead_total")), 0.0);
}

#[test]
fn a_message_that_takes_longer_than_ack_wait_is_kept_alive_and_not_delivered_twice() {
    let (site, web) = (Site::new(), Web::start());
    let client = site.nats.client();
    client.publish_all((0..30).map(|_| ("in.a", format!("patient {}/gate", web.origin()))));
    site.file("plugin.wasm", guests::bytes("fetch"));
    let grants = format!(
        "deadline: 2h }}\n    grants: {{ http: [\"{}\"] }}",
        web.origin()
    );
    let changes = [KEPT_ALIVE, ("deadline: 1m }", &*grants)];
    let weir = site.run(&site.pipeline_but(&changes, ""));
    // Every third of ack-wait once it has been silent for so long.
    wait_until("each is in hand for longer than ack-wait", || {
        weir.metric(&series("in_progress_sent_total")) >= 30.0 * 4.0
    });
    web.open_gate();
    site.wait_for_messages("OUT", 30);
    site.wait_until_settled();
    assert_eq!(weir.metric(&series("received_total")), 30.0);
    assert_eq!(weir.metric(&series("redelivered_total")), 0.0);
    assert_eq!(client.count("OUT"), 30);
}

#[test]
fn what_has_been_sent_to_a_lane_is_kept_alive_while_a_plugin_computes() {
    let site = Site::new();
    let client = site.nats.client();
    let more = "in-flight: { max-messages: 64 }\nbatch: { max-messages: 1 }\n";
    let weir = site.run(&site.pipeline_but(&[KEPT_ALIVE, SLEEPER], more));
    // A lane that is fast asks for many.
    client.publish_all((0..200).map(|number| ("in.a", number.to_string())));
    site.wait_for_messages("OUT", 200);
    // The first call is twice as long as ack-wait; the others have been sent to the lane before it ends.
    let slow = std::iter::once("slow:16000".to_owned());
    let behind = (0..60).map(|number| number.to_string());
    client.publish_all(slow.chain(behind).map(|payload| ("in.a", payload)));
    site.wait_for_messages("OUT", 261);
    site.wait_until_settled();
    assert_eq!(weir.metric(&series("redelivered_total")), 0.0);
    assert_eq!(weir.metric(&series("publish_duplicates_total")), 0.0);
    // The slow one alone has six at the most.
    assert!(weir.metric(&series("in_progress_sent_total")) > 6.0);
    assert_eq!(client.count("OUT"), 261);
}

#[test]
fn an_output_that_no_stream_captures_is_tried_again_and_arrives_once_one_does() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.a", "1");
    // The stream is there when the host checks, and gone when the message comes.
    let weir = site.run(&site.pipeline(""));
    site.wait_for_messages("OUT", 1);
    client.run(client.jetstream.delete_stream("OUT")).unwrap();
    client.publish("in.a", "2");
    wait_until("the publish has failed", || {
        weir.metric(&series("publish_failures_total")) >= 1.0
    });
    client.create_stream("OUT", &["out.>"]);
    assert_eq!(site.wait_for_messages("OUT", 1)[0].text(), "2");
    site.wait_until_settled();
}

#[test]
fn what_fails_for_one_message_after_the_other_is_said_once_with_what_to_do() {
    let site = Site::new();
    let client = site.nats.client();
    let mut weir = site.run(&site.pipeline(""));
    client.run(client.jetstream.delete_stream("OUT")).unwrap();
    client.publish_all((0..40).map(|number| ("in.a", number.to_string())));
    // As many attempts for each as a message has, as long as no stream captures its results.
    site.wait_for_messages("DEAD", 40);
    weir.wait_until_output("more publish failures were not logged");
    let log = weir.stderr();
    let hint = "create a stream that captures `out.in.a`, or start weir with `--create`";
    assert!(log.contains(hint), "{log}");
    let failures = weir.metric(&series("publish_failures_total"));
    let said = log.matches("; trying again").count();
    assert!(
        failures >= 160.0 && said < 40,
        "{said} of {failures} in {log}"
    );
}

#[test]
fn only_what_a_plugin_asks_for_counts_against_its_attempts() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.a", "retry-until:6");
    let file = site.pipeline_but(&[SHORT_ACK_WAIT], "");
    // Four hosts take the message and are killed before a plugin has answered.
    for _ in 0..4 {
        let mut weir = site.start(&file, &[("WEIR_HALT_AT", "pulled:1")]);
        weir.wait_until_output("halted at");
        weir.kill9();
    }
    // The fifth delivery is the first that a plugin sees; it asks for another one.
    let weir = site.run(&file);
    assert_eq!(site.wait_for_messages("OUT", 1)[0].text(), "retry-until:6");
    site.wait_until_settled();
    assert_eq!(
        client
            .consumer("IN", "p")
            .unwrap()
            .delivered
            .consumer_sequence,
        5
    );
    assert_eq!(weir.metric(&series("retried_total")), 1.0);
    assert_eq!(weir.metric(&series("dead_total")), 0.0);
}

#[test]
fn a_result_that_could_not_be_published_is_held_and_published_again_and_not_computed_anew() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.pipeline_but(
        &[("initial: 10ms", "max-attempts: 1000000, initial: 10ms")],
        "",
    );
    let weir = site.run(&file);
    client.publish("in.a", "1");
    site.wait_for_messages("OUT", 1);
    client.run(client.jetstream.delete_stream("OUT")).unwrap();
    client.publish("in.a", "2");
    wait_until("publishing has failed again and again", || {
        weir.metric(&series("publish_failures_total")) >= 5.0
    });
    client.create_stream("OUT", &["out.>"]);
    assert_eq!(site.wait_for_messages("OUT", 1)[0].text(), "2");
    site.wait_until_settled();
    assert_eq!(weir.metric(&operator_series("messages_total", "op")), 2.0);
    assert_eq!(weir.metric(&series("redelivered_total")), 0.0);
}

#[test]
fn messages_of_one_server_are_kept_alive_while_another_is_gone() {
    let site = Site::new();
    let client = site.nats.client();
    let mut other = NatsServer::start();
    let far = other.client();
    far.create_stream("FAR", &["far.>"]);
    far.create_stream("OUT", &["out.>"]);
    far.create_stream("DEAD", &["dead.>"]);
    site.pipeline_but(&[KEPT_ALIVE, SLEEPER], "");
    // Each lane takes as many as a batch may have, and works on the first of them for ever.
    let many = (
        "retry: {",
        "lanes: 12\nin-flight: { max-messages: 256 }\nbatch: { max-messages: 256 }\nretry: {",
    );
    let there = (&*site.nats.url(), &*other.url());
    let waits = ("consumer: q", "consumer: q, ack-wait: 8s");
    site.second_pipeline("FAR", &[there, waits, many, SLEEPER]);
    let mut weir = site.start_with(&["p.yaml", "q.yaml"], &[]);
    weir.wait_until_output("running pipeline=\"p\"");
    weir.wait_until_output("running pipeline=\"q\"");
    far.publish_all((0..4000).map(|_| ("far.a", "sleep")));
    client.publish("in.a", "sleep");
    wait_until(
        "the far lanes have more in hand than a client keeps",
        || far.consumer("FAR", "q").unwrap().num_ack_pending == 12 * 256,
    );
    other.kill9();
    let sent = || weir.metric(&series("in_progress_sent_total"));
    let before = sent();
    // Each is sent a third of ack-wait after the one before. So are those of the far lanes.
    wait_until("those of the near lane go on", || sent() > before + 5.0);
}

#[test]
fn messages_are_kept_alive_while_the_file_of_a_plugin_cannot_be_read() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.pipeline_but(&[KEPT_ALIVE, SLEEPER], "");
    let weir = site.run(&file);
    client.publish("in.a", "slow:24000");
    wait_until("the message is in hand", || {
        client.consumer("IN", "p").unwrap().num_ack_pending == 1
    });
    // It would get what is not kept alive.
    let mut other = site.start_with(&[file.to_str().unwrap(), "--no-watch"], &[]);
    other.wait_until_output("running");
    // Whoever opens it waits for somebody who writes.
    let (pipe, plugin) = (site.path("pipe"), site.path("plugin.wasm"));
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    std::fs::rename(pipe, plugin).unwrap();
    site.wait_for_messages("OUT", 1);
    site.wait_until_settled();
    let delivered = client.consumer("IN", "p").unwrap().delivered;
    assert_eq!(delivered.consumer_sequence, 1, "{}", weir.stderr());
}
