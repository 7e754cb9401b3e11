//! A configuration that cannot work is refused before anything runs, with everything that is wrong
//! with it at once, each at its line and column.
//!
//! `ui/config/NAME.yaml` is a bad file and `NAME.expected` what is said about it; a folder `NAME/` is a
//! process with several files. `BLESS=1` rewrites what is expected, and the generated pages. What is
//! too large for a file here is made in `config/generated.rs`.

mod generated;
mod schema;

use crate::harness::replaced;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use weir::config::resolved::Order;
use weir::config::{self, Findings};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn inputs() -> PathBuf {
    repository().join("tests/ui/config")
}

/// The environment of every file here.
fn environment(name: &str) -> Option<String> {
    match name {
        "SHOP" => Some("seven".to_owned()),
        "LANES" => Some("2".to_owned()),
        "SECRET" => Some("true".to_owned()),
        "PASSWORD" => Some("hunter2hunter2".to_owned()),
        _ => None,
    }
}

/// The entries of a folder with this extension (`None`: folders), sorted.
fn entries(folder: &Path, extension: Option<&str>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().and_then(|e| e.to_str()) == extension)
        .filter(|path| path.is_dir() == extension.is_none())
        .collect();
    found.sort();
    found
}

/// A text with paths that start at the folder of the inputs.
fn shortened(text: &str) -> String {
    replaced(text, &[(&format!("{}/", inputs().display()), "")])
}

/// What is found.
fn show(findings: &Findings) -> String {
    shortened(&format!("{findings}\n"))
}

/// Compares a text with a file, or rewrites the file under `BLESS=1`.
fn compare(file: &Path, actual: &str, differing: &mut Vec<String>) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    if actual != expected {
        let diff = similar::TextDiff::from_lines(expected.as_str(), actual);
        let diff = diff.unified_diff().header("expected", "actual").to_string();
        differing.push(format!("{}:\n{diff}", file.display()));
    }
}

fn assert_same(differing: &[String]) {
    assert!(
        differing.is_empty(),
        "{}\nrewrite with BLESS=1 if this is what it should be",
        differing.join("\n")
    );
}

#[test]
fn every_bad_file_is_refused_with_its_exact_findings() {
    let mut cases: Vec<(PathBuf, Vec<PathBuf>)> = entries(&inputs(), Some("yaml"))
        .into_iter()
        .map(|file| (file.with_extension("expected"), vec![file]))
        .collect();
    for folder in entries(&inputs(), None) {
        if !folder.ends_with("valid") {
            cases.push((
                folder.with_extension("expected"),
                entries(&folder, Some("yaml")),
            ));
        }
    }
    assert!(cases.len() > 30, "only {} files were found", cases.len());
    let mut differing = Vec::new();
    for (expected, files) in &cases {
        match config::load(files, &environment) {
            Ok(_) => differing.push(format!("{files:?}: nothing was found")),
            Err(findings) => compare(expected, &show(&findings), &mut differing),
        }
    }
    let known: BTreeSet<&Path> = cases
        .iter()
        .map(|(expected, _)| expected.as_path())
        .collect();
    for expected in entries(&inputs(), Some("expected")) {
        if !known.contains(expected.as_path()) {
            differing.push(format!("{}: no input stands beside it", expected.display()));
        }
    }
    assert_same(&differing);
}

