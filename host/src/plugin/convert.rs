//! Messages to the border's records, and outcomes back. No payload is copied here.

use super::bindings::weir::plugin::types;
use crate::config::resolved::HeaderSelection;
use crate::headers::Headers;
use crate::message::{Message, Outcome, Output};
use bytes::Bytes;
use bytestring::ByteString;
use std::ops::Range;
use std::time::Duration;

/// The header lines of a batch that the operator asked for, in one allocation; none when it asked
/// for none.
pub(super) struct Lines<'a> {
    lines: Vec<types::HeaderParam<'a>>,
    /// Of each message; empty when there are no lines at all.
    ranges: Vec<Range<usize>>,
}

/// Selects header lines, keeping their order.
pub(super) fn lines<'a>(batch: &'a [Message], selection: &HeaderSelection) -> Lines<'a> {
    let mut lines = Vec::new();
    let mut ranges = Vec::new();
    if *selection != HeaderSelection::None {
        ranges.reserve_exact(batch.len());
        for message in batch {
            let start = lines.len();
            let selected = message.headers.iter().filter(|(name, _)| match selection {
                HeaderSelection::None => false,
                HeaderSelection::All => true,
                HeaderSelection::Named(names) => {
                    names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
                }
            });
            lines.extend(selected.map(|(name, value)| types::HeaderParam { name, value }));
            ranges.push(start..lines.len());
        }
    }
    Lines { lines, ranges }
}

/// Records that borrow from the messages.
pub(super) fn lower<'a>(batch: &'a [Message], headers: &'a Lines<'a>) -> Vec<types::Message<'a>> {
    let mut ranges = headers.ranges.iter();
    let lower = |message: &'a Message| types::Message {
        subject: &message.subject,
        payload: &message.payload,
        headers: ranges
            .next()
            .and_then(|range| headers.lines.get(range.clone()))
            .unwrap_or_default(),
        key: message.key.as_deref(),
        event_time: message.event_time,
        sequence: message.sequence,
        attempt: message.attempt,
    };
    batch.iter().map(lower).collect()
}

/// The guest's answer; its buffers become the outputs'.
pub(super) fn lift(outcomes: Vec<types::Outcome>) -> Vec<Outcome> {
    outcomes.into_iter().map(outcome).collect()
}

fn outcome(outcome: types::Outcome) -> Outcome {
    match outcome {
        types::Outcome::Emit(outputs) => Outcome::Emit(outputs.into_iter().map(output).collect()),
        types::Outcome::Retry(retry) => Outcome::Retry {
            after: retry.after_ms.map(Duration::from_millis),
            reason: retry.reason,
        },
        types::Outcome::Reject(reason) => Outcome::Reject(reason),
    }
}

fn output(output: types::Output) -> Output {
    Output {
        subject: output.subject.map(ByteString::from),
        payload: output.payload.map(Bytes::from),
        headers: output.headers.map(|lines| {
            let lines = lines.into_iter();
            lines
                .map(|line| (line.name.into(), line.value.into()))
                .collect::<Headers>()
        }),
        key: output.key.map(ByteString::from),
    }
}

#[cfg(test)]
#[expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what it expects by failing"
)]
mod tests;
