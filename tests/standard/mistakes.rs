//! Every standard plugin tells all mistakes of its configuration at once, each at its place in the pipeline file.
//!
//! `ui/plugins/NAME.yaml` has mistakes, several in each operator, and `NAME.expected` is what `weir check` says about
//! them. `BLESS=1` rewrites what is expected.

use super::names;
use crate::harness::bless::assert_file_holds;
use crate::harness::guests::repository;
use crate::harness::{Weir, put};

/// The files and what they are about. A pipeline has one operator with windows.
const FILES: [&str; 5] = ["aggregate", "sessionize", "stateful", "stateless", "top"];

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
