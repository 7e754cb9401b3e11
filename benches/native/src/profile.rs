//! Where the time goes: samples of the processor of one `weir run` and of its server while messages
//! pass, sorted by what the sampled function belongs to.
//!
//! The samples are of `perf`, of the innermost function only: what a function calls is counted where it
//! is. Inlined code counts as its caller.

mod parts;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::process::{Child, Command};
use weir_figures::{Table, micros};

use crate::bench::{Bench, stop};
use crate::case::{Case, IDENTITY, Publishing, Side};
use crate::feed;
use crate::server::cpu_seconds;
use parts::{HOST, Parts, REST, SERVER};

/// Samples a second of each core that is busy; a prime, so that nothing periodic is met in step.
const FREQUENCY: &str = "1999";
/// Runs, whose samples are added up.
const RUNS: usize = 3;

/// Samples of one process by part, and what a message cost it.
#[derive(Debug, Default, Serialize)]
struct Profile {
    /// Microseconds of processor for each message.
    message: f64,
    samples: BTreeMap<&'static str, u64>,
    /// The functions without a part that were met most often.
    rest: Vec<(String, u64)>,
}

#[derive(Debug, Default, Serialize)]
struct Profiles {
    host: Profile,
    server: Profile,
}

/// The same by fast ingest.
const INGEST: Case = Case {
    publishing: Publishing::Ingest { ids: true },
    ..IDENTITY
};

const METHOD: &str = "A `weir run` passes on 128 bytes, as in the first row of the throughput; it \
    and the server \
    are sampled with `perf record -e cpu-clock`. A sample counts for the part that its innermost \
    function belongs to, so what all parts need, such as memory or the kernel, is a part of its \
    own. Microseconds are the share of the processor time per message in the same runs. The last two tables are by fast \
    ingest, with message ids.";

/// Samples, where `perf` is there.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    if Command::new("perf")
        .arg("--version")
        .output()
        .await
        .is_err()
    {
        eprintln!("bench: skipped: the profile: no `perf` on PATH");
        return Ok(());
    }
    let messages = bench.measure.messages();
    feed::fill(&bench.context, IDENTITY.feed, messages).await?;
    let runs = bench.measure.pairs(RUNS);
    let all = [
        profiles(bench, IDENTITY, messages, runs).await?,
        profiles(bench, INGEST, messages, runs).await?,
    ];
    let [single, ingest] = &all;
    let tables = vec![
        single.host.table("of the host", HOST),
        single.server.table("of the server", SERVER),
        ingest.host.table("of the host, by fast ingest", HOST),
        ingest.server.table("of the server, by fast ingest", SERVER),
    ];
    let method = format!("{METHOD} {messages} messages a run, {runs} runs.");
    bench.write("profile", "Where the time goes", method, tables, &all)
}

/// The samples of so many runs of a case, added up.
async fn profiles(bench: &Bench<'_>, case: Case, messages: u64, runs: usize) -> Result<Profiles> {
    let mut all = Profiles::default();
    let (mut host, mut server) = (Vec::new(), Vec::new());
    for number in 0..runs {
        let name = format!("bench-profile-{:?}-{number}", case.publishing);
        let name = name.to_lowercase().replace([' ', '{', '}', ':'], "");
        let (of_host, of_server) = once(bench, case, &name, messages, &mut all).await?;
        host.extend(of_host);
        server.extend(of_server);
    }
    all.host.message /= runs as f64;
    all.server.message /= runs as f64;
    all.host.sort(HOST, host);
    all.server.sort(SERVER, server);
    if all.host.samples.is_empty() || all.server.samples.is_empty() {
        bail!("`perf` has taken no samples: may this user take them?");
    }
    Ok(all)
}

