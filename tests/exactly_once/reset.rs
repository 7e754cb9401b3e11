//! Who sets a job back says to which message, time or savepoint, is asked before anything is lost, and is refused what
//! cannot be right.

use super::operate::{KEYS, rows};
use crate::cli::json;
use crate::harness::{Finished, Site, Weir, replaced, wait_until};
use async_nats::jetstream::stream::RetentionPolicy;

impl Site {
    /// Runs `weir job` on a terminal, where this is typed.
    fn typed(&self, answer: &str, arguments: &[&str]) -> Finished {
        let url = self.nats.url();
        let arguments = [&["job"], arguments].concat();
        let environment = [("NATS_URL", &*url)];
        Weir::answer_on_terminal(self.folder.path(), answer, &arguments, &environment).finish()
    }
}

#[test]
fn a_job_that_is_set_back_to_a_time_goes_on_from_the_first_message_that_was_stored_then() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.stateful("partitions: 3\n");
    site.count_each(2);
    let _weir = site.run_job(&file);
    site.wait_for_counts("OUT", 2);
    // The times of two messages may be the same: the first that has it counts.
    let time = client.stored("IN", KEYS as u64 + 1);
    let mut first = KEYS as u64 + 1;
    while first > 1 && client.stored("IN", first - 1) == time {
        first -= 1;
    }
    let done = site.operate(&["reset", "p", "--to", &time, "--yes", "--json"]);
    let done = json(&done.stdout);
    assert_eq!(
        (&done["first"], &done["to"]),
        (&first.into(), &(&*time).into())
    );
    let again = 2 * KEYS as u64 - (first - 1);
    site.wait_for_messages("OUT", 2 * KEYS as u64 + again);
    site.count_each(1);
    site.wait_for_messages("OUT", 3 * KEYS as u64 + again);
    assert!(
        site.counts("OUT")
            .values()
            .all(|counts| counts.ends_with(&[1, 2]))
    );

    // Nothing is there from tomorrow on: the next message is the first.
    let done = site.operate(&[
        "reset",
        "p",
        "--to",
        "2100-01-01T00:00:00Z",
        "--yes",
        "--json",
    ]);
    assert_eq!(json(&done.stdout)["first"], 3 * KEYS as u64 + 1);
    site.count_each(1);
    site.wait_for_messages("OUT", 4 * KEYS as u64 + again);
    site.assert_last_counts(1);
}

#[test]
fn a_job_that_is_set_back_to_a_savepoint_has_its_state_and_goes_on_from_its_positions() {
    let site = Site::new();
    let file = site.stateful("partitions: 3\n");
    let _weir = site.run_job(&file);
    site.count_each(2);
    site.wait_for_counts("OUT", 2);
    wait_until("all of it is in the state", || {
        rows(&site, "p").len() == KEYS
    });
    site.operate(&["savepoint", "create", "p", "--name", "two"]);
    site.count_each(1);
    site.wait_for_counts("OUT", 3);
    let asked = site.weir(&["job", "reset", "p", "--to", "two"]);
    assert_eq!(asked.code, Some(2), "{asked:#?}");
    assert!(asked.stderr.contains("add `--yes`"), "{asked:#?}");
    let done = site.operate(&["reset", "p", "--to", "two", "--yes"]);
    assert_eq!(done.stdout, "job p continues from savepoint two\n");
    site.wait_for_messages("OUT", 4 * KEYS as u64);
    assert!(
        site.counts("OUT")
            .values()
            .all(|counts| *counts == [1, 2, 3, 3])
    );
    let missing = site.weir(&["job", "reset", "p", "--to", "none", "--yes"]);
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    assert!(
        missing.stderr.contains("weir job savepoint ls"),
        "{missing:#?}"
    );
}

