//! `weir job` shows the partitions of a job with their owners, and says what of it cannot be read.

use super::json;
use crate::harness::{Fate, Proxy, Sender, Site};
use async_nats::jetstream::stream;
use weir::job::log::{Checkpoint, Progress};
use weir::nats::members::Member;

/// A site with the stream of job `sums`, whose partition 0 has come to the second of five messages, and whose
/// partition 1 has no checkpoint that can be read.
fn site() -> Site {
    let site = Site::new();
    let client = site.nats.client();
    client.create_stream_with(stream::Config {
        name: "WEIR_JOB_SUMS".to_owned(),
        subjects: vec!["weir.job.sums.>".to_owned()],
        ..Default::default()
    });
    for number in 0..5 {
        client.publish("in.a", number.to_string());
    }
    let checkpoint = Checkpoint {
        owner: "claim".into(),
        epoch: 3,
        number: 10,
        log: 4,
        inputs: vec![Progress::at("IN@x", 2)],
        ..Checkpoint::default()
    };
    let checkpoint = serde_json::to_vec(&checkpoint).unwrap();
    client.publish("weir.job.sums.ckpt.0", checkpoint);
    client.publish("weir.job.sums.ckpt.1", "\u{1b}[31m{");
    client.publish("weir.job.sums.ckpt.x", "{}");
    client.publish("weir.job.sums.log.0", "a delta");
    client.publish("weir.job.sums.log.0", "a delta");
    client.publish("weir.job.sums.snap.0.17", "a snapshot");
    site
}

#[test]
fn a_job_is_shown_with_the_owners_positions_and_lag_of_its_partitions() {
    let site = site();
    let client = site.nats.client();
    let listed = site.weir(&["job", "ls"]);
    assert_eq!(listed.code, Some(0), "{listed:#?}");
    let expected = "job sums, stream WEIR_JOB_SUMS: 2 partitions, 6 messages, ";
    assert!(listed.stdout.starts_with(expected), "{listed:#?}");

    // Nobody has joined yet.
    let shown = site.weir(&["job", "show", "sums"]);
    assert_eq!(shown.code, Some(0), "{shown:#?}");
    let line = "  partition 0: no owner, epoch 3, 7 commits, 2 log records, 1 snapshot\n";
    assert!(shown.stdout.contains(line), "{shown:#?}");
    assert!(
        shown.stdout.contains("    IN@x: position 2, lag 3\n"),
        "{shown:#?}"
    );
    let unread = "  partition 1: no owner, its checkpoint cannot be read\n";
    assert!(shown.stdout.contains(unread), "{shown:#?}");

    client.create_stream_with(stream::Config {
        name: "KV_weir-members".to_owned(),
        subjects: vec!["$KV.weir-members.>".to_owned()],
        allow_direct: true,
        ..Default::default()
    });
    let mut member = Member::new("sums", 2);
    (member.owned, member.standby) = ([0].into(), [(0, 1)].into());
    "a\u{1b}[2Jb".clone_into(&mut member.name);
    let said = serde_json::to_vec(&member).unwrap();
    client.publish("$KV.weir-members.sums.a", said);
    client.publish("$KV.weir-members.sums.b", vec![0xff; 100]);
    let shown = site.weir(&["job", "show", "sums"]);
    assert!(
        shown.stdout.contains("  host a\\u{1b}[2Jb: owns 0, said "),
        "{shown:#?}"
    );
    assert!(
        shown
            .stdout
            .contains("  partition 0: owner a\\u{1b}[2Jb, epoch 3"),
        "{shown:#?}"
    );

    let standby = "    standby a\\u{1b}[2Jb: 3 records behind\n";
    assert!(shown.stdout.contains(standby), "{shown:#?}");

    let shown = json(&site.weir(&["job", "show", "sums", "--json"]).stdout);
    assert_eq!(shown["state"][0]["standbys"][0]["behind"], 3);
    assert_eq!(shown["state"][0]["checkpoint"]["number"], 10);
    assert_eq!(shown["state"][0]["lag"][0], 3);
    assert!(shown["state"][1]["checkpoint"].is_null());
    assert_eq!(shown["hosts"][0]["owned"][0], 0);
}

#[test]
fn what_jetstream_does_not_answer_is_said_to_be_unknown_with_a_hint() {
    let site = site();
    let proxy = Proxy::before(&site.nats);
    proxy.rule(|sender, subject, _| match sender {
        Sender::Host if subject.starts_with("$JS.API.STREAM.MSG.GET.") => Fate::Lost,
        _ => Fate::Arrives,
    });
    let shown = site.weir_with(&["job", "show", "sums"], &[("NATS_URL", &proxy.url())]);
    let shown = shown.finish();
    assert_eq!(shown.code, Some(0), "{shown:#?}");
    for words in [
        ", unknown whether it is paused\n",
        "JetStream does not answer",
        "  hint: try again in some seconds",
        "  partition 0: no owner, its checkpoint is unknown\n",
    ] {
        assert!(shown.stdout.contains(words), "{words}: {shown:#?}");
    }
}

#[test]
fn a_job_that_is_not_there_is_said_to_be_so() {
    let site = Site::new();
    let listed = site.weir(&["job", "ls", "--json"]);
    assert_eq!((listed.code, listed.stdout.trim()), (Some(0), "[]"));
    let shown = site.weir(&["job", "show", "sums"]);
    assert_eq!(shown.code, Some(1), "{shown:#?}");
    assert!(
        shown.stderr.contains("there is no job `sums`"),
        "{shown:#?}"
    );
}
