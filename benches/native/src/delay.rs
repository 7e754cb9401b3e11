//! How much later a message arrives: 500 messages a second, each seen again by a subscriber behind the
//! plugin, or behind the native loop.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use serde::Serialize;
use weir_figures::{Table, median, micros};

use crate::bench::{Bench, stop};
use crate::case::{Case, IDENTITY, OUT_SUBJECT, Side};
use crate::feed::{self, Feed};

/// Between two messages: 500 a second.
const PACE: Duration = Duration::from_millis(2);
/// Messages that are measured in each run, and those before them, which are not.
const MEASURED: u64 = 5000;
const WARMING: u64 = 500;
/// Runs of each side.
const PAIRS: usize = 3;
/// A message that is not seen within this is lost, not late.
const LIMIT: Duration = Duration::from_secs(30);

const CASE: Case = Case {
    feed: Feed::Paced,
    ..IDENTITY
};

/// Delays of one run, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Delays {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    p999: f64,
}

/// A run of each side.
#[derive(Clone, Copy, Debug, Serialize)]
struct Pair {
    weir: Delays,
    native: Delays,
}

/// Runs in pairs, the sides in turn first.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    feed::create(&bench.context, CASE.feed).await?;
    let (count, mut pairs) = (bench.measure.pairs(PAIRS), Vec::new());
    for number in 0..count {
        let (weir, native) = match number % 2 {
            0 => {
                let weir = once(bench, Side::Weir, number).await?;
                (weir, once(bench, Side::Native, number).await?)
            }
            _ => {
                let native = once(bench, Side::Native, number).await?;
                (once(bench, Side::Weir, number).await?, native)
            }
        };
        eprintln!(
            "bench: delay {}/{count}: p50 weir {:.0} us, native {:.0} us",
            number + 1,
            weir.p50,
            native.p50
        );
        pairs.push(Pair { weir, native });
    }
    let title = "Delay at 500 messages a second";
    let method = format!(
        "From publish until a subscriber receives the result; medians of the runs. {MEASURED} \
        messages of 128 \
         bytes a run, three pairs of runs."
    );
    bench.write("delay", title, method, vec![table(&pairs)], &pairs)
}

fn table(pairs: &[Pair]) -> Table {
    let mut table = Table::new(&["delay", "weir", "native"]);
    for (name, of) in [
        ("p50", (|delays| delays.p50) as fn(&Delays) -> f64),
        ("p99", |delays| delays.p99),
        ("p99.9", |delays| delays.p999),
    ] {
        let weir = median(pairs.iter().map(|pair| of(&pair.weir)));
        let native = median(pairs.iter().map(|pair| of(&pair.native)));
        table.row([name.to_owned(), micros(weir), micros(native)]);
    }
    table
}

impl Delays {
    pub(crate) fn of(mut delays: Vec<f64>) -> Self {
        delays.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (delays.len() as f64 * share) as usize;
            let last = delays.len().saturating_sub(1);
            delays.get(index.min(last)).copied().unwrap_or_default()
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        }
    }
}

async fn once(bench: &Bench<'_>, side: Side, number: usize) -> Result<Delays> {
    let name = format!("bench-delay-{side:?}-{number}").to_lowercase();
    // The streams of a run before hold nothing of interest, and a new consumer would begin there.
    let stream = CASE.feed.stream();
    let stream = bench.context.get_stream(stream).await;
    let stream = stream.context("cannot look at the stream")?;
    stream.purge().await.context("cannot empty the stream")?;
    bench.prepare(side, CASE, &name).await?;
    let client = async_nats::connect(&bench.server.url)
        .await
        .context("cannot connect")?;
    let results = client.subscribe(OUT_SUBJECT).await;
    let results = results.context("cannot subscribe")?;
    client.flush().await.context("cannot flush")?;
    let child = bench.side(side, CASE, &name, 0)?;
    let (sent, seen) = tokio::join!(send(&client), receive(results));
    sent?;
    let delays = seen?;
    stop(child).await?;
    Ok(delays)
}

/// Publishes at an even pace, each message with the time at which it was sent.
async fn send(client: &Client) -> Result<()> {
    let mut pace = tokio::time::interval(PACE);
    for _ in 0..WARMING + MEASURED {
        pace.tick().await;
        let payload = CASE.feed.payload(now()?);
        let sent = client.publish(CASE.feed.filter(), payload).await;
        sent.context("cannot publish")?;
    }
    Ok(())
}

/// Takes the results as they come, until the last has come.
async fn receive(mut results: Subscriber) -> Result<Delays> {
    let mut delays = Vec::new();
    let deadline = Instant::now() + PACE * 6000 + LIMIT;
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

/// Nanoseconds since 1970.
pub(crate) fn now() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_nanos())?)
}
