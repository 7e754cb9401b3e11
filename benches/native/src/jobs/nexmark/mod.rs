//! The queries of NEXMark as the pipelines of `examples/nexmark`, beside the same by hand in Rust with the same
//! promises. A run whose rows are not those of the oracle has no figure.
//!
//! | file | what it does |
//! |---|---|
//! | `asked.rs` | the queries that are measured |
//! | `run.rs` | one run of a query, by weir or by hand |
//! | `queries.rs` | the queries by hand: of one event, and within windows |
//! | `winning.rs` | those by hand that are chains of two pipelines |
//! | `events.rs` | what they read |
//! | `table.rs` | what they keep, and a log of its changes |
//! | `lane.rs` | the loop that all of them share |

mod asked;
mod events;
pub(crate) mod lane;
mod queries;
mod run;
mod table;
mod winning;

use anyhow::{Context, Result};
use example_streams::Streams;
use nexmark_oracle::{Event, QUERIES};
use serde::Serialize;
use weir_figures::{Table, median, micros};

use super::Pair;
use crate::bench::Bench;
use asked::ASKED;
use run::{Fed, Side};

const STREAM: &str = "NEXMARK";
const SEED: u64 = 1;
/// Pairs of runs of each query.
const PAIRS: usize = 3;

/// What the figures are.
const METHOD: &str = "The pipelines of `examples/nexmark`, with the standard plugins and the plugin in Rust there, \
    beside the same queries by hand in Rust (`benches/native/src/jobs/nexmark`). Rates are events a second, from \
    the first commit until that of the last event; CPU is for each event in this time. A ratio is the median of the \
    ratios within the pairs of runs, everything else is a median of the runs; the sides alternate in being first. \
    The stream has only events that the query reads: the first of seed 1. Both sides have one partition, one \
    replica, and one thread, weir for each pipeline; the server refuses a commit unless the last checkpoint is that \
    of the side. A run whose rows are not those of the oracle has no figure. By hand the state is in memory; \
    results, a log of its changes and the position are stored in one commit of up to 900 results, as weir's, or \
    4096 events, one commit in flight, on weir's own wire. It writes no `Weir-Digest` and no snapshots, and does \
    not remove from its stream what the sink has. After two seconds without an event, which are not in the rate, \
    all windows end. Queries 4 and 6 are two pipelines in one \
    host with a stream between them, and end when the second has read what the first has published by its last \
    event; by hand both steps are one, without that stream.";

#[derive(Debug, Serialize)]
struct Pairs {
    query: &'static str,
    results: u64,
    pairs: Vec<Pair>,
}

/// Measures every query.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    let (messages, count) = (bench.measure.messages(), bench.measure.pairs(PAIRS));
    let nats = bench.server.url.clone();
    let streams = example_streams::Server { nats }.connect().await?;
    let (mut all, mut filled, mut events) = (Vec::new(), None, Vec::new());
    for asked in &ASKED {
        let query = QUERIES.iter().find(|query| query.name == asked.name);
        let query = query.with_context(|| format!("the oracle has no query `{}`", asked.name))?;
        if filled != Some(asked.reads) {
            events = fill(bench, &streams, asked.reads, messages).await?;
            filled = Some(asked.reads);
        }
        let feed = Fed {
            bench,
            streams: &streams,
            asked,
            query,
            events: &events,
        };
        let mut pairs = Vec::new();
        for number in 0..count {
            let (job, beside) = match number % 2 {
                0 => {
                    let job = feed.once(Side::Weir, number).await?;
                    (job, feed.once(Side::Native, number).await?)
                }
                _ => {
                    let beside = feed.once(Side::Native, number).await?;
                    (feed.once(Side::Weir, number).await?, beside)
                }
            };
            let (number, job_rate, rate) = (number + 1, job.rate, beside.rate);
            eprintln!(
                "bench: {} {number}/{count}: {job_rate:.0}/s, by hand {rate:.0}/s",
                asked.says
            );
            pairs.push(Pair { job, beside });
        }
        all.push(Pairs {
            query: asked.says,
            results: (query.results)(&events) as u64,
            pairs,
        });
    }
    let method = format!("{METHOD} {messages} events a run, {count} pairs of runs.");
    let title = "Exactly once: NEXMark";
    bench.write("nexmark", title, method, vec![table(&all)], &all)
}

fn table(all: &[Pairs]) -> Table {
    let columns = ["query", "weir", "by hand", "ratio", "weir, CPU"];
    let more = ["by hand, CPU", "weir, server", "by hand, server", "results"];
    let mut table = Table::new(&[columns.as_slice(), &more].concat());
    for Pairs {
        query,
        results,
        pairs,
    } in all
    {
        let of = |value: &dyn Fn(&Pair) -> f64| median(pairs.iter().map(value));
        table.row([
            (*query).to_owned(),
            format!("{:.0}/s", of(&|pair| pair.job.rate)),
            format!("{:.0}/s", of(&|pair| pair.beside.rate)),
            format!("{:.2}", of(&|pair| pair.job.rate / pair.beside.rate)),
            micros(of(&|pair| pair.job.cpu)),
            micros(of(&|pair| pair.beside.cpu)),
            micros(of(&|pair| pair.job.server_cpu)),
            micros(of(&|pair| pair.beside.server_cpu)),
            results.to_string(),
        ]);
    }
    table
}

/// A new stream with the first events of these kinds.
async fn fill(
    bench: &Bench<'_>,
    streams: &Streams,
    reads: &[&str],
    messages: u64,
) -> Result<Vec<Event>> {
    eprintln!("bench: filling {STREAM} with {messages} of {reads:?}");
    let events = nexmark_oracle::events(SEED, u64::MAX);
    let events = events.filter(|event| reads.contains(&event.kind()));
    let events: Vec<Event> = events.take(usize::try_from(messages)?).collect();
    drop(bench.context.delete_stream(STREAM).await);
    streams.create(STREAM, "nexmark.*").await?;
    let messages: Result<Vec<_>, _> = events.iter().map(Event::message).collect();
    streams.publish(messages?).await?;
    Ok(events)
}
