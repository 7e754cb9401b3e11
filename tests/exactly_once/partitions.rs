//! A partition that cannot go on is said by name and tried again alone; the others go on. A host that is told to
//! stop does not wait for partitions that it has not got yet.

use super::operate::{KEYS, rows};
use super::{JOB, by_subject};
use crate::cli::json;
use crate::harness::{Fate, NatsServer, Proxy, Sender, Site, replaced, series, wait_until};
use std::time::{Duration, Instant};

#[test]
fn a_partition_whose_checkpoint_is_damaged_is_named_and_tried_again_while_the_others_go_on() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.job(&[], "stalled-after: 3s\n");
    client.publish_all((0..70).map(|number| (format!("in.{}", number % 7), number.to_string())));
    let weir = site.run_job(&file);
    site.wait_for_messages("OUT", 70);
    drop(weir);
    // Whose messages are those of `in.0`?
    let keys = by_subject(&client.messages(JOB));
    let ckpt = "weir.job.p.ckpt.";
    let damaged: Vec<&String> = keys
        .keys()
        .filter(|subject| subject.starts_with(ckpt))
        .collect();
    let good = keys[damaged[3]][0].clone();
    client.publish(damaged[3], "no checkpoint");
    let mut weir = site.run_job(&file);
    weir.wait_until_output(
        "cannot run partition 3: cannot read the checkpoint on `weir.job.p.ckpt.3`",
    );
    client.publish_all((70..770).map(|number| (format!("in.{}", number % 70), number.to_string())));
    let all = |count| wait_until("the others go on", || client.count("OUT") >= count);
    all(70 + 500);
    // While it is tried again, it does not count.
    wait_until("one fails", || {
        weir.metric(&series("job_partitions_failing")) == 1.0
    });
    assert_eq!(weir.metric(&series("restarts_total")), 0.0);
    // What it does not process is pending, and it is said when it is tried again.
    wait_until("its messages are pending", || {
        weir.metric(&series("lag")) > 0.0
    });
    weir.wait_until_output("still cannot run it: trying again in 2 s");
    wait_until("the status says when it is tried again", || {
        site.weir(&["status"]).stdout.contains("trying again in ")
    });
    weir.wait_until_output("pipeline `p` is stalled");
    let status = site.weir(&["status", "--json"]).stdout;
    assert!(status.contains("cannot run partition 3"), "{status}");
    // It is mended, and goes on by itself.
    client.publish(damaged[3], good);
    all(770);
    assert_eq!(client.count("OUT"), 770);
    wait_until("none fails", || {
        weir.metric(&series("job_partitions_failing")) == 0.0 && weir.metric(&series("lag")) == 0.0
    });
}

#[test]
fn a_host_that_is_told_to_stop_while_it_recovers_stops_soon() {
    let site = Site::new();
    let proxy = Proxy::before(&site.nats);
    let text = std::fs::read_to_string(site.job(&[], "drain: 1h\n")).unwrap();
    let file = site.file(
        "p.yaml",
        replaced(&text, &[(&site.nats.url(), &proxy.url())]),
    );
    // Answers to claims get lost, so that no partition is ever owned.
    proxy.rule(|sender, _, content| {
        let is_commit = sender == Sender::Server && content.contains("\"batch\":");
        let is_read = sender == Sender::Server
            && content.contains("\"message\":{\"subject\":\"weir.job.p.ckpt");
        if is_commit || is_read {
            Fate::Lost
        } else {
            Fate::Arrives
        }
    });
    let weir = site.run_job(&file);
    wait_until("answers get lost", || proxy.withheld() > 7);
    let asked = Instant::now();
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));
    assert!(asked.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_commit_that_the_server_gives_up_is_counted() {
    let site = Site::on(NatsServer::start_with(
        "jetstream { limits: { batch: { timeout: 200ms } } }",
    ));
    site.create_streams();
    let weir = site.run_job(&site.job(&[], "lanes: 2\n"));
    let headers = b"NATS/1.0\r\nNats-Batch-Id: b\r\nNats-Batch-Sequence: 1\r\n\r\n";
    site.nats.publish_raw(&[(
        &b"weir.job.p.out.0.x"[..],
        &headers[..],
        &b"never committed"[..],
    )]);
    wait_until("it is counted", || {
        weir.metric(&series("job_batches_abandoned_total")) == 1.0
    });
}

/// A host counts as read what belongs to the partitions of others, though nothing of it is for its own.
#[test]
fn hosts_without_a_message_of_their_own_are_not_behind() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.job(&[], "");
    let hosts = [site.run_job(&file), site.run_job(&file)];
    wait_until("each owns half of the partitions", || {
        let status = site.weir(&["status"]).stdout;
        status.matches("owns 4 of 8 partitions").count() == 2
    });
    client.publish_all((0..100).map(|number| ("in.0".to_owned(), number.to_string())));
    site.wait_for_messages("OUT", 100);
    wait_until("no host is behind", || {
        hosts.iter().all(|host| host.metric(&series("lag")) == 0.0)
    });
    let status = site.weir(&["status"]).stdout;
    assert_eq!(status.matches("lag 0,").count(), 2, "{status}");
}

