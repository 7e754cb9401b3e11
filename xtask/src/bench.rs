//! `cargo xtask bench [--quick]`: set up, build with optimisation, and measure weir beside a native
//! loop with the same promises on the same server; with `--languages`, what the same plugin costs in
//! each language; with `--instructions`, what `instructions.rs` says.
//!
//! The measuring is `benches/native` and `benches/languages`; their heads say how. `--quick` takes the development build and
//! fewer messages: for a look while working, not for figures to quote.

use anyhow::{Context, Result, bail};

use crate::instructions;
use crate::layout;
use crate::process;
use crate::setup::{self, Wasm};
use crate::ui::say;

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    if arguments == ["--instructions"] {
        return instructions::run();
    }
    let (mut quick, mut languages) = (false, false);
    for argument in arguments {
        match *argument {
            "--quick" => quick = true,
            "--languages" => languages = true,
            word => bail!(
                "the bench takes `--quick` and `--languages`, or `--instructions` alone, and got \
                 `{word}`"
            ),
        }
    }
    match languages {
        true => measure_languages(quick),
        false => compare(quick),
    }
}

/// The binaries' profile, and its folder in `target`.
fn profile(quick: bool) -> (&'static str, &'static str) {
    match quick {
        true => ("dev", "debug"),
        false => ("release", "release"),
    }
}

/// What the same plugin costs in each language: `benches/languages`. Without `--quick` the table in
/// `docs/languages` is written anew.
fn measure_languages(quick: bool) -> Result<()> {
    let mut tools = setup::run()?;
    tools.find_languages();
    let (profile, folder) = profile(quick);
    say("bench", format_args!("building weir, {profile} profile"));
    let packages = ["--package", "weir", "--package", "weir-language-bench"];
    let mut cargo = tools.cargo()?;
    process::run(
        cargo
            .args(["build", "--quiet", "--profile", profile])
            .args(packages),
    )?;

    let root = layout::root();
    let built = root.join("target").join(folder);
    let out = root.join("target/bench/languages");
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create `{}`", out.display()))?;
    let docs = root.join("docs/languages");
    let mut bench = tools.command(built.join("weir-language-bench"))?;
    bench.arg("--weir").arg(built.join("weir"));
    bench.arg("--out").arg(&out).args(["--profile", profile]);
    let packages = root.join("target/tools/node/node_modules");
    if packages.is_dir() {
        bench.arg("--node-modules").arg(packages);
    }
    let json = match quick {
        true => {
            bench.args(["--messages", "20000"]);
            out.join("costs.json")
        }
        false => {
            bench.arg("--table").arg(docs.join("costs.md"));
            docs.join("costs.json")
        }
    };
    process::run(bench.arg("--json").arg(&json))?;
    say(
        "bench",
        format_args!("every figure is in {}", json.display()),
    );
    Ok(())
}

fn compare(quick: bool) -> Result<()> {
    let tools = setup::run()?;
    if tools.wasm == Wasm::DebianBuildStd {
        bail!("the bench needs a toolchain with wasm32-wasip2 or wasm32-unknown-unknown");
    }
    let (profile, folder) = profile(quick);
    let measure = match quick {
        true => ["--messages", "20000", "--pairs", "3"],
        false => ["--messages", "100000", "--pairs", "5"],
    };
    say(
        "bench",
        format_args!("building weir and the native loop, {profile} profile"),
    );
    process::run(
        tools
            .cargo()?
            .args(["build", "--workspace", "--quiet", "--profile", profile]),
    )?;

    let root = layout::root();
    let target = tools.wasm.target();
    instructions::build_plugins(&tools)?;

    let out = root.join("target/bench");
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create `{}`", out.display()))?;
    let built = root.join("target").join(folder);
    let mut bench = tools.command(built.join("weir-bench"))?;
    bench.arg("compare").arg("--weir").arg(built.join("weir"));
    bench.arg("--nats-server").arg(&tools.nats_server);
    bench
        .arg("--plugins")
        .arg(root.join("target/guests").join(target).join("release"));
    bench
        .arg("--out")
        .arg(&out)
        .args(["--profile", profile])
        .args(measure);
    if !quick {
        let pages = root.join("docs/performance");
        std::fs::create_dir_all(&pages)
            .with_context(|| format!("cannot create `{}`", pages.display()))?;
        bench.arg("--pages").arg(pages);
    }
    process::run(&mut bench)?;
    say(
        "bench",
        format_args!("every run is in {}", out.join("bench.json").display()),
    );
    Ok(())
}
