//! Who operates a job takes its state along to another one, sets it back, and pauses it.

use super::by_subject;
use crate::cli::json;
use crate::harness::weir::get;
use crate::harness::{Finished, Site, guests, replaced, series, wait_for, wait_until};
use std::collections::BTreeMap;
use std::path::PathBuf;
use weir::config::resolved::{API_PREFIX, Auth, Nats, Tls};
use weir::job::operate::Operated;
use weir::threads::block_on;

/// Keys that are counted.
pub(super) const KEYS: usize = 7;

impl Site {
    /// Writes `q.yaml`: the job `q`, which is as `p` but for these parts, and publishes to `q.>`.
    pub(super) fn job_q(&self, changes: &[(&str, &str)]) -> PathBuf {
        let text = std::fs::read_to_string(self.path("p.yaml")).unwrap();
        let own = [
            ("name: p\n", "name: q\n"),
            ("out.{key}", "q.{key}"),
            ("dead.p", "dead.q"),
        ];
        self.file("q.yaml", replaced(&text, &[&own, changes].concat()))
    }

    pub(super) fn count_each(&self, times: usize) {
        let count = |number: usize| (format!("in.{}", number % KEYS), "count");
        self.nats.client().publish_all((0..times * KEYS).map(count));
    }

    /// The counts of each key in a stream.
    pub(super) fn counts(&self, stream: &str) -> BTreeMap<String, Vec<u64>> {
        let by_subject = by_subject(&self.nats.client().messages(stream));
        let counts = by_subject.into_iter().map(|(subject, texts)| {
            let key = subject.rsplit('.').next().unwrap().to_owned();
            (
                key,
                texts.iter().map(|text| text.parse().unwrap()).collect(),
            )
        });
        counts.collect()
    }

    /// Waits until each key was counted so often in a stream.
    pub(super) fn wait_for_counts(&self, stream: &str, upto: u64) -> BTreeMap<String, Vec<u64>> {
        wait_for("every key is counted", || {
            let counts = self.counts(stream);
            let done = counts
                .values()
                .filter(|counts| counts.last() == Some(&upto))
                .count();
            match done == KEYS {
                true => Ok(counts),
                false => Err(format!("{counts:?}")),
            }
        })
    }

    /// The last result of each key is this count.
    pub(super) fn assert_last_counts(&self, count: u64) {
        let counts = self.counts("OUT");
        let is_last = |counts: &Vec<u64>| counts.last() == Some(&count);
        assert!(counts.values().all(is_last), "{counts:?}");
    }

    /// Runs `weir job` with these arguments; it succeeds.
    pub(super) fn operate(&self, arguments: &[&str]) -> Finished {
        let finished = self.weir(&[&["job"], arguments].concat());
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        finished
    }
}

/// The rows of a job, in the order of their text.
pub(super) fn rows(site: &Site, job: &str) -> Vec<String> {
    let listed = site.operate(&["state", "ls", job, "--json"]);
    let mut rows: Vec<String> = listed.stdout.lines().map(ToOwned::to_owned).collect();
    rows.sort();
    rows
}

#[test]
fn a_savepoint_under_load_goes_on_with_other_partitions_and_another_version_as_if_nothing_had_been()
{
    let site = Site::new();
    let file = site.stateful("partitions: 5\n");
    let client = site.nats.client();
    let mut weir = site.run_job(&file);
    site.count_each(200);
    wait_until("some are counted", || client.count("OUT") > 100);
    weir.kill9();
    let weir = site.run_job(&file);
    wait_until("more are counted", || client.count("OUT") > 400);
    let made = json(
        &site
            .operate(&["savepoint", "create", "p", "--name", "s1", "--json"])
            .stdout,
    );
    assert!(
        made["state"]["keys"].as_u64().unwrap() <= KEYS as u64,
        "{made}"
    );
    site.count_each(200);
    site.wait_for_counts("OUT", 400);
    drop(weir);

    // Another digest, and another number of partitions.
    let mut plugin = guests::bytes("stateful");
    plugin.extend([0, 5, 4, b't', b'e', b's', b't']);
    site.file("other.wasm", plugin);
    for partitions in ["3", "8"] {
        let restored = [
            "savepoint",
            "restore",
            "q",
            "s1",
            "--of",
            "p",
            "--yes",
            "--partitions",
            partitions,
        ];
        site.operate(&restored);
        let number = format!("partitions: {partitions}");
        let file = site.job_q(&[("partitions: 5", &number), ("plugin.wasm", "other.wasm")]);
        let before = if partitions == "3" {
            0
        } else {
            client.count("Q")
        };
        let mut weir = site.run_job(&file);
        wait_until("it has begun", || client.count("Q") > before + 50);
        weir.kill9();
        let _weir = site.run_job(&file);
        let counts = wait_for("every key is counted to its end", || {
            let mut counts = site.counts("Q");
            // Each time the same is counted again.
            for counts in counts.values_mut() {
                let again = counts
                    .iter()
                    .rposition(|count| *count == counts[0])
                    .unwrap();
                counts.drain(..again);
            }
            let done = counts
                .values()
                .filter(|counts| counts.last() == Some(&400))
                .count();
            if done == KEYS {
                Ok(counts)
            } else {
                Err(format!("{counts:?}"))
            }
        });
        for (key, counts) in counts {
            let expected: Vec<u64> = (counts[0]..=400).collect();
            assert_eq!(counts, expected, "key {key}");
        }
    }
    let listed = site.operate(&["savepoint", "ls", "p"]);
    assert!(listed.stdout.starts_with("p  s1  "), "{listed:#?}");
    let again = site.weir(&["job", "savepoint", "create", "p", "--name", "s1"]);
    assert_eq!(again.code, Some(1), "{again:#?}");
    site.operate(&["savepoint", "rm", "p", "s1"]);
    let gone = site.weir(&[
        "job",
        "savepoint",
        "restore",
        "q",
        "s1",
        "--of",
        "p",
        "--yes",
    ]);
    assert_eq!(gone.code, Some(1), "{gone:#?}");
    assert!(gone.stderr.contains("weir job savepoint ls"), "{gone:#?}");
}