/// One run; the lines of the samples of host and server.
async fn once(
    bench: &Bench<'_>,
    case: Case,
    name: &str,
    messages: u64,
    all: &mut Profiles,
) -> Result<(Vec<String>, Vec<String>)> {
    bench.prepare(Side::Weir, case, name).await?;
    let server = bench.server.pid;
    let before = cpu_seconds(server)?;
    let weir = bench.side(Side::Weir, case, name, 0)?;
    let pid = weir.id().context("weir ended at once")?;
    let samples = bench.measure.out.join(format!("{name}.data"));
    let mut children = [weir];
    // All its threads are there when the first message is settled.
    bench.settled(case, name, &mut children, 1).await?;
    let perf = record(&samples, &[pid, server])?;
    bench.settled(case, name, &mut children, messages).await?;
    let (count, after) = (messages as f64, cpu_seconds(server)?);
    all.host.message += cpu_seconds(pid)? * 1e6 / count;
    all.server.message += (after - before) * 1e6 / count;
    interrupt(perf).await?;
    for child in children {
        stop(child).await?;
    }
    let script = Command::new("perf")
        .args(["script", "--fields", "pid,ip,sym,dso", "--input"])
        .arg(&samples)
        .output();
    let script = script.await.context("cannot read the samples")?;
    let text = String::from_utf8_lossy(&script.stdout).into_owned();
    let of = |pid: u32| -> Vec<String> {
        let pid = pid.to_string();
        let lines = text.lines().filter_map(|line| line.trim().split_once(' '));
        let own = lines.filter(|(first, _)| *first == pid);
        let function = own.map(|(_, rest)| rest.trim().split_once(' ').unwrap_or_default().1);
        function.map(str::to_owned).collect()
    };
    Ok((of(pid), of(server)))
}

fn record(to: &Path, processes: &[u32]) -> Result<Child> {
    let processes: Vec<String> = processes.iter().map(u32::to_string).collect();
    let mut perf = Command::new("perf");
    perf.args([
        "record",
        "--quiet",
        "--event",
        "cpu-clock",
        "--freq",
        FREQUENCY,
    ]);
    perf.args(["--pid", &processes.join(",")])
        .arg("--output")
        .arg(to);
    perf.kill_on_drop(true)
        .spawn()
        .context("cannot start `perf`")
}

/// Ends the recording, which then writes its file.
async fn interrupt(mut perf: Child) -> Result<()> {
    let pid = perf.id().context("`perf` ended before its time")?;
    let mut kill = Command::new("kill");
    let sent = kill.args(["-INT", &pid.to_string()]).status().await;
    sent.context("cannot stop `perf`")?;
    perf.wait()
        .await
        .map(drop)
        .context("cannot wait for `perf`")
}

impl Profile {
    fn sort(&mut self, parts: Parts, lines: Vec<String>) {
        let mut rest: BTreeMap<String, u64> = BTreeMap::new();
        for line in lines {
            let part = part(parts, &line);
            *self.samples.entry(part).or_default() += 1;
            if part == REST {
                // Without the file that it is from, which is a place on this machine.
                let function = line
                    .rsplit_once(" (")
                    .map_or(&*line, |(function, _)| function);
                *rest.entry(function.to_owned()).or_default() += 1;
            }
        }
        self.rest = rest.into_iter().collect();
        self.rest
            .sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        self.rest.truncate(20);
    }

    /// In the order of their shares.
    fn table(&self, title: &str, parts: Parts) -> Table {
        let all: u64 = self.samples.values().sum();
        let names = parts.iter().map(|(name, _)| *name).chain([REST]);
        let count = |name: &str| self.samples.get(name).copied().unwrap_or_default();
        let mut rows: Vec<_> = names.map(|name| (name, count(name))).collect();
        rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut table = Table::new(&[title, "share", "a message"]);
        for (name, count) in rows {
            let share = count as f64 / all.max(1) as f64;
            let cells = [
                format!("{:.0} %", share * 100.0),
                micros(share * self.message),
            ];
            table.row([vec![name.to_owned()], cells.to_vec()].concat());
        }
        table.row([
            "all of it".to_owned(),
            "100 %".to_owned(),
            micros(self.message),
        ]);
        table
    }
}

/// The first part that one of its words names.
fn part(parts: Parts, line: &str) -> &'static str {
    let mut found = parts.iter();
    let found = found.find(|(_, words)| words.iter().any(|word| line.contains(word)));
    found.map_or(REST, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_for_the_first_part_that_names_its_function() {
        let of = |line: &str| part(HOST, line);
        let kernel = of("tcp_sendmsg ([kernel.kallsyms])");
        assert!(kernel.starts_with("the kernel"), "{kernel}");
        assert_eq!(
            of("weir::plugin::worker::Worker::process (/bin/weir)"),
            "the border: wasmtime"
        );
        assert_eq!(
            of("weir::delivery::lane::Lane::run (/bin/weir)"),
            "weir's own steps"
        );
        assert_eq!(of("main (/bin/true)"), REST);
    }
}
