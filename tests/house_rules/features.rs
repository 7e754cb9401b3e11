//! A build, and the tests and benches of the same workspace, compile the same dependencies: with other
//! features of one of them wasmtime would be compiled a second time, for ten minutes and a gigabyte.

use crate::harness::guests::repository;
use std::collections::{BTreeMap, BTreeSet};

/// The sets of features with which each package version is compiled.
type Sets<'t> = BTreeMap<&'t str, BTreeSet<&'t str>>;

/// What `cargo tree` prints for the workspace with these kinds of dependencies.
fn tree(kinds: &str) -> String {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--workspace"]);
    cargo.args(["--edges", kinds, "--prefix", "none", "--format", "{p}|{f}"]);
    let output = cargo.current_dir(repository()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn sets(tree: &str) -> Sets<'_> {
    let mut sets = Sets::new();
    // A package whose dependencies have been listed before ends with a star.
    let lines = tree.lines().map(|line| line.trim_end_matches(" (*)"));
    for (package, features) in lines.filter_map(|line| line.split_once('|')) {
        sets.entry(package).or_default().insert(features);
    }
    sets
}

/// The packages of a build that tests compile otherwise.
fn differing(build: &str, tests: &str) -> Vec<String> {
    let (build, tests) = (sets(build), sets(tests));
    let others = build
        .iter()
        .filter(|(package, sets)| tests.get(*package) != Some(sets));
    let line =
        |(package, sets)| format!("{package}: {sets:?}, with tests {:?}", tests.get(package));
    others
        .map(|(package, sets)| line((*package, sets)))
        .collect()
}

#[test]
fn builds_and_tests_compile_the_same_dependencies() {
    let found = differing(&tree("normal,build"), &tree("normal,build,dev"));
    let way = "give the dependency of a member in the build the features that a `[dev-dependencies]` adds";
    assert!(found.is_empty(), "\n{}\n{way}\n", found.join("\n"));
}

#[test]
fn a_feature_that_only_tests_use_is_found() {
    let (build, tests) = (
        "a v1|std\nb v2|\na v1|std (*)\n",
        "a v1|std\nb v2|\nc v1|x\n",
    );
    assert!(differing(build, tests).is_empty());
    assert_eq!(differing(build, "a v1|alloc,std\nb v2|\n").len(), 1);
    assert_eq!(differing(build, "a v1|std\na v1|\nb v2|\n").len(), 1);
}
