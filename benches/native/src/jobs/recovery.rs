//! What a large state costs: the time from the start of a host until its first commit, and memory of host and
//! server.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_nats::jetstream::stream;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::process::Child;
use weir_figures::{Table, bytes, median, resident};

use super::side::{job_stream, weir};
use super::stored;
use crate::bench::{Bench, LIMIT, LOOK, now, stop};
use crate::case::{self, Case, IDENTITY, OUT, OUT_SUBJECT};
use crate::server::Server;

/// Keys of the states, and whether they are on disk; and of those in a quick run.
const KEYS: [(u64, bool); 3] = [(10_000, false), (1_000_000, false), (10_000_000, true)];
const FEW: [(u64, bool); 3] = [(1_000, false), (100_000, false), (100_000, true)];
/// Keys that are written for one message.
const EACH: u64 = 500;
/// Restarts with each state.
const ROUNDS: usize = 3;
const STREAM: &str = "BENCH_FILL";
const SUBJECT: &str = "bench.fill";

/// A state.
#[derive(Debug, Serialize)]
struct State {
    keys: u64,
    /// Whether the host keeps it on disk, and so finds it when it starts again.
    on_disk: bool,
    /// Bytes in the stream of the job: deltas and snapshots.
    stored: u64,
    /// Seconds from the start of the host until the first result is in the sink's stream.
    first: Vec<f64>,
    /// Bytes that the host has resident then.
    host: Vec<f64>,
    /// Bytes that a server has resident that was started with these files; and once hosts have read them.
    server: u64,
    server_read: u64,
}

/// Measures a small state and a large one.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    let mut states = Vec::new();
    for (keys, on_disk) in if bench.measure.quick { FEW } else { KEYS } {
        let state = once(bench, keys, on_disk).await?;
        let first = median(state.first.iter().copied());
        let place = if on_disk { "on disk" } else { "in memory" };
        eprintln!("bench: jobs, recovery of {keys} keys {place}: {first:.2} s");
        states.push(state);
    }
    let method = format!(
        "A value of 100 bytes for each key of 11, in one partition, without limits that matter. The host is stopped, the \
         server is started again with the files, and then a host is started with a message that waits: *first \
         commit* is from the start of its process until the result is in the sink's stream, so it includes \
         the start. *A key more* is the difference of the resident memory of the hosts then, for each key that \
         the larger state has more: 111 bytes of it are key and value. *On disk* is `state: {{ store: disk }}`: the host \
         finds the state where it was. Medians of {} starts.",
        bench.measure.pairs(ROUNDS)
    );
    let title = "Exactly once: recovery and memory";
    let table = table(&states);
    bench.write("jobs-recovery", title, method, vec![table], &states)
}

fn table(states: &[State]) -> Table {
    let columns = [
        "keys",
        "in the stream",
        "first commit",
        "host",
        "a key more",
    ];
    let server = ["server, started", "server, read"];
    let mut table = Table::new(&[columns.as_slice(), &server].concat());
    let of = |values: &[f64]| median(values.iter().copied());
    let least = states.first();
    for state in states {
        let more = least.filter(|least| least.keys < state.keys && !state.on_disk);
        let more = more.map(|least| {
            let more = of(&state.host) - of(&least.host);
            format!("{:.0} B", more / (state.keys - least.keys) as f64)
        });
        table.row([
            match state.on_disk {
                true => format!("{}, on disk", state.keys),
                false => state.keys.to_string(),
            },
            bytes(state.stored as f64),
            format!("{:.2} s", of(&state.first)),
            bytes(of(&state.host)),
            more.unwrap_or_else(|| "-".to_owned()),
            bytes(state.server as f64),
            bytes(state.server_read as f64),
        ]);
    }
    table
}

/// Makes a state, and starts hosts on it.
async fn once(section: &Bench<'_>, keys: u64, on_disk: bool) -> Result<State> {
    let measure = section.measure;
    let name = match on_disk {
        true => format!("bench-jobs-state-{keys}-disk"),
        false => format!("bench-jobs-state-{keys}"),
    };
    let (program, folder) = (
        &measure.nats_server,
        measure.out.join(format!("server-{name}")),
    );
    let server = Server::start(program, &folder).await?;
    let bench = Bench::on(measure, server).await?;
    let ready = Case {
        job: true,
        ..IDENTITY
    };
    bench.prepare(case::Side::Weir, ready, &name).await?;
    let messages = fill(&bench, keys).await?;
    let mut child = start(&bench, &name, on_disk)?;
    processed(&bench, &mut child, &name, messages).await?;
    stop(child).await?;
    drop(bench.context);
    bench.server.stop().await?;

    let bench = Bench::on(measure, Server::start_again(program, &folder).await?).await?;
    let stored_bytes = job(&bench, &name).await?.cached_info().state.bytes;
    let server = resident(Some(bench.server.pid))?;
    let (mut first, mut host) = (Vec::new(), Vec::new());
    for round in 1..=measure.pairs(ROUNDS) as u64 {
        publish(&bench, "go on".into()).await?;
        let began = now()?;
        let mut child = start(&bench, &name, on_disk)?;
        first.push(stored(&bench, &mut child, (super::ONE, &name), round).await? - began);
        host.push(resident(child.id())? as f64);
        stop(child).await?;
    }
    Ok(State {
        keys,
        on_disk,
        stored: stored_bytes,
        first,
        host,
        server,
        server_read: resident(Some(bench.server.pid))?,
    })
}