#[test]
fn whoever_sets_a_job_back_on_a_terminal_is_told_what_is_lost_and_asked_first() {
    let site = Site::new();
    let file = site.stateful("partitions: 3\n");
    let weir = site.run_job(&file);
    site.count_each(3);
    site.wait_for_counts("OUT", 3);
    wait_until("all of it is in the state", || {
        rows(&site, "p").len() == KEYS
    });
    drop(weir);
    site.operate(&["savepoint", "create", "p", "--name", "three"]);
    let before = rows(&site, "p");
    for arguments in [
        &["reset", "p", "--to", "1"][..],
        &["reset", "p", "--to", "three"],
        &["savepoint", "restore", "p", "three"],
    ] {
        for answer in ["n\n", "\n", "yess\n"] {
            let asked = site.typed(answer, arguments);
            assert_eq!(asked.code, Some(1), "{answer:?}: {asked:#?}");
            for words in [
                "job `p` loses its state (7 keys, ",
                "go on? [y/N]",
                "nothing was changed",
            ] {
                assert!(asked.stdout.contains(words), "{words}: {asked:#?}");
            }
        }
    }
    assert_eq!(rows(&site, "p"), before);
    let done = site.typed("y\n", &["reset", "p", "--to", "1"]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    assert!(
        done.stdout.contains("job p continues from message 1"),
        "{done:#?}"
    );
    assert_eq!(rows(&site, "p"), [""; 0]);
    // Who says so before is not asked.
    let done = site.typed("", &["reset", "p", "--to", "three", "--yes"]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    assert!(!done.stdout.contains("go on?"), "{done:#?}");
    assert_eq!(rows(&site, "p"), before);
}

#[test]
fn whoever_sets_a_job_back_is_told_which_messages_are_not_there_any_more() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.stateful("partitions: 3\n");
    let weir = site.run_job(&file);
    site.operate(&["savepoint", "create", "p", "--name", "s"]);
    site.count_each(3);
    site.wait_for_counts("OUT", 3);
    drop(weir);
    client.begin_at("IN", 8);
    let words = "stream `IN` no longer holds messages 1 to 7";
    for to in ["1", "s"] {
        let done = site.operate(&["reset", "p", "--to", to, "--yes"]);
        assert!(done.stderr.contains(words), "{to}: {done:#?}");
    }
    let done = site.operate(&["reset", "p", "--to", "8", "--yes"]);
    assert!(!done.stderr.contains("any more"), "{done:#?}");
}

#[test]
fn before_there_is_a_savepoint_the_list_of_savepoints_is_empty() {
    let site = Site::new();
    for more in [&[][..], &["p"]] {
        let listed = site.operate(&[&["savepoint", "ls"], more].concat());
        assert_eq!((&*listed.stdout, &*listed.stderr), ("", ""));
        let listed = site.operate(&[&["savepoint", "ls", "--json"], more].concat());
        assert_eq!(listed.stdout.trim(), "[]");
    }
}

#[test]
fn a_savepoint_of_a_job_that_reads_a_work_queue_is_restored_only_where_its_positions_mean_something()
 {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.queue(RetentionPolicy::WorkQueue, 1, "");
    let text = std::fs::read_to_string(&file).unwrap();
    let file = site.file("p.yaml", text + "partitions: 1\n");
    site.queue_up(0..100);
    let weir = site.run_job(&file);
    site.wait_for_messages("OUT", 100);
    wait_until("all but the last are removed", || {
        client.count("WEIR_JOB_P_IN") <= 1
    });
    site.operate(&["savepoint", "create", "p", "--name", "s"]);
    // Another job reads a stream of its own.
    let refused = site.weir(&[
        "job",
        "savepoint",
        "restore",
        "q",
        "s",
        "--of",
        "p",
        "--yes",
    ]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    for words in [
        "its positions are those of stream `WEIR_JOB_P_IN`",
        "job `q` does not read that stream",
        "restore it into job `p`",
    ] {
        assert!(refused.stderr.contains(words), "{words}: {refused:#?}");
    }
    assert!(client.stream_info("WEIR_JOB_Q").is_none());
    // The same job goes on from it.
    site.operate(&["savepoint", "restore", "p", "s", "--yes"]);
    site.queue_up(100..110);
    let out = site.wait_for_messages("OUT", 110);
    assert_eq!(out.len(), 110);
    // A stream of the same name that was made anew is another.
    drop(weir);
    client
        .run(client.jetstream.delete_stream("WEIR_JOB_P_IN"))
        .unwrap();
    drop(site.run_job(&file));
    let refused = site.weir(&["job", "reset", "p", "--to", "s", "--yes"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(
        refused.stderr.contains("its positions are those"),
        "{refused:#?}"
    );
}

#[test]
fn a_job_that_is_to_begin_elsewhere_in_a_work_queue_is_refused_and_a_check_says_so_before() {
    let site = Site::new();
    let file = site.queue(RetentionPolicy::WorkQueue, 1, ", start: new");
    let refused = site.start_job(&file).finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    for words in [
        "a job reads all messages of its source",
        "remove `source.start`",
    ] {
        assert!(refused.stderr.contains(words), "{words}: {refused:#?}");
    }
    let checked = site.weir(&["check", "p.yaml"]);
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    let note = "with `source.start` it is refused then";
    assert!(checked.stdout.contains(note), "{checked:#?}");
    let text = std::fs::read_to_string(&file).unwrap();
    site.file("p.yaml", replaced(&text, &[(", start: new", "")]));
    let checked = site.weir(&["check", "p.yaml"]);
    assert!(!checked.stdout.contains(note), "{checked:#?}");
}

#[test]
fn a_savepoint_with_another_number_of_partitions_is_refused_while_a_host_runs_the_job() {
    let site = Site::new();
    let weir = site.run_job(&site.stateful("partitions: 5\n"));
    site.count_each(3);
    site.wait_for_counts("OUT", 3);
    site.operate(&["savepoint", "create", "p", "--name", "s"]);
    let restore = [
        "savepoint",
        "restore",
        "p",
        "s",
        "--yes",
        "--partitions",
        "3",
    ];
    let refused = site.weir(&[&["job"], &restore[..]].concat());
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    for said in [
        "cannot restore job `p` with 3 instead of 5 partitions",
        "hint: stop all hosts that run it",
    ] {
        assert!(refused.stderr.contains(said), "{refused:#?}");
    }
    // Nothing has happened to it.
    site.count_each(1);
    site.wait_for_counts("OUT", 4);
    // A host that was killed does not count.
    drop(weir);
    site.operate(&restore);
    let _weir = site.run_job(&site.stateful("partitions: 3\n"));
    site.count_each(1);
    site.wait_for_counts("OUT", 5);
}
