//! The report of a bench: medians, settings and every run. `table.rs` formats it for people.

use super::Setup;
use super::bound::{self, Bound, Load};
use super::delay::Delay;
use super::drain::Run;
use super::plugins::PluginCost;
use crate::config::limits::Isolation;
use crate::config::resolved::{Operator, Pipeline};
use anyhow::Result;
use serde::Serialize;

/// The whole report; `--json` prints it unchanged.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) pipeline: String,
    pub(super) setting: Setting,
    /// Medians of the runs.
    pub(super) rate: f64,
    pub(super) bytes_per_second: f64,
    pub(super) cpu_us: Cpu,
    pub(super) plugins: PluginCost,
    pub(super) bound: Verdict,
    /// `None` if it was skipped.
    pub(super) delay: Option<Delay>,
    pub(super) runs: Vec<Run>,
}

/// Processor time for each message, in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct Cpu {
    pub(super) server: f64,
    /// Excluding the plugins.
    pub(super) host: f64,
    pub(super) plugins: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) by: Bound,
    pub(super) why: String,
}

/// The machine and the versions.
#[derive(Debug, Serialize)]
pub(super) struct Setting {
    pub(super) machine: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    pub(super) weir: String,
    #[serde(rename = "wasmtime")]
    pub(super) engine: String,
    pub(super) nats_server: String,
    /// `debug` or `release`.
    pub(super) profile: &'static str,
    pub(super) messages: u64,
    pub(super) message_bytes: f64,
    /// Different messages in the input, and the number that the pipeline does not read.
    pub(super) input_lines: usize,
    pub(super) input_skipped: usize,
    pub(super) lanes: usize,
}

impl Report {
    /// Combines the numbers; there is at least one run.
    pub(super) fn new(
        setup: &Setup<'_>,
        plugins: PluginCost,
        runs: Vec<Run>,
        delay: Option<Delay>,
    ) -> Result<Self> {
        let setting = setting(setup);
        let median = |of: fn(&Run) -> f64| middle(runs.iter().map(of).collect());
        let host = median(|run| run.host_us);
        let cpu_us = Cpu {
            server: median(|run| run.server_us),
            host: (host - plugins.us).max(0.0),
            plugins: plugins.us,
        };
        let load = load(&setup.pipeline, &setting, &plugins, &runs);
        let by = bound::decide(&load);
        Ok(Self {
            pipeline: setup.pipeline.name.clone(),
            rate: median(|run| run.rate),
            bytes_per_second: median(|run| run.bytes_per_second),
            cpu_us,
            plugins,
            bound: Verdict {
                by,
                why: bound::sentence(by, &load),
            },
            delay,
            setting,
            runs,
        })
    }
}

/// The load of each part, from the medians of the runs.
fn load(pipeline: &Pipeline, setting: &Setting, plugins: &PluginCost, runs: &[Run]) -> Load {
    let median = |of: fn(&Run) -> f64| middle(runs.iter().map(of).collect());
    let in_hand = pipeline.in_flight.messages.saturating_mul(pipeline.lanes) as f64;
    let most = match pipeline.source.max_ack_pending {
        allowed @ 1.. => in_hand.min(allowed as f64),
        _ => in_hand,
    };
    let isolated = |operator: &Operator| operator.limits.isolation == Isolation::Message;
    Load {
        cores: setting.cores as f64,
        host: median(|run| run.host_cores),
        server: median(|run| run.server_cores),
        own: median(|run| run.own_cores),
        lane_busy: median(|run| run.lane_busy),
        lane_queued: median(|run| run.lane_queued),
        lane_in_plugins: median(|run| run.lane_in_plugins),
        plugins: (plugins.us / median(|run| run.host_us).max(f64::MIN_POSITIVE)).min(1.0),
        window: median(|run| run.unsettled) / most.max(1.0),
        retries: median(|run| run.counts.retries as f64) / setting.messages as f64,
        trusted: pipeline.operators.iter().all(|operator| operator.trusted),
        isolated: pipeline.operators.iter().any(isolated),
    }
}

fn setting(setup: &Setup<'_>) -> Setting {
    let (arguments, input) = (setup.arguments, setup.input);
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut lines = processor.lines();
    let model = lines.find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Setting {
        machine: model
            .map_or("unknown processor", |(_, name)| name)
            .to_owned(),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        kernel: kernel.trim().to_owned(),
        weir: env!("CARGO_PKG_VERSION").to_owned(),
        engine: env!("WEIR_WASMTIME_VERSION").to_owned(),
        nats_server: setup.connection.client().server_info().version,
        profile: if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        },
        messages: arguments.messages,
        message_bytes: input.bytes(arguments.messages) as f64 / arguments.messages as f64,
        input_lines: input.lines(),
        input_skipped: input.skipped,
        lanes: setup.pipeline.lanes,
    }
}

/// The median; for an even number of values, the mean of the two in the middle.
pub(super) fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    match values.len() {
        0 => 0.0,
        even if even % 2 == 0 => f64::midpoint(at(even / 2 - 1), at(even / 2)),
        odd => at(odd / 2),
    }
}

#[cfg(test)]
mod tests {
    use super::middle;

    #[test]
    fn the_median_is_the_middle_and_of_two_the_mean() {
        assert_eq!(middle(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(middle(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