#[test]
fn timers_and_values_that_expire_come_along_and_hosts_with_the_old_partitions_are_refused() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.stateful("partitions: 5\n");
    let weir = site.run_job(&file);
    site.count_each(3);
    client.publish(
        "in.t",
        "timer processing 9000000000000000000 tag; set brief x 3600000; drop",
    );
    wait_until("all is in the state", || rows(&site, "p").len() == KEYS + 2);
    let before = rows(&site, "p");
    site.operate(&["savepoint", "create", "p", "--name", "s"]);
    site.operate(&[
        "savepoint",
        "restore",
        "q",
        "s",
        "--of",
        "p",
        "--partitions",
        "2",
    ]);
    assert_eq!(rows(&site, "q"), before);
    drop(weir);
    // In place, it says what is lost, and does nothing before it is told to.
    let asked = site.weir(&["job", "savepoint", "restore", "p", "s", "--partitions", "3"]);
    assert_eq!(asked.code, Some(2), "{asked:#?}");
    assert!(
        asked.stderr.contains("job `p` loses its state (8 keys, "),
        "{asked:#?}"
    );
    assert!(asked.stderr.contains("add `--yes`"), "{asked:#?}");
    site.operate(&[
        "savepoint",
        "restore",
        "p",
        "s",
        "--partitions",
        "3",
        "--yes",
    ]);
    assert_eq!(rows(&site, "p"), before);
    let refused = site.start_job(&file).finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(
        refused.stderr.contains("another `partitions`: 3, not 5"),
        "{refused:#?}"
    );
    let text = std::fs::read_to_string(&file).unwrap();
    let file = site.file(
        "p.yaml",
        replaced(&text, &[("partitions: 5", "partitions: 3")]),
    );
    let _weir = site.run_job(&file);
    site.count_each(1);
    site.wait_for_counts("OUT", 4);
    assert_eq!(rows(&site, "p").len(), before.len());
}

#[test]
fn a_job_that_is_set_back_processes_all_again_with_an_empty_state_on_hosts_that_have_nothing_to_do()
{
    let site = Site::new();
    let client = site.nats.client();
    let file = site.stateful("partitions: 3\n");
    let _weir = site.run_job(&file);
    site.count_each(5);
    site.wait_for_counts("OUT", 5);
    let asked = site.weir(&["job", "reset", "p", "--to", "1"]);
    assert_eq!(asked.code, Some(2), "{asked:#?}");
    assert!(
        asked.stderr.contains("job `p` loses its state (7 keys, "),
        "{asked:#?}"
    );
    assert_eq!(client.count("OUT"), 35);
    site.operate(&["reset", "p", "--to", "1", "--yes"]);
    site.wait_for_messages("OUT", 70);
    let all: Vec<u64> = (1..=5).chain(1..=5).collect();
    assert!(site.counts("OUT").values().all(|counts| *counts == all));
    // From the second message of each key on.
    site.operate(&["reset", "p", "--to", "8", "--yes"]);
    site.wait_for_messages("OUT", 98);
    let all: Vec<u64> = all.into_iter().chain(1..=4).collect();
    assert!(site.counts("OUT").values().all(|counts| *counts == all));
    site.count_each(1);
    site.wait_for_messages("OUT", 105);
    site.assert_last_counts(5);
}

