//! What windows cost: a message by the kind of its windows, many keys whose windows end together, and the memory
//! of an open window.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use async_nats::jetstream::stream;
use async_nats::{HeaderMap, Subscriber};
use futures_util::StreamExt;
use serde::Serialize;
use tokio::process::Child;
use weir_figures::{Table, median, micros, resident};

use super::recovery::position;
use super::side::weir;
use crate::bench::{Bench, LIMIT, LOOK, now, stop};
use crate::case::{self, Case, IDENTITY, OUT, OUT_SUBJECT};
use crate::server::cpu_seconds;

const STREAM: &str = "BENCH_EVENTS";
/// A key follows.
const SUBJECT: &str = "bench.events";
/// Runs of each kind.
const ROUNDS: usize = 3;
/// Keys of the messages whose cost is measured, and milliseconds of event time between two messages.
const KEYS: u64 = 100;
const STEP: u64 = 1;
/// Keys whose windows end together; fewer in a quick run, and for the memory without them.
const MANY: u64 = 100_000;
const FEW: u64 = 1_000;
/// Publishes that may be unacknowledged at once.
const PENDING: u64 = 2000;

/// The windows, and what is said of them. The first is no windows: passing on.
const KINDS: [(&str, Option<&str>); 5] = [
    ("none: passing on", None),
    ("tumbling, 10 s", Some("{ tumbling: 10s }")),
    ("session, a gap of 1 s", Some("{ session: { gap: 1s } }")),
    (
        "hopping, 60 open: 60 s every second",
        Some("{ hopping: { size: 60s, every: 1s } }"),
    ),
    (
        "the same with allowed lateness, which shares nothing",
        Some("{ hopping: { size: 60s, every: 1s }, allowed-lateness: 1s }"),
    ),
];

/// One run.
#[derive(Clone, Copy, Debug, Serialize)]
struct Cost {
    /// Messages a second.
    rate: f64,
    /// CPU of the host and of the server, in microseconds a message.
    cpu: f64,
    server_cpu: f64,
    /// Results, for each message.
    results: f64,
}

#[derive(Debug, Serialize)]
struct Kind {
    windows: &'static str,
    runs: Vec<Cost>,
}

/// Windows that end together.
#[derive(Clone, Copy, Debug, Serialize)]
struct Firing {
    keys: u64,
    /// Seconds from the message that ends them until all results are in the sink's stream.
    seconds: f64,
    /// The longest time in it between two commits, in milliseconds.
    longest_ms: f64,
    /// Bytes that the host has resident before, for each key that it has more than in a run with few.
    a_key: f64,
}

#[derive(Debug, Serialize)]
struct Figures {
    kinds: Vec<Kind>,
    firing: Vec<Firing>,
}

/// Measures every kind, and windows that end together.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    let (messages, rounds) = (bench.measure.messages(), bench.measure.pairs(ROUNDS));
    let times = (0..messages).map(|number| (number % KEYS, number * STEP));
    fill(bench, times).await?;
    let mut kinds = Vec::new();
    for (index, (name, windows)) in KINDS.into_iter().enumerate() {
        let mut runs = Vec::new();
        for round in 0..rounds {
            let pipeline = format!("bench-windows-{index}-{round}");
            let cost = once(bench, &pipeline, windows, messages).await?;
            eprintln!("bench: windows {name}: {:.0}/s", cost.rate);
            runs.push(cost);
        }
        kinds.push(Kind {
            windows: name,
            runs,
        });
    }
    let many = if bench.measure.quick { MANY / 10 } else { MANY };
    let mut firing = Vec::new();
    for round in 0..rounds {
        let least = fire(bench, &format!("bench-few-{round}"), FEW).await?;
        let most = fire(bench, &format!("bench-many-{round}"), many).await?;
        let (seconds, longest_ms) = (most.seconds, most.longest_ms);
        eprintln!("bench: {many} windows at once: {seconds:.2} s, {longest_ms:.0} ms");
        firing.push(Firing {
            a_key: (most.a_key - least.a_key) / (many - FEW) as f64,
            ..most
        });
    }
    let method = format!(
        "The plugin `aggregate` counts messages and adds up a field of them; JSON of 128 bytes, one of {KEYS} keys, \
         {STEP} ms of event time between two, one partition. *Host* and *server* are CPU a message, with the start \
         and the results; *results* are those for each message. *At once*: a window of each key, which the same message ends; the longest time \
         between two commits meanwhile is how long anything else may wait. *A window* is resident memory of the \
         host for each key with its open window. {messages} messages a run; medians of {rounds} runs."
    );
    let tables = vec![cost_table(&kinds), firing_table(&firing)];
    let all = Figures { kinds, firing };
    bench.write(
        "jobs-windows",
        "Exactly once: windows",
        method,
        tables,
        &all,
    )
}

