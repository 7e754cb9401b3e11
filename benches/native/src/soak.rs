//! Whether one host's memory is flat over ten million messages, in rounds so that the disk stays small.

use anyhow::{Context, Result};
use serde::Serialize;
use weir_figures::{Table, bytes, growth, resident};

use crate::bench::{Bench, stop};
use crate::case::{IDENTITY, OUT, Side};
use crate::feed;

/// Messages in a round: filled, drained, and removed with their results.
const ROUND: u64 = 500_000;
/// Messages in all, and between two figures.
const MESSAGES: u64 = 10_000_000;
const PART: u64 = 1_000_000;
const NAME: &str = "bench-soak";

/// What was seen.
#[derive(Serialize)]
struct Soak {
    messages: u64,
    /// Resident bytes of the host after each round.
    samples: Vec<u64>,
    /// The most of them in each million.
    parts: Vec<u64>,
}

/// One process moves all messages; after each round its memory is looked at.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    let (round, part, total) = match bench.measure.quick {
        true => (ROUND / 50, PART / 50, MESSAGES / 50),
        false => (ROUND, PART, MESSAGES),
    };
    feed::create(&bench.context, IDENTITY.feed).await?;
    bench.prepare(Side::Weir, IDENTITY, NAME).await?;
    let mut children = [bench.side(Side::Weir, IDENTITY, NAME, 0)?];
    let pid = children[0].id().context("weir ended at once")?;
    let mut samples = Vec::new();
    let mut moved = 0;
    while moved < total {
        feed::publish(&bench.context, IDENTITY.feed, round).await?;
        moved += round;
        bench.settled(IDENTITY, NAME, &mut children, moved).await?;
        samples.push(resident(Some(pid))?);
        for stream in [IDENTITY.feed.stream(), OUT] {
            let stream = bench.context.get_stream(stream).await;
            let stream = stream.context("cannot look at a stream")?;
            stream.purge().await.context("cannot empty a stream")?;
        }
        eprintln!("bench: {moved} messages, {:?} bytes", samples.last());
    }
    let [child] = children;
    stop(child).await?;
    let rounds = usize::try_from(part / round).unwrap_or(1);
    let parts = samples.chunks(rounds);
    let parts: Vec<u64> = parts
        .filter_map(|part| part.iter().max().copied())
        .collect();
    let soak = Soak {
        messages: total,
        samples,
        parts,
    };
    let method = format!(
        "One `weir run` with the identity plugin moves {total} messages of 128 bytes from one stream in \
         files to another, in rounds of {round}; after each, its resident memory is read, and both \
         streams are emptied."
    );
    bench.write("soak-host", "One host", method, vec![table(&soak)], &soak)
}

fn table(soak: &Soak) -> Table {
    let mut table = Table::new(&["", "first million", "most later", "verdict"]);
    if let Some(growth) = growth(&soak.parts) {
        table.row([
            "`weir run`, resident".to_owned(),
            bytes(growth.first as f64),
            bytes(growth.later as f64),
            growth.verdict().to_owned(),
        ]);
    }
    table
}
