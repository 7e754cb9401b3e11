//! What a commit takes, and how much later a result is there than at least once: 100 messages a second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, push};
use async_nats::{Client, Message, Subscriber};
use futures_util::stream::select;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use weir_figures::{Table, median, micros};

use super::side::Side;
use super::{BY_INGEST, ONE, PASS};
use crate::bench::{Bench, stop};
use crate::case::OUT;
use crate::delay::{Delays, now};
use crate::feed::{self, Feed};

/// Between two messages: 100 a second.
const PACE: Duration = Duration::from_millis(10);
/// Messages that are measured in each run, and those before them, which are not.
const MEASURED: u64 = 600;
const WARMING: u64 = 100;
/// Runs of each side.
const PAIRS: usize = 3;
/// A message that is not seen within this is lost, not late.
const LIMIT: Duration = Duration::from_secs(30);
/// Where results are delivered.
const SEEN: &str = "bench-seen";

/// Where the streams are kept.
const FEEDS: [(&str, Feed); 2] = [("files", Feed::Paced), ("memory", Feed::PacedMemory)];

/// A run of each side, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Pair {
    /// The streams are in it.
    storage: &'static str,
    job: Delays,
    at_least_once: Delays,
    /// From the first message of a commit until its answer.
    commit: Delays,
}

/// Runs in pairs, the sides in turn first.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    let (count, mut pairs) = (bench.measure.pairs(PAIRS), Vec::new());
    for (storage, feed) in FEEDS {
        feed::create(&bench.context, feed).await?;
        for number in 0..count {
            let (job, at_least_once) = match number % 2 {
                0 => {
                    let job = once(bench, ONE, feed, number).await?;
                    (job, once(bench, BY_INGEST, feed, number).await?)
                }
                _ => {
                    let at_least_once = once(bench, BY_INGEST, feed, number).await?;
                    (once(bench, ONE, feed, number).await?, at_least_once)
                }
            };
            let pair = Pair {
                storage,
                job: job.0,
                at_least_once: at_least_once.0,
                commit: job.1,
            };
            let (number, delay, commit) = (number + 1, pair.job.p50, pair.commit.p50);
            eprintln!(
                "bench: jobs in {storage}, {number}/{count}: p50 {delay:.0} us, commit {commit:.0} us"
            );
            pairs.push(pair);
        }
    }
    let method = format!(
        "*Delay* is from publish until a consumer of the sink's stream receives the result: a job's are sourced from its \
         own stream. *Commit* is from the first message of a commit until its answer, as another client \
         sees both: what the server sends to it at once counts as no time. {MEASURED} messages of 128 bytes a run, one partition, {count} pairs of runs; medians \
         of the runs."
    );
    let title = "Exactly once: commits and delay at 100 messages a second";
    let table = table(&pairs);
    bench.write("jobs-delay", title, method, vec![table], &pairs)
}

fn table(pairs: &[Pair]) -> Table {
    let mut table = Table::new(&["", "commit", "delay", "at least once", "added"]);
    for (storage, _) in FEEDS {
        for (name, of) in [
            ("p50", (|delays| delays.p50) as fn(&Delays) -> f64),
            ("p99", |delays| delays.p99),
        ] {
            let middle = |value: &dyn Fn(&Pair) -> f64| {
                let those = pairs.iter().filter(|pair| pair.storage == storage);
                median(those.map(value))
            };
            table.row([
                format!("{name}, streams in {storage}"),
                micros(middle(&|pair| of(&pair.commit))),
                micros(middle(&|pair| of(&pair.job))),
                micros(middle(&|pair| of(&pair.at_least_once))),
                micros(middle(&|pair| of(&pair.job) - of(&pair.at_least_once))),
            ]);
        }
    }
    table
}

