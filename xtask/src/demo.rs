//! `cargo xtask demo [COUNT]`: set up, then run the rebates example over an evening of shop events
//! and compare what came out with an independent computation, to the cent.
//!
//! It only calls what a person could call: the generator, `weir dev` with a private server, and
//! the oracle. What they wrote stays in `target/demo` to be looked at.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::layout;
use crate::process;
use crate::setup::{self, Tools};
use crate::ui::say;

/// How many events there are unless the command line says otherwise.
const COUNT: u64 = 100_000;
/// The evening that is played; the same number gives the same events on every machine.
const SEED: &str = "42";

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let count = match arguments {
        [] => COUNT,
        [count] => count
            .parse()
            .with_context(|| format!("`{count}` is no number of events"))?,
        [_, more, ..] => bail!("the demo takes a number of events, and got `{more}` besides"),
    };
    let tools = setup::run()?;
    say("demo", "building weir and the rebates oracle");
    process::run(tools.cargo()?.args(["build", "--workspace", "--quiet"]))?;
    let folder = layout::root().join("target/demo");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create `{}`", folder.display()))?;
    play(&tools, &folder, &count.to_string())
}

fn play(tools: &Tools, folder: &Path, count: &str) -> Result<()> {
    let [events, results, dead] =
        ["events.jsonl", "results.jsonl", "dead.jsonl"].map(|name| folder.join(name));
    let built = layout::root().join("target/debug");
    let oracle = built.join("rebates-oracle");
    let evening = ["--seed", SEED, "--count", count];

    say("demo", format_args!("generating {count} shop events"));
    let mut generate = tools.command(&oracle)?;
    process::run(
        generate
            .arg("generate")
            .args(evening)
            .arg("--out")
            .arg(&events),
    )?;

    say(
        "demo",
        "through JetStream, the plugin and back, on a private server",
    );
    let mut weir = tools.command(built.join("weir"))?;
    // Over a thousand events are malformed; they are counted, and five are shown, but not logged.
    weir.env("WEIR_LOG", "error");
    weir.args([
        "dev",
        "examples/rebates",
        "--once",
        "--show",
        "5",
        "--input",
    ])
    .arg(&events);
    weir.arg("--outputs").arg(&results).arg("--dead").arg(&dead);
    let mut dropped = None;
    process::run_and_read(&mut weir, |line| dropped = drops(line).or(dropped))?;
    let dropped = dropped.context("`weir dev` did not say how many messages were dropped")?;

    say("demo", "comparing every rebate with the oracle's");
    let mut verify = tools.command(&oracle)?;
    verify
        .arg("verify")
        .args(evening)
        .arg("--outputs")
        .arg(&results)
        .arg("--dead")
        .arg(&dead)
        .args(["--dropped", &dropped.to_string()]);
    process::run(&mut verify)
}

/// The host's own count, in `100000 in, 33472 out, 65214 dropped, 1314 dead letters`.
fn drops(line: &str) -> Option<u64> {
    let (fed, counts) = line.split_once(" in, ")?;
    fed.parse::<u64>().ok()?;
    let count = counts
        .split(", ")
        .find_map(|part| part.strip_suffix(" dropped"))?;
    count.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_drops_is_read_from_the_summary_alone() {
        let summary = "100000 in, 33472 out, 65214 dropped, 1314 dead letters";
        assert_eq!(drops(summary), Some(65_214));
        assert_eq!(drops("in   orders.a  {\"a\": \"1 in, 2 dropped\"}"), None);
        assert_eq!(drops("3.42 s, 29255 messages a second"), None);
    }
}
