//! The figures of a bench: medians of pairs, a table for people, JSON for machines.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

/// One run of one side.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Run {
    /// Messages a second, from the first stored output until the last input is settled.
    pub(crate) rate: f64,
    /// CPU of the process itself, in microseconds a message, start-up included.
    pub(crate) cpu: f64,
    /// CPU of the server during the run, in microseconds a message.
    pub(crate) server_cpu: f64,
}

/// A run of each side, one directly after the other.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Pair {
    pub(crate) weir: Run,
    pub(crate) native: Run,
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.weir.rate / self.native.rate
    }
}

/// All pairs of one kind of work, with their medians.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    work: String,
    /// Median of the ratios within each pair; the figure that survives a noisy machine.
    ratio: f64,
    weir_rate: f64,
    native_rate: f64,
    weir_cpu: f64,
    native_cpu: f64,
    pairs: Vec<Pair>,
}

impl Section {
    pub(crate) fn new(work: String, pairs: Vec<Pair>) -> Section {
        let median_of = |value: &dyn Fn(&Pair) -> f64| median(pairs.iter().map(value).collect());
        Section {
            work,
            ratio: median_of(&Pair::ratio),
            weir_rate: median_of(&|pair| pair.weir.rate),
            native_rate: median_of(&|pair| pair.native.rate),
            weir_cpu: median_of(&|pair| pair.weir.cpu),
            native_cpu: median_of(&|pair| pair.native.cpu),
            pairs,
        }
    }
}

/// Where and how it was measured; without it the figures mean nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Setting {
    pub(crate) machine: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) weir: String,
    pub(crate) nats_server: String,
    pub(crate) profile: String,
    pub(crate) messages: u64,
    pub(crate) pairs: usize,
    pub(crate) method: &'static str,
}

/// What the figures are, in one paragraph.
pub(crate) const METHOD: &str = "pairs of runs, the sides in turn first; each run drains a full \
    stream (file storage, one replica) through a fresh consumer into a fresh stream; outputs carry \
    a message id, publish acks are awaited in a window of 1024, inputs are acked explicitly; the \
    clock runs from the first stored output until the last input is settled";

#[derive(Serialize)]
struct Record<'a> {
    setting: &'a Setting,
    sections: &'a [Section],
}

/// The middle value; of an even number the mean of the two in the middle. None have 0.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    match values.len() {
        0 => 0.0,
        even if even % 2 == 0 => f64::midpoint(at(middle - 1), at(middle)),
        _ => at(middle),
    }
}

/// Prints the table.
pub(crate) fn print(setting: &Setting, sections: &[Section]) {
    println!(
        "machine   {}, {} cores, Linux {}",
        setting.machine, setting.cores, setting.kernel
    );
    println!(
        "versions  {}, {}, {} profile",
        setting.weir, setting.nats_server, setting.profile
    );
    println!(
        "method    {} messages, {} {}\n",
        setting.messages, setting.pairs, setting.method
    );
    println!("work        weir msg/s  native msg/s   ratio  weir CPU  native CPU");
    for section in sections {
        println!(
            "{:<10}  {:>10.0}  {:>12.0}  {:>6.2}  {:>5.1} us  {:>7.1} us",
            section.work,
            section.weir_rate,
            section.native_rate,
            section.ratio,
            section.weir_cpu,
            section.native_cpu
        );
    }
}

/// Writes everything, every run included.
pub(crate) fn write(file: &Path, setting: &Setting, sections: &[Section]) -> Result<()> {
    let record = Record { setting, sections };
    let text = serde_json::to_string_pretty(&record).context("cannot write the record")?;
    std::fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_and_of_two_the_mean() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
