//! A message whose next attempt is far off waits in a stream of its own and comes back as what it
//! was; so a burst of them stalls nothing, and where there is no such stream nothing is lost either.

use crate::harness::{AS_HOST, SHORT_ACK_WAIT, Site, series, wait_until};
use std::collections::BTreeSet;
use std::path::PathBuf;

const PARKING: &str = "WEIR_PARKED_P";

/// The site's pipeline with these changes, which parks what must wait for more than a second. `retry` are
/// its other settings of retries.
fn parking(site: &Site, retry: &str, changes: &[(&str, &str)]) -> PathBuf {
    let retry = format!("park-after: 1s, {retry}");
    let own = [
        ("initial: 10ms, max: 50ms", &*retry),
        ("subject: dead.p", "subject: dead.p, create: true"),
        ("consumer: p", "consumer: p, max-ack-pending: 100"),
        ("\nsink:", "\n    headers: all\nsink:"),
    ];
    site.pipeline_but(&[&own, changes].concat(), "")
}

/// Waits until nothing waits or is owed, neither in `IN` nor in the parking stream.
#[track_caller]
fn wait_until_through(site: &Site) {
    wait_until("nothing is parked and everything is settled", || {
        site.wait_until_settled();
        site.nats.client().count(PARKING) == 0
    });
    site.wait_until_settled();
}

#[test]
fn a_burst_of_long_retries_larger_than_max_ack_pending_does_not_stall_other_messages() {
    let site = Site::new();
    let client = site.nats.client();
    let hour = (0..500).map(|_| ("in.a", "retry-after:3600000"));
    client.publish_all(hour);
    client.publish("in.b", "fine");
    let weir = site.run(&parking(&site, "initial: 10ms, max: 50ms", &[]));
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(out[0].text(), "fine");
    site.wait_until_settled();
    assert_eq!(client.count(PARKING), 500);
    assert_eq!(weir.metric(&series("parked_total")), 500.0);
    assert_eq!(weir.metric(&series("acked_total")), 1.0);
    wait_until("the gauge shows what is parked", || {
        weir.metric(&series("parked_pending")) == 500.0
    });
}

#[test]
fn a_parked_message_comes_back_as_what_it_was_and_its_result_has_the_id_of_the_original() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..5).map(|_| ("in.other", "fine")));
    let headers = [
        ("Trace", "one"),
        ("Nats-Msg-Id", "mine"),
        ("Weir-Kept-A", "two"),
    ];
    let sequence = client.publish_with_headers("in.shop.paid", &headers, "retry-until:3");
    let weir = site.run(&parking(&site, "initial: 3s, max: 3s", &[]));
    let out = site.wait_for_messages("OUT", 6);
    wait_until_through(&site);
    let (direct, parked) = (&out[0], &out[5]);
    assert_eq!(parked.subject, "out.in.shop.paid");
    assert_eq!(parked.text(), "retry-until:3");
    assert_eq!(parked.header("Trace"), Some("one"));
    assert_eq!(parked.header("Weir-Kept-A"), Some("two"));
    let own = ["Trace", "Weir-Kept-A", "Nats-Msg-Id", "Weir-Digest"];
    let names = parked.headers.iter().map(|(name, _)| name.to_string());
    assert_eq!(names.collect::<BTreeSet<_>>(), own.map(String::from).into());
    let place = direct
        .header("Nats-Msg-Id")
        .unwrap()
        .strip_suffix("/1/0")
        .unwrap();
    let id = format!("{place}/{sequence}/0");
    assert_eq!(parked.header("Nats-Msg-Id"), Some(id.as_str()));
    assert_eq!(weir.metric(&series("parked_total")), 2.0);
    assert_eq!(weir.metric(&series("unparked_total")), 2.0);
    assert_eq!(weir.metric(&series("dead_total")), 0.0);
}

