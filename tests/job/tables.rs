//! A partition that begins to read has its table as that is then before its first row, whatever the other partitions of
//! its thread read and whoever writes meanwhile.

use super::hosts::nats;
use super::seeds;
use crate::harness::{Client, NatsServer};
use async_nats::ConnectOptions;
use async_nats::jetstream::stream::Config;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use weir::job::jetstream::{Inputs, JetStream, Place, Source};
use weir::job::log::{Log, Progress};
use weir::nats::wire::Wire;
use weir::telemetry::metrics::Counter;
use weir::threads::runtime;

const PARTITIONS: u16 = 3;
const KEYS: u64 = 12;
const PATIENCE: Duration = Duration::from_secs(10);
/// The place of the table among the inputs.
const TABLE: usize = 1;

/// The partition of the messages on this subject, which ends with a number.
fn partition(subject: &str) -> u16 {
    let number = subject.rsplit('.').next().and_then(|it| it.parse().ok());
    number.unwrap_or(0_u16) % PARTITIONS
}

/// What a partition has read.
struct Reader {
    log: JetStream,
    behind: Vec<Progress>,
    /// Of each key of the table, where its last message is.
    table: BTreeMap<String, u64>,
    rows: Vec<u64>,
}

impl Reader {
    /// Reads until it has so many rows. Before the first of them the table has everything that it had in `then`.
    async fn read(&mut self, rows: usize, then: &[(String, u64)], seed: u64) {
        while self.rows.len() < rows {
            let Ok(read) = self.log.read(&self.behind, 64).await else {
                continue;
            };
            for (input, position) in read.passed {
                self.behind[input].advance(position);
            }
            for message in read.messages {
                let (sequence, subject) = (message.message.sequence, message.message.subject);
                self.behind[message.input].advance(sequence);
                if message.input == TABLE {
                    self.table.insert(subject.to_string(), sequence);
                    continue;
                }
                for (key, sequence) in then {
                    let known = self.table.get(key);
                    assert!(
                        known >= Some(sequence),
                        "seed {seed}: {key} is at {known:?}"
                    );
                }
                self.rows.push(sequence);
            }
        }
    }
}

async fn inputs(url: &str) -> (Wire, Rc<Inputs>) {
    let wire = Wire::connect(&nats(url), "job", Counter::default()).await;
    let wire = wire.unwrap();
    let source = |stream: &str| Source {
        name: stream.into(),
        stream: stream.to_owned(),
        filters: Vec::new(),
        is_table: stream == "TABLE",
        deal: Box::new(|message| (partition(&message.subject), true)),
    };
    let sources = ["ROWS", "TABLE"].map(source).into();
    let inputs = Inputs::new(&wire, sources, PATIENCE);
    (wire, Rc::new(inputs))
}

/// Ends the writing when it goes, also where an assertion fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes to all keys of the table until it is to stop.
fn write(url: &str, stop: &AtomicBool) {
    let client = Client::connect(url, ConnectOptions::new());
    for number in (0..KEYS).cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        client.publish(&format!("table.{number}"), "later");
    }
}

#[test]
fn no_partition_reads_a_row_before_the_table_is_as_it_was_when_the_partition_began() {
    let first: u64 = rand::random_range(0..1 << 40);
    let seed = seeds(first..first + 1)[0];
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let server = NatsServer::start();
    let client = server.client();
    client.create_stream("ROWS", &["rows.>"]);
    // As a bucket: the last message of each key.
    client.create_stream_with(Config {
        name: "TABLE".to_owned(),
        subjects: vec!["table.>".to_owned()],
        max_messages_per_subject: 1,
        ..Config::default()
    });
    let runtime = runtime().unwrap();
    let (wire, inputs) = runtime.block_on(inputs(&server.url()));
    let open = Arc::new(Semaphore::new(1));
    let reader = |partition| {
        let place = Place {
            stream: "JOB".to_owned(),
            prefix: "job".to_owned(),
            keeps_results: false,
            stages: false,
            partition,
            part: 1 << 10,
            patience: PATIENCE,
        };
        Reader {
            log: JetStream::new(wire.clone(), place, Arc::clone(&open), Rc::clone(&inputs)),
            behind: ["ROWS", "TABLE"]
                .map(|stream| Progress::at(stream, 0))
                .into(),
            table: BTreeMap::new(),
            rows: Vec::new(),
        }
    };
    let mut readers: Vec<Reader> = (0..PARTITIONS).map(reader).collect();
    let mut rows = [0; PARTITIONS as usize];
    for _ in 0..12 {
        let mut table: BTreeMap<String, u64> = BTreeMap::new();
        for _ in 0..random.random_range(0..60) {
            let subject = format!("table.{}", random.random_range(0..KEYS));
            let sequence = client.publish(&subject, "value");
            table.insert(subject, sequence);
        }
        // Its end is removed without a word.
        if random.random_bool(0.3)
            && let Some((subject, sequence)) = table.clone().into_iter().max_by_key(|it| it.1)
        {
            client.delete("TABLE", sequence);
            table.remove(&subject);
        }
        for _ in 0..random.random_range(0..30) {
            let subject = format!("rows.{}", random.random_range(0..KEYS));
            client.publish(&subject, "row");
            rows[usize::from(partition(&subject))] += 1;
        }
        let stop = AtomicBool::new(false);
        let is_busy = random.random_bool(0.5);
        let url = server.url();
        std::thread::scope(|scope| {
            let _stop = Stop(&stop);
            if is_busy {
                scope.spawn(|| write(&url, &stop));
            }
            let reads = readers.iter_mut().zip(0..).map(|(reader, number)| {
                let begins = random.random_bool(0.5);
                if begins {
                    inputs.leave(number);
                }
                let is_its = |key: &str| begins && partition(key) == number;
                let then = table.iter().filter(|(key, _)| is_its(key));
                let then: Vec<(String, u64)> = then.map(|(key, at)| (key.clone(), *at)).collect();
                let rows = rows[usize::from(number)];
                async move { reader.read(rows, &then, seed).await }
            });
            runtime.block_on(join_all(reads.collect::<Vec<_>>()));
        });
    }
    for Reader { rows, .. } in readers {
        assert!(rows.is_sorted_by(|one, next| one < next), "seed {seed}");
    }
}
