//! `delivery: exactly-once`: how fast a job is beside a native loop that commits as it does, and beside weir at
//! least once. What a commit takes is in `jobs/latency.rs`, what a restart does in `jobs/recovery.rs`, how long a
//! failover is in `jobs/failover.rs`, what windows cost in `jobs/windows.rs`, what the queries of NEXMark cost in `jobs/nexmark/`.

pub(crate) mod failover;
pub(crate) mod latency;
pub(crate) mod nexmark;
pub(crate) mod recovery;
mod side;
pub(crate) mod windows;

use std::time::Instant;

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use serde::Serialize;
use tokio::process::Child;
use weir_figures::{Table, median, micros};

use crate::bench::{Bench, LIMIT, LOOK, Run, now, stop};
use crate::feed::{self, Feed};
use crate::server::cpu_seconds;
use side::Side;

/// Pairs of runs of each comparison.
const PAIRS: usize = 3;

/// One comparison.
#[derive(Clone, Copy, Debug)]
struct Comparison {
    name: &'static str,
    feed: Feed,
    /// The operators of each side, and the sides.
    plugins: [&'static [&'static str]; 2],
    sides: [Side; 2],
}

const PASS: &[&str] = &["identity.wasm"];
const CHAIN: &[&str] = &["identity.wasm", "identity.wasm"];
const COUNT: &[&str] = &["count.wasm"];
const ONE: Side = Side::Job {
    partitions: 1,
    keyed: false,
    kept: false,
};
const FOUR: Side = Side::Job {
    partitions: 4,
    keyed: true,
    kept: false,
};
const FOUR_KEPT: Side = Side::Job {
    partitions: 4,
    keyed: true,
    kept: true,
};
/// With as many partitions as there are unless given.
const KEYED: Side = Side::Job {
    partitions: 8,
    keyed: true,
    kept: false,
};
const KEYED_KEPT: Side = Side::Job {
    partitions: 8,
    keyed: true,
    kept: true,
};
const BY_INGEST: Side = Side::AtLeastOnce { ingest: true };
const ONE_BY_ONE: Side = Side::AtLeastOnce { ingest: false };

/// Those of the same feed stand next to each other: they read the same stream.
const COMPARISONS: [Comparison; 8] = [
    Comparison {
        name: "one partition, beside the native loop",
        feed: Feed::Small,
        plugins: [PASS, PASS],
        sides: [ONE, Side::Native],
    },
    Comparison {
        name: "the same, streams in memory",
        feed: Feed::Memory,
        plugins: [PASS, PASS],
        sides: [ONE, Side::Native],
    },
    Comparison {
        name: "four partitions, beside at least once",
        feed: Feed::Keyed,
        plugins: [PASS, PASS],
        sides: [FOUR, BY_INGEST],
    },
    Comparison {
        name: "the same, its results published one by one",
        feed: Feed::Keyed,
        plugins: [PASS, PASS],
        sides: [FOUR, ONE_BY_ONE],
    },
    Comparison {
        name: "the same, its results in the job's stream, beside fast ingest",
        feed: Feed::Keyed,
        plugins: [PASS, PASS],
        sides: [FOUR_KEPT, BY_INGEST],
    },
    Comparison {
        name: "a count of each key, beside passing on",
        feed: Feed::Keyed,
        plugins: [COUNT, PASS],
        sides: [FOUR, FOUR],
    },
    Comparison {
        name: "a chain of two with `order: key`, beside `order: none`",
        feed: Feed::Keyed,
        plugins: [CHAIN, CHAIN],
        sides: [KEYED, BY_INGEST],
    },
    Comparison {
        name: "the same, its results in the job's stream",
        feed: Feed::Keyed,
        plugins: [CHAIN, CHAIN],
        sides: [KEYED_KEPT, BY_INGEST],
    },
];

/// What the figures are.
const METHOD: &str = "Rates are messages a second, from the first result that is sent until the last is in the \
    sink's stream; CPU is per message, that of the processes includes their start. A ratio is the \
    median of the ratios within the pairs of runs, everything else is a median of the runs; the sides alternate in \
    being first. Messages have 128 bytes and, except for the first two rows, one of 100 keys; plugins pass them \
    on unless said otherwise; one lane, one replica. A job commits to a stream of its own, which the sink's stream \
    sources, unless it keeps the results (`sink.in-job-stream`). The native loop has the same two streams: it reads in order without acks, and commits up to 900 \
    messages with a checkpoint whose expected last sequence is checked, one commit in flight, on weir's own wire; \
    it writes no `Weir-Digest`, and does not remove from its stream what the sink has. At least once, results \
    are published with message ids, by fast ingest unless said otherwise. The count reads, adds, writes and emits 128 bytes.";

/// A run of each side, one directly after the other.
#[derive(Clone, Copy, Debug, Serialize)]
struct Pair {
    job: Run,
    beside: Run,
}

