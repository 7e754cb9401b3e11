//! `cargo xtask demo iot [COUNT]`: readings of sensors through the iot example on a private server, with a host that
//! is killed half-way; then every minute, day and alert is compared with an independent computation.
//!
//! The readings are there before the host is: it works as fast as it can, and a pause is the end of them.

use anyhow::Result;

use super::site::Site;
use crate::process;
use crate::standard;
use crate::ui::say;

/// How many readings there are, and are missing in gaps, unless the command line says otherwise.
pub(super) const COUNT: u64 = 100_000;
const SEED: &str = "1";
const PROGRAMS: [&str; 2] = ["weir", "iot-oracle"];

const FILES: [&str; 4] = [
    "pipeline",
    "pipeline-gaps",
    "pipeline-drift",
    "pipeline-days",
];

const PIPELINES: [&str; 5] = [
    "iot-minutes",
    "iot-gaps",
    "iot-drift",
    "iot-days-hamburg",
    "iot-days-pune",
];

pub(super) fn run(count: u64) -> Result<()> {
    let tools = standard::set_up()?;
    super::build(&tools, PROGRAMS)?;
    super::build_plugin(&tools, "examples/iot/plugin", "examples/iot/iot.wasm")?;
    let site = Site::start(&tools, "iot")?;
    let oracle = |task: &str, more: &[&str]| {
        let mut oracle = site.program("iot-oracle")?;
        oracle.args([task, "--seed", SEED, "--count", &count.to_string()]);
        oracle.args(more);
        anyhow::Ok(oracle)
    };
    let files = FILES.map(|name| format!("examples/iot/{name}.yaml"));
    let start = || site.host(&files, PIPELINES.map(str::to_owned).to_vec());
    say(
        "demo",
        format_args!("publishing {count} readings, but for those of silent sensors"),
    );
    process::run(&mut oracle("feed", &[])?)?;
    let host = start()?;
    process::run(&mut oracle("await", &["--percent", "50"])?)?;
    drop(host);
    say("demo", "killed the host half-way; starting it again");
    let host = start()?;
    site.wait_until("all readings are processed", || host.is_done())?;
    say("demo", "waiting until the last minutes and days have ended");
    process::run(&mut oracle("await", &["--percent", "100"])?)?;
    site.wait_until("all minutes are processed", || host.is_done())?;
    say("demo", "comparing every result with the oracle's");
    process::run(&mut oracle("verify", &[])?)
}
