//! The record of a run, as a table for people and as JSON.

use super::measure::Cost;
use super::project::Build;
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt::Write;
use std::process::Command;
use weir::cli::project::Language;

/// Everything that was measured, and where.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: String,
    cores: usize,
    kernel: String,
    rustc: String,
    profile: String,
    /// Messages that each plugin was called with.
    messages: usize,
    languages: Vec<Row>,
    /// Languages that were not measured, each with the reason.
    pub(crate) skipped: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Row {
    language: String,
    build_seconds: f64,
    rebuild_seconds: f64,
    #[serde(flatten)]
    cost: Cost,
    /// Time of a message against Rust's, where Rust was measured.
    against_rust: Option<f64>,
}

impl Report {
    pub(crate) fn new(messages: usize, profile: &str) -> Result<Self> {
        let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processor
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let rustc = Command::new("rustc").arg("--version").output();
        let rustc = rustc.context("cannot start `rustc`")?.stdout;
        Ok(Self {
            machine: model.map_or("unknown", |(_, model)| model).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            kernel: kernel.trim().to_owned(),
            rustc: String::from_utf8_lossy(&rustc).trim().to_owned(),
            profile: profile.to_owned(),
            messages,
            languages: Vec::new(),
            skipped: Vec::new(),
        })
    }

    pub(crate) fn add(&mut self, language: Language, build: &Build, cost: Cost) {
        let rust = self.languages.iter().find(|row| row.language == "rust");
        let against_rust = match language {
            Language::Rust => Some(1.0),
            _ => rust.map(|rust| cost.message_us / rust.cost.message_us),
        };
        self.languages.push(Row {
            language: language.name().to_owned(),
            build_seconds: build.first.as_secs_f64(),
            rebuild_seconds: build.again.as_secs_f64(),
            cost,
            against_rust,
        });
    }

    /// The table.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::from(
            "| language | component | build, first | build, again | compile | load | start | message | against Rust | memory |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for row in &self.languages {
            let Cost {
                size,
                compile_seconds,
                load_ms,
                start_us,
                message_us,
                memory_halves: [first, second],
                instances,
                ..
            } = &row.cost;
            let highest = *first.max(second) as f64 / f64::from(1 << 20);
            let flat = match (*instances, second > first) {
                (1, false) => String::new(),
                (1, true) => ", grows".to_owned(),
                (instances, _) => format!(", {instances} instances"),
            };
            let against = row
                .against_rust
                .map_or("?".to_owned(), |ratio| format!("{ratio:.1}"));
            // Writing to a string does not fail.
            let _ = writeln!(
                out,
                "| {} | {} | {:.1} s | {:.1} s | {compile_seconds:.2} s | {load_ms:.1} ms | {} | {message_us:.1} µs | {against} | {highest:.1} MiB{flat} |",
                row.language,
                bytes(*size),
                row.build_seconds,
                row.rebuild_seconds,
                duration(*start_us),
            );
        }
        for (language, reason) in &self.skipped {
            let _ = writeln!(out, "\n{language} was skipped: {reason}");
        }
        out
    }

    /// The table with what its columns mean.
    pub(crate) fn page(&self) -> String {
        format!(
            "<!-- Written by `cargo xtask bench --languages`; every figure is in costs.json. -->\n\
             # The cost of each language\n\n\
             The plugin is the one that `weir plugin new` creates: it parses a message, drops it or turns it\n\
             into an alert, and serialises that. It is called with batches of 64 messages of 1 KiB of JSON,\n\
             {} in total, of which every second one becomes an alert.\n\n{}\n\
             | column | meaning |\n|---|---|\n\
             | component | size of the `.wasm` file |\n\
             | build | wall-clock time of `weir plugin build`: the first build with only the language's tool installed, and a build after a change |\n\
             | compile | processor time to compile it to machine code, once per version of the file |\n\
             | load | processor time to load the machine code from the cache, each time a host starts |\n\
             | start | processor time to create and configure an instance: once per lane, and after a fault |\n\
             | message | processor time of a call, per message; the median of 9 parts of the run |\n\
             | against Rust | the time per message as a multiple of Rust's |\n\
             | memory | the maximum memory of the instance; `grows` if it was still growing at the end of this short run; see [soak.md](../performance/soak.md) for ten million messages |\n\n\
             Measured on {} ({} cores), Linux {}, {}, {} profile, one thread. Times are\n\
             processor times, except those of builds. Figures of a shared machine vary by a tenth or two; the\n\
             differences between languages are reliable.\n",
            self.messages,
            self.markdown(),
            self.machine,
            self.cores,
            self.kernel,
            self.rustc,
            self.profile,
        )
    }
}

fn bytes(size: u64) -> String {
    let size = size as f64;
    match size {
        small if small < 1e6 => format!("{:.0} KB", small / 1e3),
        large => format!("{:.1} MB", large / 1e6),
    }
}

fn duration(microseconds: f64) -> String {
    match microseconds {
        short if short < 1e3 => format!("{short:.0} µs"),
        long => format!("{:.1} ms", long / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_fits() {
        assert_eq!(bytes(27_400), "27 KB");
        assert_eq!(bytes(18_463_340), "18.5 MB");
        assert_eq!(duration(23.4), "23 µs");
        assert_eq!(duration(1730.0), "1.7 ms");
    }
}
