//! A job loses nothing, repeats nothing, and its state is that of its input, on a real server as on the model:
//! while owners crash and take its partition from each other, answers and messages are lost, and the server is
//! killed.
//!
//! What happens follows from a seed but for the threads and the server. `WEIR_SEED=N` runs one seed.

mod commits;
mod fold;
mod hosts;
mod oracle;
mod tables;

use crate::harness::{Fate, NatsServer, Proxy, Sender, Stored, wait_for, wait_until};
use anyhow::bail;
use async_nats::HeaderMap;
use async_nats::jetstream::stream::Config;
use commits::make_stream;
use fold::{Fold, Mistake};
use hosts::{GROUPS, Owner, World, log, settings};
use oracle::{Event, Oracle, Published};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use weir::job::log::Log;
use weir::job::recovery::Recovery;
use weir::threads::block_on;

mod api {
    pub use weir::job::log::{Checkpoint, Input, Snapshot};
    pub use weir::job::work::{Effects, Unreadable, Unsealed, Work};
    pub use weir::outgoing::OutgoingMessage;
}

const KEYS: u8 = 5;
/// Results of a message that fit into a commit, and a number that does not.
const FITS: u8 = 3;
const EXCEEDS: u8 = 60;

/// Results and dead letters in the stream, as far as they have been read.
#[derive(Default)]
struct Results {
    read: [u64; 2],
    published: Vec<Published>,
}

impl Results {
    /// All that there are now, those of each kind in order.
    fn all(&mut self, server: &NatsServer) -> &[Published] {
        let jetstream = &server.client().jetstream;
        let Some(stream) = answer(server, jetstream.get_stream("JOB")) else {
            return &self.published;
        };
        for (read, filter) in self.read.iter_mut().zip(["job.out.>", "job.dead.>"]) {
            loop {
                let next = stream.raw_message_builder().sequence(*read + 1);
                let Some(message) = answer(server, next.next_by_subject(filter).send()) else {
                    break;
                };
                *read = message.sequence;
                self.published.push(Published::read(&message.payload));
            }
        }
        &self.published
    }
}

/// The answer to a question, if there is one: in a cluster without a leader it is lost.
fn answer<T, E>(
    server: &NatsServer,
    question: impl IntoFuture<Output = Result<T, E>>,
) -> Option<T> {
    let question = question.into_future();
    let asked = async { tokio::time::timeout(Duration::from_secs(5), question).await };
    server.client().run(asked).ok()?.ok()
}

/// The state in the stream, and whether nothing waits in it.
fn recovered(url: &str) -> Result<Fold, String> {
    let recover = async {
        let log = log(url).await?;
        let Some(held) = log.checkpoint().await? else {
            bail!("there is no checkpoint");
        };
        let (fence, now) = (held.fence, Rc::new(Cell::new(0)));
        let mut fold = Fold::new(GROUPS, now, Mistake::None);
        let mut recovery = Recovery::new(held, 0..GROUPS, 0);
        log.recover(fence, &mut |stored| recovery.take(stored, &mut fold))
            .await?;
        match recovery.finish(settings().bounds) {
            Ok(_) => Ok(fold),
            Err(why) => bail!("{why:?}"),
        }
    };
    block_on(recover).map_err(|error| format!("{error:#}"))
}

fn event(random: &mut StdRng) -> Event {
    Event {
        key: random.random_range(0..KEYS),
        timer: random.random_range(0_u8..6).saturating_sub(3),
        failures: u8::from(random.random_ratio(1, 6)),
        results: match random.random_range(0..20) {
            0 => 0,
            1 => EXCEEDS,
            more => 1 + more % FITS,
        },
    }
}

/// What is lost between hosts and the server, once in so many times.
fn lossy(proxy: &Proxy, seed: u64) {
    let mut random = StdRng::seed_from_u64(!seed);
    proxy.rule(move |sender, _, content| {
        let of = match sender {
            Sender::Server if content.contains("\"batch\":") => 5,
            Sender::Host if content.contains("Nats-Batch-Commit") => 10,
            Sender::Host if content.contains("Nats-Batch-Id") => 100,
            _ => return Fate::Arrives,
        };
        match random.random_ratio(1, of) {
            true => Fate::Lost,
            false => Fate::Arrives,
        }
    });
}