#[test]
fn a_partition_without_messages_of_its_own_comes_to_the_end_of_the_source() {
    let site = Site::new();
    let file = site.job(&[], "");
    let client = site.nats.client();
    client.publish_all((0..50).map(|number| ("in.a".to_owned(), number.to_string())));
    let weir = site.run_job(&file);
    site.wait_for_messages("OUT", 50);
    let shown = || json(&site.weir(&["job", "show", "p", "--json"]).stdout);
    wait_until("no partition has a lag", || {
        let shown = shown();
        let state = shown["state"].as_array().unwrap();
        state.len() == 8 && state.iter().all(|partition| partition["lag"][0] == 0)
    });
    assert_eq!(weir.metric(&series("lag")), 0.0);
}

#[test]
fn a_savepoint_has_the_partitions_that_had_no_message_and_goes_on_with_messages_for_all() {
    let site = Site::new();
    let client = site.nats.client();
    let weir = site.run_job(&site.stateful("partitions: 5\n"));
    // Of one key, so one partition has them all.
    client.publish_all((0..3).map(|_| ("in.0".to_owned(), "count")));
    site.wait_for_messages("OUT", 3);
    site.operate(&["savepoint", "create", "p", "--name", "s"]);
    site.operate(&["savepoint", "restore", "q", "s", "--of", "p"]);
    assert_eq!(rows(&site, "q"), rows(&site, "p"));
    drop(weir);
    client.create_stream("Q", &["q.>"]);
    let _weir = site.run_job(&site.job_q(&[]));
    site.count_each(1);
    let out = site.wait_for_messages("Q", KEYS as u64);
    assert_eq!(out.len(), KEYS);
    let counts = site.counts("Q");
    let expected = |key: &str| vec![if key == "0" { 4 } else { 1 }];
    assert!(
        counts.iter().all(|(key, found)| *found == expected(key)),
        "{counts:?}"
    );
}

#[test]
fn messages_without_their_key_have_one_in_common_and_are_counted_and_said_once() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.stateful("partitions: 3\n");
    let text = std::fs::read_to_string(&file).unwrap();
    let by_header = [
        ("\"{subject[1]}\"", "\"{header:User}\""),
        ("out.{key}", "out.{subject}"),
    ];
    let file = site.file("p.yaml", replaced(&text, &by_header));
    let weir = site.run_job(&file);
    client.publish_with_headers("in.a", &[("User", "u")], "count");
    for subject in ["in.a", "in.b"] {
        client.publish(subject, "count");
    }
    let out = by_subject(&site.wait_for_messages("OUT", 3));
    let mut of_a = out["out.in.a"].clone();
    of_a.sort();
    assert_eq!(
        (of_a, &*out["out.in.b"]),
        (vec!["1".into(), "1".into()], &["2".into()][..])
    );
    wait_until("both are counted", || {
        weir.metric(&series("messages_without_key_total")) == 2.0
    });
    let said = weir.stderr();
    assert_eq!(
        said.matches("a message lacks a part of its `key`").count(),
        1,
        "{said}"
    );
}
