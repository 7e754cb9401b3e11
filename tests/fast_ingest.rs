//! Results go out in batches where their stream takes them (fast ingest), and one by one where it does not:
//! either way all of them are stored, and with message ids none twice.

mod fallback;

use crate::harness::{
    Fate, NatsServer, Proxy, SHORT_ACK_WAIT, Sender, Site, Stored, Weir, series, wait_until,
};
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use std::collections::BTreeMap;
use std::time::Duration;

/// A site whose results go to a stream that takes batches and is like this.
fn with_sink(nats: NatsServer, settings: Config) -> Site {
    let site = Site::on(nats);
    let client = site.nats.client();
    client.create_stream("IN", &["in.>"]);
    client.create_stream("DEAD", &["dead.>"]);
    client.create_stream_with(out(settings));
    site
}

fn site() -> Site {
    with_sink(NatsServer::start(), Config::default())
}

/// The stream of the results. Repeats are recognised for as long as any test may take.
fn out(settings: Config) -> Config {
    Config {
        name: "OUT".into(),
        subjects: vec!["out.>".into()],
        allow_batch_publish: true,
        duplicate_window: Duration::from_secs(3600),
        ..settings
    }
}

impl Site {
    fn set_out(&self, settings: Config) {
        let client = self.nats.client();
        client
            .run(client.jetstream.update_stream(out(settings)))
            .unwrap();
    }

    fn number(&self, numbers: std::ops::Range<usize>) {
        let messages = numbers.map(|number| ("in.a", number.to_string()));
        self.nats.client().publish_all(messages);
    }

    /// The results are these numbers, each once.
    #[track_caller]
    fn assert_stored(&self, numbers: std::ops::Range<usize>) {
        self.wait_until_settled();
        let found = counted(&self.nats.client().messages("OUT"));
        let expected = numbers.map(|number| (number.to_string(), 1)).collect();
        let missing = |(text, _): &(&String, &usize)| !found.contains_key(*text);
        let expected: BTreeMap<String, usize> = expected;
        let missing: Vec<_> = expected.iter().filter(missing).collect();
        assert!(missing.is_empty(), "missing: {missing:?}");
        assert_eq!(found, expected);
    }
}

fn counted(messages: &[Stored]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in messages {
        *counts.entry(message.text()).or_default() += 1;
    }
    counts
}

/// How many results were acknowledged as part of a batch.
fn in_batches(weir: &Weir) -> f64 {
    weir.metric(&series("fast_ingest_published_total"))
}

/// How often a lane fell back, for one reason.
fn fallbacks(weir: &Weir, reason: &str) -> f64 {
    weir.metric(&format!(
        "weir_fast_ingest_fallbacks_total{{pipeline=\"p\",reason=\"{reason}\"}}"
    ))
}

#[track_caller]
fn assert_no_fallback(weir: &Weir) {
    for reason in ["disabled", "unsupported", "limit", "broken"] {
        assert_eq!(fallbacks(weir, reason), 0.0, "{reason}");
    }
}

#[test]
fn results_that_go_out_in_batches_are_those_that_go_out_one_by_one() {
    let site = site();
    let client = site.nats.client();
    client.create_stream("SLOW", &["slow.>"]);
    let payload = |number: usize| match number % 50 {
        7 => format!("drop:{number}"),
        8 => format!("reject:{number}"),
        9 => "emit:3".to_owned(),
        10 => format!("subject:out.b.{number}"),
        11 => "retry-until:2".to_owned(),
        _ => number.to_string(),
    };
    client.publish_all((0..3000).map(|number| (format!("in.{}", number % 9), payload(number))));
    let fast = site.run(&site.pipeline(""));
    site.wait_until_settled();
    let batched = in_batches(&fast);
    assert!(
        batched > 1000.0,
        "{batched} of {} results",
        client.count("OUT")
    );
    assert_no_fallback(&fast);
    assert_eq!(fast.metric(&series("fast_ingest")), 1.0);
    assert_eq!(fast.metric(&series("fast_ingest_repeated_total")), 0.0);
    assert_eq!(fast.metric(&series("publish_failures_total")), 0.0);
    fast.terminate();
    fast.finish();
    let results = |stream: &str| {
        let messages = client.messages(stream);
        let mut results: Vec<_> = messages
            .iter()
            .map(|one| {
                let id = one.header("Nats-Msg-Id").unwrap();
                let (_, place) = id.split_once('/').unwrap();
                let (_, subject) = one.subject.split_once('.').unwrap();
                (place.to_owned(), subject.to_owned(), one.text())
            })
            .collect();
        results.sort();
        results
    };
    let changes = [
        ("consumer: p", "consumer: q"),
        ("\"out.{subject}\"", "\"slow.{subject}\", fast-ingest: off"),
    ];
    let slow = site.run(&site.pipeline_but(&changes, ""));
    let all = client.count("OUT");
    site.wait_for_messages("SLOW", all);
    assert_eq!(in_batches(&slow), 0.0);
    let (fast, slow) = (results("OUT"), results("SLOW"));
    let differ = fast.iter().zip(&slow).find(|(fast, slow)| {
        let elsewhere = fast.2.starts_with("subject:");
        !elsewhere && fast != slow
    });
    assert_eq!(differ, None);
}

