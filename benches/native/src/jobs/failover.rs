//! How long a partition stands still when its owner is killed and another host stands by: from when that host knows
//! that the owner is gone until its first commit.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use weir_figures::{Table, median};

use super::recovery;
use crate::bench::{Bench, LIMIT, LOOK, now, stop};
use crate::case::{self, Case, IDENTITY};

const KEYS: u64 = 1_000_000;
const FEW: u64 = 100_000;
/// Owners that are killed.
const ROUNDS: usize = 3;
/// Between two messages.
const PACE: Duration = Duration::from_millis(10);
/// What the owner had sent before it was killed is stored within this; silence is noticed much later.
const STORED: f64 = 1.0;
const NAME: &str = "bench-jobs-failover";
/// What a host writes when it owns a partition, and when it takes another for dead.
const OWNS: &str = "owns the partition";
const SILENT: &str = "says nothing any more";

/// A failover, in seconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Failover {
    /// From the death of the owner until the standby takes it for dead.
    noticed: f64,
    /// From then until the first result is in the sink's stream.
    took: f64,
}

/// A host of the job.
struct Host {
    child: Child,
    log: PathBuf,
}

/// Kills owners.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    let keys = if bench.measure.quick { FEW } else { KEYS };
    let ready = Case {
        job: true,
        ..IDENTITY
    };
    bench.prepare(case::Side::Weir, ready, NAME).await?;
    let messages = recovery::fill(bench, keys).await?;
    let mut hosts = vec![start(bench, 0)?];
    for host in &mut hosts {
        recovery::processed(bench, &mut host.child, NAME, messages).await?;
    }
    let (mut failovers, rounds) = (Vec::new(), bench.measure.pairs(ROUNDS));
    for round in 1..=rounds {
        hosts.push(start(bench, round)?);
        stands_by(bench).await?;
        let failover = once(bench, &mut hosts).await?;
        let Failover { noticed, took } = failover;
        eprintln!(
            "bench: failover {round}/{rounds}: noticed after {noticed:.2} s, took {took:.3} s"
        );
        failovers.push(failover);
    }
    for host in hosts {
        stop(host.child).await?;
    }
    let of = |value: fn(&Failover) -> f64| median(failovers.iter().map(value));
    let mut table = Table::new(&["keys", "noticed", "then the first commit"]);
    table.row([
        keys.to_string(),
        format!("{:.1} s", of(|failover| failover.noticed)),
        format!("{:.0} ms", of(|failover| failover.took) * 1e3),
    ]);
    let method = format!(
        "A value of 100 bytes for each key, in one partition, 100 messages a second, and two hosts with \
         `state: {{ standby: 1 }}`. The owner is killed with SIGKILL. *Noticed* is when the other host takes it for \
         dead, because it has said nothing for four beats of two seconds each; then until the first result is in the \
         sink's stream. Medians of {rounds} failovers."
    );
    let title = "Exactly once: failover to a standby";
    bench.write("jobs-failover", title, method, vec![table], &failovers)
}

fn start(bench: &Bench<'_>, number: usize) -> Result<Host> {
    let file = bench.measure.out.join(format!("{NAME}.yaml"));
    let pipeline = recovery::pipeline(bench, NAME, "memory\n  standby: 1");
    std::fs::write(&file, pipeline).context("cannot write a pipeline")?;
    let name = format!("{NAME}-{number}");
    let mut weir = bench.weir(&file);
    weir.arg("--create");
    Ok(Host {
        child: bench.spawn(weir, &name)?,
        log: bench.measure.out.join(format!("{name}.log")),
    })
}

/// The times of the entries of a log with these words, in seconds since 1970.
fn times(host: &Host, words: &str) -> Result<Vec<f64>> {
    let log = std::fs::read_to_string(&host.log).context("cannot read a log")?;
    let lines = log.lines().filter(|line| line.contains(words));
    lines
        .map(|line| {
            let time = line.split_whitespace().next().unwrap_or_default();
            let time: Timestamp = time.parse().context("an entry of a log has no time")?;
            Ok(time.as_nanosecond() as f64 / 1e9)
        })
        .collect()
}

#[derive(Deserialize)]
struct Shown {
    state: Vec<Partition>,
}

#[derive(Deserialize)]
struct Partition {
    owners: Vec<String>,
    standbys: Vec<Standby>,
}

#[derive(Deserialize)]
struct Standby {
    behind: Option<u64>,
}

/// Waits until the partition has an owner, and a standby that has all of its state.
async fn stands_by(bench: &Bench<'_>) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        let mut weir = Command::new(&bench.measure.weir);
        weir.args(["job", "show", NAME, "--json", "--nats", &bench.server.url]);
        let shown = weir.output().await.context("cannot run `weir job show`")?;
        let shown = serde_json::from_slice::<Shown>(&shown.stdout);
        let shown = shown.context("cannot understand `weir job show`")?;
        let is_level = |it: &Standby| it.behind == Some(0);
        let mut partitions = shown.state.iter();
        if partitions.any(|it| it.owners.len() == 1 && it.standbys.iter().any(is_level)) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("no host stands by: see `{NAME}-*.log`")
}

/// Kills the owner while messages come.
async fn once(bench: &Bench<'_>, hosts: &mut Vec<Host>) -> Result<Failover> {
    let mut last = (0.0, 0);
    for (place, host) in hosts.iter().enumerate() {
        let owned = times(host, OWNS)?.pop().unwrap_or_default();
        if owned > last.0 {
            last = (owned, place);
        }
    }
    let mut owner = hosts.swap_remove(last.1);
    let standby = hosts.first().context("a standby")?;
    let watched = async {
        let killed = now()?;
        owner.child.kill().await.context("cannot kill a host")?;
        while now()? < killed + STORED {
            tokio::time::sleep(LOOK).await;
        }
        let (before, _) = bench.stored().await?;
        let deadline = Instant::now() + LIMIT;
        while bench.stored().await?.0 == before {
            if Instant::now() > deadline {
                bail!("nobody takes over: see `{NAME}-*.log`");
            }
            tokio::time::sleep(LOOK).await;
        }
        let committed = now()?;
        let noticed = times(standby, SILENT)?.pop();
        let noticed = noticed.filter(|noticed| *noticed > killed);
        let noticed = noticed.context("the standby has not noticed that the owner is gone")?;
        Ok(Failover {
            noticed: noticed - killed,
            took: committed - noticed,
        })
    };
    let send = async {
        loop {
            recovery::publish(bench, "go on".into()).await?;
            tokio::time::sleep(PACE).await;
        }
    };
    tokio::select! {
        failover = watched => failover,
        failed = send => failed,
    }
}
