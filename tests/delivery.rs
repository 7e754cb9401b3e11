//! Every message of the source becomes outputs, a drop or a dead letter, and none is lost: not when
//! the host is killed at any step of a lane, not when the server restarts.

use crate::harness::{SHORT_ACK_WAIT, SLEEPER, Site, Stored, Weir, series, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::thread;

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
    let site = Site::new();
    let client = site.nats.client();
    for number in 0..100 {
        client.publish("in.a", format!("message {number}"));
    }
    let weir = site.run(&site.pipeline(""));
    site.wait_until_settled();
    let out = site.wait_for_messages("OUT", 100);
    assert_eq!(out.len(), 100);
    assert_eq!(out[0].subject, "out.in.a");
    let id = out[0].header("Nats-Msg-Id").unwrap();
    assert!(id.starts_with("p~") && id.contains("/op/IN@"), "{id}");
    assert_eq!(counted(&out).len(), 100);
    assert_eq!(weir.metric(&series("acked_total")), 100.0);
    assert_eq!(weir.metric(&series("published_total")), 100.0);
}

#[test]
fn one_message_may_become_none_or_many() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.a", "drop");
    client.publish("in.a", "emit:3");
    let weir = site.run(&site.pipeline(""));
    site.wait_until_settled();
    assert_eq!(site.wait_for_messages("OUT", 3).len(), 3);
    assert_eq!(weir.metric(&series("dropped_total")), 1.0);
    assert_eq!(weir.metric(&series("acked_total")), 2.0);
}

// How the inputs of the test below end, by number.
fn is_dropped(number: usize) -> bool {
    number % 400 == 7
}

fn is_rejected(number: usize) -> bool {
    number % 100 == 8
}

fn payload(number: usize) -> String {
    match number {
        _ if is_dropped(number) => format!("drop:{number}"),
        _ if is_rejected(number) => format!("reject:{number}"),
        _ => number.to_string(),
    }
}

/// What all hosts of a test have counted.
#[derive(Default)]
struct Counted {
    received: f64,
    redelivered: f64,
    /// The numbers of the inputs that plugins dropped.
    dropped: BTreeSet<usize>,
}

impl Counted {
    fn add(&mut self, weir: &Weir) {
        self.received += weir.metric(&series("received_total"));
        self.redelivered += weir.metric(&series("redelivered_total"));
        let page = weir.metrics();
        let dropped = page.lines().filter_map(|line| {
            let (_, rest) = line.split_once("name=\"dropped_")?;
            rest.split_once('"')?.0.parse::<usize>().ok()
        });
        self.dropped.extend(dropped);
    }
}

/// Each of these payloads stands in the stream once, and no other.
#[track_caller]
fn assert_each_once(stream: &str, messages: &[Stored], expected: &BTreeSet<String>) {
    let found = counted(messages);
    let missing = expected.iter().filter(|text| !found.contains_key(*text));
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "missing from {stream}: {missing:?}");
    let strange = found
        .iter()
        .filter(|(text, count)| **count != 1 || !expected.contains(*text));
    let strange: Vec<_> = strange.collect();
    assert!(
        strange.is_empty(),
        "more than once in {stream}, or not to be there: {strange:?}"
    );
}

