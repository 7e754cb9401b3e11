//! `cargo xtask bench`: set up, build with optimisation, and measure weir, most of it beside a native
//! loop or function that does the same; `--only` chooses sections, `--soak` is the one that takes
//! long, `--languages` is what the same plugin costs in each language, `--instructions` what
//! `instructions.rs` says.
//!
//! The measuring is `benches/native` (processes and a server) and `benches/runtime` (calls in one
//! process); their heads say how. `--quick` takes the development build and fewer messages: for a
//! look while working, not for figures to quote.

use anyhow::{Context, Result, bail};

use crate::instructions;
use crate::layout;
use crate::process;
use crate::setup::{Tools, Wasm};
use crate::standard;
use crate::ui::say;

/// What is measured together, by its name on the command line.
struct Section {
    name: &'static str,
    /// What `weir-bench` measures of it, and what `weir-runtime-bench` does.
    broker: &'static [&'static str],
    runtime: &'static [&'static str],
}

const SECTIONS: [Section; 11] = [
    section("throughput", &["throughput"], &[]),
    section("profile", &["profile"], &[]),
    section("delay", &["delay"], &[]),
    section("border", &[], &["border"]),
    section("safety", &[], &["safety"]),
    section("start", &["start"], &["instances"]),
    section("swap", &["swap"], &[]),
    section(
        "jobs",
        &["jobs", "jobs-delay", "jobs-recovery", "jobs-failover"],
        &[],
    ),
    section("windows", &["jobs-windows"], &[]),
    section("nexmark", &["nexmark"], &[]),
    section("scale", &["pipelines", "hosts"], &["chain", "plugins"]),
];

const SOAK: Section = section("soak", &["soak"], &["soak"]);

const fn section(
    name: &'static str,
    broker: &'static [&'static str],
    runtime: &'static [&'static str],
) -> Section {
    Section {
        name,
        broker,
        runtime,
    }
}

/// The names of all sections, for the usage.
pub(crate) fn section_names() -> String {
    SECTIONS.map(|section| section.name).join(", ")
}

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    if arguments == ["--instructions"] {
        return instructions::run();
    }
    let (mut quick, mut languages, mut soak, mut only) = (false, false, false, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match *word {
            "--quick" => quick = true,
            "--languages" => languages = true,
            "--soak" => soak = true,
            "--only" => only = Some(*words.next().context("`--only` takes names of sections")?),
            word => bail!(
                "the bench takes `--quick`, and `--only SECTION,...`, `--soak` or `--languages`; or \
                 `--instructions` alone; it got `{word}`"
            ),
        }
    }
    match (languages, soak, only) {
        (false, false, only) => measure(quick, &chosen(only)?),
        (false, true, None) => measure(quick, &[&SOAK]),
        (true, false, None) => measure_languages(quick),
        _ => bail!("`--only`, `--soak` and `--languages` do not go together"),
    }
}

/// The sections with these names, or all.
fn chosen(only: Option<&str>) -> Result<Vec<&'static Section>> {
    let Some(names) = only else {
        return Ok(SECTIONS.iter().collect());
    };
    let find = |name: &str| {
        let found = SECTIONS.iter().find(|section| section.name == name);
        found.with_context(|| format!("no section is called `{name}`: {}", section_names()))
    };
    names.split(',').map(find).collect()
}

