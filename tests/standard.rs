//! The standard plugins are in the binary: `plugin: std:NAME` needs no file, no Rust and no build.

mod mistakes;
mod payloads;
mod refusals;
mod runs;

use crate::harness::guests::{plugin, repository};
use crate::harness::{Finished, Weir, put};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

fn json(arguments: &[&str]) -> Value {
    let finished = Weir::run(&[arguments, &["--json"]].concat());
    serde_json::from_str(&finished.done()).unwrap()
}

/// The default members of the workspace `plugins`.
fn names() -> Vec<String> {
    let manifest = std::fs::read_to_string(repository().join("plugins/Cargo.toml")).unwrap();
    let (_, rest) = manifest.split_once("\ndefault-members = [").unwrap();
    let list = rest.split(']').next().unwrap();
    list.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Checks a pipeline with this operator.
fn checked(operator: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = format!(
        "name: p\nsource: {{ stream: IN, subjects: [\"in.>\"] }}\noperators:\n{operator}sink: {{ subject: \"out.{{subject}}\" }}\n"
    );
    put(folder.path(), "p.yaml", pipeline);
    Weir::run_in(folder.path(), &["check", "p.yaml"])
}

#[test]
fn all_plugins_of_the_repository_are_listed_with_the_digests_of_their_components() {
    let list = json(&["plugin", "list", "--std"]);
    let of = |name: &str| {
        (
            format!("std:{name}"),
            blake3::hash(&std::fs::read(plugin(name)).unwrap())
                .to_hex()
                .to_string(),
        )
    };
    let expected: BTreeMap<_, _> = names().iter().map(|name| of(name)).collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = list.as_array().unwrap().iter();
    let found: BTreeMap<_, _> = rows
        .map(|row| (text(&row["name"]), text(&row["digest"])))
        .collect();
    assert_eq!(
        found, expected,
        "the binary is older than plugins/: run `cargo xtask std`"
    );
    for row in list.as_array().unwrap() {
        assert!(text(&row["contract"]).starts_with("weir:"), "{row}");
        assert!(!text(&row["description"]).is_empty(), "{row}");
        assert_eq!(row["version"], "0.1.0");
    }
    let shown = Weir::run(&["plugin", "list", "--std"]).done();
    let line = shown
        .lines()
        .find(|line| line.starts_with("std:filter "))
        .unwrap();
    assert!(
        line.ends_with("Keeps the messages for which a CEL expression is true"),
        "{line}"
    );
}

#[test]
fn the_page_of_standard_plugins_names_each() {
    let page = std::fs::read_to_string(repository().join("docs/standard-plugins.md")).unwrap();
    for name in names() {
        let row = format!("| [`std:{name}`](../plugins/{name}/README.md) | ");
        assert!(
            page.contains(&row),
            "docs/standard-plugins.md has no row {row}"
        );
        let own = std::fs::read_to_string(repository().join(format!("plugins/{name}/README.md")))
            .unwrap();
        assert!(
            own.contains(&format!("plugin: std:{name}\n")),
            "plugins/{name}/README.md"
        );
    }
}

/// What a new user copies works as it is.
#[test]
fn the_example_of_each_gives_what_its_folder_expects() {
    for name in names() {
        let folder = tempfile::tempdir().unwrap();
        let example = Weir::run(&["plugin", "inspect", &format!("std:{name}"), "--example"]).done();
        assert!(
            example.contains(&format!("plugin: std:{name}\n")),
            "{example}"
        );
        put(folder.path(), "pipeline.yaml", example);
        for file in ["input.jsonl", "expected.jsonl"] {
            let from = repository().join("plugins").join(&name).join(file);
            put(folder.path(), file, std::fs::read(from).unwrap());
        }
        let check = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]).done();
        assert!(check.contains(&format!("std:{name}\n")), "{check}");
        Weir::run_in(folder.path(), &["plugin", "test", "."]).done();
    }
}

