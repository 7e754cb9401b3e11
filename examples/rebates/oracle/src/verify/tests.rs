//! A wrong result is found, whatever is wrong with it.

use super::*;
use crate::jsonl;
use crate::ledger::Entry;
use serde_json::json;

const SEED: u64 = 11;
const COUNT: u64 = 5_000;

/// The output that a right plugin publishes for an entry.
fn output(id: &str, entry: &Entry) -> (String, String) {
    let order = id.split('/').next().unwrap_or_default();
    let payload = json!({
        "id": id, "user": entry.user, "order": order, "currency": "EUR", "cents": entry.cents,
    });
    (format!("rebates.{}", entry.user), payload.to_string())
}

/// Feeds what is right, changed by `change`, which may drop an output by emptying its subject.
fn run(mut change: impl FnMut(usize, &mut String, &mut String)) -> Report {
    let mut check = Check::new(SEED, COUNT);
    let expected = check.expected().clone();
    for (position, (id, entry)) in expected.entries.iter().enumerate() {
        let (mut subject, mut payload) = output(id, entry);
        change(position, &mut subject, &mut payload);
        for _ in 0..entry.copies {
            if !subject.is_empty() {
                check.output(&subject, payload.as_bytes());
            }
        }
    }
    for dead in expected.dead {
        check.dead(dead.subject, dead.payload);
    }
    check.finish()
}

#[test]
fn what_is_right_is_accepted() {
    let report = run(|_, _, _| {});
    assert_eq!(report.differences, Vec::<String>::new());
    assert!(report.agree && report.to_string().ends_with("the two agree to the cent"));
    assert_eq!(report.expected.outputs, report.found.outputs);
    assert_eq!(report.expected.cents, report.found.cents);
    assert_eq!(report.expected.users, report.found.users);
    assert_eq!(report.found.repeated_outputs, 0);
}

#[test]
fn one_cent_too_many_is_found() {
    let report = run(|position, _, payload| {
        if position == 17 {
            let mut value: serde_json::Value = serde_json::from_str(payload).unwrap_or_default();
            let cents = value
                .get("cents")
                .and_then(|cents| cents.as_i64())
                .unwrap_or_default();
            if let Some(fields) = value.as_object_mut() {
                fields.insert("cents".into(), json!(cents + 1));
            }
            *payload = value.to_string();
        }
    });
    assert!(!report.agree);
    assert!(
        report
            .differences
            .iter()
            .any(|line| line.contains("expected")),
        "{report}"
    );
    assert!(
        report
            .differences
            .iter()
            .any(|line| line.starts_with("user `")),
        "{report}"
    );
    assert_eq!(report.found.cents, report.expected.cents + 1);
}

#[test]
fn a_missing_output_is_found() {
    let report = run(|position, subject, _| {
        if position == 3 {
            subject.clear();
        }
    });
    assert!(
        report
            .differences
            .iter()
            .any(|line| line.starts_with("missing rebate")),
        "{report}"
    );
}

#[test]
fn an_output_on_the_subject_of_another_user_is_found() {
    let report = run(|position, subject, _| {
        if position == 3 {
            *subject = "rebates.mallory".into();
        }
    });
    assert!(
        report
            .differences
            .iter()
            .any(|line| line.contains("was published on")),
        "{report}"
    );
}

#[test]
fn an_unexpected_or_unreadable_output_is_found() {
    let mut check = Check::new(SEED, COUNT);
    let payload = json!({"id": "x/paid", "user": "u", "order": "x", "currency": "EUR", "cents": 1});
    check.output("rebates.u", payload.to_string().as_bytes());
    check.output("rebates.u", b"12.50");
    let report = check.finish();
    assert!(
        report
            .differences
            .iter()
            .any(|line| line.starts_with("unexpected rebate `x/paid`"))
    );
    assert!(
        report
            .differences
            .iter()
            .any(|line| line.starts_with("unreadable output"))
    );
}

#[test]
fn a_repeat_is_counted_and_is_no_difference() {
    let mut check = Check::new(SEED, COUNT);
    let expected = check.expected().clone();
    for (id, entry) in &expected.entries {
        let (subject, payload) = output(id, entry);
        for _ in 0..=entry.copies {
            check.output(&subject, payload.as_bytes());
        }
    }
    for dead in expected.dead {
        check.dead(dead.subject, dead.payload);
        check.dead_sequence(dead.sequence);
    }
    let report = check.finish();
    assert!(report.agree, "{report}");
    assert_eq!(report.found.repeated_outputs, expected.entries.len() as u64);
    assert_eq!(report.found.repeated_dead, report.expected.dead);
}

#[test]
fn a_missing_and_an_unexpected_dead_letter_are_found() {
    let mut check = Check::new(SEED, COUNT);
    check.dead("orders.lisbon.paid".into(), b"{}".to_vec());
    check.dead_sequence(u64::MAX);
    let report = check.finish();
    let starting = |text: &str| {
        report
            .differences
            .iter()
            .filter(|d| d.starts_with(text))
            .count()
    };
    assert_eq!(starting("unexpected dead letter"), 2);
    assert_eq!(starting("missing dead letter") as u64, report.expected.dead);
    assert_eq!(report.found.dead, 2);
}

#[test]
fn a_line_of_weir_pipe_that_says_reject_counts_as_a_dead_letter() {
    let mut check = Check::new(SEED, COUNT);
    let sequence = check
        .expected()
        .dead
        .first()
        .map_or(0, |dead| dead.sequence);
    check.output_line(jsonl::Line::Rejected { sequence });
    let report = check.finish();
    assert_eq!((report.found.outputs, report.found.dead), (0, 1));
    assert!(
        !report
            .differences
            .iter()
            .any(|line| line.starts_with("unexpected"))
    );
}
