//! Formats the result of a comparison of outputs for a terminal.

use crate::compare::report::{Kind, Report, Sample};
use crate::report::escape;
use serde_json::value::RawValue;
use std::fmt::Write;

/// Counts, then the samples with both sides.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    let (same, different) = (report.same, report.different);
    // Writing to a string does not fail.
    let _ = writeln!(out, "{same} outputs are the same, {different} differ");
    for kind in Kind::ALL {
        let count = report.differences.of(kind);
        if count > 0 {
            let _ = writeln!(out, "  {count} {}", meaning(kind));
        }
    }
    let left = report.not_compared;
    for (count, why) in [
        (
            left.unsettled,
            "the pipeline has not settled their messages yet",
        ),
        (
            left.forgotten,
            "the streams no longer hold the outputs of that time",
        ),
        (
            left.beyond,
            "too many outputs waited for their counterparts",
        ),
    ] {
        if count > 0 {
            let _ = writeln!(out, "{count} could not be compared: {why}");
        }
    }
    for sample in &report.samples {
        show(&mut out, sample);
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
    let _ = writeln!(
        out,
        "\nmessage {sequence}, {output}: {}",
        differs.join(", ")
    );
    let _ = writeln!(out, "  live       {live}\n  candidate  {candidate}");
}
