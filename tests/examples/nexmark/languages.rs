//! The same of the queries whose plugins are in other languages, and the tests that these plugins bring along. Each is
//! left out where its tools cannot be had, by the name of its module.

use super::*;
use crate::harness::languages::{build, path, scaffold_of};
use std::process::Command;
use weir::cli::project::Language;
use weir::plugin::World;

/// The pipeline of this query, and its plugin of this file, built in a folder of the tests that is kept between runs.
fn install_built(
    query: &'static Query,
    language: Language,
    source: &str,
    directory: &Path,
) -> Vec<String> {
    let name = format!("nexmark-{}", query.name);
    let project = scaffold_of(World::StatefulOperator, language, &name);
    let original = folder("nexmark").join(query.name).join(source);
    std::fs::copy(original, project.join(source)).unwrap();
    let files = install(&[query], directory);
    let component = directory.join(format!("nexmark/nexmark_{}.wasm", query.name));
    std::fs::copy(build(&project, &name), component).unwrap();
    files
}

fn is_right(name: &str, language: Language, source: &str, own_tests: &[&str]) {
    let query = query(name);
    let (program, arguments) = own_tests.split_first().unwrap();
    let tested = Command::new(program)
        .args(arguments)
        .current_dir(folder("nexmark").join(name))
        .env("PATH", path())
        .output()
        .unwrap();
    assert!(tested.status.success(), "{tested:?}");
    let install = |directory: &Path| install_built(query, language, source, directory);
    come_to_the_rows_of_others(&install, &[query]);
    agree_though_the_host_is_killed(&install, &[query], query);
}

mod python {
    use weir::cli::project::Language;

    #[test]
    fn query_18_is_right_in_python() {
        let own_tests = ["python3", "-m", "unittest"];
        super::is_right("q18", Language::Python, "plugin.py", &own_tests);
    }
}

mod go {
    use weir::cli::project::Language;

    #[test]
    fn query_19_is_right_in_go() {
        super::is_right("q19", Language::Go, "main.go", &["go", "test", "."]);
    }
}
