//! `cargo xtask demo fraud [COUNT]`: card payments through the fraud example on a private server, with a host
//! that is killed half-way; then every alert is compared with an independent computation.

use anyhow::{Result, bail};

use super::site::Site;
use crate::process;
use crate::standard;
use crate::ui::say;

/// How many payments there are unless the command line says otherwise.
pub(super) const COUNT: u64 = 200_000;
const SEED: &str = "1";
const PROGRAMS: [&str; 2] = ["weir", "fraud-oracle"];

pub(super) fn run(count: u64) -> Result<()> {
    let tools = standard::set_up()?;
    super::build(&tools, PROGRAMS)?;
    super::build_plugin(&tools, "examples/fraud/plugin", "examples/fraud/fraud.wasm")?;
    let site = Site::start(&tools, "fraud")?;
    let oracle = |task: &str, more: &[&str]| {
        let mut oracle = site.program("fraud-oracle")?;
        oracle.args([task, "--seed", SEED, "--count", &count.to_string()]);
        oracle.args(more);
        anyhow::Ok(oracle)
    };
    let files =
        ["pipeline", "pipeline-merchants"].map(|name| format!("examples/fraud/{name}.yaml"));
    let start = || {
        let pipelines = ["fraud-cards", "fraud-merchants"].map(str::to_owned);
        site.host(&files, pipelines.to_vec())
    };
    let host = start()?;
    say("demo", format_args!("publishing {count} payments"));
    let mut feed = site.start_in_background(&mut oracle("feed", &[])?, "feed.log")?;
    process::run(&mut oracle("await", &["--percent", "50"])?)?;
    drop(host);
    say("demo", "killed the host half-way; starting it again");
    let host = start()?;
    if !feed.ends_well()? {
        bail!("the oracle published not all payments: see `target/demo/fraud/feed.log`");
    }
    process::run(&mut oracle("await", &["--percent", "100"])?)?;
    site.wait_until("all payments are processed", || host.is_done())?;
    say("demo", "comparing every alert with the oracle's");
    process::run(&mut oracle("verify", &[])?)
}
