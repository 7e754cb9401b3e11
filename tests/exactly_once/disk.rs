//! A state on disk is a copy that a host goes on with when it starts again: it reads what it is missing, and all of it
//! where the copy is lost, damaged or another's.

mod room;

use super::by_subject;
use super::state::counts_are_right_if_the_host_is_killed_at;
use crate::harness::{Site, Weir, replaced, series, wait_for, wait_until};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Of each kind of files there are several. The directory is beside the pipeline.
const ON_DISK: &str = "partitions: 2\nstate: { store: disk, path: states }\n";
const KEYS: usize = 7;

impl Site {
    /// The directory of the job with this name.
    fn states(&self, name: &str) -> PathBuf {
        let mut jobs = fs::read_dir(self.path(name)).unwrap();
        let job = jobs.next().unwrap().unwrap().path();
        let name = job.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("WEIR_JOB_P@"), "{name}");
        assert!(jobs.next().is_none(), "one job has one directory");
        job
    }

    /// Counts each key once more, and waits until that is committed; what is counted in all.
    fn count(&self, rounds: &mut usize) {
        let client = self.nats.client();
        client.publish_all((0..KEYS).map(|key| (format!("in.{key}"), "count")));
        *rounds += 1;
        self.wait_for_messages("OUT", (KEYS * *rounds) as u64);
    }

    fn assert_counted(&self, rounds: usize) {
        let counts: Vec<String> = (1..=rounds).map(|count| count.to_string()).collect();
        let expected = (0..KEYS).map(|key| (format!("out.{key}"), counts.clone()));
        let out = self.wait_for_messages("OUT", (KEYS * rounds) as u64);
        assert_eq!(by_subject(&out), expected.collect::<BTreeMap<_, _>>());
    }
}

/// Takeovers of a host: all of them, those that read only what was missing, and what was read.
fn takeovers(host: &Weir) -> [f64; 3] {
    let names = [
        "job_takeovers_total",
        "job_takeovers_warm_total",
        "job_records_read_total",
    ];
    wait_for("it owns both partitions", || {
        let found = names.map(|name| host.metric(&series(name)));
        if found[0] < 2.0 {
            return Err(format!("{found:?}"));
        }
        Ok(found)
    })
}

fn stop(host: Weir) {
    host.terminate();
    host.finish();
}

#[test]
fn counts_on_disk_are_right_if_the_host_is_killed_between_any_two_steps_of_a_commit() {
    counts_are_right_if_the_host_is_killed_at(
        ON_DISK,
        &[
            ("recovered:2", "Recovered"),
            ("committed:2", "Committed"),
            ("noted:3", "Noted"),
            ("snapshotted:1", "Snapshotted"),
        ],
    );
}

