//! `cargo xtask bench [--quick]`: set up, build with optimisation, and measure weir beside a native
//! loop with the same promises on the same server.
//!
//! The measuring is `benches/native`; its head says how. `--quick` takes the development build and
//! fewer messages: for a look while working, not for figures to quote.

use anyhow::{Context, Result, bail};

use crate::layout;
use crate::process;
use crate::setup::{self, Wasm};
use crate::ui::say;

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let quick = match arguments {
        [] => false,
        ["--quick"] => true,
        [word, ..] => bail!("the bench takes `--quick` or nothing, and got `{word}`"),
    };
    let tools = setup::run()?;
    if tools.wasm == Wasm::DebianBuildStd {
        bail!("the bench needs a toolchain with wasm32-wasip2 or wasm32-unknown-unknown");
    }
    let (profile, folder, measure) = match quick {
        true => ("dev", "debug", ["--messages", "20000", "--pairs", "3"]),
        false => (
            "release",
            "release",
            ["--messages", "100000", "--pairs", "5"],
        ),
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
    let mut guests = tools.cargo()?;
    guests
        .current_dir(root.join("benches/guests"))
        .env("CARGO_TARGET_DIR", root.join("target/guests"));
    process::run(guests.args(["build", "--release", "--quiet", "--target", target]))?;

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
    process::run(&mut bench)?;
    say(
        "bench",
        format_args!("every run is in {}", out.join("bench.json").display()),
    );
    Ok(())
}
