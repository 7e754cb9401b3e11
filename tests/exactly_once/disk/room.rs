//! States on disk leave room for others: what no host uses is removed. Where there is no room, nothing is lost.

use super::{KEYS, ON_DISK, stop, takeovers};
use crate::exactly_once::JOB;
use crate::harness::{Site, Weir, replaced, series, wait_for, wait_until};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_hours(1);
const REMOVED: &str = "removed the state on disk in `";

/// Nothing in it has changed for so long.
fn age(path: &Path, age: Duration) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            self::age(&entry.unwrap().path(), age);
        }
    }
    let then = SystemTime::now() - age;
    File::open(path).unwrap().set_modified(then).unwrap();
}

/// What is in a folder.
fn inside(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn wait_for_removals(host: &Weir, count: usize) {
    wait_for("directories are removed", || {
        let stderr = host.stderr();
        match stderr.matches(REMOVED).count() == count {
            true => Ok(()),
            false => Err(stderr),
        }
    });
}

#[test]
fn a_state_on_disk_is_removed_after_a_week_in_which_no_process_has_used_it() {
    let site = Site::new();
    let file = site.stateful(&replaced(ON_DISK, &[("{ store", "{ standby: 1, store")]));
    let mut rounds = 0;
    let mut hosts = vec![site.run_job(&file), site.run_job(&file)];
    site.count(&mut rounds);
    for host in &hosts {
        wait_until("each stands by for the other", || {
            host.metric(&series("job_standbys_level")) == 1.0
        });
    }
    let folder = site.states("states");
    hosts.remove(0).kill9();
    site.count(&mut rounds);
    assert_eq!(takeovers(&hosts[0])[0], 2.0);

    // Another job has its states beside them.
    site.nats.client().create_stream("OTHER", &["other.>"]);
    let changes = [("name: p\n", "name: q\n"), ("stream: IN", "stream: OTHER")];
    let text = fs::read_to_string(&file).unwrap();
    let other = site.file("q.yaml", replaced(&text, &changes));
    let gone = site.path("states/WEIR_JOB_GONE@1");
    fs::create_dir_all(gone.join("3.0")).unwrap();
    File::create(gone.join("3.0.lock")).unwrap();
    age(&gone, 8 * 24 * HOUR);
    age(&folder, 6 * 24 * HOUR);
    let host = site.run_job(&other);
    wait_for_removals(&host, 1);
    stop(host);
    assert!(!gone.exists());
    assert_eq!(inside(&folder).len(), 8, "each with its lock");
    age(&folder, 8 * 24 * HOUR);
    let host = site.run_job(&other);
    wait_for_removals(&host, 2);
    let left = inside(&folder);
    assert_eq!(left.len(), 4, "{left:?}");
    stop(host);
    // Those that were in use are whole.
    site.count(&mut rounds);
    stop(hosts.remove(0));
    let host = site.run_job(&file);
    site.count(&mut rounds);
    takeovers(&host);
    stop(host);
    // A job may be stopped for longer.
    age(&folder, 8 * 24 * HOUR);
    let host = site.run_job(&file);
    assert_eq!(takeovers(&host), [2.0, 2.0, 0.0]);
    assert!(!host.stderr().contains(REMOVED), "{}", host.stderr());
    site.count(&mut rounds);
    site.assert_counted(rounds);
    stop(host);
    age(&folder, 8 * 24 * HOUR);
    let count = inside(&folder).len() / 2;
    let host = site.run_job(&other);
    wait_for_removals(&host, count);
    assert!(!folder.exists());
}

#[test]
fn a_state_on_disk_of_a_stream_that_was_created_again_is_removed_after_an_hour() {
    let site = Site::new();
    let file = site.stateful(ON_DISK);
    let host = site.run_job(&file);
    site.count(&mut 0);
    stop(host);
    let before = site.states("states");
    age(&before, HOUR / 2);
    let client = site.nats.client();
    client.run(client.jetstream.delete_stream(JOB)).unwrap();
    let host = site.run_job(&file);
    assert_eq!(takeovers(&host)[1], 0.0);
    stop(host);
    assert_eq!(
        inside(&site.path("states")).len(),
        2,
        "half an hour is not enough"
    );
    age(&before, 2 * HOUR);
    let host = site.run_job(&file);
    wait_for_removals(&host, 2);
    let now = site.states("states");
    assert_ne!(before, now);
    assert_eq!(inside(&now).len(), 4);
}

#[test]
fn a_job_on_a_small_disk_that_is_full_loses_nothing_says_so_and_goes_on_when_there_is_room() {
    let site = Site::new();
    let file = site.stateful(ON_DISK);
    let folder = site.path("states");
    fs::create_dir(&folder).unwrap();
    let url = site.nats.url();
    let arguments = format!(
        "run {} --create --metrics-listen=127.0.0.1:0 --admin-listen=127.0.0.1:0",
        file.display()
    );
    let arguments: Vec<_> = arguments.split(' ').collect();
    let disk = (&*folder, 8 << 20);
    let environment = [("NATS_URL", &*url)];
    let mut host = Weir::start_on_small_disk(site.folder.path(), disk, &arguments, &environment);
    host.wait_until_output("running");
    let mut rounds = 0;
    site.count(&mut rounds);
    // As the host sees it.
    let seen = format!("/proc/{}/root{}", host.pid(), folder.display());
    let rest = Path::new(&seen).join("rest");
    let mut file = File::create(&rest).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
    drop(file);
    let client = site.nats.client();
    let grow = |key: usize| (format!("in.{key}"), "fill x 200000; count");
    client.publish_all((0..KEYS).map(grow));
    host.wait_until_output("No space left on device");
    wait_for("the status names the disk", || {
        let status = site.weir(&["status"]).stdout;
        let words = [
            "cannot keep the state on disk in `",
            "No space left on device",
            "make room there",
        ];
        match words.iter().all(|word| status.contains(word)) {
            true => Ok(()),
            false => Err(status),
        }
    });
    // In between it tries again.
    wait_until("a partition fails", || {
        host.metric(&series("job_partitions_failing")) > 0.0
    });
    fs::remove_file(rest).unwrap();
    rounds += 1;
    site.count(&mut rounds);
    wait_until("no partition fails", || {
        host.metric(&series("job_partitions_failing")) == 0.0
    });
    site.assert_counted(rounds);
}