#[test]
fn every_good_file_is_accepted() {
    let files = entries(&inputs().join("valid"), Some("yaml"));
    assert!(files.len() > 3, "only {} files were found", files.len());
    for file in files {
        if let Err(findings) = config::load(&[file], &environment) {
            panic!("{}", show(&findings));
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_finding() {
    let gone = inputs().join("gone.yaml");
    let files = [
        gone,
        inputs().join("valid"),
        inputs().join("valid/rebates.yaml"),
        inputs().join("valid/rebates.yaml/a.yaml"),
    ];
    let findings = config::load(&files, &environment).unwrap_err();
    let lines: Vec<String> = show(&findings).lines().map(ToOwned::to_owned).collect();
    assert_eq!(
        lines,
        [
            "gone.yaml: error: there is no such file",
            "  hint: check the path; `weir plugin new` creates a folder with a pipeline file",
            "valid: error: it is a folder",
            "  hint: name the files in it",
            "valid/rebates.yaml/a.yaml: error: there is no such file",
            "  hint: check the path; `weir plugin new` creates a folder with a pipeline file",
        ]
    );
}

#[test]
fn findings_are_a_list_for_machines() {
    let findings = config::load(&[inputs().join("order.yaml")], &environment).unwrap_err();
    let json = serde_json::to_value(&findings).unwrap();
    let first = json.get(0).unwrap();
    assert_eq!(first.get("line").unwrap(), 4);
    assert_eq!(first.get("column").unwrap(), 8);
    assert_eq!(
        first.get("message").unwrap(),
        "`order: key` needs a rule that says what the key is"
    );
    assert_eq!(
        first.get("hint").unwrap(),
        "add `key: \"{subject[1]}\"`, for example, or write `order: stream` for a single partition"
    );
    assert!(
        first
            .get("file")
            .unwrap()
            .as_str()
            .unwrap()
            .ends_with("order.yaml")
    );
    assert_eq!(json.as_array().unwrap().len(), findings.len());
}

#[test]
fn a_plugin_that_is_yet_to_be_built_may_be_missing() {
    let file = inputs().join("unbuilt/pipeline.yaml");
    assert!(config::load(std::slice::from_ref(&file), &environment).is_err());
    let pipelines = config::Loader::new(&environment)
        .unbuilt()
        .load(&[file])
        .unwrap();
    let plugin = &pipelines.first().unwrap().operators.first().unwrap().plugin;
    assert_eq!(
        plugin.file(),
        Some(&inputs().join("unbuilt/target/later.wasm"))
    );
}

#[test]
fn what_is_left_out_has_the_defaults_of_the_reference() {
    let file = inputs().join("valid/rebates.yaml");
    let pipelines = config::load(&[file], &environment).unwrap();
    let pipeline = pipelines.first().unwrap();
    let settings = shortened(&format!("{pipeline:#?}\n"));
    let mut differing = Vec::new();
    compare(
        &inputs().join("valid/rebates.resolved"),
        &settings,
        &mut differing,
    );
    assert_same(&differing);
}

#[test]
fn the_reference_page_says_what_the_model_says() {
    let mut differing = Vec::new();
    compare(
        &repository().join("docs/configuration.md"),
        &config::reference(),
        &mut differing,
    );
    assert_same(&differing);
}

#[test]
fn a_pipeline_with_an_order_is_a_job_and_a_job_has_an_order() {
    let job = |more: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pipeline.yaml");
        let usual = "name: a\nsource: { stream: A }\nsink: { subject: out, stream: B }\n";
        std::fs::write(&file, format!("{usual}{more}")).unwrap();
        let loaded = config::load(&[file], &environment).unwrap();
        loaded[0]
            .job
            .as_ref()
            .map(|job| (job.order, job.partitions))
    };
    let key = "key: \"{subject}\"";
    for (more, expected) in [
        ("".to_owned(), None),
        ("order: none".to_owned(), None),
        ("delivery: at-least-once".to_owned(), None),
        ("delivery: at-least-once\norder: none".to_owned(), None),
        (format!("order: key\n{key}"), Some((Order::Key, 8))),
        (
            format!("order: key\npartitions: 1\n{key}"),
            Some((Order::Key, 1)),
        ),
        (
            format!("delivery: exactly-once\norder: key\n{key}"),
            Some((Order::Key, 8)),
        ),
        (
            format!("delivery: exactly-once\n{key}"),
            Some((Order::Key, 8)),
        ),
        (
            format!("delivery: exactly-once\npartitions: 1\n{key}"),
            Some((Order::Key, 1)),
        ),
        ("order: stream".to_owned(), Some((Order::Stream, 1))),
        (format!("order: stream\n{key}"), Some((Order::Stream, 1))),
        (
            "delivery: exactly-once\norder: stream".to_owned(),
            Some((Order::Stream, 1)),
        ),
        (
            "delivery: exactly-once\npartitions: 1".to_owned(),
            Some((Order::Stream, 1)),
        ),
    ] {
        assert_eq!(job(&more), expected, "{more}");
    }
}

#[test]
fn the_pipelines_of_the_examples_have_no_findings() {
    let examples = entries(&repository().join("examples"), None).into_iter();
    // What Prometheus reads is no pipeline.
    let of_pipelines = examples.filter(|example| !example.ends_with("monitoring"));
    let files: Vec<_> = of_pipelines
        .flat_map(|example| entries(&example, Some("yaml")))
        .collect();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let loader = config::Loader::new(&environment).unbuilt();
        if let Err(findings) = loader.load(std::slice::from_ref(&file)) {
            panic!("{}: {findings}", file.display());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Findings are the only way to fail, and every finding stands within the file.
    #[test]
    fn a_damaged_file_is_read_or_refused_and_never_breaks_the_reader(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4, "[\\PC\n\t:{}\\[\\]&*!|>'\"#%-]{0,3}"), 1..6),
    ) {
        let good = std::fs::read_to_string(inputs().join("valid/everything.yaml")).unwrap();
        let mut text: Vec<char> = good.chars().collect();
        for (position, removed, inserted) in edits {
            let start = position.index(text.len());
            let end = (start + removed).min(text.len());
            text.splice(start..end, inserted.chars());
        }
        let text: String = text.into_iter().collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pipeline.yaml");
        std::fs::write(&file, &text).unwrap();
        if let Err(findings) = config::Loader::new(&environment).unbuilt().load(&[file]) {
            prop_assert!(!findings.is_empty());
            for finding in &findings {
                // What has passed the schema can be read: schema and model are of one mind.
                prop_assert!(!finding.message.starts_with("the pipeline cannot be read"), "{}", finding);
                let lines = text.lines().count().max(1);
                prop_assert!(finding.location.line >= 1 && finding.location.line <= lines + 1, "{}", finding);
                prop_assert!(finding.location.column >= 1, "{}", finding);
            }
        }
    }
}
