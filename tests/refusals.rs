//! A sink that refuses a message for good makes it a dead letter that says so; one that refuses it for now
//! is waited for.

use crate::harness::{Site, wait_until};
use async_nats::jetstream::stream::{Config, DiscardPolicy};

/// A site whose results go to a stream with these settings.
fn with_sink(settings: Config) -> Site {
    let site = Site::bare();
    let client = site.nats.client();
    client.create_stream("IN", &["in.>"]);
    client.create_stream("DEAD", &["dead.>"]);
    client.create_stream_with(Config {
        name: "OUT".into(),
        subjects: vec!["out.>".into()],
        ..settings
    });
    site
}

#[test]
fn what_the_stream_of_the_results_will_never_take_is_a_dead_letter_that_says_why() {
    let per_subject = Config {
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        ..Default::default()
    };
    let counters = Config {
        allow_message_counter: true,
        ..Default::default()
    };
    for (settings, stored, reason) in [
        (per_subject, 1, "maximum messages per subject exceeded"),
        (counters, 0, "message counter increment is missing"),
    ] {
        let site = with_sink(settings);
        let client = site.nats.client();
        client.publish("in.a", "1");
        client.publish("in.a", "2");
        let _weir = site.run(&site.pipeline(""));
        let dead = site.wait_for_messages("DEAD", 2 - stored);
        site.wait_until_settled();
        let said = dead[0].header("Weir-Reason").unwrap();
        assert!(said.contains(reason), "{said}");
        assert_eq!(dead[0].header("Weir-Kind"), Some("sink"));
        assert_eq!(client.count("OUT"), stored);
    }
}

#[test]
fn a_dead_letter_fits_into_a_stream_of_small_messages() {
    let site = Site::bare();
    let client = site.nats.client();
    client.create_stream("IN", &["in.>"]);
    client.create_stream("OUT", &["out.>"]);
    client.create_stream_with(Config {
        name: "DEAD".into(),
        subjects: vec!["dead.>".into()],
        max_message_size: 5000,
        ..Default::default()
    });
    let payload = format!("reject:{}", "x".repeat(20_000));
    client.publish("in.a", payload.clone());
    client.publish("in.a", payload.clone());
    let weir = site.run(&site.pipeline(""));
    site.wait_until_settled();
    weir.terminate();
    weir.finish();
    let resent = site.weir(&["dlq", "resend", "p.yaml", "--all"]);
    assert!(resent.stdout.contains("resent 2\n"), "{resent:#?}");
    let back = client.messages("IN");
    assert!(back[2].text() == payload && back[3].text() == payload);
}

#[test]
fn a_stream_that_is_full_is_waited_for_without_using_attempts() {
    let site = with_sink(Config {
        max_messages: 1,
        discard: DiscardPolicy::New,
        ..Default::default()
    });
    let client = site.nats.client();
    client.publish("in.a", "1");
    let mut weir = site.run(&site.pipeline_but(&[("retry: { ", "retry: { max-attempts: 1, ")], ""));
    site.wait_for_messages("OUT", 1);
    client.publish("in.a", "2");
    weir.wait_until_output("maximum messages exceeded");
    client.purge("OUT");
    wait_until("the second result is stored", || {
        client.last("OUT").is_some_and(|payload| payload == "2")
    });
    site.wait_until_settled();
    assert_eq!(client.count("DEAD"), 0);
}

#[test]
fn a_sink_whose_stream_sends_no_publish_acks_is_refused_at_the_start() {
    let site = with_sink(Config {
        no_ack: true,
        ..Default::default()
    });
    for more in ["", ", fast-ingest: off"] {
        let sink = format!("\"out.{{subject}}\"{more}");
        let file = site.pipeline_but(&[("\"out.{subject}\"", &sink)], "");
        let ended = site.weir(&["run", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        for words in [
            "stream `OUT` sends no publish acks (`no_ack`)",
            "hint: set `no_ack` of `OUT` to `false`",
        ] {
            assert!(ended.stderr.contains(words), "{ended:#?}");
        }
    }
}

#[test]
fn who_listens_to_results_that_no_stream_acknowledges_does_not_make_them_wait_for_ever() {
    let site = with_sink(Config {
        no_ack: true,
        ..Default::default()
    });
    let client = site.nats.client();
    let _listener = client.run(client.nats.subscribe("nowhere.>")).unwrap();
    client.publish("in.a", "subject:out.a");
    client.publish("in.a", "subject:nowhere.a");
    let changes = [
        ("\"out.{subject}\"", "\"{subject}\", allow-own-source: true"),
        ("retry: { ", "retry: { max-attempts: 1, "),
    ];
    let _weir = site.run(&site.pipeline_but(&changes, ""));
    let dead = site.wait_for_messages("DEAD", 2);
    site.wait_until_settled();
    let mut reasons: Vec<_> = dead
        .iter()
        .map(|one| one.header("Weir-Reason").unwrap())
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            "no stream captures `nowhere.a`",
            "stream `OUT` sends no publish acks (`no_ack`)"
        ]
    );
}
