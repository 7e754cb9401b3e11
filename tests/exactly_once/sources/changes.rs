//! What becomes of a job when sources come or go, or the job is set back.

use super::{CLICKS, KEYS, TIME, VIEWS, assert_joined};
use crate::exactly_once::by_subject;
use crate::harness::{Site, replaced};
use std::collections::BTreeSet;

#[test]
fn a_job_with_one_source_gets_another_which_begins_where_it_says_and_takes_event_time_nowhere_back()
{
    let site = Site::with_two();
    let client = site.nats.client();
    let more = format!("partitions: 3\n{TIME}");
    let named = site.joins(&[CLICKS, VIEWS], &more);
    let named = std::fs::read_to_string(named).unwrap();
    let (one, _) = named.split_once("  views:").unwrap();
    let (_, rest) = named.split_once("\noperators:").unwrap();
    let changes = [
        ("sources:\n  clicks: ", "source: "),
        (", key: \"{subject[1]}\" }", " }"),
    ];
    let one = replaced(one, &changes);
    let file = site.file(
        "p.yaml",
        format!("{one}\noperators:{rest}key: \"{{subject[1]}}\"\n"),
    );
    let weir = site.run_job(&file);
    for key in 0..KEYS {
        site.click(&key.to_string(), "100", "count");
        site.view(&key.to_string(), "1", "say never");
    }
    site.wait_for_messages("OUT", KEYS as u64);
    drop(weir);
    // From now on, which is the same for all hosts whenever they start.
    let new = ("stream: VIEWS", "stream: VIEWS, start: new");
    let file = site.file("p.yaml", replaced(&named, &[new]));
    let mut weir = site.run_job(&file);
    weir.kill9();
    for key in 0..KEYS {
        site.view(&key.to_string(), "50", "count; now event");
    }
    let weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 2 * KEYS as u64);
    for (key, texts) in by_subject(&out) {
        assert_eq!(texts, ["1", "2,100000000000"], "{key}");
    }
    drop(weir);
    assert_eq!(client.count("OUT"), 2 * KEYS as u64);
}

#[test]
fn a_source_that_is_removed_renamed_or_has_another_stream_or_key_is_refused_and_goes_on_as_it_was()
{
    let site = Site::with_two();
    let file = site.joins(&[CLICKS, VIEWS], "");
    let weir = site.run_job(&file);
    site.both(0);
    site.wait_for_messages("OUT", 2 * KEYS as u64);
    drop(weir);
    let renamed = replaced(VIEWS, &[("views:", "seen:")]);
    let moved = replaced(VIEWS, &[("VIEWS", "IN")]);
    let keyed = replaced(VIEWS, &[("header:User", "header:Other")]);
    for (sources, said) in [
        (&[CLICKS][..], "source `views` of stream `VIEWS`"),
        (&[CLICKS, &*renamed], "source `views` of stream `VIEWS`"),
        (
            &[CLICKS, &*moved],
            "another `sources.views.stream`: `VIEWS`, not `IN`",
        ),
        (
            &[CLICKS, &*keyed],
            "another `key`: `{header:User}`, not `{header:Other}`",
        ),
    ] {
        let refused = site.refused(&site.joins(sources, ""));
        assert!(refused.stderr.contains(said), "{said}: {refused:#?}");
        assert!(refused.stderr.contains("another `name`"), "{refused:#?}");
    }
    let _weir = site.run_job(&site.joins(&[CLICKS, VIEWS], ""));
    site.both(1);
    let out = site.wait_for_messages("OUT", 4 * KEYS as u64);
    assert_joined(&out, 2);
}

#[test]
fn a_job_of_several_sources_is_set_back_and_saved_with_all_of_its_positions() {
    let site = Site::with_two();
    let file = site.joins(&[CLICKS, VIEWS], "partitions: 3\n");
    let weir = site.run_job(&file);
    site.both(0);
    site.both(1);
    let each = KEYS as u64;
    site.wait_for_messages("OUT", 4 * each);
    site.operate(&["savepoint", "create", "p", "--name", "two"]);
    let refused = site.weir(&["job", "reset", "p", "--to", "1", "--yes"]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains("--to clicks=120"), "{refused:#?}");
    let refused = site.weir(&["job", "reset", "p", "--to", "clicks=1", "--yes"]);
    assert!(
        refused.stderr.contains("one of its sources: views"),
        "{refused:#?}"
    );
    for (to, said, hint) in [
        (
            "clicks=1,vews=2",
            "the job has no source `vews`",
            "name one of its sources: clicks, views",
        ),
        (
            "clicks=1,views=100000",
            "stream `VIEWS` does not have message 100000 yet",
            "or a time",
        ),
    ] {
        let refused = site.weir(&["job", "reset", "p", "--to", to, "--yes"]);
        assert!(
            refused.stderr.contains(said) && refused.stderr.contains(hint),
            "{refused:#?}"
        );
    }
    // One of both from its beginning.
    let to = format!("clicks=1,views={}", 2 * each + 1);
    let done = site.operate(&["reset", "p", "--to", &to, "--yes"]);
    let said = format!("message 1 of CLICKS, message {} of VIEWS", 2 * each + 1);
    assert!(done.stdout.contains(&said), "{done:#?}");
    site.wait_for_messages("OUT", 6 * each);
    // The whole, into another number of partitions.
    drop(weir);
    site.operate(&[
        "savepoint",
        "restore",
        "p",
        "two",
        "--partitions",
        "5",
        "--yes",
    ]);
    let before = site.nats.client().count("OUT") as usize;
    let _weir = site.run_job(&site.joins(&[CLICKS, VIEWS], "partitions: 5\n"));
    site.both(2);
    let out = site.wait_for_messages("OUT", before as u64 + 2 * each);
    let last = by_subject(&out[before..]);
    let last: BTreeSet<&str> = last.values().flatten().map(|text| &text[..1]).collect();
    assert_eq!(last, BTreeSet::from(["5", "6"]));
}

#[test]
fn while_the_stream_of_one_source_is_gone_the_job_waits_and_goes_on_when_it_is_there_again() {
    let site = Site::with_two();
    let file = site.joins(&[CLICKS, VIEWS], "");
    let client = site.nats.client();
    let weir = site.run_job(&file);
    site.both(0);
    site.wait_for_messages("OUT", 2 * KEYS as u64);
    drop(weir);
    client.run(async {
        let context =
            async_nats::jetstream::new(async_nats::connect(site.nats.url()).await.unwrap());
        context.delete_stream("VIEWS").await.unwrap();
    });
    let mut weir = site.start_with(&[file.to_str().unwrap()], &[]);
    weir.wait_until_output("there is no stream `VIEWS`");
    drop(weir);
    client.create_stream("VIEWS", &["views.>"]);
    let _weir = site.run_job(&file);
    site.view("0", "1", "count; say again");
    let out = site.wait_for_messages("OUT", 2 * KEYS as u64 + 1);
    assert_eq!(out.last().unwrap().text(), "3,again");
}
