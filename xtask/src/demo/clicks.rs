//! `cargo xtask demo clicks [COUNT]`: impressions and clicks through the clicks example on a private server, with hosts
//! that are killed half-way; then every pair, burst and rate is compared with an independent computation.
//!
//! What a host reads is there before it is: it works as fast as it can, and a pause is the end of it. So the rates are
//! counted when all pairs are there.

use anyhow::Result;

use super::site::Site;
use crate::process;
use crate::standard;
use crate::ui::say;

/// How many impressions there are unless the command line says otherwise.
pub(super) const COUNT: u64 = 100_000;
const SEED: &str = "1";
const PROGRAMS: [&str; 2] = ["weir", "clicks-oracle"];
/// What runs at the same time: the files, their pipelines, and the streams of their results.
const STAGES: [(&[&str], &[&str], &str); 2] = [
    (
        &["pipeline", "pipeline-bursts"],
        &["clicks-joined", "clicks-bursts"],
        "JOINED,BURSTS",
    ),
    (&["pipeline-rates"], &["clicks-rates"], "RATES"),
];

pub(super) fn run(count: u64) -> Result<()> {
    let tools = standard::set_up()?;
    super::build(&tools, PROGRAMS)?;
    let site = Site::start(&tools, "clicks")?;
    let oracle = |task: &str, more: &[&str]| {
        let mut oracle = site.program("clicks-oracle")?;
        oracle.args([task, "--seed", SEED, "--count", &count.to_string()]);
        oracle.args(more);
        anyhow::Ok(oracle)
    };
    say(
        "demo",
        format_args!("publishing {count} impressions and their clicks"),
    );
    process::run(&mut oracle("feed", &[])?)?;
    for (files, pipelines, streams) in STAGES {
        let files = files
            .iter()
            .map(|name| format!("examples/clicks/{name}.yaml"));
        let files: Vec<String> = files.collect();
        let start = || {
            let pipelines = pipelines.iter().map(|name| (*name).to_owned());
            site.host(&files, pipelines.collect())
        };
        let wait = |percent: &str| oracle("await", &["--streams", streams, "--percent", percent]);
        let host = start()?;
        process::run(&mut wait("50")?)?;
        drop(host);
        say("demo", "killed the host half-way; starting it again");
        let host = start()?;
        site.wait_until("all messages are processed", || host.is_done())?;
        say("demo", "waiting until the last windows have ended");
        process::run(&mut wait("100")?)?;
        site.wait_until("nothing is left", || host.is_done())?;
    }
    say("demo", "comparing every result with the oracle's");
    process::run(&mut oracle("verify", &[])?)
}
