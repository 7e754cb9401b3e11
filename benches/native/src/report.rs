//! The figures of a bench: medians of pairs, a table for people, JSON for machines.

use std::fmt;
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
    server_cpu: f64,
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
            server_cpu: median_of(&|pair| pair.weir.server_cpu),
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
    pub(crate) method: String,
}

/// What the figures are, in one paragraph.
pub(crate) const METHOD: &str = "Each run drains a full stream (file storage, one replica) through a\n\
    fresh consumer into a fresh stream; outputs carry a message id, publish acks are awaited in a window\n\
    of 1024, inputs are acked explicitly. The clock runs from the first stored output until the last\n\
    input is settled; CPU includes the start";

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

/// Delays of one run, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl Latency {
    pub(crate) fn of(mut delays: Vec<f64>) -> Self {
        delays.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (delays.len() as f64 * share) as usize;
            let last = delays.len().saturating_sub(1);
            delays.get(index.min(last)).copied().unwrap_or_default()
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        }
    }
}

/// A run of each side.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct LatencyPair {
    pub(crate) weir: Latency,
    pub(crate) native: Latency,
}

/// Everything that was measured.
#[derive(Serialize)]
pub(crate) struct Figures {
    pub(crate) setting: Setting,
    pub(crate) sections: Vec<Section>,
    pub(crate) latencies: Vec<LatencyPair>,
}

impl Figures {
    /// Writes everything, every run included, to `file`; and the same with the table to `pages`.
    pub(crate) fn write(&self, file: &Path, pages: Option<&Path>) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("cannot write the figures")?;
        put(file, &text)?;
        if let Some(pages) = pages {
            put(&pages.join("figures.json"), &text)?;
            put(&pages.join("figures.md"), &self.to_string())?;
        }
        Ok(())
    }
}

fn put(file: &Path, text: &str) -> Result<()> {
    let text = format!("{}\n", text.trim_end());
    std::fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))
}

/// As a page.
impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "<!-- Written by `cargo xtask bench`; every run is in figures.json. -->"
        )?;
        writeln!(out, "# weir beside a native loop\n")?;
        writeln!(
            out,
            "| work | weir | native | ratio | weir, CPU | native, CPU | server, CPU |"
        )?;
        writeln!(out, "|---|--:|--:|--:|--:|--:|--:|")?;
        for section in &self.sections {
            writeln!(
                out,
                "| {} | {:.0}/s | {:.0}/s | {:.2} | {:.1} µs | {:.1} µs | {:.1} µs |",
                section.work,
                section.weir_rate,
                section.native_rate,
                section.ratio,
                section.weir_cpu,
                section.native_cpu,
                section.server_cpu,
            )?;
        }
        let middle = |value: &dyn Fn(&LatencyPair) -> f64| {
            median(self.latencies.iter().map(value).collect())
        };
        writeln!(out, "\n| delay at 500/s | weir | native |\n|---|--:|--:|")?;
        for (name, of) in [
            ("p50", (|each| each.p50) as fn(&Latency) -> f64),
            ("p99", |each| each.p99),
            ("p99.9", |each| each.p999),
        ] {
            let weir = middle(&|pair: &LatencyPair| of(&pair.weir));
            let native = middle(&|pair: &LatencyPair| of(&pair.native));
            writeln!(out, "| {name} | {weir:.0} µs | {native:.0} µs |")?;
        }
        let Setting {
            machine,
            cores,
            kernel,
            weir,
            nats_server,
            profile,
            messages,
            pairs,
            method,
        } = &self.setting;
        writeln!(
            out,
            "\nRates are messages a second, CPU is for each message. A ratio is the median of those within\n\
             the pairs of runs, everything else a median over the runs; the sides take turns to be first.\n\
             {method}. {messages} messages a run, {pairs} pairs.\n\
             Delays are from publish to a subscriber of the result: 5000 messages of 128 bytes a run,\n\
             three pairs.\n\n\
             Measured on {machine}, {cores} cores shared with the server, Linux {kernel};\n\
             {weir}, {nats_server}, {profile} profile. Absolute figures of such a machine drift by\n\
             half; what counts is the ratio."
        )
    }
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
