//! The result of a replay, for people and for machines.

use super::windows::Found;
use super::work::Work;
use crate::cli::differences;
use crate::compare::report::Report;
use crate::report::{self, count};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// What was replayed.
#[derive(Serialize)]
struct Replayed {
    pipeline: String,
    stream: String,
    /// The ends of the range that the stream holds.
    from: u64,
    to: u64,
    inputs: u64,
    /// Number of messages in the range that the stream no longer holds.
    missing_inputs: u64,
    seconds: f64,
}

impl Replayed {
    fn new(work: &Work, took: Duration) -> Self {
        let range = &work.range;
        // With filters, a message that was not read may be one that they do not match.
        let read = &work.settings.sources;
        let within = match read.iter().all(|named| named.source.subjects.is_empty()) {
            true => (range.last - range.first + 1).saturating_sub(work.inputs_read),
            false => 0,
        };
        Self {
            pipeline: work.settings.name.clone(),
            stream: range.stream.clone(),
            from: range.first,
            to: range.last,
            inputs: work.inputs_read,
            missing_inputs: range.gone + within,
            seconds: took.as_secs_f64(),
        }
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pipeline,
            stream,
            from,
            to,
            inputs,
            missing_inputs,
            seconds,
        } = self;
        writeln!(
            formatter,
            "replayed {} of {stream}, {from} to {to}, through {pipeline} in {seconds:.1} s",
            count(*inputs, "message"),
        )?;
        if *missing_inputs > 0 {
            writeln!(
                formatter,
                "the stream no longer holds {} of the range",
                count(*missing_inputs, "message"),
            )?;
        }
        Ok(())
    }
}

/// A replay whose outputs were written.
#[derive(Serialize)]
pub(super) struct Written {
    replayed: Replayed,
    results: u64,
    dead_letters: u64,
}

impl Written {
    pub(super) fn new(work: &Work, results: u64, dead_letters: u64, took: Duration) -> Self {
        Self {
            replayed: Replayed::new(work, took),
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
    replayed: Replayed,
    comparison: Report,
    #[serde(skip_serializing_if = "Found::is_empty")]
    windows: Found,
    /// Other outputs of timers: they come of no message, so none is compared.
    of_timers: u64,
}

impl Compared {
    pub(super) fn new(work: &Work, found: (Report, Found), took: Duration) -> Self {
        let (comparison, windows) = found;
        Self {
            replayed: Replayed::new(work, took),
            comparison,
            windows,
            of_timers: work.of_timers,
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
        formatter.write_str(&differences::text(&self.comparison))?;
        if !self.windows.is_empty() {
            write!(formatter, "{}", self.windows)?;
        }
        if self.of_timers > 0 {
            let count = self.of_timers;
            writeln!(
                formatter,
                "{count} outputs of timers were not compared: they come of no message"
            )?;
        }
        if self.comparison.without_input > 0 {
            let gone = self.comparison.without_input;
            writeln!(
                formatter,
                "{gone} outputs of the pipeline belong to messages that were not replayed"
            )?;
        }
        Ok(())
    }
}