#[derive(Debug, Serialize)]
struct Pairs {
    comparison: &'static str,
    pairs: Vec<Pair>,
}

/// Measures every comparison.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    let measure = bench.measure;
    let (messages, count) = (measure.messages(), measure.pairs(PAIRS));
    let (mut all, mut filled) = (Vec::new(), None);
    for (index, comparison) in COMPARISONS.iter().enumerate() {
        if filled != Some(comparison.feed) {
            feed::fill(&bench.context, comparison.feed, messages).await?;
            filled = Some(comparison.feed);
        }
        let mut pairs = Vec::new();
        for number in 0..count {
            let run = async |side: usize| {
                let name = format!("bench-jobs-{index}-{side}-{number}");
                once(bench, comparison, side, &name, messages).await
            };
            let (job, beside) = match number % 2 {
                0 => {
                    let job = run(0).await?;
                    (job, run(1).await?)
                }
                _ => {
                    let beside = run(1).await?;
                    (run(0).await?, beside)
                }
            };
            let (name, number) = (comparison.name, number + 1);
            let (job_rate, rate) = (job.rate, beside.rate);
            eprintln!("bench: {name} {number}/{count}: {job_rate:.0}/s, beside {rate:.0}/s");
            pairs.push(Pair { job, beside });
        }
        let comparison = comparison.name;
        all.push(Pairs { comparison, pairs });
    }
    let method = format!("{METHOD} {messages} messages a run, {count} pairs of runs.");
    let title = "Exactly once: throughput";
    bench.write("jobs", title, method, vec![table(&all)], &all)
}

fn table(all: &[Pairs]) -> Table {
    let columns = ["", "job", "beside", "ratio", "job, CPU", "beside, CPU"];
    let server = ["job, server", "beside, server"];
    let mut table = Table::new(&[columns.as_slice(), &server].concat());
    for Pairs { comparison, pairs } in all {
        let of = |value: &dyn Fn(&Pair) -> f64| median(pairs.iter().map(value));
        table.row([
            (*comparison).to_owned(),
            format!("{:.0}/s", of(&|pair| pair.job.rate)),
            format!("{:.0}/s", of(&|pair| pair.beside.rate)),
            format!("{:.2}", of(&|pair| pair.job.rate / pair.beside.rate)),
            micros(of(&|pair| pair.job.cpu)),
            micros(of(&|pair| pair.beside.cpu)),
            micros(of(&|pair| pair.job.server_cpu)),
            micros(of(&|pair| pair.beside.server_cpu)),
        ]);
    }
    table
}

/// One run of one side, from a full stream to the last result.
async fn once(
    bench: &Bench<'_>,
    comparison: &Comparison,
    which: usize,
    name: &str,
    messages: u64,
) -> Result<Run> {
    let Comparison {
        feed,
        plugins,
        sides,
        ..
    } = *comparison;
    let (Some(side), Some(plugins)) = (sides.get(which), plugins.get(which)) else {
        bail!("a comparison has two sides");
    };
    let client = async_nats::connect(&bench.server.url).await;
    let client = client.context("cannot connect")?;
    let mut first = client
        .subscribe(side.first(name))
        .await
        .context("cannot subscribe")?;
    let one = first.unsubscribe_after(1).await;
    one.context("cannot subscribe")?;
    client.flush().await.context("cannot flush")?;
    let before = cpu_seconds(bench.server.pid)?;
    let mut child = side.start(bench, feed, plugins, name).await?;
    let pid = child.id().context("a side ended at once")?;
    let began = async {
        first.next().await.context("no result was seen")?;
        now()
    };
    let (began, ended) =
        tokio::try_join!(began, stored(bench, &mut child, (*side, name), messages))?;
    let cpu = cpu_seconds(pid)?;
    let server_cpu = cpu_seconds(bench.server.pid)? - before;
    stop(child).await?;
    side.forget(bench, name).await;
    let count = messages as f64;
    Ok(Run {
        rate: count / (ended - began),
        cpu: cpu * 1e6 / count,
        server_cpu: server_cpu * 1e6 / count,
    })
}

/// Waits until so many results are in the sink's stream; the time in seconds since 1970.
async fn stored(
    bench: &Bench<'_>,
    child: &mut Child,
    (side, name): (Side, &str),
    results: u64,
) -> Result<f64> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let stored = side.stored(bench, name).await?;
        match stored.cmp(&results) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => return now(),
            std::cmp::Ordering::Greater => bail!("`{name}` stored {stored} of {results} results"),
        }
        if let Some(status) = child.try_wait().context("cannot look at a side")? {
            bail!("a side ended with {status}: see `{name}.log`");
        }
        if Instant::now() > deadline {
            bail!("`{name}` is stuck at {stored} of {results}");
        }
        tokio::time::sleep(LOOK).await;
    }
}
