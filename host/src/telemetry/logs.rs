//! Log entries of the host and of its plugins, on stderr; stdout belongs to results.
//!
//! `pretty` is for people: one line per entry, with colours only on a terminal. `json` is for machines:
//! one object per line. Entries of plugins use the same subscriber, with the names of their pipeline
//! and operator; their rate limit is in `plugin/capability/log`.

use crate::report::{self, escape, secrets};
use anyhow::{Context, anyhow};
use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::time::FormatTime;

/// The format of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line for people.
    #[default]
    Pretty,
    /// One JSON object per line.
    Json,
}

/// Directives that reduce the entries of libraries to what operators need.
/// async-nats's connector also returns as an error or an event what it logs.
const QUIET: [&str; 4] = [
    "async_nats=warn",
    "async_nats::connector=off",
    "wasmtime=warn",
    "hyper=warn",
];

/// Starts logging for the process. `level` is `error`, `warn`, `info`, `debug` or `trace`, or
/// directives such as `info,weir::pipeline=debug`.
///
/// # Errors
///
/// If `level` is invalid, or if logging was started before.
pub fn start(format: Format, level: &str) -> anyhow::Result<()> {
    let filter = filter(level)?;
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Entries)
        .with_timer(Clock)
        .with_ansi(colour);
    match format {
        Format::Pretty => subscriber
            .with_target(false)
            .fmt_fields(debug_fn(write_field).delimited(" "))
            .try_init(),
        Format::Json => subscriber
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
    }
    .map_err(anyhow::Error::msg)
    .context("cannot start logging")
}

/// The directives for libraries come first, so that those of the user override them.
fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    let refused = |cause: anyhow::Error| {
        let error = cause.context(format!("cannot parse log level `{level}`"));
        let action = "give `error`, `warn`, `info`, `debug` or `trace`, or directives such as \
                      `info,weir::pipeline=debug`";
        report::hint(report::usage(error), action)
    };
    // A word that is not a level would be read as the name of a module, and would silence all others.
    if let Some(word) = level.split(',').find(|word| !ends_in_a_level(word)) {
        return Err(refused(anyhow!("`{word}` is not a level")));
    }
    let directives = format!("{},{level}", QUIET.join(","));
    EnvFilter::try_new(directives).map_err(|error| refused(anyhow!("{error}")))
}

/// `debug`, or `weir::pipeline=debug`.
fn ends_in_a_level(directive: &str) -> bool {
    let level = directive
        .rsplit_once('=')
        .map_or(directive, |(_, level)| level);
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    levels
        .iter()
        .any(|known| known.eq_ignore_ascii_case(level.trim()))
}

/// Where entries go: stderr, without secrets. Messages do not depend on it: an entry that cannot be written,
/// to a full disk or a closed pipe, is counted and lost.
struct Entries;

static LOST: AtomicU64 = AtomicU64::new(0);

/// Entries of this process that could not be written.
pub(super) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

impl Write for Entries {
    /// The subscriber writes each entry with one call.
    fn write(&mut self, entry: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(entry);
        let shown = secrets::hide(&text);
        if std::io::stderr().write_all(shown.as_bytes()).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(entry.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A field of an entry. Its text may come from a plugin, a message or a server, and must not end the line.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = format!("{value:?}");
    let text = escape::line(&text);
    match field.name() {
        "message" => writer.write_str(&text),
        name => write!(writer, "{name}={text}"),
    }
}

/// The time of an entry: RFC 3339 in UTC, to the millisecond.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:.3}", jiff::Timestamp::now())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_level_and_directives_are_both_understood() {
        assert!(filter("debug").is_ok());
        let both = filter("info,weir::pipeline=debug,async_nats=trace").unwrap();
        assert!(both.to_string().contains("async_nats=trace"), "{both}");
        assert!(!both.to_string().contains("async_nats=warn"), "{both}");
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn text_of_others_cannot_end_a_line() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .without_time()
            .with_ansi(false)
            .with_target(false)
            .fmt_fields(debug_fn(write_field).delimited(" "))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let said = "no\n2026-01-01T00:00:00.000Z ERROR forged \u{1b}[2J";
            tracing::warn!(pipeline = "p", subject = %"a\r\nb", "dead letter: {said}");
        });
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let forged = r"no\n2026-01-01T00:00:00.000Z ERROR forged \u{1b}[2J";
        let expected = format!(" WARN dead letter: {forged} pipeline=\"p\" subject=a\\r\\nb\n");
        assert_eq!(written, expected);
    }

    #[test]
    fn a_level_that_is_none_is_refused_with_those_that_are() {
        let error = filter("weir=loud").unwrap_err();
        assert_eq!(report::exit_code(&error), report::USAGE);
        assert!(report::text(&error).starts_with("error: cannot parse log level `weir=loud`\n"));
        assert_eq!(report::hints(&error).len(), 1);
    }
}