#[test]
fn a_host_that_starts_again_reads_of_the_log_only_what_the_state_on_disk_is_missing() {
    let site = Site::new();
    let file = site.stateful(ON_DISK);
    let mut rounds = 0;
    let mut host = site.run_job(&file);
    for _ in 0..20 {
        site.count(&mut rounds);
    }
    let [_, warm, read] = takeovers(&host);
    assert_eq!((warm, read), (0.0, 0.0), "the job is new");
    stop(host);
    host = site.run_job(&file);
    assert_eq!(takeovers(&host), [2.0, 2.0, 0.0]);
    site.count(&mut rounds);
    host.kill9();
    host = site.run_job(&file);
    let [_, warm, read] = takeovers(&host);
    assert_eq!(warm, 2.0);
    // The commits of the last round, if it was killed before it had noted them.
    assert!(read <= KEYS as f64, "{read}");
    stop(host);

    // What another host has written meanwhile is missing.
    let text = fs::read_to_string(&file).unwrap();
    let other = replaced(&text, &[("path: states", "path: others")]);
    site.file("other.yaml", other);
    let other = site.run_job(&site.path("other.yaml"));
    assert_eq!(takeovers(&other)[1], 0.0);
    let before = other.metric(&series("job_commits_total"));
    for _ in 0..3 {
        site.count(&mut rounds);
    }
    let commits = other.metric(&series("job_commits_total")) - before;
    stop(other);
    host = site.run_job(&file);
    let [_, warm, read] = takeovers(&host);
    assert_eq!(warm, 2.0);
    assert!(read >= 2.0 && read <= commits, "{read} of {commits}");
    site.count(&mut rounds);
    site.assert_counted(rounds);
    let (discarded, stderr) = (
        host.metric(&series("job_states_discarded_total")),
        host.stderr(),
    );
    assert_eq!(discarded, 0.0, "{stderr}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => left.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

#[test]
fn a_state_on_disk_that_is_deleted_torn_or_of_another_partition_is_read_from_the_stream_again() {
    let site = Site::new();
    let file = site.stateful(ON_DISK);
    let mut rounds = 0;
    let mut host = site.run_job(&file);
    type Damage = fn(&Path);
    let deleted: Damage = |folder| fs::remove_dir_all(folder).unwrap();
    let torn: Damage = |folder| {
        for file in files(folder) {
            let bytes = fs::read(&file).unwrap();
            fs::write(&file, &bytes[..bytes.len() / 3]).unwrap();
        }
    };
    let foreign: Damage = |folder| {
        let [first, second, aside] = ["0.0", "1.0", "aside"].map(|name| folder.join(name));
        fs::rename(&first, &aside).unwrap();
        fs::rename(&second, &first).unwrap();
        fs::rename(&aside, &second).unwrap();
    };
    for (damage, discarded) in [(deleted, 0.0), (torn, 2.0), (foreign, 2.0)] {
        for _ in 0..5 {
            site.count(&mut rounds);
        }
        stop(host);
        damage(&site.states("states"));
        host = site.run_job(&file);
        let [_, warm, read] = takeovers(&host);
        assert_eq!(warm, 0.0);
        assert!(read >= 2.0, "{read}");
        let stderr = host.stderr();
        let found = host.metric(&series("job_states_discarded_total"));
        assert_eq!(found, discarded, "{stderr}");
        let said = stderr.matches("the state on disk is thrown away").count();
        assert_eq!(said as f64, discarded, "{stderr}");
    }
    site.count(&mut rounds);
    site.assert_counted(rounds);
}

#[test]
fn a_partition_whose_state_cannot_be_kept_says_so_and_goes_on_once_it_can() {
    let site = Site::new();
    let file = site.stateful(ON_DISK);
    let mut rounds = 0;
    let host = site.run_job(&file);
    site.count(&mut rounds);
    stop(host);
    let folder = site.states("states");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "no directory").unwrap();
    let mut host = site.start_job(&file);
    for partition in 0..2 {
        let said = format!("cannot run partition {partition}: cannot keep the state on disk in `");
        host.wait_until_output(&said);
    }
    let stderr = host.stderr();
    assert!(stderr.contains("set `state.path`"), "{stderr}");
    assert!(host.metric(&series("job_partitions_failing")) > 0.0);
    let client = site.nats.client();
    assert_eq!(client.count("OUT"), KEYS as u64);
    fs::remove_file(&folder).unwrap();
    site.count(&mut rounds);
    wait_until("no partition fails", || {
        host.metric(&series("job_partitions_failing")) == 0.0
    });
    site.assert_counted(rounds);
}

#[test]
fn two_hosts_on_one_machine_have_a_directory_each_and_the_one_that_is_left_takes_over() {
    let site = Site::new();
    let disk = replaced(ON_DISK, &[("{ store", "{ standby: 1, store")]);
    let file = site.stateful(&disk);
    let mut rounds = 0;
    let mut hosts = vec![site.run_job(&file), site.run_job(&file)];
    site.count(&mut rounds);
    for host in &hosts {
        wait_until("each stands by for the other", || {
            host.metric(&series("job_standbys_level")) == 1.0
        });
    }
    let folder = site.states("states");
    for name in ["0.0", "0.1", "1.0", "1.1"] {
        assert!(folder.join(name).is_dir(), "{name}");
    }
    site.count(&mut rounds);
    hosts.remove(0).kill9();
    site.count(&mut rounds);
    assert_eq!(takeovers(&hosts[0])[0], 2.0);
    site.assert_counted(rounds);
}