#[test]
fn every_input_is_accounted_for_when_the_host_is_killed_at_each_station() {
    const STATIONS: [&str; 5] = ["pulled", "called", "published", "confirmed", "settled"];
    const CHUNK: usize = 2000;
    const MESSAGES: usize = CHUNK * (2 * STATIONS.len() + 1);
    const IN_FLIGHT: usize = 512;
    /// The numbers of the inputs that end in one way.
    fn all(which: impl Fn(usize) -> bool) -> impl Iterator<Item = usize> {
        (0..MESSAGES).filter(move |number| which(*number))
    }
    let site = Site::new();
    let client = site.nats.client();
    let bound = format!("in-flight: {{ max-messages: {IN_FLIGHT} }}\n");
    let file = site.pipeline(&bound);
    let halts = STATIONS.map(|station| [1, 1500].map(|count| format!("{station}:{count}")));
    let halts: Vec<String> = halts.into_iter().flatten().collect();
    let mut counted = Counted::default();
    // A part of the input flows while each host runs.
    let mut numbers = (0..MESSAGES).collect::<Vec<_>>();
    let mut flow = || {
        let rest = numbers.split_off(CHUNK);
        let chunk = std::mem::replace(&mut numbers, rest).into_iter();
        client.publish_all(chunk.map(|number| ("in.a", payload(number))));
    };
    for halt in &halts {
        let mut weir = site.start(&file, &[("WEIR_HALT_AT", halt)]);
        weir.wait_until_output("running");
        thread::scope(|scope| {
            scope.spawn(&mut flow);
            weir.wait_until_output("halted at");
            // Its lane stands still, and the rest of it still tells.
            counted.add(&weir);
            weir.kill9();
        });
    }
    let weir = site.run(&file);
    flow();
    site.wait_until_settled();
    counted.add(&weir);

    let is_passed = |number: usize| !is_dropped(number) && !is_rejected(number);
    // Repeats are recognised by their message ids.
    let (out, dead) = (client.messages("OUT"), client.messages("DEAD"));
    assert_each_once("OUT", &out, &all(is_passed).map(payload).collect());
    assert_each_once("DEAD", &dead, &all(is_rejected).map(payload).collect());
    assert_eq!(counted.dropped, all(is_dropped).collect());
    assert_eq!(out.len() + dead.len() + counted.dropped.len(), MESSAGES);

    // All deliveries to all hosts beyond the first of each message. A host leaves no more than what
    // it had in hand or on its way.
    let info = client.consumer("IN", "p").unwrap();
    let delivered = usize::try_from(info.delivered.consumer_sequence).unwrap();
    let repeats = delivered - MESSAGES;
    assert!(repeats > 0, "no host was killed with anything in hand");
    assert!(repeats <= halts.len() * IN_FLIGHT, "{repeats} repeats");
    // What was on its way to a killed host is counted by nobody.
    assert!(counted.redelivered > 0.0 && counted.redelivered <= repeats as f64);
    assert!(counted.received >= MESSAGES as f64 && counted.received <= delivered as f64);
}

#[test]
fn a_pipeline_goes_on_by_itself_when_the_server_restarts() {
    let mut site = Site::new();
    let mut weir = site.run(&site.pipeline_but(&[SHORT_ACK_WAIT], ""));
    let publish = |site: &Site, from: usize| {
        let messages = (from..from + 2000).map(|number| ("in.a", number.to_string()));
        site.nats.client().publish_all(messages);
    };
    publish(&site, 0);
    wait_until("something has come through", || {
        site.nats.client().count("OUT") > 100
    });
    site.nats.kill9();
    site.nats.start_again();
    publish(&site, 2000);
    site.wait_until_settled();
    let out = counted(&site.wait_for_messages("OUT", 4000));
    assert_eq!(out.len(), 4000);
    assert!(weir.is_running());
    wait_until("the reconnect is counted", || {
        weir.metric(&series("reconnects_total")) >= 1.0
    });
}

#[test]
fn a_trace_goes_from_the_input_to_its_results() {
    let site = Site::new();
    let trace = (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
    site.nats
        .client()
        .publish_with_headers("in.a", &[trace, ("Nats-Msg-Id", "mine")], "x");
    let _weir = site.run(&site.pipeline(""));
    let out = &site.wait_for_messages("OUT", 1)[0];
    assert_eq!(out.header("traceparent"), Some(trace.1));
    let id = out.header("Nats-Msg-Id").unwrap();
    assert!(id.starts_with("p~") && id.contains("/op/IN@"), "{id}");
}

#[test]
fn the_lag_of_a_consumer_is_shown() {
    let site = Site::new();
    let messages = (0..50).map(|_| ("in.a", "sleep"));
    site.nats.client().publish_all(messages);
    let few = "in-flight: { max-messages: 1 }\nbatch: { max-messages: 1 }\n";
    let weir = site.run(&site.pipeline_but(&[SLEEPER], few));
    wait_until("one is in hand, and the others are the lag", || {
        let [lag, pending] = ["lag", "ack_pending"].map(|name| weir.metric(&series(name)));
        (lag, pending) == (49.0, 1.0)
    });
}

#[test]
fn pipelines_that_differ_only_in_consumer_or_sink_store_all_their_results_in_one_stream() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..20).map(|number| ("in.a", number.to_string())));
    let with = |name: &str, changes: &[(&str, &str)]| {
        let file = site.pipeline_but(changes, "");
        let text = std::fs::read_to_string(file).unwrap();
        site.file(name, text)
    };
    let sink = ("out.{subject}", "out.other.{subject}");
    let files = [
        with("one.yaml", &[]),
        with("two.yaml", &[("consumer: p", "consumer: second")]),
        with("three.yaml", &[("consumer: p", "consumer: third"), sink]),
    ];
    let hosts: Vec<_> = files.iter().map(|file| site.run(file)).collect();
    let results = site.wait_for_messages("OUT", 60);
    assert_eq!(results.len(), 60);
    for host in hosts {
        assert_eq!(host.metric(&series("publish_duplicates_total")), 0.0);
    }
}
