//! The delay of messages at a low, even rate: from the publish until a subscriber receives the first result.

use super::Setup;
use crate::headers::MESSAGE_ID;
use crate::nats::bench;
use crate::nats::feed::{Feed, Tap, catch_up};
use crate::nats::streams::Ensured;
use crate::nats::wire::Wire;
use crate::telemetry::metrics::Counter;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The beginning is not measured, because the plugins and both connections warm up.
const WARMING: Duration = Duration::from_secs(1);
/// The publisher sends what is due at every tick.
const TICK: Duration = Duration::from_millis(1);
/// Poll interval before the start and after the last message.
const LOOK: Duration = Duration::from_millis(20);

/// Delays of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Delay {
    /// Messages a second.
    pub(super) rate: u64,
    /// Messages after the warm-up.
    pub(super) sent: u64,
    /// Messages with a result; the others were dropped or became dead letters.
    pub(super) measured: u64,
    /// In microseconds. `None` if there was no result.
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    pub(super) p999_us: Option<f64>,
    pub(super) max_us: Option<f64>,
}

/// Publishes at an even rate into the empty source, and listens.
pub(super) async fn run(setup: &Setup<'_>, ensured: &Ensured, bar: &ProgressBar) -> Result<Delay> {
    let deadline = Instant::now() + setup.arguments.limit();
    let mut child = setup.child()?;
    while !child.is_ready().await {
        child.goes_on()?;
        let at = bench::position(&setup.connection, ensured).await?;
        setup.not_after(deadline, &at, 0)?;
        tokio::time::sleep(LOOK).await;
    }
    let mut listener = Listener::open(setup).await?;
    let mut sent: Vec<(u64, Instant)> = Vec::new();
    let mut feed = Feed::new(&setup.connection);
    let rate = setup.arguments.rate;
    let warming = rate * WARMING.as_secs();
    let total = warming + rate * setup.arguments.seconds;
    let (began, mut published) = (Instant::now(), 0);
    let mut tick = tokio::time::interval(TICK);
    while published < total {
        listener.listen(tick.tick()).await?;
        let due = (began.elapsed().as_secs_f64() * rate as f64) as u64 + 1;
        while published < due.min(total) {
            let record = setup.input.get(published).context("there is no message")?;
            let stored = feed.publish(record).await?;
            sent.extend(stored.map(|stored| (stored.sequence, stored.published)));
            published += 1;
        }
        bar.set_position(published);
    }
    while let Some(stored) = feed.confirmed().await? {
        sent.push((stored.sequence, stored.published));
    }
    sent.sort_unstable();
    let last = sent.last().map_or(0, |(sequence, _)| *sequence);
    let deadline = Instant::now() + setup.arguments.limit();
    loop {
        listener.listen(tokio::time::sleep(LOOK)).await?;
        let at = bench::position(&setup.connection, ensured).await?;
        if at.is_drained() && at.delivered >= last {
            break;
        }
        child.goes_on()?;
        setup.not_after(deadline, &at, total)?;
    }
    let wire = listener.wire.clone();
    listener.listen(catch_up(&wire)).await?;
    child.end().await?;
    let measured = sent.get(warming as usize..).unwrap_or_default();
    Ok(Delay::of(rate, measured, &listener.seen))
}

/// Receives the results.
struct Listener {
    wire: Wire,
    tap: Tap,
    /// The prefix of the message ids of results: `<pipeline>~<hash>/<last operator>/`.
    prefix: String,
    /// When the first result of an input arrived, by the input's sequence.
    seen: HashMap<u64, Instant>,
}

impl Listener {
    async fn open(setup: &Setup<'_>) -> Result<Self> {
        let pipeline = &setup.pipeline;
        let last = pipeline.operators.last();
        let last = last.map_or("weir", |operator| &operator.name);
        let reach = pipeline.sink.subject.reach();
        let filter = reach.as_ref().map_or(">", |reach| reach.as_str());
        let wire = Wire::connect(&pipeline.nats, "bench", Counter::default()).await?;
        Ok(Self {
            tap: Tap::open(&wire, filter).await,
            prefix: format!("{}/{last}/", pipeline.id()),
            seen: HashMap::new(),
            wire,
        })
    }

    /// Listens until `done` completes and everything that had arrived by then is processed.
    async fn listen<T>(&mut self, until: impl Future<Output = T>) -> Result<()> {
        let mut until = std::pin::pin!(until);
        loop {
            let received = tokio::select! {
                biased;
                received = self.tap.next() => received.context("the connection to the server is closed")?,
                _ = &mut until => return Ok(()),
            };
            let now = Instant::now();
            let id = received.headers.get(MESSAGE_ID).unwrap_or_default();
            if let (true, Some(sequence)) = (id.starts_with(&self.prefix), received.sequence) {
                self.seen.entry(sequence).or_insert(now);
            }
        }
    }
}

impl Delay {
    /// `sent` and `seen` are sequences of the source.
    fn of(rate: u64, sent: &[(u64, Instant)], seen: &HashMap<u64, Instant>) -> Self {
        let delay = |(sequence, published): &(u64, Instant)| {
            let seen = seen.get(sequence)?;
            Some(seen.saturating_duration_since(*published))
        };
        let mut delays: Vec<Duration> = sent.iter().filter_map(delay).collect();
        delays.sort_unstable();
        let at = |share: f64| {
            let rank = (delays.len() as f64 * share).ceil() as usize;
            let delay = delays.get(rank.max(1) - 1)?;
            Some(delay.as_secs_f64() * 1e6)
        };
        Self {
            rate,
            sent: sent.len() as u64,
            measured: delays.len() as u64,
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: at(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Delay, Duration, HashMap, Instant};

    #[test]
    fn delays_are_those_of_messages_with_a_result_and_none_are_no_zeros() {
        let began = Instant::now();
        let after = |ms: u64| began + Duration::from_millis(ms);
        let sent: Vec<_> = (1..=200).map(|number| (number, after(number))).collect();
        let seen: HashMap<_, _> = (1..=100)
            .map(|number| (number, after(2 * number)))
            .collect();
        let delay = Delay::of(500, &sent, &seen);
        assert_eq!((delay.sent, delay.measured), (200, 100));
        assert_eq!((delay.p50_us, delay.p99_us), (Some(50e3), Some(99e3)));
        assert_eq!((delay.p999_us, delay.max_us), (Some(100e3), Some(100e3)));
        let none = Delay::of(500, &sent, &HashMap::new());
        assert_eq!((none.measured, none.p50_us, none.max_us), (0, None, None));
    }
}
