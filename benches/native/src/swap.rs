//! How long results stay away while a lane takes a new version of its plugin, and while it does not.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use serde::Serialize;
use weir_figures::{Table, median, micros};

use crate::bench::{Bench, stop};
use crate::case::{Case, IDENTITY, OUT_SUBJECT, Side};
use crate::feed::{self, Feed};

/// Between two messages: 1000 a second.
const PACE: Duration = Duration::from_millis(1);
/// In each of them there is one swap, or none.
const WINDOW: Duration = Duration::from_secs(2);
/// Windows of a run, and those before them, in which both versions are compiled.
const WINDOWS: usize = 10;
const WARMING: usize = 3;
/// Runs with swaps, and without.
const PAIRS: usize = 3;
/// Silence after which the rest does not come.
const SILENCE: Duration = Duration::from_secs(10);

const CASE: Case = Case {
    feed: Feed::Paced,
    plugin: PLUGIN,
    ..IDENTITY
};
/// The file that is replaced, beside the plugin that it is made of.
const PLUGIN: &str = "swapped.wasm";

/// The longest gap between two results in each window, in microseconds.
#[derive(Serialize)]
struct Gaps {
    swapping: bool,
    longest: Vec<f64>,
}

const METHOD: &str = "1000 messages of 128 bytes a second through the identity plugin; the figure \
    is the longest time between two results in each window of two seconds. With a swap, the \
    plugin's file is replaced in each window, alternately by one of two versions that have been \
    compiled before. There are three runs of each kind, with ten windows a run. The results show \
    that the version changed each time.";

/// Runs with swaps and without, in turn first.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    feed::create(&bench.context, CASE.feed).await?;
    let (count, mut runs) = (bench.measure.pairs(PAIRS), Vec::new());
    for number in 0..count {
        for swapping in [number % 2 == 0, number % 2 == 1] {
            let longest = once(bench, swapping, number).await?;
            let middle = median(longest.iter().copied());
            eprintln!(
                "bench: swap {swapping} {}/{count}: {middle:.0} us",
                number + 1
            );
            runs.push(Gaps { swapping, longest });
        }
    }
    let title = "The gap of a swap";
    bench.write("swap", title, METHOD.to_owned(), vec![table(&runs)], &runs)
}

fn table(runs: &[Gaps]) -> Table {
    let mut table = Table::new(&["", "longest gap in a window, median", "of all windows"]);
    for (name, swapping) in [("without a swap", false), ("with a swap", true)] {
        let of_kind = runs.iter().filter(|run| run.swapping == swapping);
        let gaps: Vec<f64> = of_kind.flat_map(|run| run.longest.clone()).collect();
        let longest = gaps.iter().copied().fold(0.0, f64::max);
        table.row([name.to_owned(), micros(median(gaps)), micros(longest)]);
    }
    table
}

async fn once(bench: &Bench<'_>, swapping: bool, number: usize) -> Result<Vec<f64>> {
    let name = format!("bench-swap-{swapping}-{number}");
    let plugin = Plugin::make(&bench.measure.plugins)?;
    let stream = bench.context.get_stream(CASE.feed.stream()).await;
    let stream = stream.context("cannot look at the stream")?;
    stream.purge().await.context("cannot empty the stream")?;
    bench.prepare(Side::Weir, CASE, &name).await?;
    let client = async_nats::connect(&bench.server.url).await;
    let client = client.context("cannot connect")?;
    let results = client.subscribe(OUT_SUBJECT).await;
    let results = results.context("cannot subscribe")?;
    client.flush().await.context("cannot flush")?;
    let child = bench.side(Side::Weir, CASE, &name, 0)?;
    let (sent, seen) = tokio::join!(
        send(&client, swapping.then_some(&plugin)),
        receive(results, swapping)
    );
    sent?;
    let longest = seen?;
    stop(child).await?;
    Ok(longest)
}

/// Messages of a window.
fn messages() -> usize {
    (WINDOW.as_micros() / PACE.as_micros()) as usize
}

/// Publishes at an even pace, and replaces the plugin in the middle of each window.
async fn send(client: &Client, plugin: Option<&Plugin>) -> Result<()> {
    let mut pace = tokio::time::interval(PACE);
    for window in 0..WARMING + WINDOWS {
        for number in 0..messages() {
            pace.tick().await;
            if let Some(plugin) = plugin.filter(|_| number == messages() / 4) {
                plugin.replace(window)?;
            }
            let payload = CASE.feed.payload(number as u64);
            let sent = client.publish(CASE.feed.filter(), payload).await;
            sent.context("cannot publish")?;
        }
    }
    Ok(())
}

/// Takes the results as they come.
async fn receive(mut results: Subscriber, swapping: bool) -> Result<Vec<f64>> {
    let (mut longest, mut last, mut version) = (Vec::new(), Instant::now(), None);
    for window in 0..WARMING + WINDOWS {
        let (mut gap, mut changes) = (Duration::ZERO, 0);
        for number in 0..messages() {
            let next = tokio::time::timeout(SILENCE, results.next()).await;
            let Ok(Some(message)) = next else {
                bail!("{number} results of window {window} were seen, and no more");
            };
            let now = Instant::now();
            gap = gap.max(now - last);
            last = now;
            let digest = message
                .headers
                .as_ref()
                .and_then(|all| all.get("Weir-Digest"));
            let digest = digest.map(ToString::to_string);
            changes += usize::from(digest != version && version.is_some());
            version = digest;
        }
        if window >= WARMING {
            if changes != usize::from(swapping) {
                bail!("the version changed {changes} times in window {window}");
            }
            longest.push(gap.as_secs_f64() * 1e6);
        }
    }
    Ok(longest)
}

/// Two versions that do the same, and the file that holds one of them.
struct Plugin {
    file: PathBuf,
    versions: [Vec<u8>; 2],
}

impl Plugin {
    fn make(folder: &Path) -> Result<Self> {
        let identity = std::fs::read(folder.join("identity.wasm"));
        let identity = identity.context("cannot read the identity plugin")?;
        // A custom section, which changes nothing but the digest: its name, of one letter.
        let version = |letter: u8| [identity.as_slice(), &[0, 2, 1, letter]].concat();
        let plugin = Self {
            file: folder.join(PLUGIN),
            versions: [version(b'a'), version(b'b')],
        };
        // The first window replaces it.
        plugin.replace(1)?;
        Ok(plugin)
    }

    /// Puts one of the versions in the place of the other, whole.
    fn replace(&self, number: usize) -> Result<()> {
        let [even, odd] = &self.versions;
        let bytes = if number.is_multiple_of(2) { even } else { odd };
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, bytes)
            .and_then(|()| std::fs::rename(&beside, &self.file))
            .context("cannot replace the plugin")
    }
}
