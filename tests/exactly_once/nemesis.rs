//! The nemesis: three hosts on a cluster of three servers, while a seed decides who is killed, stopped for a while,
//! started or told to leave. Counts of keys are exact to the last one, and in order.
//!
//! `WEIR_NEMESIS_MINUTES` and `WEIR_NEMESIS_SEED` make it as long as one likes: `cargo xtask nemesis`.

use super::by_subject;
use crate::harness::{NatsServer, Site, Stored, Weir, series, signal, wait_until};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Rounds, unless the environment gives minutes.
const ROUNDS: usize = 5;
/// The same for a job with one partition, with which hosts have less to do.
const ROUNDS_IN_ORDER: usize = 3;
const KEYS: usize = 11;
/// Messages in a round.
const MESSAGES: usize = 150;
const HOSTS: usize = 3;

fn given(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().expect("not a number"))
}

/// What has happened so far, for the last line.
#[derive(Debug, Default)]
struct Tally {
    killed: usize,
    stopped: usize,
    left: usize,
    servers: usize,
    /// As the hosts count them that are still there.
    commits: f64,
    resolved: f64,
    takeovers: f64,
    deposed: f64,
}

impl Tally {
    fn add(&mut self, host: &Weir) {
        let count = |name: &str| host.metric(&series(name));
        self.commits += count("job_commits_total");
        self.resolved += count("job_commits_resolved_total");
        self.takeovers += count("job_takeovers_total");
        self.deposed += count("job_deposed_total");
    }
}

struct World {
    site: Site,
    others: [NatsServer; 2],
    hosts: Vec<Weir>,
    random: StdRng,
    sent: BTreeMap<usize, usize>,
    /// The results that are to come, in the order of the source.
    expected: Vec<(String, String)>,
    tally: Tally,
}

impl World {
    fn feed(&mut self) {
        for _ in 0..MESSAGES {
            let key = self.random.random_range(0..KEYS);
            let count = self.sent.entry(key).or_default();
            *count += 1;
            // The second command is none, and makes each message another.
            let script = format!("count; {key}/{count}");
            let client = self.site.nats.client();
            client.publish_once(&format!("in.{key}"), &script);
            self.expected
                .push((format!("out.{key}"), count.to_string()));
        }
    }

    fn strike(&mut self, file: &Path) {
        let which = self.random.random_range(0..self.hosts.len());
        match self.random.random_range(0..6) {
            0 | 1 => {
                self.hosts.remove(which).kill9();
                self.tally.killed += 1;
            }
            2 => {
                let host = self.hosts.remove(which);
                self.tally.add(&host);
                host.terminate();
                host.finish();
                self.tally.left += 1;
            }
            // It wakes up when others have its partitions, and must not write any more.
            3 => {
                let pid = self.hosts[which].pid();
                signal(pid, "STOP");
                self.feed();
                signal(pid, "CONT");
                self.tally.stopped += 1;
            }
            _ => {
                let server = &mut self.others[which % 2];
                server.kill9();
                server.start_again();
                self.tally.servers += 1;
            }
        }
        while self.hosts.len() < HOSTS {
            self.hosts.push(self.site.keep_job(file));
        }
    }

    fn total(&self) -> u64 {
        self.expected.len() as u64
    }
}

/// What a stream holds at the end, and what it is to hold.
struct Ended {
    results: Vec<Stored>,
    expected: Vec<(String, String)>,
}

/// Runs a job with this order.
fn run(order: &str, rounds: usize) -> Ended {
    let seed = given("WEIR_NEMESIS_SEED").unwrap_or_else(rand::random);
    println!("WEIR_NEMESIS_SEED={seed}");
    let until = given("WEIR_NEMESIS_MINUTES")
        .map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let [first, second, third] = NatsServer::start_cluster();
    let site = Site::on(first);
    site.create_streams_on(3);
    let file = site.stateful(order);
    let hosts = (0..HOSTS).map(|_| site.keep_job(&file)).collect();
    let mut world = World {
        site,
        others: [second, third],
        hosts,
        random: StdRng::seed_from_u64(seed),
        sent: BTreeMap::new(),
        expected: Vec::new(),
        tally: Tally::default(),
    };
    for round in 0.. {
        if until.map_or(round >= rounds, |until| Instant::now() >= until) {
            break;
        }
        world.feed();
        world.strike(&file);
        let (client, some) = (world.site.nats.client(), world.total() / 2);
        wait_until("half of the results are there", || {
            client.count("OUT") >= some
        });
    }
    let results = world.site.wait_for_messages("OUT", world.total());
    world.hosts.iter().for_each(|host| world.tally.add(host));
    println!("{} results, {:?}", results.len(), world.tally);
    Ended {
        results,
        expected: world.expected,
    }
}

#[test]
fn counts_are_exact_whatever_a_seed_does_to_hosts_and_servers() {
    let Ended { results, expected } = run("order: key\n", ROUNDS);
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (subject, count) in expected {
        by_key.entry(subject).or_default().push(count);
    }
    assert_eq!(by_subject(&results), by_key);
}

#[test]
fn the_whole_stream_keeps_its_order_whatever_a_seed_does_to_hosts_and_servers() {
    let Ended { results, expected } = run("order: stream\npartitions: 1\n", ROUNDS_IN_ORDER);
    let found: Vec<(String, String)> = results
        .iter()
        .map(|message| (message.subject.clone(), message.text()))
        .collect();
    assert_eq!(found, expected);
}
