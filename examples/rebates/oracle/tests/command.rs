//! The command says the same every time, and its exit code tells agreement from a difference.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]

use rebates_oracle::jsonl::write;
use rebates_oracle::{Ledger, generate};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const RUN: [&str; 4] = ["--seed", "3", "--count", "2000"];

fn oracle(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rebates-oracle"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a right pipeline publishes: its results and its dead letters, in files of this name.
fn right(name: &str) -> [PathBuf; 2] {
    let expected = Ledger::of(generate(3, 2_000));
    let (mut outputs, mut dead) = (Vec::new(), Vec::new());
    for (id, entry) in &expected.entries {
        let order = id.split('/').next().unwrap();
        let (user, cents) = (&entry.user, entry.cents);
        let rebate =
            json!({"id": id, "user": user, "order": order, "currency": "EUR", "cents": cents});
        for _ in 0..entry.copies {
            let rebate = rebate.to_string();
            write(&mut outputs, &format!("rebates.{user}"), rebate.as_bytes()).unwrap();
        }
    }
    for letter in &expected.dead {
        write(&mut dead, &letter.subject, &letter.payload).unwrap();
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let files = ["results", "dead"].map(|what| folder.join(format!("{name}-{what}.jsonl")));
    std::fs::write(&files[0], outputs).unwrap();
    std::fs::write(&files[1], dead).unwrap();
    files
}

fn verify(files: &[PathBuf; 2], more: &[&str]) -> Output {
    let [outputs, dead] = files.each_ref().map(|path| text(path));
    let mut arguments = vec!["verify", "--outputs", outputs, "--dead", dead];
    arguments.extend(RUN);
    arguments.extend(more);
    oracle(&arguments)
}

#[test]
fn the_same_seed_writes_the_same_bytes() {
    let generate = || oracle(&[&["generate"], &RUN[..]].concat());
    let (first, second) = (generate(), generate());
    assert_eq!(first.status.code(), Some(0));
    assert_eq!(
        first.stdout.iter().filter(|&&byte| byte == b'\n').count(),
        2_000
    );
    assert_eq!(first.stdout, second.stdout);
}

#[test]
fn agreement_is_exit_code_0_and_a_difference_is_1_and_named() {
    let files = right("one-cent");
    let agreed = verify(&files, &[]);
    assert_eq!(
        agreed.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&agreed.stdout)
    );
    assert!(agreed.stdout.ends_with(b"the two agree to the cent\n"));

    let results = std::fs::read_to_string(&files[0]).unwrap();
    let (id, cents) = {
        let first: Value = serde_json::from_str(results.lines().next().unwrap()).unwrap();
        let rebate = &first["payload"];
        (
            rebate["id"].as_str().unwrap().to_owned(),
            rebate["cents"].as_i64().unwrap(),
        )
    };
    let more = format!("\"cents\":{}}}", cents + 1);
    let wrong = results.replacen(&format!("\"cents\":{cents}}}"), &more, 1);
    std::fs::write(&files[0], wrong).unwrap();
    let differs = verify(&files, &["--json"]);
    assert_eq!(differs.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&differs.stdout).unwrap();
    assert_eq!(report["agree"], false);
    assert!(
        report["differences"][0]
            .as_str()
            .unwrap()
            .starts_with(&format!("rebate `{id}`"))
    );
}

#[test]
fn what_the_host_has_dropped_is_compared_where_it_is_told() {
    let files = right("dropped");
    let drops = Ledger::of(generate(3, 2_000)).drops;
    let row = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stdout);
        let row = text.lines().find(|line| line.starts_with("dropped"));
        let found = row.unwrap().split_whitespace().skip(2);
        found.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row(&verify(&files, &[])), "not told");

    let agreed = verify(&files, &["--dropped", &drops.to_string()]);
    assert_eq!(agreed.status.code(), Some(0));
    assert_eq!(row(&agreed).replace(',', ""), drops.to_string());

    let differs = verify(&files, &["--dropped", &(drops + 1).to_string()]);
    assert_eq!(differs.status.code(), Some(1));
    let said = format!("{} messages were dropped, expected {drops}", drops + 1);
    let text = String::from_utf8_lossy(&differs.stdout);
    assert!(text.contains(&said), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let [outputs, _] = right("unreadable");
    std::fs::write(&outputs, "{\"subject\": 7}\n").unwrap();
    let refused = verify(&[outputs, "/nowhere/dead.jsonl".into()], &[]);
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(
        error.contains("unreadable-results.jsonl") && error.contains("line 1"),
        "{error}"
    );
}

#[test]
fn wrong_usage_is_exit_code_2() {
    assert_eq!(oracle(&["verify"]).status.code(), Some(2));
    assert_eq!(
        oracle(&["generate", "--count", "many"]).status.code(),
        Some(2)
    );
}