/// Runs a job over some input while things go wrong. Of one server it is the server that is killed, of a
/// cluster one of the others.
fn world(seed: u64, mut servers: Vec<NatsServer>, kills: bool) {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let replicas = servers.len();
    servers[0].client().create_stream_with(Config {
        name: "IN".to_owned(),
        subjects: vec!["in".to_owned()],
        num_replicas: replicas,
        ..Config::default()
    });
    make_stream(&servers[0], replicas);
    let proxy = Proxy::before(&servers[0]);
    lossy(&proxy, seed);
    let world = Arc::new(World::default());
    let start = || Owner::start(&proxy.url(), &world);
    let mut owners = vec![start()];
    let mut oracle = Oracle::default();
    let mut sequence = 0;
    let rounds = 12;
    for round in 0..rounds {
        let before = sequence_of(&servers[0]);
        for _ in 0..random.random_range(5..20) {
            sequence += 1;
            let event = event(&mut random);
            publish(&servers[0], sequence, event);
            oracle.add(sequence, event, FITS);
        }
        match random.random_range(0..4) {
            0 if owners.len() < 3 => owners.push(start()),
            1 => {
                owners.swap_remove(random.random_range(0..owners.len()));
                owners.push(start());
            }
            _ => {}
        }
        if kills && round % 4 == 3 {
            let victim = random.random_range(1..4) % replicas;
            let victim = if replicas > 1 { victim.max(1) } else { 0 };
            servers[victim].kill9();
            servers[victim].start_again();
        }
        // Something goes on in each round.
        wait_until("a commit is stored", || {
            world.clock.fetch_add(1, Ordering::Relaxed);
            check(&world, &servers[0]);
            sequence_of(&servers[0]) > before
        });
    }
    proxy.release();
    let mut results = Results::default();
    wait_for("all is processed", || {
        world.clock.fetch_add(1, Ordering::Relaxed);
        check(&world, &servers[0]);
        oracle.compare(results.all(&servers[0]))
    });
    drop(owners);
    // A server that lags behind answers with an older checkpoint than it reads then.
    let fold = wait_for("the state is read", || recovered(&servers[0].url()));
    oracle.compare(results.all(&servers[0])).unwrap();
    oracle.compare_state(&fold).unwrap();
    println!(
        "{sequence} messages, {} owners, {} deposed, {} went on as standbys, {} commits resolved, {} requests failed",
        world.owners.load(Ordering::Relaxed),
        world.deposed.load(Ordering::Relaxed),
        world.warm.load(Ordering::Relaxed),
        world.resolved.load(Ordering::Relaxed),
        world.failed.load(Ordering::Relaxed),
    );
}

/// Fails with what is in the stream, if an owner ended that should not.
fn check(world: &World, server: &NatsServer) {
    let fault = world.fault.lock().unwrap().take();
    if let Some(fault) = fault {
        for stored in server.client().messages("JOB") {
            let Stored {
                subject, sequence, ..
            } = &stored;
            let header = |name| stored.header(name).unwrap_or_default();
            println!(
                "{sequence} {subject} {} {}",
                header("Weir-Record"),
                header("Weir-Part")
            );
        }
        panic!("an owner ended: {fault}");
    }
}

/// The last sequence of the job's stream, if the server says.
fn sequence_of(server: &NatsServer) -> u64 {
    let stream = answer(server, server.client().jetstream.get_stream("JOB"));
    stream.map_or(0, |stream| stream.cached_info().state.last_sequence)
}

/// Publishes a message of the input, once.
fn publish(server: &NatsServer, sequence: u64, event: Event) {
    let client = server.client();
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", sequence.to_string());
    wait_for("a message is published", || {
        let (headers, payload) = (headers.clone(), event.payload());
        let sent = client
            .jetstream
            .publish_with_headers("in", headers, payload);
        let ack = answer(server, async { sent.await?.await }).ok_or("no answer")?;
        assert_eq!(ack.sequence, sequence);
        Ok(())
    });
}

fn seeds(default: std::ops::Range<u64>) -> Vec<u64> {
    let one = std::env::var("WEIR_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    one.map_or(default.collect(), |seed| vec![seed])
}

#[test]
fn owners_that_crash_and_depose_each_other_and_lost_answers_change_no_result_of_a_job() {
    for seed in seeds(0..2) {
        world(seed, vec![NatsServer::start()], false);
    }
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_commits_changes_no_result_of_a_job() {
    for seed in seeds(10..11) {
        world(seed, vec![NatsServer::start()], true);
    }
}

#[test]
fn servers_of_a_cluster_that_are_killed_in_turn_change_no_result_of_a_job() {
    for seed in seeds(20..22) {
        world(seed, NatsServer::start_cluster().into(), true);
    }
}