#[test]
fn a_message_alone_waits_for_no_other() {
    let site = site();
    let client = site.nats.client();
    let weir = site.run(&site.pipeline(""));
    for number in 0..5 {
        client.publish("in.a", number.to_string());
        site.wait_for_messages("OUT", number + 1);
        site.wait_until_settled();
    }
    // Nothing that came alone went out in a batch.
    assert_eq!(in_batches(&weir), 0.0);
    assert_eq!(weir.metric(&series("fast_ingest")), 1.0);
}

#[test]
fn a_message_that_the_stream_will_never_take_ends_a_batch_and_takes_no_other_with_it() {
    let small = Config {
        max_message_size: 1000,
        ..Config::default()
    };
    let site = with_sink(NatsServer::start(), small);
    let client = site.nats.client();
    let is_large = |number: usize| number % 40 == 13 || number.is_multiple_of(97);
    let payload = |number: usize| match is_large(number) {
        true => format!("{number}:{}", "x".repeat(1000)),
        false => number.to_string(),
    };
    client.publish_all((0..2000).map(|number| ("in.a", payload(number))));
    let weir = site.run(&site.pipeline(""));
    site.wait_until_settled();
    let results = counted(&client.messages("OUT"));
    let letters = counted(&client.messages("DEAD"));
    for number in 0..2000 {
        let (stored, dead) = (results.get(&payload(number)), letters.get(&payload(number)));
        let expected = match is_large(number) {
            true => (None, Some(&1)),
            false => (Some(&1), None),
        };
        assert_eq!((stored, dead), expected, "{number}");
    }
    let dead = &client.messages("DEAD")[0];
    assert_eq!(dead.header("Weir-Kind"), Some("sink"));
    assert!(in_batches(&weir) > 0.0);
    assert!(weir.metric(&series("fast_ingest_repeated_total")) > 0.0);
    // What a batch did not cover was not stored by it.
    assert_eq!(weir.metric(&series("publish_duplicates_total")), 0.0);
    assert_no_fallback(&weir);
}

#[test]
fn results_that_are_stored_already_are_recognised_in_the_middle_of_a_batch() {
    let site = site();
    let client = site.nats.client();
    site.number(0..20);
    let weir = site.run(&site.pipeline(""));
    site.assert_stored(0..20);
    weir.terminate();
    weir.finish();
    // All over again, as deliveries that no consumer has made before.
    client
        .run(client.jetstream.delete_consumer_from_stream("p", "IN"))
        .unwrap();
    site.number(20..1000);
    let weir = site.run(&site.pipeline(""));
    site.assert_stored(0..1000);
    assert!(in_batches(&weir) > 500.0);
    assert_no_fallback(&weir);
}

#[test]
fn a_stream_that_is_full_gets_the_rest_when_it_has_room() {
    let full = || Config {
        max_messages: 100,
        discard: DiscardPolicy::New,
        ..Config::default()
    };
    let site = with_sink(NatsServer::start(), full());
    site.number(0..700);
    let mut weir = site.run(&site.pipeline(""));
    weir.wait_until_output("maximum messages exceeded");
    assert_eq!(site.nats.client().count("OUT"), 100);
    site.set_out(Config {
        max_messages: -1,
        ..full()
    });
    site.assert_stored(0..700);
    assert_eq!(site.nats.client().count("DEAD"), 0);
    assert!(in_batches(&weir) > 0.0);
}

