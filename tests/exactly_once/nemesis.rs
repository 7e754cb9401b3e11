//! The nemesis: three hosts on a cluster of three servers, while a seed decides who is killed, stopped for a while,
//! started or told to leave. Counts of keys are exact to the last one, and in order.
//!
//! `WEIR_NEMESIS_MINUTES` and `WEIR_NEMESIS_SEED` make it as long as one likes: `cargo xtask nemesis`.

mod windows;

use super::by_subject;
use crate::harness::{Client, NatsServer, Site, Stored, Weir, signal, wait_until};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
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
    /// Of all pipelines of a host.
    fn add(&mut self, host: &Weir) {
        let page = host.metrics();
        let count = |name: &str| -> f64 {
            let name = format!("weir_{name}_total{{");
            let lines = page.lines().filter(|line| line.starts_with(&name));
            let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            values.sum()
        };
        self.commits += count("job_commits");
        self.resolved += count("job_commits_resolved");
        self.takeovers += count("job_takeovers");
        self.deposed += count("job_deposed");
    }
}

/// What the hosts have to do.
trait Load {
    /// Gives them more of it, whatever becomes of it.
    fn feed(&mut self, client: &Client, random: &mut StdRng);

    /// Whether enough of it is done to give them more.
    fn is_half_done(&self, client: &Client) -> bool;
}

struct World {
    site: Site,
    others: [NatsServer; 2],
    /// The files of the jobs.
    files: Vec<String>,
    hosts: Vec<Weir>,
    random: StdRng,
    tally: Tally,
}

impl World {
    /// Three servers and three hosts with the jobs whose files this writes.
    fn begin(install: impl Fn(&Site) -> Vec<String>) -> Self {
        let seed = given("WEIR_NEMESIS_SEED").unwrap_or_else(rand::random);
        println!("WEIR_NEMESIS_SEED={seed}");
        let [first, second, third] = NatsServer::start_cluster();
        let site = Site::on(first);
        let files = install(&site);
        let mut world = Self {
            site,
            others: [second, third],
            files,
            hosts: Vec::new(),
            random: StdRng::seed_from_u64(seed),
            tally: Tally::default(),
        };
        world.fill();
        world
    }

    fn fill(&mut self) {
        let files: Vec<&str> = self.files.iter().map(String::as_str).collect();
        while self.hosts.len() < HOSTS {
            self.hosts.push(self.site.keep_jobs(&files));
        }
    }

    fn strike(&mut self, load: &mut dyn Load) {
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
                load.feed(self.site.nats.client(), &mut self.random);
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
        self.fill();
    }

    /// So many rounds, or as many as there is time for.
    fn play(&mut self, rounds: usize, load: &mut dyn Load) {
        let until = given("WEIR_NEMESIS_MINUTES")
            .map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
        for round in 0.. {
            if until.map_or(round >= rounds, |until| Instant::now() >= until) {
                return;
            }
            load.feed(self.site.nats.client(), &mut self.random);
            self.strike(load);
            let client = self.site.nats.client();
            wait_until("half of the results are there", || {
                load.is_half_done(client)
            });
        }
    }

    /// What has happened, once all is done.
    fn end(mut self) {
        self.hosts.iter().for_each(|host| self.tally.add(host));
        println!("{:?}", self.tally);
    }
}

/// Commands to count keys.
#[derive(Default)]
struct Counts {
    sent: BTreeMap<usize, usize>,
    /// The results that are to come, in the order of the source.
    expected: Vec<(String, String)>,
}

impl Load for Counts {
    fn feed(&mut self, client: &Client, random: &mut StdRng) {
        for _ in 0..MESSAGES {
            let key = random.random_range(0..KEYS);
            let count = self.sent.entry(key).or_default();
            *count += 1;
            // The second command is none, and makes each message another.
            let script = format!("count; {key}/{count}");
            client.publish_once(&format!("in.{key}"), &script);
            self.expected
                .push((format!("out.{key}"), count.to_string()));
        }
    }

    fn is_half_done(&self, client: &Client) -> bool {
        client.count("OUT") >= self.expected.len() as u64 / 2
    }
}

/// Runs a job with this order: what a stream holds at the end, and what it is to hold.
fn run(order: &str, rounds: usize) -> (Vec<Stored>, Vec<(String, String)>) {
    let mut world = World::begin(|site| {
        site.create_streams_on(3);
        vec![site.stateful(order).to_str().unwrap().to_owned()]
    });
    let mut load = Counts::default();
    world.play(rounds, &mut load);
    let results = world
        .site
        .wait_for_messages("OUT", load.expected.len() as u64);
    world.end();
    (results, load.expected)
}

#[test]
fn counts_are_exact_whatever_a_seed_does_to_hosts_and_servers() {
    let (results, expected) = run("order: key\n", ROUNDS);
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (subject, count) in expected {
        by_key.entry(subject).or_default().push(count);
    }
    assert_eq!(by_subject(&results), by_key);
}

#[test]
fn the_whole_stream_keeps_its_order_whatever_a_seed_does_to_hosts_and_servers() {
    let (results, expected) = run("order: stream\npartitions: 1\n", ROUNDS_IN_ORDER);
    let found: Vec<(String, String)> = results
        .iter()
        .map(|message| (message.subject.clone(), message.text()))
        .collect();
    assert_eq!(found, expected);
}