/// The messages that make the state; how many there are.
pub(super) async fn fill(bench: &Bench<'_>, keys: u64) -> Result<u64> {
    eprintln!("bench: filling a state with {keys} keys");
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![SUBJECT.to_owned()],
        ..Default::default()
    };
    let made = bench.context.create_stream(config).await;
    made.context("cannot create the stream to read")?;
    let messages = keys.div_ceil(EACH);
    for number in 0..messages {
        let (from, to) = (number * EACH, ((number + 1) * EACH).min(keys));
        publish(bench, format!("fill {from} {to}").into()).await?;
    }
    Ok(messages)
}

pub(super) async fn publish(bench: &Bench<'_>, payload: Bytes) -> Result<()> {
    let sent = bench.context.publish(SUBJECT, payload).await;
    let stored = sent.context("cannot publish")?.await;
    stored.map(drop).context("the server refused a message")
}

fn start(bench: &Bench<'_>, name: &str, on_disk: bool) -> Result<Child> {
    let store = match on_disk {
        true => format!("disk\n  path: {name}.states"),
        false => "memory".to_owned(),
    };
    weir(bench, name, &pipeline(bench, name, &store))
}

/// A pipeline that fills its state, which it keeps there.
pub(super) fn pipeline(bench: &Bench<'_>, name: &str, store: &str) -> String {
    let plugin = bench.measure.plugins.join("fill.wasm");
    let (server, plugin) = (&bench.server.url, plugin.display());
    format!(
        "name: {name}\n\
         nats:\n  servers: [\"{server}\"]\n\
         source:\n  stream: {STREAM}\n  subjects: [\"{SUBJECT}\"]\n\
         delivery: exactly-once\npartitions: 1\nlanes: 1\n\
         state:\n  max-bytes: 4GiB\n  store: {store}\nbatch:\n  max-messages: 16\n\
         operators:\n  - name: work\n    plugin: {plugin}\n\
         sink:\n  subject: {OUT_SUBJECT}\n  stream: {OUT}\n\
         dead-letter: off\n"
    )
}

/// What a checkpoint says of its input.
#[derive(Deserialize)]
struct Checkpoint {
    inputs: Vec<Progress>,
}

#[derive(Deserialize)]
struct Progress {
    position: u64,
}

async fn job(bench: &Bench<'_>, name: &str) -> Result<stream::Stream> {
    let found = bench.context.get_stream(job_stream(name)).await;
    found.context("cannot look at the stream of the job")
}

/// Up to where the effects of messages are committed, in a job of one partition.
pub(super) async fn position(bench: &Bench<'_>, name: &str) -> Result<u64> {
    // The stream is not there at once.
    let Ok(job) = job(bench, name).await else {
        return Ok(0);
    };
    let checkpoint = format!("weir.job.{name}.ckpt.0");
    let Ok(last) = job.get_last_raw_message_by_subject(&checkpoint).await else {
        return Ok(0);
    };
    let last: Checkpoint =
        serde_json::from_slice(&last.payload).context("cannot understand a checkpoint")?;
    Ok(last.inputs.first().map_or(0, |input| input.position))
}

/// Waits until the effects of all messages are committed.
pub(super) async fn processed(
    bench: &Bench<'_>,
    child: &mut Child,
    name: &str,
    messages: u64,
) -> Result<()> {
    let filling = Duration::from_millis(50 * messages);
    let deadline = Instant::now() + LIMIT * 2 + filling;
    loop {
        let position = position(bench, name).await?;
        if position >= messages {
            return Ok(());
        }
        if let Some(status) = child.try_wait().context("cannot look at weir")? {
            bail!("weir ended with {status}: see `{name}.log`");
        }
        if Instant::now() > deadline {
            bail!("`{name}` is stuck at {position} of {messages}");
        }
        tokio::time::sleep(LOOK).await;
    }
}
