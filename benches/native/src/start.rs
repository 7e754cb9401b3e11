//! A cold start: from the start of the process until the first result is stored.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::process::{Child, Command};
use weir_figures::{Table, median};

use crate::bench::{Bench, LIMIT, LOOK, now, stop};
use crate::case::{Case, IDENTITY, OUT_SUBJECT, Side};
use crate::feed::{self, Feed};
use crate::native::Work;

/// Starts of each kind.
const ROUNDS: usize = 7;

/// By the size of what is compiled.
const CASES: [Case; 3] = [
    Case {
        name: "identity",
        ..IDENTITY
    },
    Case {
        name: "JSON",
        feed: Feed::Orders,
        work: Work::Json,
        plugin: "json.wasm",
        ..IDENTITY
    },
    Case {
        name: "the standard plugin filter",
        feed: Feed::Orders,
        plugin: "filter.wasm",
        config: Some("{when: \"true\"}"),
        ..IDENTITY
    },
];

/// Starts of one plugin, in milliseconds.
#[derive(Serialize)]
struct Starts {
    plugin: &'static str,
    /// Bytes of its file.
    size: u64,
    empty: Vec<f64>,
    filled: Vec<f64>,
    native: Vec<f64>,
}

/// Measures each plugin's start with the cache empty, with it filled, and the native loop's.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    let rounds = bench.measure.pairs(ROUNDS);
    let cache = bench.measure.out.join("cache");
    let mut all = Vec::new();
    for case in CASES {
        feed::fill(&bench.context, case.feed, 1).await?;
        let file = bench.measure.plugins.join(case.plugin);
        let size = std::fs::metadata(&file).map(|file| file.len());
        let size = size.with_context(|| format!("cannot look at `{}`", file.display()))?;
        let (plugin, none) = (case.name, Vec::new);
        let (empty, filled, native) = (none(), none(), none());
        let mut starts = Starts {
            plugin,
            size,
            empty,
            filled,
            native,
        };
        for round in 0..rounds {
            // An empty folder, that only this user may enter.
            empty_folder(&cache)?;
            let name = |what: &str| format!("bench-start-{what}-{round}");
            let once = async |side, what| once(bench, side, case, &name(what), &cache).await;
            starts.empty.push(once(Side::Weir, "empty").await?);
            starts.filled.push(once(Side::Weir, "filled").await?);
            starts.native.push(once(Side::Native, "native").await?);
        }
        eprintln!("bench: start of {} {:?}", case.name, starts.filled);
        all.push(starts);
    }
    let method = "Wall-clock time from the start of the process until its first result is stored: \
    one message waits in a stream, and the consumer exists. The cache is that of compiled \
    plugins. The native loop has no plugin; it connects, reads and publishes like weir, so the \
    difference is weir's own. Medians; the kinds of start alternate.";
    let method = format!("{method} {rounds} starts of each kind.");
    let title = "Cold start to the first message";
    bench.write("start", title, method, vec![table(&all)], &all)
}

fn table(all: &[Starts]) -> Table {
    let columns = ["plugin", "cache empty", "cache filled", "native loop"];
    let mut table = Table::new(&[columns.as_slice(), &["filled, beyond native"]].concat());
    for starts in all {
        let of = |times: &[f64]| median(times.iter().copied());
        let beyond = of(&starts.filled) - of(&starts.native);
        let size = weir_figures::bytes(starts.size as f64);
        table.row([
            format!("{}, {size}", starts.plugin),
            millis(of(&starts.empty)),
            millis(of(&starts.filled)),
            millis(of(&starts.native)),
            millis(beyond),
        ]);
    }
    table
}

fn millis(value: f64) -> String {
    match value {
        small if small < 9.95 => format!("{value:.1} ms"),
        _ => format!("{value:.0} ms"),
    }
}

/// Milliseconds of one start.
async fn once(bench: &Bench<'_>, side: Side, case: Case, name: &str, cache: &Path) -> Result<f64> {
    bench.prepare(side, case, name).await?;
    let file = bench.measure.out.join(format!("{name}.yaml"));
    let pipeline = case.pipeline(name, &bench.server.url, &bench.measure.plugins);
    std::fs::write(&file, pipeline).context("cannot write a pipeline")?;
    let mut weir = bench.weir(&file);
    weir.env("XDG_CACHE_HOME", cache);
    let command: Command = match side {
        Side::Weir => weir,
        Side::Native => bench.native(case, name)?,
    };
    let began = now()?;
    let mut child = bench.spawn(command, name)?;
    let first = first_result(bench, &mut child).await?;
    stop(child).await?;
    Ok((first - began) * 1e3)
}

/// When the first result was stored, in seconds since 1970.
async fn first_result(bench: &Bench<'_>, child: &mut Child) -> Result<f64> {
    let deadline = std::time::Instant::now() + LIMIT;
    loop {
        let (stored, first) = bench.stored().await?;
        if stored > 0 {
            return Ok(first);
        }
        if let Some(status) = child.try_wait().context("cannot look at a side")? {
            anyhow::bail!("a side ended with {status}");
        }
        if std::time::Instant::now() > deadline {
            anyhow::bail!("nothing came on `{OUT_SUBJECT}`");
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn empty_folder(folder: &PathBuf) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    drop(std::fs::remove_dir_all(folder));
    std::fs::create_dir_all(folder).context("cannot create the cache")?;
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(folder, mode).context("cannot close the cache to others")
}