/// What the same plugin costs in each language: `benches/runtime`. Without `--quick` the table in
/// `docs/languages` is written anew.
fn measure_languages(quick: bool) -> Result<()> {
    let mut tools = standard::set_up()?;
    tools.find_languages();
    let (profile, folder) = build(&tools, quick)?;
    let root = layout::root();
    let built = root.join("target").join(folder);
    let out = root.join("target/bench/languages");
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create `{}`", out.display()))?;
    let docs = root.join("docs/languages");
    let mut bench = tools.command(built.join("weir-runtime-bench"))?;
    bench.arg("languages").arg("--weir").arg(built.join("weir"));
    bench.arg("--out").arg(&out).args(["--profile", profile]);
    node_modules(&mut bench);
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

/// Measures sections. Without `--quick` their figures and the pages in `docs/performance` are written
/// anew, each section by itself.
fn measure(quick: bool, sections: &[&Section]) -> Result<()> {
    let mut tools = standard::set_up()?;
    if tools.wasm == Wasm::DebianBuildStd {
        bail!("the bench needs a toolchain with wasm32-wasip2 or wasm32-unknown-unknown");
    }
    let of = |part: fn(&Section) -> &'static [&'static str]| -> Vec<&str> {
        let parts = sections.iter().flat_map(|section| part(section));
        parts.copied().collect()
    };
    let broker = of(|section| section.broker);
    let runtime = of(|section| section.runtime);
    if runtime.contains(&"soak") {
        tools.find_languages();
    }
    let (profile, folder) = build(&tools, quick)?;
    build_plugins(&tools)?;

    let root = layout::root();
    let (out, pages) = (root.join("target/bench"), root.join("docs/performance"));
    let figures = match quick {
        true => out.join("figures"),
        false => pages.join("figures"),
    };
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create `{}`", out.display()))?;
    let built = root.join("target").join(folder);
    let plugins = root.join("target/guests").join(tools.wasm.target());
    for (program, parts) in [("weir-bench", broker), ("weir-runtime-bench", runtime)] {
        if parts.is_empty() {
            continue;
        }
        let mut bench = tools.command(built.join(program))?;
        bench.arg("measure").arg("--weir").arg(built.join("weir"));
        bench.arg("--plugins").arg(plugins.join("release"));
        bench.arg("--figures").arg(&figures).arg("--out").arg(&out);
        match program {
            "weir-bench" => bench.arg("--nats-server").arg(&tools.nats_server),
            _ => node_modules(&mut bench),
        };
        if quick {
            bench.arg("--quick");
        }
        process::run(bench.args(["--profile", profile]).args(parts))?;
    }
    if !quick {
        let mut bench = tools.command(built.join("weir-bench"))?;
        bench.arg("pages").arg("--figures").arg(&figures);
        process::run(bench.arg("--to").arg(pages))?;
    }
    say(
        "bench",
        format_args!("every run is in {}", figures.display()),
    );
    Ok(())
}

/// Compiles weir and the benches, the whole workspace, so that no dependency is compiled again with
/// other features; the profile, and its folder in `target`.
fn build(tools: &Tools, quick: bool) -> Result<(&'static str, &'static str)> {
    let (profile, folder) = match quick {
        true => ("dev", "debug"),
        false => ("release", "release"),
    };
    say(
        "bench",
        format_args!("building weir and the benches, {profile} profile"),
    );
    let mut cargo = tools.cargo()?;
    process::run(cargo.args(["build", "--workspace", "--quiet", "--profile", profile]))?;
    Ok((profile, folder))
}

/// Compiles the plugins of the benches, and those that they use: standard plugins, and that of NEXMark.
fn build_plugins(tools: &Tools) -> Result<()> {
    instructions::build_plugins(tools)?;
    let root = layout::root();
    let standard = ["filter", "aggregate", "jq"].map(|name| ["--package", name]);
    let standard = standard.as_flattened();
    for (folder, packages) in [("plugins", standard), ("examples/nexmark/plugin", &[])] {
        let mut cargo = tools.cargo()?;
        cargo
            .current_dir(root.join(folder))
            .env("CARGO_TARGET_DIR", root.join("target/guests"))
            .args(["build", "--release", "--quiet"])
            .args(packages);
        process::run(cargo.args(["--target", tools.wasm.target()]))?;
    }
    Ok(())
}

/// The npm packages for JavaScript and TypeScript, where they are.
fn node_modules(bench: &mut std::process::Command) -> &mut std::process::Command {
    let packages = layout::tools().join("node/node_modules");
    match packages.is_dir() {
        true => bench.arg("--node-modules").arg(packages),
        false => bench,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: Option<&str>) -> Option<Vec<&'static str>> {
        let sections = chosen(only).ok()?;
        Some(sections.iter().map(|section| section.name).collect())
    }

    #[test]
    fn sections_are_chosen_by_name_and_are_all_unless_chosen() {
        assert_eq!(names(None).map(|all| all.len()), Some(SECTIONS.len()));
        assert_eq!(names(Some("scale,delay")), Some(vec!["scale", "delay"]));
        assert_eq!(names(Some("speed")), None);
    }
}