#[test]
fn a_parked_message_keeps_the_order_of_its_header_lines() {
    let site = Site::new();
    let lines: &[u8] = b"B: 1\r\nA: 2\r\nb: 3\r\nB: 4\r\n";
    let block = [b"NATS/1.0\r\n", lines, b"\r\n"].concat();
    let message: (&[u8], &[u8], &[u8]) = (b"in.a", &block, b"retry-until:3");
    site.nats.publish_raw(&[message]);
    let weir = site.run(&parking(&site, "initial: 3s, max: 3s", &[]));
    site.wait_for_messages("OUT", 1);
    wait_until_through(&site);
    assert_eq!(weir.metric(&series("unparked_total")), 2.0);
    let out = site.nats.client().raw("OUT", 1);
    let found = out.headers.windows(lines.len()).any(|part| part == lines);
    assert!(found, "{}", out.headers.escape_ascii());
}

#[test]
fn pipelines_that_share_a_name_park_their_messages_apart() {
    let site = Site::new();
    let client = site.nats.client();
    let waits = "initial: 3s, max: 3s";
    let first = site.run(&parking(&site, waits, &[]));
    let second = [
        ("consumer: p,", "consumer: second,"),
        ("out.{subject}", "out.second.{subject}"),
    ];
    let second = site.run(&parking(&site, waits, &second));
    client.publish_all((0..50).map(|_| ("in.a", "retry-until:2")));
    let out = site.wait_for_messages("OUT", 100);
    wait_until("nothing is parked", || client.count(PARKING) == 0);
    let of = |subject: &str| out.iter().filter(|one| one.subject == subject).count();
    assert_eq!((of("out.in.a"), of("out.second.in.a")), (50, 50));
    for weir in [first, second] {
        assert_eq!(weir.metric(&series("unparked_total")), 50.0);
    }
}

#[test]
fn a_parked_message_gives_up_after_its_attempts_and_its_dead_letter_is_that_of_the_original() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..3).map(|_| ("in.other", "fine")));
    let payload = "retry-after:1200";
    let sequence = client.publish_with_headers("in.a", &[("Trace", "one")], payload);
    let weir = site.run(&parking(&site, "max-attempts: 3", &[]));
    let dead = &site.wait_for_messages("DEAD", 1)[0];
    wait_until_through(&site);
    assert_eq!(dead.text(), payload);
    assert_eq!(dead.header("Trace"), Some("one"));
    assert_eq!(dead.header("Weir-Kind"), Some("retries"));
    assert_eq!(dead.header("Weir-Attempt"), Some("3"));
    assert_eq!(dead.header("Weir-Stream"), Some("IN"));
    assert_eq!(dead.header("Weir-Subject"), Some("in.a"));
    assert_eq!(dead.header("Weir-Sequence"), Some(&*sequence.to_string()));
    let id = dead.header("Nats-Msg-Id").unwrap();
    assert!(id.starts_with("p~") && id.contains("/dead/IN@"), "{id}");
    assert_eq!(weir.metric(&series("parked_total")), 2.0);
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));
    let resent = site.weir(&["dlq", "resend", "p.yaml", "--all"]);
    assert_eq!(resent.stdout.trim(), "resent 1", "{}", resent.stderr);
    let last = client.messages("IN").pop().unwrap();
    assert_eq!((&*last.subject, &*last.text()), ("in.a", payload));
    let names = last.headers.iter().map(|(name, _)| name.to_string());
    let own = ["Trace", "Nats-Msg-Id"];
    assert_eq!(names.collect::<BTreeSet<_>>(), own.map(String::from).into());
}

