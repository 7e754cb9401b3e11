//! A bucket that is not of the view is refused, and what is done to one while its job runs is said.

use super::pages::{Watch, get, pages, wait_for_value};
use super::{BUCKET, USUAL};
use crate::harness::{AS_HOST, NatsServer, Site, replaced, wait_until};
use crate::permissions::denying;
use async_nats::jetstream::kv;
use serde_json::Value;

#[test]
fn a_bucket_that_is_not_of_the_view_is_refused() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.viewed(USUAL);
    let refused = |arguments: &[&str], words: &[&str]| {
        let weir = site.start_with(arguments, &[]).finish();
        assert_eq!(weir.code, Some(1), "{weir:#?}");
        assert!(
            words.iter().all(|words| weir.stderr.contains(words)),
            "{weir:#?}"
        );
    };
    let file = file.to_str().unwrap();
    client
        .run(client.jetstream.create_key_value(kv::Config {
            bucket: "p-v".to_owned(),
            ..kv::Config::default()
        }))
        .unwrap();
    let what = "cannot use bucket `p-v` for view `v`";
    refused(
        &[file, "--create"],
        &[what, "does not source the view", "nats kv del p-v"],
    );
    client
        .run(client.jetstream.delete_key_value("p-v"))
        .unwrap();
    refused(&[file], &[what, "there is none", "--create"]);
    site.run_viewed(USUAL);
    // Of another pipeline that takes the bucket of the first.
    let other = std::fs::read_to_string(file).unwrap();
    let changes = [
        ("name: p\n", "name: q\n"),
        ("{ name: v }", "{ name: w, bucket: p-v }"),
        ("dead.p", "dead.q"),
    ];
    let other = site.file("q.yaml", replaced(&other, &changes));
    refused(
        &[other.to_str().unwrap(), "--create"],
        &["cannot use bucket `p-v` for view `w`", "does not source"],
    );
}

#[test]
fn what_is_done_to_a_bucket_while_its_job_runs_is_said_and_mended() {
    let site = Site::new();
    let client = site.nats.client();
    let more = format!("{USUAL}stalled-after: 2s\n");
    let weir = site.run_viewed(&more);
    site.set("a", "1");
    wait_for_value(&weir, "/views/v/a", "1");
    // Somebody else writes what is no key, and no text.
    client
        .run(client.nats.publish("$KV.p-v.\u{7f}=zz", "x".into()))
        .unwrap();
    client
        .run(client.nats.publish("$KV.p-v.b", vec![0xff].into()))
        .unwrap();
    wait_until("it is there", || client.count(BUCKET) == 3);
    let page = get(&weir, "/views/v").json();
    let entries = page["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{page}");
    assert_eq!(
        (&entries[1]["base64"], &entries[1]["commit"]),
        (&Value::from("/w=="), &Value::Null)
    );

    client.purge(BUCKET);
    assert!(get(&weir, "/views/v/a").is_problem(404, "no such key"));
    assert_eq!(pages(&weir, "v", "").0.len(), 0);
    site.set("a", "2");
    wait_for_value(&weir, "/views/v/a", "2");

    let mut watch = Watch::of(&weir, "/views/v?watch=true", &[]);
    assert_eq!(watch.next().unwrap().1["value"], 2);
    client.run(client.jetstream.delete_stream(BUCKET)).unwrap();
    assert!(watch.next().is_none(), "the watch ends");
    assert!(get(&weir, "/views/v/a").is_problem(503, "cannot be read"));
    site.set("a", "3");
    site.wait_for_messages("OUT", 3);
    wait_until("it is said", || {
        weir.stderr().contains("stream `KV_p-v` does not source")
    });
    // Another start makes it, and what waits comes.
    let second = site.run_viewed(&more);
    wait_for_value(&second, "/views/v/a", "3");
    wait_for_value(&weir, "/views/v/a", "3");
}

#[test]
fn a_ttl_that_is_changed_is_that_of_the_bucket_once_it_may_be_changed() {
    let site = Site::new();
    let mut weir = site.run_viewed(USUAL);
    site.set("a", "1");
    wait_for_value(&weir, "/views/v/a", "1");
    weir.kill9();
    let longer = "views: [{ name: v, ttl: 100s }]\n";
    let file = site.viewed(longer);
    let refused = site.start_with(&[file.to_str().unwrap()], &[]).finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    for words in ["for the `ttl` of the view", "--create"] {
        assert!(refused.stderr.contains(words), "{refused:#?}");
    }
    let weir = site.run_viewed(longer);
    let info = site.nats.client().stream_info(BUCKET).unwrap();
    assert_eq!(info.config.max_age.as_secs(), 100);
    wait_for_value(&weir, "/views/v/a", "1");
}

#[test]
fn a_permission_that_is_missing_is_named_where_it_is_missed() {
    let create = "$JS.API.STREAM.CREATE.KV_p-v";
    let read = "$JS.API.STREAM.MSG.GET.KV_p-v";
    let site = Site::on(NatsServer::start_with(&denying(&[create])));
    site.create_streams();
    site.viewed(USUAL);
    let file = std::fs::read_to_string(site.path("p.yaml")).unwrap();
    let file = site.file("p.yaml", replaced(&file, &[AS_HOST]));
    let start = || site.start_with(&[file.to_str().unwrap(), "--create"], &[]);
    let refused = start().finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    for words in ["cannot use bucket `p-v` for view `v`", create] {
        assert!(refused.stderr.contains(words), "{refused:#?}");
    }
    site.nats.reload(&denying(&[read]));
    let mut weir = start();
    weir.wait_until_output("running");
    site.set("a", "1");
    let answer = get(&weir, "/views/v/a");
    assert!(answer.is_problem(503, read), "{answer:?}");
    site.nats.reload(&denying(&[]));
    wait_for_value(&weir, "/views/v/a", "1");
}
