//! `cargo xtask demo [COUNT]`: set up, then run the rebates example over an evening of shop events
//! and compare what came out with an independent computation, to the cent. `fraud.rs` has
//! `cargo xtask demo fraud [COUNT]`, and so have the other files.
//!
//! It only calls what a person could call: the generator, `weir dev` with a private server, and
//! the oracle. What they wrote stays in `target/demo` to be looked at.

mod clicks;
mod fraud;
mod iot;
mod nexmark;
mod site;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::layout;
use crate::process;
use crate::setup::Tools;
use crate::standard;
use crate::ui::say;

/// How many events there are unless the command line says otherwise.
const COUNT: u64 = 100_000;
/// The evening that is played; the same number gives the same events on every machine.
const SEED: &str = "42";
/// The packages that it runs.
const PROGRAMS: [&str; 2] = ["weir", "rebates-oracle"];
/// What two cores take to compile them from nothing, without the downloads; measured with
/// `cargo build --timings`.
const MINUTES: u32 = 12;

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    if let ["clicks", rest @ ..] = arguments {
        return clicks::run(counted(rest, clicks::COUNT)?);
    }
    if let ["fraud", rest @ ..] = arguments {
        return fraud::run(counted(rest, fraud::COUNT)?);
    }
    if let ["iot", rest @ ..] = arguments {
        return iot::run(counted(rest, iot::COUNT)?);
    }
    if let ["nexmark", rest @ ..] = arguments {
        return nexmark::run(counted(rest, nexmark::COUNT)?);
    }
    let count = counted(arguments, COUNT)?;
    let tools = standard::set_up()?;
    build(&tools, PROGRAMS)?;
    let folder = layout::root().join("target/demo");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create `{}`", folder.display()))?;
    play(&tools, &folder, &count.to_string())
}

/// The number of events that is asked for, or the usual one.
fn counted(arguments: &[&str], usual: u64) -> Result<u64> {
    match arguments {
        [] => Ok(usual),
        [count] => count
            .parse()
            .with_context(|| format!("`{count}` is no number of events")),
        [_, more, ..] => bail!("the demo takes a number of events, and got `{more}` besides"),
    }
}

/// Compiles what the demo runs and nothing else, and says before how long that may take. cargo shows
/// how far it is.
fn build(tools: &Tools, programs: [&str; 2]) -> Result<()> {
    let packages = || programs.iter().flat_map(|name| ["--package", name]);
    let mut tree = tools.cargo()?;
    tree.args(["tree", "--edges", "normal,build", "--prefix", "none"]);
    // It downloads first, and says so.
    let tree = process::output_with_progress(tree.args(["--format", "{p}"]).args(packages()))?;
    let (all, compiled) = (
        packages_of(&tree),
        compiled(&layout::root().join("target/debug")),
    );
    let missing = all.difference(&compiled).count();
    say("demo", told(missing, all.len(), cores()));
    process::run(tools.cargo()?.arg("build").args(packages()))
}

/// Builds the plugin in a folder as a component.
fn build_plugin(tools: &Tools, folder: &str, component: &str) -> Result<()> {
    let mut build = tools.command(layout::root().join("target/debug/weir"))?;
    build.env("CARGO_TARGET_DIR", layout::root().join("target/guests"));
    process::run(build.args(["plugin", "build", folder, "-o", component]))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// What is said before so many crates of so many are compiled.
fn told(missing: usize, all: usize, cores: usize) -> String {
    match missing {
        0 => "building weir and the oracle".to_owned(),
        _ => format!(
            "compiling {missing} of the {all} crates of weir and the oracle; for all of them \
             two cores take about {MINUTES} minutes, and this machine has {cores}"
        ),
    }
}

/// The packages that `cargo tree` prints, `serde v1.0.229 (proc-macro) (*)`, without their versions.
fn packages_of(tree: &str) -> BTreeSet<String> {
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let names = names.filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// The packages of which cargo has compiled a library: each leaves a folder
/// `.fingerprint/serde-0a1b2c3d4e5f6071` with a file `lib-serde`.
fn compiled(profile: &Path) -> BTreeSet<String> {
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    let fingerprints = profile.join(".fingerprint");
    let done =
        |folder: &String| names(&fingerprints.join(folder)).any(|file| file.starts_with("lib-"));
    let done = names(&fingerprints).filter(done);
    done.filter_map(|folder| Some(folder.rsplit_once('-')?.0.to_owned()))
        .collect()
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
    fn the_packages_of_a_tree_are_counted_once() {
        let tree = "weir v0.1.0 (/a/host)\nserde v1.0.229\nserde_derive v1.0.229 (proc-macro)\n\
                    serde v1.0.229 (*)\n\nsyn v2.0.119\nsyn v3.0.9\n";
        let names: Vec<String> = packages_of(tree).into_iter().collect();
        assert_eq!(names, ["serde", "serde_derive", "syn", "weir"]);
    }

    #[test]
    fn a_package_counts_as_compiled_once_its_library_is() {
        let profile = std::env::temp_dir().join(format!("weir-demo-{}", std::process::id()));
        let leave = |folder: &str, file: &str| {
            let folder = profile.join(".fingerprint").join(folder);
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(folder.join(file), ""))
                .is_ok()
        };
        assert!(leave("serde-saphyr-643b01a6d18a6185", "lib-serde_saphyr"));
        assert!(leave(
            "serde-37509b8588bd9eaf",
            "build-script-build-script-build"
        ));
        assert!(leave("tokio-9827bd11354fe6a6", "invoked.timestamp"));
        let found: Vec<String> = compiled(&profile).into_iter().collect();
        assert!(std::fs::remove_dir_all(&profile).is_ok());
        assert_eq!(found, ["serde-saphyr"]);
        assert!(compiled(&profile).is_empty());
    }

    #[test]
    fn minutes_are_said_only_where_something_is_to_be_compiled() {
        assert!(told(3, 340, 2).contains("3 of the 340 crates"));
        assert!(told(3, 340, 2).contains("minutes, and this machine has 2"));
        assert!(!told(0, 340, 2).contains("minutes"));
    }

    #[test]
    fn the_count_of_drops_is_read_from_the_summary_alone() {
        let summary = "100000 in, 33472 out, 65214 dropped, 1314 dead letters";
        assert_eq!(drops(summary), Some(65_214));
        assert_eq!(drops("in   orders.a  {\"a\": \"1 in, 2 dropped\"}"), None);
        assert_eq!(drops("3.42 s, 29255 messages a second"), None);
    }
}
