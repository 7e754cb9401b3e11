//! `weir:plugin/log`, and the rate limit that a plugin's log, stdout and stderr share.

use crate::plugin::OperatorSettings;
use crate::plugin::guest::operator_0_1_0::weir::plugin::log::{Host, Level};
use crate::plugin::instance::State;
use crate::plugin::services::HostServices;
use crate::report::escape::cut;
use crate::telemetry::metrics::OperatorMetrics;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Entries that an operator may write at once after a pause: a stack trace, or a line for each message
/// of a batch while somebody debugs it.
const BURST: u32 = 256;

/// Time after which one more entry is allowed: 50 a second, more than a person can read and few enough
/// for a log collector.
const REFILL: Duration = Duration::from_millis(20);

/// Bytes of one entry, as the contract bounds it.
const ENTRY: usize = 8 << 10;

/// The log of one operator on one lane. Lives as long as the lane: a fresh instance does not get a
/// fresh allowance.
pub(in crate::plugin) struct PluginLog {
    pipeline: String,
    operator: String,
    metrics: Arc<OperatorMetrics>,
    bucket: Mutex<Bucket>,
}

/// A token bucket.
struct Bucket {
    tokens: u32,
    /// When tokens were last added.
    filled: Instant,
    /// Entries refused since the last one that was written, which reports them.
    suppressed: u64,
}

impl PluginLog {
    /// With a full allowance.
    pub(in crate::plugin) fn new(settings: &OperatorSettings) -> Self {
        Self {
            pipeline: settings.pipeline.clone(),
            operator: settings.operator.clone(),
            metrics: Arc::clone(&settings.metrics),
            bucket: Mutex::new(Bucket {
                tokens: BURST,
                filled: Instant::now(),
                suppressed: 0,
            }),
        }
    }

    fn write(&self, level: tracing::Level, text: &str) {
        let (pipeline, operator) = (&*self.pipeline, &*self.operator);
        macro_rules! event {
            ($($level:ident)*) => {
                match level {
                    $(tracing::Level::$level => tracing::event!(
                        target: "weir::plugin", tracing::Level::$level, pipeline, operator, "{text}"
                    ),)*
                }
            };
        }
        event!(TRACE DEBUG INFO WARN ERROR);
    }
}

impl HostServices for PluginLog {
    fn is_logged(&self, level: tracing::Level) -> bool {
        enabled(level)
    }

    /// Written, unless its level is off or the rate limit refuses it.
    fn log(&self, level: tracing::Level, entry: &str) {
        if !enabled(level) {
            return;
        }
        let taken = {
            let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.take(Instant::now())
        };
        let Some(suppressed) = taken else {
            self.metrics.log_suppressed.inc();
            return;
        };
        if suppressed > 0 {
            self.write(
                tracing::Level::WARN,
                &format!("{suppressed} entries of this plugin were suppressed: it writes too many"),
            );
        }
        self.metrics.log_entries.inc();
        self.write(level, cut(entry, ENTRY));
    }
}

impl Bucket {
    /// Takes one token: the number of entries refused before this one, or `None` when this one is
    /// refused too.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let returned = now.duration_since(self.filled).as_nanos() / REFILL.as_nanos();
        if returned > 0 {
            let returned = u32::try_from(returned).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(returned).min(BURST);
            self.filled = now;
        }
        match self.tokens.checked_sub(1) {
            Some(left) => {
                self.tokens = left;
                Some(std::mem::take(&mut self.suppressed))
            }
            None => {
                self.suppressed += 1;
                None
            }
        }
    }
}

/// Whether plugins' entries of this level go anywhere.
fn enabled(level: tracing::Level) -> bool {
    macro_rules! enabled {
        ($($level:ident)*) => {
            match level {
                $(tracing::Level::$level => {
                    tracing::enabled!(target: "weir::plugin", tracing::Level::$level)
                })*
            }
        };
    }
    enabled!(TRACE DEBUG INFO WARN ERROR)
}

fn convert(level: Level) -> tracing::Level {
    match level {
        Level::Trace => tracing::Level::TRACE,
        Level::Debug => tracing::Level::DEBUG,
        Level::Info => tracing::Level::INFO,
        Level::Warn => tracing::Level::WARN,
        Level::Error => tracing::Level::ERROR,
    }
}

impl Host for State {
    fn log(&mut self, level: Level, message: String) {
        if level == Level::Error {
            self.stderr.extend(cut(&message, ENTRY).as_bytes());
            self.stderr.extend(b"\n");
        }
        self.services.log(convert(level), &message);
    }

    fn enabled(&mut self, level: Level) -> bool {
        self.services.is_logged(convert(level))
    }
}

#[cfg(test)]
mod tests;
