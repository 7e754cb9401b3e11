//! The result of a replay, for people and for machines.

use super::range::Range;
use super::windows::Found;
use super::work::Work;
use crate::cli::differences;
use crate::compare::report::Report;
use crate::config::resolved::NamedSource;
use crate::report::{self, count};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// What was replayed.
#[derive(Serialize)]
struct Summary {
    pipeline: String,
    #[serde(flatten)]
    first: Span,
    /// The other streams of a job that reads several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    more: Vec<Span>,
    inputs: u64,
    /// Number of messages in the ranges that the streams no longer hold.
    missing_inputs: u64,
    seconds: f64,
}

/// The ends of the range that a stream holds.
#[derive(Serialize)]
struct Span {
    stream: String,
    from: u64,
    to: u64,
}

impl Summary {
    fn new(work: &Work, took: Duration) -> Self {
        let ranges = &work.replayed.ranges;
        let asked: u64 = ranges.iter().map(Range::len).sum();
        let gone: u64 = ranges.iter().map(|range| range.gone).sum();
        // With filters, a message that was not read may be one that they do not match; of a table, one that another took
        // the place of.
        let read = &work.settings.sources;
        let is_whole = |named: &NamedSource| named.source.subjects.is_empty() && !named.is_table;
        let missing = match read.iter().all(is_whole) {
            true => gone + asked.saturating_sub(work.inputs_read),
            false if read.iter().any(|named| named.is_table) => 0,
            false => gone,
        };
        let span = |range: &Range| Span {
            stream: range.stream.clone(),
            from: range.first,
            to: range.last,
        };
        let mut spans = ranges.iter().map(span);
        Self {
            pipeline: work.settings.name.clone(),
            first: spans.next().unwrap_or(Span {
                stream: String::new(),
                from: 0,
                to: 0,
            }),
            more: spans.collect(),
            inputs: work.inputs_read,
            missing_inputs: missing,
            seconds: took.as_secs_f64(),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, from, to } = self;
        write!(formatter, "{stream}, {from} to {to}, ")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pipeline,
            first,
            more,
            inputs,
            missing_inputs,
            seconds,
        } = self;
        write!(
            formatter,
            "replayed {} of {first}",
            count(*inputs, "message")
        )?;
        more.iter()
            .try_for_each(|span| write!(formatter, "{span}"))?;
        writeln!(formatter, "through {pipeline} in {seconds:.1} s")?;
        if *missing_inputs > 0 {
            let (gone, verb) = (
                count(*missing_inputs, "message"),
                match more.is_empty() {
                    true => "stream no longer holds",
                    false => "streams no longer hold",
                },
            );
            writeln!(formatter, "the {verb} {gone} of the range")?;
        }
        Ok(())
    }
}

/// A replay whose outputs were written.
#[derive(Serialize)]
pub(super) struct Written {
    replayed: Summary,
    results: u64,
    dead_letters: u64,
}

impl Written {
    pub(super) fn new(work: &Work, results: u64, dead_letters: u64, took: Duration) -> Self {
        Self {
            replayed: Summary::new(work, took),
            results,
            dead_letters,
        }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.replayed)?;
        let results = count(self.results, "result");
        writeln!(
            formatter,
            "{results}, {}",
            count(self.dead_letters, "dead letter")
        )
    }
}

/// A replay whose outputs were compared.
#[derive(Serialize)]
pub(super) struct Compared {
    replayed: Summary,
    comparison: Report,
    #[serde(skip_serializing_if = "Found::is_empty")]
    windows: Found,
}

impl Compared {
    pub(super) fn new(work: &Work, found: (Report, Found), took: Duration) -> Self {
        let (comparison, windows) = found;
        Self {
            replayed: Summary::new(work, took),
            comparison,
            windows,
        }
    }

    /// If there were outputs but none could be compared, the comparison has failed.
    pub(super) fn exit_code(&self) -> u8 {
        let (report, windows) = (&self.comparison, &self.windows);
        let left = report.not_compared.total() + windows.not_compared;
        let in_vain = report.compared() + windows.compared() == 0 && left > 0;
        match report.different + windows.different() > 0 || in_vain {
            true => report::FAILED,
            false => report::DONE,
        }
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.replayed)?;
        let outputs = match self.windows.is_empty() {
            true => "outputs",
            false => "outputs without a window",
        };
        formatter.write_str(&differences::text(&self.comparison, outputs))?;
        let number = self.comparison.without_input;
        formatter.write_str(&differences::not_compared(
            number,
            &format!("{} of the pipeline", count(number, "output")),
            "They come of messages that were not replayed, or of timers before or after the replayed messages.",
            "Replay these messages as well, if the stream still holds them (`--from`, `--to`).",
        ))?;
        match self.windows.is_empty() {
            true => Ok(()),
            false => write!(formatter, "{}", self.windows),
        }
    }
}