#[test]
fn what_is_lost_on_the_way_to_the_server_and_back_is_stored_once() {
    let site = site();
    let proxy = Proxy::before(&site.nats);
    let file = site.pipeline_but(&[(&site.nats.url(), &proxy.url())], "");
    let mut seen = 0;
    proxy.rule(move |sender, subject, _| {
        let is_result = sender == Sender::Host && subject.starts_with("out.");
        seen += usize::from(is_result);
        match (is_result, seen) {
            (true, 20) => Fate::Lost,
            _ => Fate::Arrives,
        }
    });
    site.number(0..1000);
    let weir = site.run(&file);
    site.assert_stored(0..1000);
    assert_eq!(proxy.withheld(), 1);
    assert!(fallbacks(&weir, "broken") > 0.0 && in_batches(&weir) > 0.0);
    assert_eq!(weir.metric(&series("publish_duplicates_total")), 0.0);
    weir.terminate();
    weir.finish();

    // The last answer to a batch, once.
    let mut lost = false;
    proxy.rule(move |_, subject, content| {
        let is_last = subject.ends_with(".$FI") && content.contains("\"count\"");
        let fate = match is_last && !lost {
            true => Fate::Lost,
            false => Fate::Arrives,
        };
        lost |= is_last;
        fate
    });
    site.number(1000..2000);
    let weir = site.run(&file);
    site.assert_stored(0..2000);
    assert_eq!(proxy.withheld(), 2);
    assert!(weir.metric(&series("publish_duplicates_total")) > 0.0);
}

#[test]
fn a_connection_that_ends_in_the_middle_of_a_batch_loses_nothing() {
    let site = site();
    let proxy = Proxy::before(&site.nats);
    let file = site.pipeline_but(&[(&site.nats.url(), &proxy.url()), SHORT_ACK_WAIT], "");
    let mut seen = 0;
    proxy.rule(move |sender, subject, _| {
        seen += usize::from(sender == Sender::Host && subject.starts_with("out."));
        match (sender, seen) {
            (Sender::Host, 30 | 700 | 1501) if subject.starts_with("out.") => Fate::Cut,
            _ => Fate::Arrives,
        }
    });
    site.number(0..2000);
    let weir = site.run(&file);
    site.assert_stored(0..2000);
    assert!(proxy.withheld() >= 3);
    assert!(in_batches(&weir) > 0.0);
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_batches_has_all_results_in_the_end() {
    let mut site = site();
    let weir = site.run(&site.pipeline_but(&[SHORT_ACK_WAIT], ""));
    for round in 0..2 {
        site.number(round * 2000..(round + 1) * 2000);
        let enough = round as u64 * 2000 + 100;
        wait_until("something has come through", || {
            site.nats.client().count("OUT") > enough
        });
        site.nats.kill9();
        site.nats.start_again();
    }
    site.assert_stored(0..4000);
    site.number(4000..4500);
    site.assert_stored(0..4500);
    assert!(in_batches(&weir) > 0.0);
}

#[test]
fn a_host_that_is_killed_in_the_middle_of_batches_leaves_nothing_out_and_nothing_twice() {
    let site = site();
    let file = site.pipeline_but(&[SHORT_ACK_WAIT], "");
    site.number(0..2000);
    for halt in [
        "published:1",
        "published:600",
        "confirmed:1",
        "confirmed:500",
    ] {
        let mut weir = site.start(&file, &[("WEIR_HALT_AT", halt)]);
        weir.wait_until_output("halted at");
        weir.kill9();
    }
    let weir = site.run(&file);
    site.number(2000..3000);
    site.assert_stored(0..3000);
    assert!(in_batches(&weir) > 0.0);
}

#[test]
fn a_stream_on_several_servers_whose_leader_steps_down_again_and_again_gets_each_result_once() {
    let [first, _second, _third] = NatsServer::start_cluster();
    let site = with_sink(
        first,
        Config {
            num_replicas: 3,
            ..Config::default()
        },
    );
    let client = site.nats.client();
    let weir = site.run(&site.pipeline(""));
    // While a stream has no leader, nobody answers.
    let stored = || {
        let answer = client.run(async {
            let asked = client.jetstream.get_stream("OUT");
            tokio::time::timeout(Duration::from_secs(1), asked).await
        });
        answer.map_or(0, |stream| stream.unwrap().cached_info().state.messages)
    };
    for round in 1..=3 {
        site.number((round - 1) * 700..round * 700);
        let enough = round as u64 * 700 - 650;
        wait_until("something has come through", || stored() > enough);
        let step_down = "$JS.API.STREAM.LEADER.STEPDOWN.OUT";
        let nats = &client.nats;
        client.run(nats.publish(step_down, "".into())).unwrap();
        client.run(nats.flush()).unwrap();
    }
    wait_until("everything is stored", || stored() >= 2100);
    site.assert_stored(0..2100);
    assert!(in_batches(&weir) > 0.0);
}
