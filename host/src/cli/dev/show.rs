//! The output of a round: the first messages of each kind, then counts and times.

use super::super::Console;
use crate::jsonl::Record;
use crate::report::count;
use anyhow::{Context, Result};
use serde_json::json;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest line shown, in characters; payloads are truncated.
const WIDTH: usize = 120;

/// The kind of a shown message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    In,
    Out,
    Dead,
}

/// Shows and counts the messages of one round.
pub(super) struct Show<'c> {
    console: &'c Console,
    most: usize,
    counts: [u64; 3],
    outputs: Option<BufWriter<File>>,
    dead: Option<BufWriter<File>>,
    began: Instant,
    /// When each input without a result was published, by stream and sequence.
    published: HashMap<(usize, u64), Instant>,
    /// When results arrived that were faster than the publish ack of their input.
    early: HashMap<(usize, u64), Instant>,
    latencies: Vec<Duration>,
}

impl<'c> Show<'c> {
    pub(super) fn new(
        console: &'c Console,
        most: usize,
        outputs: Option<&Path>,
        dead: Option<&Path>,
    ) -> Result<Self> {
        let create = |path: Option<&Path>| {
            let create = |path: &Path| {
                File::create(path)
                    .map(BufWriter::new)
                    .with_context(|| format!("cannot write `{}`", path.display()))
            };
            path.map(create).transpose()
        };
        Ok(Self {
            console,
            most,
            counts: [0; 3],
            outputs: create(outputs)?,
            dead: create(dead)?,
            began: Instant::now(),
            published: HashMap::new(),
            early: HashMap::new(),
            latencies: Vec::new(),
        })
    }

    /// Shows one message, and writes it to a file if requested.
    pub(super) fn message(&mut self, kind: Kind, record: &Record) -> Result<()> {
        let Some(count) = self.counts.get_mut(kind as usize) else {
            return Ok(());
        };
        *count += 1;
        let file = match kind {
            Kind::In => None,
            Kind::Out => self.outputs.as_mut(),
            Kind::Dead => self.dead.as_mut(),
        };
        if let Some(file) = file {
            writeln!(file, "{record}").context("cannot write a message")?;
        }
        if self.console.json || *count > self.most as u64 {
            return Ok(());
        }
        let (label, more) = match kind {
            Kind::In => ("in  ", String::new()),
            Kind::Out => ("out ", String::new()),
            Kind::Dead => {
                let reason = record.headers.get("Weir-Reason").unwrap_or_default();
                ("dead", format!("  ({reason})"))
            }
        };
        let text = match std::str::from_utf8(&record.payload) {
            Ok(text) => text.escape_debug().to_string().replace("\\\"", "\""),
            Err(_) => record.payload.escape_ascii().to_string(),
        };
        let line = format!("{label} {}{more}  {text}", record.subject);
        let cut: String = line.chars().take(WIDTH).collect();
        let dots = if cut.len() < line.len() { "…" } else { "" };
        self.console.print(&format!("{cut}{dots}"))?;
        if *count == self.most as u64 {
            self.console
                .print(&format!("{label} … further messages are only counted"))?;
        }
        Ok(())
    }

    /// An input was published at this time.
    pub(super) fn published(&mut self, stream: usize, sequence: u64, at: Instant) {
        match self.early.remove(&(stream, sequence)) {
            Some(came) => self.latencies.push(came.saturating_duration_since(at)),
            None => {
                self.published.insert((stream, sequence), at);
            }
        }
    }

    /// The first result of an input has arrived.
    pub(super) fn came(&mut self, stream: usize, sequence: u64) {
        match self.published.remove(&(stream, sequence)) {
            Some(at) => self.latencies.push(at.elapsed()),
            None => {
                self.early
                    .entry((stream, sequence))
                    .or_insert_with(Instant::now);
            }
        }
    }

    /// Prints counts, rate and latency percentiles.
    pub(super) fn summary(&mut self, dropped: u64) -> Result<()> {
        for file in [&mut self.outputs, &mut self.dead].into_iter().flatten() {
            file.flush().context("cannot write the messages")?;
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let [fed, out, dead] = self.counts;
        let rate = fed as f64 / seconds;
        self.latencies.sort_unstable();
        let milliseconds = |percentile: f64| {
            let last = self.latencies.len().saturating_sub(1);
            let index = (percentile * last as f64).round() as usize;
            self.latencies
                .get(index)
                .map(|latency| latency.as_secs_f64() * 1e3)
        };
        let [p50, p90, p99, longest] = [0.5, 0.9, 0.99, 1.0].map(milliseconds);
        if self.console.json {
            return self.console.value(&json!({
                "in": fed, "out": out, "dropped": dropped, "dead": dead,
                "seconds": seconds, "messages_per_second": rate,
                "latency_ms": { "p50": p50, "p90": p90, "p99": p99, "max": longest },
            }));
        }
        let letters = count(dead, "dead letter");
        let mut text = format!(
            "\n{fed} in, {out} out, {dropped} dropped, {letters}\n\
             {seconds:.2} s, {rate:.0} messages a second"
        );
        if let (Some(p50), Some(p90), Some(p99), Some(longest)) = (p50, p90, p99, longest) {
            text += &format!(
                "\nfrom publish to result: p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, \
                 longest {longest:.1} ms"
            );
        }
        self.console.print(&text)
    }
}