/// Delays of results and of commits; of these there are none at least once.
async fn once(
    bench: &Bench<'_>,
    side: Side,
    feed: Feed,
    number: usize,
) -> Result<(Delays, Delays)> {
    let kind = match side {
        Side::Job { .. } => "job",
        _ => "once",
    };
    let name = format!("bench-jobs-delay-{feed:?}-{kind}-{number}").to_lowercase();
    let stream = bench.context.get_stream(feed.stream()).await;
    let stream = stream.context("cannot look at the stream")?;
    stream.purge().await.context("cannot empty the stream")?;
    let child = side.start(bench, feed, PASS, &name).await?;
    let config = push::Config {
        deliver_subject: SEEN.to_owned(),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::None,
        ..Default::default()
    };
    // Each has its connection: none waits for what another takes in.
    let clients = async || async_nats::connect(&bench.server.url).await;
    let (sender, receiver) = (clients().await?, clients().await?);
    let results = receiver.subscribe(SEEN).await;
    let results = results.context("cannot subscribe")?;
    receiver.flush().await.context("cannot flush")?;
    let consumer = bench.context.create_consumer_on_stream(config, OUT).await;
    consumer.context("cannot create a consumer")?;
    // Not all subjects: requests that nobody answers would have a receiver.
    let watcher = clients().await?;
    let sent = watcher.subscribe(format!("weir.job.{name}.>")).await;
    let answers = watcher.subscribe("_INBOX.>").await;
    let (Ok(sent), Ok(answers)) = (sent, answers) else {
        bail!("cannot subscribe");
    };
    let mut commits = Commits::default();
    let delays = tokio::select! {
        seen = async { tokio::join!(send(&sender, feed), receive(results)) } => {
            seen.0?;
            seen.1?
        }
        never = commits.watch(select(sent, answers)) => return Err(never),
    };
    stop(child).await?;
    side.forget(bench, &name).await;
    let measured = commits.took.split_off(commits.took.len() / 10);
    Ok((delays, Delays::of(measured)))
}

/// Publishes at an even pace, each message with the time at which it was sent.
async fn send(client: &Client, feed: Feed) -> Result<()> {
    let mut pace = tokio::time::interval(PACE);
    for _ in 0..WARMING + MEASURED {
        pace.tick().await;
        let payload = feed.payload(now()?);
        let sent = client.publish(feed.filter(), payload).await;
        sent.context("cannot publish")?;
    }
    Ok(())
}

/// Takes the results as they come, until the last has come.
async fn receive(mut results: Subscriber) -> Result<Delays> {
    let mut delays = Vec::new();
    let deadline = Instant::now() + PACE * 700 + LIMIT;
    for number in 0..WARMING + MEASURED {
        let next = tokio::time::timeout_at(deadline.into(), results.next()).await;
        let Ok(Some(message)) = next else {
            bail!("{number} results were seen, and no more");
        };
        let seen = now()?;
        let sent: u64 = std::str::from_utf8(&message.payload)?.parse()?;
        if number >= WARMING {
            delays.push(seen.saturating_sub(sent) as f64 / 1e3);
        }
    }
    Ok(Delays::of(delays))
}

/// Commits that were seen.
#[derive(Default)]
struct Commits {
    /// By the inbox of its answer, when the first message of a commit was sent.
    open: HashMap<String, u64>,
    /// Microseconds until the answer, in their order.
    took: Vec<f64>,
}

impl Commits {
    /// Watches the messages of a job and all answers. Ends only by failing.
    async fn watch(&mut self, mut seen: impl Stream<Item = Message> + Unpin) -> anyhow::Error {
        while let Some(message) = seen.next().await {
            let Ok(now) = now() else { continue };
            let first = message.headers.as_ref().is_some_and(|headers| {
                headers
                    .get("Nats-Batch-Sequence")
                    .is_some_and(|number| number.as_str() == "1")
            });
            match message.reply {
                Some(reply) if first => {
                    self.open.insert(reply.to_string(), now);
                }
                // The first message of a commit has an answer too, which is empty.
                None if !message.payload.is_empty() => {
                    if let Some(began) = self.open.remove(message.subject.as_str()) {
                        self.took.push(now.saturating_sub(began) as f64 / 1e3);
                    }
                }
                _ => {}
            }
        }
        anyhow::anyhow!("the connection is closed")
    }
}