#[test]
fn a_replacement_that_was_interrupted_lets_nobody_run_half_of_a_state_and_is_run_again() {
    let site = Site::new();
    let file = site.stateful("partitions: 2\n");
    let weir = site.run_job(&file);
    site.count_each(5);
    site.wait_for_counts("OUT", 5);
    drop(weir);
    // It has taken the partitions, and was killed.
    let nats = Nats {
        servers: vec![site.nats.url()],
        auth: Auth::None,
        tls: Tls::default(),
        inbox_prefix: "_INBOX".to_owned(),
        api_prefix: API_PREFIX.to_owned(),
    };
    let interrupted = async {
        let connection = weir::nats::connect(&nats, "test").await?;
        let job = Operated::open(&connection, "p").await?;
        for partition in 0..2 {
            let log = job.log(partition);
            job.seize(&log).await?;
        }
        anyhow::Ok(())
    };
    block_on(interrupted).unwrap();
    let weir = site.run_job(&file);
    site.count_each(1);
    let read = site.weir(&["job", "state", "ls", "p"]);
    assert_eq!(read.code, Some(1), "{read:#?}");
    assert!(
        read.stderr.contains("its state is being replaced"),
        "{read:#?}"
    );
    wait_until("the host has tried", || {
        weir.metric(&series("job_failures_total")) > 3.0
    });
    assert_eq!(site.nats.client().count("OUT"), 35);
    site.operate(&["reset", "p", "--to", "1", "--yes"]);
    site.wait_for_counts("OUT", 6);
    assert_eq!(site.nats.client().count("OUT"), 77);
}

#[test]
fn a_paused_job_processes_nothing_on_any_host_until_it_is_resumed() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.stateful("partitions: 3\n");
    let first = site.run_job(&file);
    site.count_each(1);
    site.wait_for_counts("OUT", 1);
    let paused = site.operate(&["pause", "p"]);
    assert_eq!(paused.stdout, "job p is paused\n");
    assert_eq!(
        site.operate(&["pause", "p"]).stdout,
        "job p was paused already\n"
    );
    let are_paused = |hosts: usize| {
        let status = site.weir(&["status"]).stdout;
        status.matches("owns 0 of 3 partitions, paused").count() == hosts
    };
    wait_until("the host owns nothing", || are_paused(1));
    site.count_each(1);
    // Also one that joins, and one that starts again.
    let second = site.run_job(&file);
    drop(first);
    let third = site.run_job(&file);
    wait_until("none owns anything", || are_paused(2));
    wait_until("they are ready", || {
        [&second, &third]
            .iter()
            .all(|host| get(&host.address_of("metrics"), "/ready").0 == 200)
    });
    wait_until("the metric says so", || {
        third.metric(&series("job_paused")) == 1.0
    });
    let shown = site.operate(&["show", "p"]).stdout;
    assert!(shown.contains("paused"), "{shown}");
    let listed = site.operate(&["ls"]).stdout;
    assert!(listed.contains(", paused"), "{listed}");
    assert_eq!(client.count("OUT"), KEYS as u64);
    assert_eq!(site.operate(&["resume", "p"]).stdout, "job p continues\n");
    site.wait_for_counts("OUT", 2);
    assert_eq!(client.count("OUT"), 2 * KEYS as u64);
}

#[test]
fn what_the_partitions_of_a_job_hold_is_shown_and_measured() {
    let site = Site::new();
    let file = site.stateful("partitions: 3\n");
    let weir = site.run_job(&file);
    site.count_each(2);
    site.wait_for_counts("OUT", 2);
    let metric = |name| weir.metric(&series(name));
    wait_until("the metrics have the state and the log", || {
        metric("job_state_rows") == KEYS as f64
            && metric("job_state_keys") == KEYS as f64
            && metric("job_log_bytes") > 0.0
    });
    assert!(metric("job_log_records") >= 1.0);
    let status = site.weir(&["status"]).stdout;
    let state = format!("    state: {KEYS} keys, {KEYS} rows, ");
    let line = status.lines().find(|line| line.starts_with(&state));
    let line = line.unwrap_or_else(|| panic!("{status}"));
    for part in [
        "; log: ",
        " records, ",
        "; last commit ",
        "; least watermark 2",
    ] {
        assert!(line.contains(part), "{line}");
    }
    let shown = json(&site.operate(&["show", "p", "--json"]).stdout);
    let partitions = shown["state"].as_array().unwrap();
    let sum = |name: &str| {
        let each = partitions
            .iter()
            .map(|it| it["held"][name].as_u64().unwrap());
        each.sum::<u64>()
    };
    assert_eq!(
        (sum("keys"), sum("rows")),
        (KEYS as u64, KEYS as u64),
        "{shown}"
    );
    assert_eq!(sum("log_bytes") as f64, metric("job_log_bytes"), "{shown}");
    let shown = site.operate(&["show", "p"]).stdout;
    assert_eq!(shown.matches(" bytes; log: ").count(), 3, "{shown}");
}
