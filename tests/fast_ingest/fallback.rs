//! Where a stream takes no batches, or takes them no more, results go out one by one.

use super::{fallbacks, in_batches, out, site, with_sink};
use crate::harness::{NatsServer, Site, series, wait_until};
use async_nats::jetstream::stream::Config;

#[test]
fn a_stream_that_takes_batches_no_more_takes_the_same_messages_one_by_one() {
    let site = site();
    let weir = site.run(&site.pipeline(""));
    site.number(0..500);
    site.assert_stored(0..500);
    let before = in_batches(&weir);
    assert!(before > 0.0);
    let client = site.nats.client();
    let without = Config {
        allow_batch_publish: false,
        ..out(Config::default())
    };
    client.run(client.jetstream.update_stream(without)).unwrap();
    site.number(500..1000);
    site.assert_stored(0..1000);
    assert!(fallbacks(&weir, "disabled") > 0.0);
    assert_eq!(weir.metric(&series("publish_failures_total")), 0.0);
    let said = "published one by one for now: the stream does not allow batches any more";
    assert_eq!(weir.stderr().matches(said).count(), 1, "{}", weir.stderr());
}

#[test]
fn a_stream_that_is_deleted_and_comes_back_without_batches_gets_everything_since() {
    let site = site();
    let client = site.nats.client();
    let weir = site.run(&site.pipeline(""));
    site.number(0..300);
    site.assert_stored(0..300);
    client.run(client.jetstream.delete_stream("OUT")).unwrap();
    site.number(300..600);
    wait_until("the results are refused", || {
        weir.metric(&series("publish_failures_total")) > 0.0
    });
    client.create_stream("OUT", &["out.>"]);
    site.number(600..900);
    site.assert_stored(300..900);
    assert_eq!(client.count("DEAD"), 0);
}

#[test]
fn a_stream_with_as_many_open_batches_as_it_takes_gets_results_one_by_one() {
    let limits = "jetstream { limits { batch { max_inflight_per_stream: 1 } } }\n";
    let site = with_sink(NatsServer::start_with(limits), Config::default());
    let client = site.nats.client();
    // One that somebody else has begun. The server keeps it open as long as its messages come.
    let mut number = 0;
    let mut go_on = || {
        number += 1;
        let reply = format!(
            "_INBOX.other.1.fail.{number}.{}.$FI",
            usize::from(number > 1)
        );
        let nats = &client.nats;
        client
            .run(nats.publish_with_reply("out.other", reply, "other".into()))
            .unwrap();
        client.run(nats.flush()).unwrap();
    };
    go_on();
    site.number(0..500);
    let weir = site.run(&site.pipeline(""));
    wait_until("all results are stored", || {
        go_on();
        let results = client.messages("OUT");
        results.iter().filter(|one| one.text() != "other").count() == 500
    });
    assert!(fallbacks(&weir, "limit") > 0.0);
    assert_eq!(in_batches(&weir), 0.0);
    assert_eq!(weir.metric(&series("publish_failures_total")), 0.0);
}

#[test]
fn a_stream_of_ours_takes_batches_and_one_that_is_there_stays_as_it_is() {
    let site = Site::bare();
    let client = site.nats.client();
    client.create_stream("DEAD", &["dead.>"]);
    let changes = [("consumer: p", "consumer: p, subjects: [\"in.>\"]")];
    site.pipeline_but(&changes, "");
    let mut weir = site.start_with(&["p.yaml", "--create"], &[]);
    weir.wait_until_output("running");
    let allows = |stream: &str| {
        let info = client.stream_info(stream).unwrap();
        info.config.allow_batch_publish
    };
    assert!(allows("OUT") && !allows("DEAD"));
    site.number(0..500);
    site.assert_stored(0..500);
    assert!(in_batches(&weir) > 0.0);
    let status = site.weir(&["status", "--json"]).done();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let said = &status[0]["pipelines"][0]["fast_ingest"];
    assert_eq!(said, &serde_json::json!({ "stream": "OUT" }));
}

#[test]
fn a_check_says_where_results_never_go_out_in_batches_and_nothing_where_they_may() {
    let site = Site::bare();
    let open = "`sink.subject` leaves open which streams capture the results";
    for (more, why) in [
        ("out.{subject}\"", None),
        (
            "out.{subject}\", fast-ingest: off",
            Some("`sink.fast-ingest` is `off`"),
        ),
        ("{subject}\", allow-own-source: true", Some(open)),
    ] {
        site.pipeline_but(&[("out.{subject}\"", more)], "");
        let check = site.weir(&["check", "p.yaml"]).done();
        let note = "note: results are not published in batches";
        match why {
            Some(why) => assert!(check.contains(&format!("{note}: {why}\n")), "{check}"),
            None => assert!(!check.contains(note), "{check}"),
        }
    }
}

#[test]
fn where_a_sink_has_no_fast_ingest_the_status_says_why() {
    let site = site();
    let client = site.nats.client();
    client.create_stream("ONE", &["one.>"]);
    client.create_stream("OTHER", &["other.a.>"]);
    client.create_stream("ANOTHER", &["other.b.>"]);
    for (sink, why) in [
        (
            "\"out.{subject}\", fast-ingest: off",
            "`sink.fast-ingest` is `off`",
        ),
        (
            "\"{subject}\", allow-own-source: true",
            "`sink.subject` leaves open which streams capture the results",
        ),
        ("\"other.{subject}.s\"", "several streams capture `other.>`"),
        (
            "\"one.{subject}\"",
            "stream `ONE` does not allow batches (`allow_batched`)",
        ),
    ] {
        let weir = site.run(&site.pipeline_but(&[("\"out.{subject}\"", sink)], ""));
        wait_until(&format!("the status says: {why}"), || {
            let status = site.weir(&["status", "--json"]).stdout;
            let status: serde_json::Value = serde_json::from_str(&status).unwrap_or_default();
            status[0]["pipelines"][0]["fast_ingest"]["off"] == why
        });
        assert_eq!(weir.metric(&series("fast_ingest")), 0.0);
        weir.terminate();
        weir.finish();
    }
}
