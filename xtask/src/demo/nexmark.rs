//! `cargo xtask demo nexmark [COUNT]`: the queries of NEXMark on a private server, all in one host that is killed
//! half-way; then every row is compared with an independent computation.
//!
//! The events are there before the host is: it works as fast as it can, and a pause is the end of them.

use anyhow::Result;

use super::site::Site;
use crate::process;
use crate::setup::{self, Tools};
use crate::standard;
use crate::ui::say;

/// How many events there are unless the command line says otherwise.
pub(super) const COUNT: u64 = 100_000;
const SEED: &str = "1";
const PROGRAMS: [&str; 2] = ["weir", "nexmark-oracle"];

/// Each plugin, by its folder, with the file that the pipelines name.
const PLUGINS: [(&str, &str); 4] = [
    ("plugins/jq", "jq"),
    ("plugins/filter", "filter"),
    ("plugins/aggregate", "aggregate"),
    ("examples/nexmark/plugin", "nexmark"),
];

/// The queries that these are enough for.
const QUERIES: [&str; 15] = [
    "q0",
    "q1",
    "q2",
    "q3",
    "winning-bids",
    "q4",
    "q5",
    "q6",
    "q7",
    "q8",
    "q11",
    "q12",
    "q17",
    "q21",
    "q22",
];

/// A query whose plugin is in another language, and the tool that builds it.
const OTHERS: [(&str, &str); 2] = [("q18", "componentize-py"), ("q19", "go")];

pub(super) fn run(count: u64) -> Result<()> {
    let tools = standard::set_up()?;
    super::build(&tools, PROGRAMS)?;
    let queries = queries(&tools)?;
    let site = Site::start(&tools, "nexmark")?;
    let oracle = |task: &str, queries: &str| {
        let mut oracle = site.program("nexmark-oracle")?;
        oracle.args([task, "--seed", SEED, "--count", &count.to_string()]);
        oracle.args(["--queries", queries]);
        anyhow::Ok(oracle)
    };
    let files = queries
        .iter()
        .map(|query| format!("examples/nexmark/{query}.yaml"));
    let files: Vec<String> = files.collect();
    let pipelines = || queries.iter().map(|query| format!("nexmark-{query}"));
    let all = queries.join(",");
    say("demo", "compiling the plugins");
    process::output(site.program("weir")?.arg("check").args(&files))?;
    say("demo", format_args!("publishing {count} events"));
    process::run(&mut oracle("feed", &all)?)?;
    let host = site.host(&files, pipelines().collect())?;
    process::run(oracle("await", "q0")?.args(["--percent", "50"]))?;
    drop(host);
    say("demo", "killed the host half-way; starting it again");
    let host = site.host(&files, pipelines().collect())?;
    site.wait_until("all events are processed", || host.is_done())?;
    say(
        "demo",
        "waiting until the last auctions and windows have ended",
    );
    process::run(oracle("await", &all)?.args(["--percent", "100"]))?;
    site.wait_until("all results are processed", || host.is_done())?;
    say("demo", "comparing every row with the oracle's");
    process::run(&mut oracle("verify", &all)?)
}

/// Builds all plugins that can be built here, and says which queries there are without the others.
fn queries(tools: &Tools) -> Result<Vec<&'static str>> {
    for (folder, name) in PLUGINS {
        super::build_plugin(tools, folder, &format!("examples/nexmark/{name}.wasm"))?;
    }
    let mut queries = QUERIES.to_vec();
    let path = setup::path_with_tools()?;
    for (query, tool) in OTHERS {
        if process::find_all(tool, &path).is_empty() {
            say(
                "demo",
                format_args!(
                    "{query} is left out: there is no {tool}; see `cargo xtask setup --languages`"
                ),
            );
            continue;
        }
        let folder = format!("examples/nexmark/{query}");
        let component = format!("examples/nexmark/nexmark_{query}.wasm");
        super::build_plugin(tools, &folder, &component)?;
        queries.push(query);
    }
    Ok(queries)
}