#[test]
fn every_parked_input_is_accounted_for_when_the_host_is_killed_at_each_station() {
    const MESSAGES: usize = 600;
    let site = Site::new();
    let client = site.nats.client();
    // One in three waits for a second attempt, and every one has a text of its own.
    let payload = |number: usize| match number % 3 {
        0 => "retry-until:2".to_owned(),
        _ => number.to_string(),
    };
    for number in 0..MESSAGES {
        let number = number.to_string();
        let headers = [("Number", number.as_str())];
        client.publish_with_headers("in.a", &headers, payload(number.parse().unwrap()));
    }
    let file = parking(&site, "initial: 3s, max: 3s", &[SHORT_ACK_WAIT]);
    for station in [
        "called:1",
        "published:40",
        "confirmed:40",
        "parked:1",
        "parked:30",
        "settled:60",
        "unparked:1",
        "unparked:30",
    ] {
        let mut weir = site.start(&file, &[("WEIR_HALT_AT", station)]);
        weir.wait_until_output("halted at");
        weir.kill9();
    }
    let _weir = site.run(&file);
    wait_until_through(&site);
    let out = client.messages("OUT");
    let number = |message: &crate::harness::Stored| message.header("Number").unwrap().to_owned();
    let numbers: BTreeSet<String> = out.iter().map(number).collect();
    assert_eq!(numbers.len(), MESSAGES);
    // A repeat has the message id of the original, so the server stores it once.
    assert_eq!(out.len(), MESSAGES);
}

#[test]
fn a_parking_stream_that_is_deleted_is_made_again() {
    let site = Site::new();
    let client = site.nats.client();
    let mut weir = site.run(&parking(&site, "initial: 10ms, max: 50ms", &[]));
    wait_until("a pull waits", || {
        let consumer = client.consumer(PARKING, "IN-p");
        consumer.is_some_and(|info| info.num_waiting > 0)
    });
    client.run(client.jetstream.delete_stream(PARKING)).unwrap();
    weir.wait_until_output("cannot pull from consumer `IN-p` of stream `WEIR_PARKED_P`");
    wait_until("it is there again", || {
        client.consumer(PARKING, "IN-p").is_some()
    });
    wait_until("the pipeline runs", || {
        weir.metric(&series("running")) == 1.0
    });
}

/// A server on which the user `host` may not publish to `denied`, and the pipeline of that user.
fn without(denied: &str) -> (Site, PathBuf) {
    let deny = format!("permissions: {{ publish: {{ deny: [\"{denied}\"] }} }}");
    let site = Site::permitting(&deny);
    let file = parking(&site, "initial: 10ms, max: 50ms", &[AS_HOST]);
    (site, file)
}

#[test]
fn without_permission_to_create_the_stream_a_long_retry_waits_at_the_consumer() {
    let (site, file) = without("$JS.API.STREAM.CREATE.WEIR_PARKED_P");
    let client = site.nats.client();
    client.publish("in.a", "retry-after:3600000");
    client.publish("in.b", "retry-after:1500");
    client.publish("in.c", "fine");
    let weir = site.run(&file);
    site.wait_for_messages("OUT", 1);
    // In its time, and with its attempts counted.
    let dead = site.wait_for_messages("DEAD", 1);
    assert_eq!(dead[0].text(), "retry-after:1500");
    assert_eq!(client.count(PARKING), 0);
    wait_until("the one that waits for an hour is left", || {
        client.consumer("IN", "p").unwrap().num_ack_pending == 1
    });
    assert_eq!(weir.metric(&series("parked_total")), 0.0);
    let said = "long retries count against max-ack-pending while they wait: Permissions Violation";
    assert_eq!(weir.stderr().matches(said).count(), 1, "{}", weir.stderr());
    wait_until("the status says why", || {
        let status = site.weir(&["status", "--json"]).stdout;
        status.contains("Permissions Violation")
    });
}

#[test]
fn a_message_that_the_parking_stream_does_not_take_waits_at_the_consumer() {
    let (site, file) = without("weir.parked.>");
    let client = site.nats.client();
    client.publish("in.a", "retry-after:1500");
    let weir = site.run(&file);
    let dead = site.wait_for_messages("DEAD", 1);
    site.wait_until_settled();
    assert_eq!(dead[0].header("Weir-Attempt"), Some("5"));
    assert_eq!(weir.metric(&series("parked_total")), 0.0);
    let said = "cannot park retries; they count against max-ack-pending for now";
    assert_eq!(weir.stderr().matches(said).count(), 1, "{}", weir.stderr());
}