fn cost_table(kinds: &[Kind]) -> Table {
    let mut table = Table::new(&["windows", "rate", "host", "server", "results"]);
    for Kind { windows, runs } in kinds {
        let of = |value: &dyn Fn(&Cost) -> f64| median(runs.iter().map(value));
        table.row([
            (*windows).to_owned(),
            format!("{:.0}/s", of(&|cost| cost.rate)),
            micros(of(&|cost| cost.cpu)),
            micros(of(&|cost| cost.server_cpu)),
            format!("{:.3}", of(&|cost| cost.results)),
        ]);
    }
    table
}

fn firing_table(firing: &[Firing]) -> Table {
    let mut table = Table::new(&["at once", "all results after", "longest commit", "a window"]);
    let of = |value: &dyn Fn(&Firing) -> f64| median(firing.iter().map(value));
    table.row([
        firing.first().map_or(0, |run| run.keys).to_string(),
        format!("{:.2} s", of(&|run| run.seconds)),
        format!("{:.0} ms", of(&|run| run.longest_ms)),
        format!("{:.0} B", of(&|run| run.a_key)),
    ]);
    table
}

/// One run over the stream.
async fn once(bench: &Bench<'_>, name: &str, windows: Option<&str>, messages: u64) -> Result<Cost> {
    let server_before = cpu_seconds(bench.server.pid)?;
    let mut child = start(bench, name, windows).await?;
    let (began, first) = reached(bench, &mut child, name, 1).await?;
    let (ended, last) = reached(bench, &mut child, name, messages).await?;
    let cpu = cpu_seconds(child.id().context("weir ended")?)?;
    stop(child).await?;
    let server_cpu = cpu_seconds(bench.server.pid)? - server_before;
    let (results, _) = bench.stored().await?;
    let count = messages as f64;
    Ok(Cost {
        rate: (last - first) as f64 / (ended - began),
        cpu: cpu * 1e6 / count,
        server_cpu: server_cpu * 1e6 / count,
        results: results as f64 / count,
    })
}

/// Windows of so many keys that one message ends. The memory is what the host has resident before.
async fn fire(bench: &Bench<'_>, name: &str, keys: u64) -> Result<Firing> {
    fill(bench, (0..keys).map(|key| (key, 0))).await?;
    let mut child = start(bench, name, Some("{ tumbling: 10s }")).await?;
    reached(bench, &mut child, name, keys).await?;
    let memory = resident(child.id())? as f64;
    let client = async_nats::connect(&bench.server.url).await?;
    let commits = client.subscribe(format!("weir.job.{name}.ckpt.0")).await?;
    client.flush().await.context("cannot flush")?;
    let began = now()?;
    publish(bench, 0, 3_600_000).await?.await?;
    let longest = tokio::time::timeout(LIMIT, longest(commits, bench, keys)).await;
    let longest = longest.with_context(|| format!("`{name}` is stuck"))??;
    let ended = now()?;
    stop(child).await?;
    Ok(Firing {
        keys,
        seconds: ended - began,
        longest_ms: longest * 1e3,
        a_key: memory,
    })
}