#[test]
fn one_is_described_with_its_configuration_and_an_example() {
    let found = json(&["plugin", "inspect", "std:filter"]);
    assert_eq!(found["name"], "std:filter");
    assert_eq!(found["contract"], "weir:plugin/operator@0.1.0");
    let schema = &found["config_schema"];
    assert_eq!(schema["required"], serde_json::json!(["when"]));
    assert_eq!(schema["additionalProperties"], false);
    assert!(
        found["example"]
            .as_str()
            .unwrap()
            .contains("plugin: std:filter\n")
    );
    let text = Weir::run(&["plugin", "inspect", "std:filter"]).done();
    for line in [
        "plugin    std:filter 0.1.0",
        "contract  weir:plugin/operator@0.1.0",
        "  when (text; required): The expression, in CEL.",
        "  on-error (reject, drop or keep; default reject): ",
        "    plugin: std:filter",
    ] {
        assert!(text.lines().any(|it| it.contains(line)), "{line}\n{text}");
    }
    let text = Weir::run(&["plugin", "inspect", "std:aggregate"]).done();
    for line in [
        "  max-groups (whole number; default 500; at least 1; at most 1000000): ",
        "    highest (text or list of text): ",
        "  results (names; required): ",
        "    NAME (count, first-time, last-time, duration, window-start, window-end or section): ",
        "      average (text): The field, as a JSON pointer.",
        "      ranks (list of number): ",
        "      ties (cut or keep): ",
    ] {
        assert!(
            text.lines().any(|it| it.starts_with(line)),
            "{line}\n{text}"
        );
    }
    for name in names() {
        let found = json(&["plugin", "inspect", &format!("std:{name}")]);
        assert!(
            found["config_schema"].is_object(),
            "{name} has no config.schema.json"
        );
    }
}

#[test]
fn a_mistake_in_the_configuration_has_its_line_and_a_suggestion() {
    let operator = "  - name: a\n    plugin: std:filter\n    config:\n      whn: payload.x > 1\n      on-error: rejct\n\
        \x20 - name: b\n    plugin: std:dedupe\n\
        \x20 - name: c\n    plugin: std:aggregate\n    window: { tumbling: 1m }\n    config:\n      results:\n        n: { sum: 5, mots: 3 }\n      max-groups: 0\n";
    let found = checked(operator);
    assert_eq!(found.code, Some(2), "{found:#?}");
    for line in [
        "p.yaml:7:7: error: unknown field `whn` in `operators[0].config`",
        "  hint: did you mean `when`?",
        "p.yaml:8:17: error: `operators[0].config.on-error` must be `reject`, `drop` or `keep`, found text `rejct`",
        "error: `operators[1].config` is missing",
        "  hint: the plugin needs `by` and `within`",
        "error: unknown field `mots` in `operators[2].config.results.n`",
        "  hint: did you mean `most`?",
        "error: `operators[2].config.max-groups` must be at least 1, found 0",
    ] {
        assert!(found.stderr.contains(line), "{line}\n{}", found.stderr);
    }
    // What the suggestion names is not said to be missing, too.
    assert!(
        !found.stderr.contains("config.when` is missing"),
        "{}",
        found.stderr
    );
}

#[test]
fn a_name_or_version_that_is_not_there_is_refused_with_what_is() {
    let found = checked("  - { name: a, plugin: std:fliter }\n");
    assert_eq!(found.code, Some(2), "{found:#?}");
    assert!(
        found.stderr.contains(
            "p.yaml:4:24: error: `operators[0].plugin`: there is no standard plugin `fliter`\n"
        ),
        "{}",
        found.stderr
    );
    assert!(
        found
            .stderr
            .contains("hint: did you mean `std:filter`? `weir plugin list --std` lists all"),
        "{}",
        found.stderr
    );
    let found = checked("  - { name: a, plugin: filter }\n").stderr;
    assert!(
        found.contains("write `std:filter` for the standard plugin"),
        "{found}"
    );
    let config = "config: { when: \"true\" }";
    let found = checked(&format!(
        "  - {{ name: a, plugin: std:filter@0.0.7, {config} }}\n"
    ));
    assert!(
        found
            .stderr
            .contains("this weir has version 0.1.0 of `std:filter`, not 0.0.7"),
        "{}",
        found.stderr
    );
    let found = checked(&format!(
        "  - {{ name: a, plugin: std:filter@0.1.0, {config} }}\n"
    ));
    assert_eq!(found.code, Some(0), "{found:#?}");
}

#[test]
fn a_command_that_needs_a_source_says_that_there_is_none() {
    let found = Weir::run(&["plugin", "build", "std:filter"]);
    assert_eq!(found.code, Some(2), "{found:#?}");
    assert!(
        found
            .stderr
            .contains("`std:filter` is part of weir, there is nothing to build"),
        "{}",
        found.stderr
    );
    let found = Weir::run(&["plugin", "pull", "std:filter"]);
    assert_eq!(found.code, Some(2), "{found:#?}");
    assert!(
        found.stderr.contains("`std:filter` is part of weir"),
        "{}",
        found.stderr
    );
    let file = Path::new("/nowhere/filter.wasm").to_str().unwrap();
    let found = Weir::run(&["plugin", "inspect", file, "--example"]);
    assert!(
        found
            .stderr
            .contains("is not a standard plugin, so it has no example"),
        "{}",
        found.stderr
    );
}
