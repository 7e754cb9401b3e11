//! `weir trace`: from a result back to its inputs, through all pipelines.

use super::shown::moment;
use super::{Console, files};
use crate::nats::trace::{Step, TimerResult, walk};
use crate::report::{self, escape};
use anyhow::Result;
use std::fmt::Write;

#[derive(clap::Args)]
#[command(after_help = "\
Prints a line for each message, starting with the result: its stream and sequence, its subject, the time at which \
it was stored, and the operators that made it, with the first characters of the plugins' digests. The walk ends at \
a message that is not a result of weir, is the result of a timer or of a window, has no message id, or no longer exists. Needs permission for $JS.API.STREAM.NAMES, and for STREAM.INFO and STREAM.MSG.GET of the \
streams.")]
pub(super) struct Arguments {
    /// The subject of the result.
    #[arg(value_name = "SUBJECT")]
    subject: String,

    /// Its sequence in its stream.
    #[arg(value_name = "SEQUENCE")]
    sequence: u64,

    #[command(flatten)]
    reach: files::Reach,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let steps = arguments.reach.connected("trace", async |connection| {
        walk(&connection, &arguments.subject, arguments.sequence).await
    })?;
    console.answer(&steps, &text(&steps))?;
    Ok(report::DONE)
}

fn text(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        let Step {
            stream, sequence, ..
        } = step;
        let subject = escape::line(step.subject.as_deref().unwrap_or("?"));
        let stored = moment(step.stored.as_deref().unwrap_or_default());
        // Writing to a string does not fail.
        let _ = match (&step.gone, &step.made) {
            (Some(why), _) => writeln!(out, "{stream} {sequence}  {why}"),
            (None, None) if let Some(timer) = &step.timer => writeln!(
                out,
                "{stream} {sequence}  {subject}  {stored}Z  {}",
                of_timer(timer)
            ),
            (None, None) if step.has_no_id => writeln!(
                out,
                "{stream} {sequence}  {subject}  {stored}Z  made by weir, from an unknown input: it has no \
                 message id (`sink.message-ids: off`)"
            ),
            (None, None) => writeln!(out, "{stream} {sequence}  {subject}  {stored}Z"),
            (None, Some(made)) => writeln!(
                out,
                "{stream} {sequence}  {subject}  {stored}Z  made by {}/{} {}",
                escape::line(&made.pipeline),
                escape::line(&made.operator),
                escape::line(&made.plugins.join(",")),
            ),
        };
    }
    out
}

/// What is known of a result that no message names.
fn of_timer(timer: &TimerResult) -> String {
    let TimerResult {
        job_stream,
        place,
        partition,
        window,
        plugins,
    } = timer;
    let what = match window {
        Some([start, end]) => format!("the window from {start} to {end}"),
        None => "a timer".to_owned(),
    };
    let partition = partition.map(|partition| format!(", partition {partition}"));
    let made = format!(
        "made by {what} of a job, from its state{}; committed as {job_stream} {place} {}",
        partition.unwrap_or_default(),
        plugins.join(","),
    );
    escape::line(&made).into_owned()
}
