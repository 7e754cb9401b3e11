//! Formats the result of a comparison of outputs for a terminal.

use crate::compare::report::{Kind, Report, Row, Sample, States};
use crate::report::{count, escape};
use serde_json::value::RawValue;
use std::fmt::Write;

/// Counts of `outputs`, then the samples with both sides.
pub(super) fn text(report: &Report, outputs: &str) -> String {
    let mut out = String::new();
    let (same, different) = (report.same, report.different);
    // Writing to a string does not fail.
    let _ = writeln!(out, "{same} {outputs} are the same, {different} differ");
    for kind in Kind::ALL {
        let count = report.differences.of(kind);
        if count > 0 {
            let _ = writeln!(out, "  {count} {}", meaning(kind));
        }
    }
    let left = report.not_compared;
    for (number, why, action) in [
        (
            left.unsettled,
            "The pipeline has not processed their messages yet, or its results are not in their streams yet.",
            "Compare again when they are.",
        ),
        (
            left.forgotten,
            "The streams no longer hold what the pipeline published for these messages.",
            "Begin with a later message.",
        ),
        (
            left.beyond,
            "Too many outputs waited for their counterparts.",
            "Replay fewer messages at once.",
        ),
    ] {
        let what = count(number, "output");
        out += &not_compared(number, &format!("{what} of the candidate"), why, action);
    }
    for sample in &report.samples {
        show(&mut out, sample);
    }
    out
}

/// What was not compared, why, and what to do; empty if there is none of it.
pub(super) fn not_compared(number: u64, what: &str, why: &str, action: &str) -> String {
    match number {
        0 => String::new(),
        _ => format!("not compared: {what}\n  {why}\n  {action}\n"),
    }
}

/// The same for the states of a job and its shadow.
pub(super) fn states(states: &States) -> String {
    let States {
        partitions,
        same,
        different,
        ..
    } = states;
    let mut out = format!(
        "\nstate of {}: {same} values and timers are the same, {different} differ\n",
        count(*partitions, "partition")
    );
    for row in &states.samples {
        let Row {
            operator,
            kind,
            key,
            name,
            live,
            candidate,
        } = row;
        let texts = [kind, operator, key, name];
        let [kind, operator, key, name] = texts.map(|text| escape::line(text));
        let side = |value: &Option<String>| match value {
            Some(value) => escape::line(value).into_owned(),
            None => "-".to_owned(),
        };
        let (live, candidate) = (side(live), side(candidate));
        // Writing to a string does not fail.
        let _ = writeln!(out, "\n{kind} {name} of key {key}, operator {operator}");
        let _ = writeln!(out, "  live       {live}\n  candidate  {candidate}");
    }
    out
}

fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Missing => "missing: the pipeline has published them, the candidate would not",
        Kind::Additional => "additional: the candidate would publish them, the pipeline has not",
        Kind::Subject => "with a different subject",
        Kind::Headers => "with different headers",
        Kind::Payload => "with a different payload",
        Kind::Reason => "dead letters with a different reason",
    }
}

fn show(out: &mut String, sample: &Sample) {
    let Sample {
        sequence, output, ..
    } = sample;
    let differs: Vec<&str> = sample.differs.iter().map(|kind| kind.as_str()).collect();
    let only = |kind| sample.differs == [kind];
    let side = |line: &Option<Box<RawValue>>, none: bool| match line {
        Some(line) => escape::lines(line.get()).into_owned(),
        None if none => "-".to_owned(),
        None => "(not kept)".to_owned(),
    };
    let (live, candidate) = (
        side(&sample.live, only(Kind::Additional)),
        side(&sample.candidate, only(Kind::Missing)),
    );
    // Writing to a string does not fail.
    let output = escape::line(output);
    let of = match sequence {
        0 => output.into_owned(),
        _ => format!("message {sequence}, {output}"),
    };
    let _ = writeln!(out, "\n{of}: {}", differs.join(", "));
    let _ = writeln!(out, "  live       {live}\n  candidate  {candidate}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_state_has_cannot_reach_a_terminal() {
        let evil = || "a\u{1b}[31m\nb".to_owned();
        let row = Row {
            operator: evil(),
            kind: evil(),
            key: evil(),
            name: evil(),
            live: Some(evil()),
            candidate: None,
        };
        let text = states(&States {
            samples: vec![row],
            ..States::default()
        });
        assert!(!text.contains('\u{1b}'), "{text}");
        assert_eq!(text.lines().count(), 6, "{text}");
    }
}
