//! Many pipelines in one process: what they cost while they are idle, and what they take from one
//! that is busy.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use async_nats::datetime::parse_rfc3339;
use async_nats::jetstream::{consumer, stream};
use serde::Serialize;
use tokio::process::Child;
use weir_figures::{Table, bytes, median, resident};

use crate::bench::{Bench, LIMIT, LOOK, now, stop};
use crate::case::{IDENTITY, OUT_SUBJECT, Side};
use crate::feed;
use crate::server::cpu_seconds;

/// Pipelines in the process; one of them is the busy one.
const COUNTS: [usize; 4] = [1, 10, 100, 200];
/// Rounds over all of the counts.
const ROUNDS: usize = 3;
/// How long they are watched doing nothing, and how long they have done nothing before: by then their first
/// pulls, which wait for 10 s, have ended, and the next wait as those of idle pipelines do.
const IDLE: Duration = Duration::from_secs(30);
const SETTLING: Duration = Duration::from_secs(15);
/// The stream that the idle ones read, each a subject of its own.
const STREAM: &str = "BENCH_IDLE";

/// One process.
#[derive(Serialize)]
struct Run {
    pipelines: usize,
    /// Seconds from the start of the process until the last pipeline waits for messages.
    start: f64,
    /// Bytes that it has resident then.
    resident: u64,
    /// Its processor time while nothing happens, in percent of a core.
    idle: f64,
    /// Messages a second of the busy pipeline.
    rate: f64,
}

/// Measures each number of pipelines in turn, some rounds.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    let messages = bench.measure.messages();
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["idle.*".to_owned()],
        ..Default::default()
    };
    let made = bench.context.create_stream(config).await;
    made.context("cannot create the stream of the idle")?;
    let mut runs = Vec::new();
    for round in 0..bench.measure.pairs(ROUNDS) {
        for pipelines in COUNTS {
            let run = once(bench, pipelines, round, messages).await?;
            eprintln!(
                "bench: {pipelines} pipelines: {:.2} s, {}, idle {:.2} %, {:.0}/s",
                run.start,
                bytes(run.resident as f64),
                run.idle,
                run.rate
            );
            runs.push(run);
        }
    }
    let method = format!(
        "Each pipeline has the identity plugin, a connection, a consumer and a lane of its own. They \
         start together; memory and processor time (in percent of a core, over {} s, after {} s) are those of \
         the idle process. Then one of them gets {messages} messages of 128 bytes while the \
         others stay idle. Medians of three processes each; the numbers of pipelines alternate.",
        IDLE.as_secs(),
        SETTLING.as_secs()
    );
    let title = "Many pipelines in one process";
    bench.write("pipelines", title, method, vec![table(&runs)], &runs)
}

fn table(runs: &[Run]) -> Table {
    let columns = ["pipelines", "ready after", "resident", "a pipeline more"];
    let mut table = Table::new(&[columns.as_slice(), &["idle CPU", "one busy"]].concat());
    let of = |count: usize, value: &dyn Fn(&Run) -> f64| {
        let those = runs.iter().filter(|run| run.pipelines == count);
        median(those.map(value))
    };
    let resident = |count: usize| of(count, &|run: &Run| run.resident as f64);
    for count in COUNTS {
        let more = match count {
            1 => "-".to_owned(),
            _ => bytes((resident(count) - resident(1)) / (count - 1) as f64),
        };
        table.row([
            count.to_string(),
            format!("{:.2} s", of(count, &|run| run.start)),
            bytes(resident(count)),
            more,
            format!("{:.2} %", of(count, &|run| run.idle)),
            format!("{:.0}/s", of(count, &|run| run.rate)),
        ]);
    }
    table
}

async fn once(bench: &Bench<'_>, pipelines: usize, round: usize, messages: u64) -> Result<Run> {
    let name = format!("bench-pipelines-{pipelines}-{round}");
    // Empty at first: a pipeline with work that it does not get is not idle.
    feed::create(&bench.context, IDENTITY.feed).await?;
    bench.prepare(Side::Weir, IDENTITY, &name).await?;
    let busy = bench.context.get_stream(IDENTITY.feed.stream()).await;
    let busy = busy.context("cannot look at the stream")?;
    let began = now()?;
    let file = bench.measure.out.join(format!("{name}.yaml"));
    std::fs::write(&file, file_of(bench, pipelines, &name)).context("cannot write pipelines")?;
    let mut children = [bench.spawn(bench.weir(&file), &name)?];
    let pid = children[0].id().context("weir ended at once")?;
    waiting(bench, &busy, &name, pipelines, &mut children[0]).await?;
    let start = now()? - began;
    tokio::time::sleep(SETTLING).await;
    let before = cpu_seconds(pid)?;
    tokio::time::sleep(IDLE).await;
    let idle = (cpu_seconds(pid)? - before) / IDLE.as_secs_f64() * 100.0;
    let resident = resident(Some(pid))?;
    // The consumer gives nothing until the stream is full.
    let far = parse_rfc3339("2999-01-01T00:00:00Z").map_err(|error| anyhow!("{error}"))?;
    let paused = busy.pause_consumer(&name, far).await;
    paused.context("cannot pause the consumer")?;
    feed::publish(&bench.context, IDENTITY.feed, messages).await?;
    let resumed = busy.resume_consumer(&name).await;
    resumed.context("cannot resume the consumer")?;
    let end = bench
        .settled(IDENTITY, &name, &mut children, messages)
        .await?;
    let (_, first) = bench.stored().await?;
    let [child] = children;
    stop(child).await?;
    Ok(Run {
        pipelines,
        start,
        resident,
        idle,
        rate: messages as f64 / (end - first),
    })
}

/// All pipelines in one file: the busy one, and the idle ones.
fn file_of(bench: &Bench<'_>, pipelines: usize, name: &str) -> String {
    let (server, plugins) = (&bench.server.url, &bench.measure.plugins);
    let plugin = plugins.join(IDENTITY.plugin);
    let plugin = plugin.display();
    let mut text = IDENTITY.pipeline(name, server, plugins);
    for number in 1..pipelines {
        text += &format!(
            "---\nname: {name}-{number}\n\
             nats:\n  servers: [\"{server}\"]\n\
             source:\n  stream: {STREAM}\n  subjects: [\"idle.{number}\"]\n  consumer: {name}-{number}\n\
             operators:\n  - name: work\n    plugin: {plugin}\n\
             sink:\n  subject: {OUT_SUBJECT}\n\
             dead-letter: off\n"
        );
    }
    text
}

/// Waits until every consumer has a request for messages: that is the last thing in a start.
async fn waiting(
    bench: &Bench<'_>,
    busy: &stream::Stream,
    name: &str,
    pipelines: usize,
    child: &mut Child,
) -> Result<()> {
    let idle = bench.context.get_stream(STREAM).await;
    let idle = idle.context("cannot look at the stream of the idle")?;
    let waits = |info: Option<consumer::Info>| info.is_some_and(|info| info.num_waiting > 0);
    let deadline = Instant::now() + LIMIT;
    let mut number = 0;
    while number < pipelines {
        let info = match number {
            0 => busy.consumer_info(name).await.ok(),
            _ => idle.consumer_info(format!("{name}-{number}")).await.ok(),
        };
        if waits(info) {
            number += 1;
            continue;
        }
        if let Some(status) = child.try_wait().context("cannot look at weir")? {
            bail!("weir ended with {status}: see `{name}.log`");
        }
        if Instant::now() > deadline {
            bail!("pipeline {number} does not start: see `{name}.log`");
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
