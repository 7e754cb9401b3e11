//! Every standard plugin tells all mistakes of its configuration at once, each at its place in the pipeline file.
//!
//! `ui/plugins/NAME.yaml` has mistakes, several in each operator, and `NAME.expected` is what `weir check` says about
//! them. `BLESS=1` rewrites what is expected.

use super::names;
use crate::harness::bless::assert_file_holds;
use crate::harness::guests::repository;
use crate::harness::{Weir, put};

/// The files and what they are about. A pipeline has one operator with windows.
const FILES: [&str; 6] = [
    "aggregate",
    "layers",
    "sessionize",
    "stateful",
    "stateless",
    "top",
];

#[test]
fn all_mistakes_in_the_configuration_of_a_plugin_are_told_at_once_each_at_its_line_and_column() {
    let folder = repository().join("tests/ui/plugins");
    let mut told = String::new();
    for file in FILES {
        let text = std::fs::read_to_string(folder.join(format!("{file}.yaml"))).unwrap();
        let place = tempfile::tempdir().unwrap();
        put(place.path(), "p.yaml", text);
        let found = Weir::run_in(place.path(), &["check", "p.yaml"]);
        assert_eq!(found.code, Some(2), "{found:#?}");
        assert_file_holds(&folder.join(format!("{file}.expected")), &found.stderr);
        told += &std::fs::read_to_string(folder.join(format!("{file}.yaml"))).unwrap();
    }
    // Those with expressions are in `refusals.rs`.
    let expressions = ["filter", "map"];
    for name in names() {
        let is_there = told.contains(&format!("std:{name}"));
        assert!(is_there || expressions.contains(&&*name), "{name}");
    }
}

/// `layers.yaml` has mistakes that the schema finds, others that the plugins find, and a grant that is missing.
#[test]
fn run_tells_at_its_start_what_check_tells() {
    let place = tempfile::tempdir().unwrap();
    let file = repository().join("tests/ui/plugins/layers.yaml");
    put(place.path(), "p.yaml", std::fs::read(file).unwrap());
    let checked = Weir::run_in(place.path(), &["check", "p.yaml"]).stderr;
    assert!(checked.contains("which is not granted"), "{checked}");
    let started = Weir::run_in(place.path(), &["run", "p.yaml"]);
    assert_eq!(started.code, Some(2), "{started:#?}");
    assert_eq!(started.stderr, checked);
}

#[test]
fn a_missing_grant_hides_no_mistake_at_the_start() {
    let place = tempfile::tempdir().unwrap();
    let pipeline = "name: p\nsource: { stream: IN }\noperators:\n  - name: a\n    plugin: std:enrich\n    \
                    config: { url: \"http://a.example/{sku}\", into: /a, cache: { ttl: soon } }\n\
                    sink: { subject: out }\n";
    put(place.path(), "p.yaml", pipeline);
    let started = Weir::run_in(place.path(), &["run", "p.yaml"]);
    assert_eq!(started.code, Some(2), "{started:#?}");
    for place in ["p.yaml:5:13: ", "p.yaml:6:20: ", "p.yaml:6:70: "] {
        assert!(started.stderr.contains(place), "{place}: {started:#?}");
    }
}

#[test]
fn an_option_with_mistakes_of_several_kinds_is_told_all_of_them() {
    let config = r#"{"quiet":30,"at-most":"soon","kep":"last"}"#;
    let ended = Weir::run(&["pipe", "std:throttle", "--config", config]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    for mistake in [
        "`config.quiet` must be a duration such as `30s`, found the number `30`\n  hint: give the unit: `30s`",
        "`config.at-most`: `soon` is not a time",
        "unknown field `kep` in `config`\n  hint: did you mean `keep`?",
        "there are 3 problems",
    ] {
        assert!(ended.stderr.contains(mistake), "{mistake}: {ended:#?}");
    }
}
