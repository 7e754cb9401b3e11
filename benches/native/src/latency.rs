//! How much later a message arrives: 500 messages a second, each seen again by a subscriber behind the
//! plugin, or behind the native loop.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use async_nats::{Client, Subscriber};
use futures_util::StreamExt;

use crate::drive::{Bench, Case, OUT_SUBJECT, Side, stop};
use crate::feed;
use crate::native::Work;
use crate::report::{Latency, LatencyPair};

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
    name: "identity, 128 B",
    work: Work::Paced,
    trusted: false,
};

/// Runs in pairs, the sides in turn first.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<Vec<LatencyPair>> {
    feed::create(&bench.context, CASE.work).await?;
    let mut pairs = Vec::new();
    for number in 0..PAIRS {
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
            "bench: latency {}/{PAIRS}: p50 weir {:.0} us, native {:.0} us",
            number + 1,
            weir.p50,
            native.p50
        );
        pairs.push(LatencyPair { weir, native });
    }
    Ok(pairs)
}

async fn once(bench: &Bench<'_>, side: Side, number: usize) -> Result<Latency> {
    let name = format!("bench-latency-{side:?}-{number}").to_lowercase();
    // The streams of a run before hold nothing of interest, and a new consumer would begin there.
    let stream = feed::stream_name(CASE.work);
    let stream = bench.context.get_stream(stream).await;
    let stream = stream.context("cannot look at the stream")?;
    stream.purge().await.context("cannot empty the stream")?;
    bench.prepare(CASE.work, &name).await?;
    let client = async_nats::connect(&bench.server.url)
        .await
        .context("cannot connect")?;
    let results = client.subscribe(OUT_SUBJECT).await;
    let results = results.context("cannot subscribe")?;
    client.flush().await.context("cannot flush")?;
    let mut child = bench.side(side, CASE, &name, WARMING + MEASURED)?;
    let (sent, seen) = tokio::join!(send(&client), receive(results));
    sent?;
    let latency = seen?;
    match side {
        Side::Weir => stop(child).await?,
        // It ends when it has settled the last one.
        Side::Native => drop(child.wait().await?),
    }
    Ok(latency)
}

/// Publishes at an even pace, each message with the time at which it was sent.
async fn send(client: &Client) -> Result<()> {
    let mut pace = tokio::time::interval(PACE);
    for _ in 0..WARMING + MEASURED {
        pace.tick().await;
        let payload = feed::payload(CASE.work, now()?);
        let sent = client.publish(feed::subject(CASE.work), payload).await;
        sent.context("cannot publish")?;
    }
    Ok(())
}

/// Takes the results as they come, until the last has come.
async fn receive(mut results: Subscriber) -> Result<Latency> {
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
    Ok(Latency::of(delays))
}

/// Nanoseconds since 1970.
fn now() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_nanos())?)
}