/// The longest time between two commits until so many results are there, in seconds.
async fn longest(mut commits: Subscriber, bench: &Bench<'_>, results: u64) -> Result<f64> {
    let (mut last, mut longest) = (Instant::now(), 0.0_f64);
    loop {
        tokio::select! {
            commit = commits.next() => {
                commit.context("the connection is closed")?;
                longest = longest.max(last.elapsed().as_secs_f64());
                last = Instant::now();
            }
            () = tokio::time::sleep(LOOK) => {
                if bench.stored().await?.0 >= results {
                    return Ok(longest);
                }
            }
        }
    }
}

/// Waits until the job has committed so many messages; the time in seconds since 1970, and how many then.
async fn reached(
    bench: &Bench<'_>,
    child: &mut Child,
    name: &str,
    messages: u64,
) -> Result<(f64, u64)> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let at = position(bench, name).await?;
        if at >= messages {
            return Ok((now()?, at));
        }
        if let Some(status) = child.try_wait().context("cannot look at weir")? {
            bail!("weir ended with {status}: see `{name}.log`");
        }
        if Instant::now() > deadline {
            bail!("`{name}` is stuck at {at} of {messages}");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A new stream with a message for each key and time in milliseconds.
async fn fill(bench: &Bench<'_>, messages: impl Iterator<Item = (u64, u64)>) -> Result<()> {
    drop(bench.context.delete_stream(STREAM).await);
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![format!("{SUBJECT}.*")],
        ..Default::default()
    };
    let made = bench.context.create_stream(config).await;
    made.context("cannot create the stream to read")?;
    let mut waiting = Vec::new();
    for (key, time) in messages {
        waiting.push(publish(bench, key, time).await?);
        if waiting.len() as u64 == PENDING {
            for stored in waiting.drain(..) {
                stored.await.context("the server refused a message")?;
            }
        }
    }
    for stored in waiting {
        stored.await.context("the server refused a message")?;
    }
    Ok(())
}

async fn publish(
    bench: &Bench<'_>,
    key: u64,
    time: u64,
) -> Result<async_nats::jetstream::context::PublishAckFuture> {
    let mut headers = HeaderMap::new();
    headers.insert("Time", time.to_string());
    let payload = format!("{{\"value\": {}, \"pad\": \"{:0<100}\"}}", key % 10, "");
    let subject = format!("{SUBJECT}.{key}");
    let context = &bench.context;
    let sent = context.publish_with_headers(subject, headers, payload.into());
    sent.await.context("cannot publish")
}

/// Makes the streams of a job over the stream, and starts its host.
async fn start(bench: &Bench<'_>, name: &str, windows: Option<&str>) -> Result<Child> {
    let ready = Case {
        job: true,
        ..IDENTITY
    };
    bench.prepare(case::Side::Weir, ready, name).await?;
    let folder = &bench.measure.plugins;
    let operator = match windows {
        None => format!("    plugin: {}\n", folder.join("identity.wasm").display()),
        Some(windows) => format!(
            "    plugin: {}\n    window: {windows}\n    \
             config: {{ results: {{ n: count, sum: {{ sum: /value }} }} }}\n",
            folder.join("aggregate.wasm").display()
        ),
    };
    let server = &bench.server.url;
    let pipeline = format!(
        "name: {name}\n\
         nats:\n  servers: [\"{server}\"]\n\
         source:\n  stream: {STREAM}\n  subjects: [\"{SUBJECT}.*\"]\n\
         delivery: exactly-once\nkey: \"{{subject[2]}}\"\npartitions: 1\nlanes: 1\n\
         event-time: {{ header: Time }}\n\
         state: {{ max-bytes: 4GiB }}\n\
         operators:\n  - name: work\n{operator}\
         sink:\n  subject: {OUT_SUBJECT}\n  stream: {OUT}\n\
         dead-letter: off\n"
    );
    weir(bench, name, &pipeline)
}
