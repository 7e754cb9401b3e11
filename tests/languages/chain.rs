//! Plugins in five languages work together, and the standard ones stand between any of them: the
//! rebates are right to the cent although C, Rust, Go, Python and Zig each did a part of the work.

use crate::harness::guests::{example, plugin, repository};
use crate::harness::languages::{build, scaffold};
use crate::harness::{Weir, put};
use rebates_oracle::{Check, generate, jsonl};
use std::path::{Path, PathBuf};
use weir::cli::project::Language;

/// The plugin of one source in `tests/languages/chain`, in a project of its own.
fn stage(language: Language, source: &str, main: &str) -> PathBuf {
    let (name, _) = source.split_once('.').unwrap();
    let folder = scaffold(language, name);
    let source = repository().join("tests/languages/chain").join(source);
    std::fs::copy(source, folder.join(main)).unwrap();
    build(&folder, name)
}

/// The pipeline of the example, with more operators around the one that computes.
fn pipeline(config: &str) -> String {
    let filter = |name: &str| {
        format!(
            "  - {{ name: {name}, plugin: filter.wasm, config: {{ when: 'size(subject) > 0' }} }}\n"
        )
    };
    let (before, between, after) = (
        filter("any-event"),
        filter("any-booking"),
        filter("any-credit"),
    );
    format!(
        "name: rebates\n\
         source: {{ stream: ORDERS, subjects: ['orders.>'] }}\n\
         operators:\n{before}\
         \x20 - {{ name: screen, plugin: screen.wasm }}\n\
         \x20 - name: price\n    plugin: rebates.wasm\n    config:\n{config}\
         {between}\
         \x20 - {{ name: post, plugin: post.wasm }}\n\
         \x20 - {{ name: credit, plugin: credit.wasm, limits: {{ memory: 256MiB, deadline: 10s }} }}\n\
         {after}\
         \x20 - {{ name: tidy, plugin: tidy.wasm }}\n\
         sink: {{ subject: 'rebates.{{subject[1]}}' }}\n\
         dead-letter: {{ subject: dead.rebates }}\n"
    )
}

/// What stands under `config:` of the example's operator.
fn policy() -> String {
    let text =
        std::fs::read_to_string(repository().join("examples/rebates/pipeline.yaml")).unwrap();
    let lines = text
        .lines()
        .skip_while(|line| line.trim() != "config:")
        .skip(1);
    let lines = lines.take_while(|line| line.starts_with("      "));
    lines.map(|line| format!("{line}\n")).collect()
}

fn install(component: &Path, name: &str, folder: &Path) {
    std::fs::copy(component, folder.join(format!("{name}.wasm"))).unwrap();
}

#[test]
fn five_languages_in_a_chain_earn_what_the_oracle_says() {
    const SEED: u64 = 20_261_121;
    const COUNT: u64 = 5_000;
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    put(folder, "pipeline.yaml", pipeline(&policy()));
    install(&plugin("filter"), "filter", folder);
    install(&example("rebates"), "rebates", folder);
    for (language, source, main) in [
        (Language::C, "screen.c", "plugin.c"),
        (Language::Go, "post.go", "main.go"),
        (Language::Python, "credit.py", "plugin.py"),
        (Language::Zig, "tidy.zig", "plugin.zig"),
    ] {
        let (name, _) = source.split_once('.').unwrap();
        install(&stage(language, source, main), name, folder);
    }
    let mut events = Vec::new();
    for event in generate(SEED, COUNT) {
        jsonl::write(&mut events, &event.subject, &event.payload).unwrap();
    }
    let piped = Weir::run_with_input(folder, &["pipe", "pipeline.yaml"], &events);
    assert_eq!(
        piped.code,
        Some(1),
        "there are dead letters: {}",
        piped.stderr
    );
    let mut check = Check::new(SEED, COUNT);
    for line in jsonl::read(piped.stdout.as_bytes()) {
        check.output_line(line.unwrap());
    }
    let dead = piped.stderr.lines().filter(|line| line.starts_with('{'));
    let dead = dead.collect::<Vec<_>>().join("\n");
    for line in jsonl::read(dead.as_bytes()) {
        check.dead_line(line.unwrap());
    }
    let report = check.finish();
    assert!(report.agree, "{report}");
    assert!(report.found.outputs > 1000, "{report}");
}
