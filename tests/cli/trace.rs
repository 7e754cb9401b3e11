//! `weir trace` walks from a result back to what it was made of.

use super::json;
use crate::harness::{Finished, Site, guests};

fn trace(site: &Site, subject: &str, sequence: &str, more: &[&str]) -> Finished {
    site.weir(&[&["trace", subject, sequence], more].concat())
}

#[test]
fn a_result_is_traced_through_several_pipelines_to_the_message_that_began_it() {
    let site = Site::new();
    let client = site.nats.client();
    client.create_stream("LAST", &["last.>"]);
    let last = [("out.{subject}", "last.{subject}")];
    let _first = site.run(&site.pipeline(""));
    let _second = site.run(&site.second_pipeline("OUT", &last));
    for text in ["drop", "first", "second"] {
        client.publish("in.a", text);
    }
    let last = site.wait_for_messages("LAST", 2);
    assert_eq!(last[1].text(), "second");

    let traced = trace(&site, "last.out.in.a", "2", &[]);
    assert_eq!(traced.code, Some(0), "{traced:#?}");
    let lines: Vec<&str> = traced.stdout.lines().collect();
    let digest = blake3::hash(&guests::bytes("misbehave")).to_hex();
    assert_eq!(lines.len(), 3, "{traced:#?}");
    assert!(
        lines[0].starts_with("LAST 2  last.out.in.a  "),
        "{traced:#?}"
    );
    assert!(lines[0].ends_with(&format!("made by q/op {}", &digest[..16])));
    assert!(lines[1].starts_with("OUT 2  out.in.a  "), "{traced:#?}");
    assert!(lines[1].ends_with(&format!("made by p/op {}", &digest[..16])));
    assert!(lines[2].starts_with("IN 3  in.a  "), "{traced:#?}");

    let steps = json(&trace(&site, "last.out.in.a", "2", &["--json"]).stdout);
    assert_eq!(steps[0]["made"]["pipeline"], "q");
    assert_eq!(steps[2]["sequence"], 3);
    assert!(steps[2]["made"].is_null());
}

#[test]
fn a_dead_letter_is_traced_and_what_is_gone_is_said_to_be() {
    let site = Site::new();
    let client = site.nats.client();
    let weir = site.run(&site.pipeline(""));
    client.publish("in.a", "reject");
    client.publish("in.a", "fine");
    site.wait_for_messages("DEAD", 1);
    site.wait_for_messages("OUT", 1);
    let traced = trace(&site, "dead.p", "1", &[]);
    assert!(traced.stdout.contains("made by p/dead"), "{traced:#?}");
    assert!(traced.stdout.contains("\nIN 1  in.a"), "{traced:#?}");

    drop(weir);
    client.purge("IN");
    let traced = trace(&site, "out.in.a", "1", &[]);
    assert!(
        traced
            .stdout
            .ends_with("\nIN 2  the stream no longer holds it\n"),
        "{traced:#?}"
    );
    client.run(client.jetstream.delete_stream("IN")).unwrap();
    client.create_stream("IN", &["in.>"]);
    let traced = trace(&site, "out.in.a", "1", &[]);
    assert!(
        traced.stdout.contains("deleted and recreated"),
        "{traced:#?}"
    );

    let missing = trace(&site, "out.in.a", "9", &[]);
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    assert!(
        missing
            .stderr
            .contains("cannot read message 9 of stream `OUT`"),
        "{missing:#?}"
    );
    let other = trace(&site, "out.in.b", "1", &[]);
    assert_eq!(other.code, Some(1), "{other:#?}");
    for words in [
        "message 1 of stream `OUT` is on `out.in.a`",
        "`weir trace out.in.a 1`",
    ] {
        assert!(other.stderr.contains(words), "{other:#?}");
    }
    let nowhere = trace(&site, "no.such", "1", &[]);
    assert!(nowhere.stderr.contains("hint:"), "{nowhere:#?}");
}

#[test]
fn the_results_of_a_job_are_traced_and_those_of_a_pipeline_behind_it_too() {
    let site = Site::new();
    let client = site.nats.client();
    client.create_stream("LAST", &["last.>"]);
    let job = "delivery: exactly-once\nkey: \"{subject}\"\n";
    let no_consumer = ("stream: IN, consumer: p", "stream: IN");
    let file = site.pipeline_but(&[no_consumer], job);
    let mut host = site.start_with(&[file.to_str().unwrap(), "--create"], &[]);
    host.wait_until_output("running");
    let _second = site.run(&site.second_pipeline("OUT", &[("out.{subject}", "last.{subject}")]));
    for text in ["drop", "emit:2", "reject"] {
        client.publish("in.a", text);
    }
    site.wait_for_messages("LAST", 2);
    let traced = trace(&site, "last.out.in.a", "2", &["--json"]);
    let steps = json(&traced.stdout);
    let streams: Vec<&str> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["stream"].as_str().unwrap())
        .collect();
    assert_eq!(streams, ["LAST", "OUT", "IN"], "{traced:#?}");
    assert_eq!(
        (&steps[1]["made"]["pipeline"], &steps[1]["made"]["index"]),
        (&"p".into(), &1.into())
    );
    assert_eq!(
        (&steps[1]["made"]["operator"], &steps[2]["sequence"]),
        (&"op".into(), &2.into())
    );
    site.wait_for_messages("DEAD", 1);
    let dead = trace(&site, "dead.p", "1", &[]);
    assert!(dead.stdout.contains("made by p/dead"), "{dead:#?}");
    assert!(dead.stdout.contains("\nIN 3  in.a"), "{dead:#?}");
}

#[test]
fn the_result_of_a_timer_is_said_to_be_one_with_its_partition_and_its_commit() {
    let site = Site::new();
    site.file("plugin.wasm", guests::bytes("stateful"));
    let client = site.nats.client();
    let job = "delivery: exactly-once\nkey: \"{subject[1]}\"\npartitions: 3\n";
    let changes = [
        ("stream: IN, consumer: p", "stream: IN"),
        ("out.{subject}", "out.{key}"),
    ];
    let file = site.pipeline_but(&changes, job);
    let mut host = site.start_with(&[file.to_str().unwrap(), "--create"], &[]);
    host.wait_until_output("running");
    client.publish("in.a", "timer processing 1 say fired");
    // The first is what the message says itself.
    let out = site.wait_for_messages("OUT", 2);
    assert_eq!(out[1].text(), "fired");
    let sourced = out[1].header("Nats-Stream-Source").unwrap().to_owned();
    let mut words = sourced.split(' ');
    let (stream, place) = (words.next().unwrap(), words.next().unwrap());
    let mut partition = words.filter_map(|word| word.split('.').nth(4)?.parse::<u16>().ok());
    let partition = partition.next().unwrap();

    let traced = trace(&site, "out.a", "2", &[]);
    assert_eq!(traced.code, Some(0), "{traced:#?}");
    let said = format!(
        "made by a timer of a job, from its state, partition {partition}; committed as {stream} {place} "
    );
    assert!(traced.stdout.contains(&said), "{traced:#?}");
    assert!(!traced.stdout.contains("message id"), "{traced:#?}");
    let steps = json(&trace(&site, "out.a", "2", &["--json"]).stdout);
    assert_eq!(steps[0]["timer"]["job_stream"], stream, "{steps}");
}
