//! What the pipeline has published for the replayed inputs, as far as its streams still hold it.
//!
//! The streams of results and of dead letters are merged by time, starting when the first input was stored.
//! Outputs that the streams no longer hold, and inputs that the pipeline has not settled yet, do not count as
//! differences.

use super::range::Range;
use super::windows::Windows;
use crate::compare::matcher::Matcher;
use crate::compare::report::Why;
use crate::compare::{Identity, Outputs, Slot, stored};
use crate::config::resolved::Pipeline;
use crate::nats::history::{Begin, History, Reader, Stored};
use crate::nats::{Connection, consumers, jobs, outputs, parking, streams};
use crate::report::ResultExt;
use anyhow::{Context, Result};
use std::collections::HashSet;

/// Maximum clock difference between servers, in nanoseconds.
const SKEW: u64 = 10_000_000_000;
/// Maximum number of parked retries to read.
const PARKED: usize = 100_000;

/// One stream and its next message.
struct Branch {
    reader: Reader,
    next: Option<Stored>,
}

/// The outputs of the live pipeline.
pub(super) struct Live {
    identity: Identity,
    range: Range,
    branches: Vec<Branch>,
    /// The pipeline has settled the inputs up to this one.
    settled: u64,
    /// Inputs that are parked.
    parked: HashSet<u64>,
    /// Results of inputs before this one may have been removed.
    results_since: u64,
    /// The same for dead letters; `None` if they are not compared.
    dead_letters_since: Option<u64>,
}

impl Live {
    /// Reads the state of the pipeline's consumer, then its streams.
    ///
    /// # Errors
    /// If the streams of the results cannot be determined, or a stream cannot be read.
    pub(super) async fn open(
        connection: &Connection,
        pipeline: &Pipeline,
        source: &History,
        range: &Range,
        given: &[String],
    ) -> Result<Self> {
        let identity = Identity::of(pipeline, &source.source_id).usage()?;
        // In this order, so that the streams have the outputs of everything that is settled and not parked.
        let settled = settled(connection, pipeline).await?;
        let parked = parking::waiting(connection, pipeline, &source.source_id, PARKED).await?;
        let first = source.stored_at(range.first).await?.unwrap_or_default();
        let mut live = Self {
            identity,
            range: range.clone(),
            branches: Vec::new(),
            settled,
            parked,
            results_since: 0,
            dead_letters_since: None,
        };
        for output in outputs::output_streams(connection, pipeline, given).await? {
            let stream = &output.stream;
            let since = since(stream, source).await?;
            if output.results {
                // A stream that keeps only the last message per subject has removed the others.
                let since = if stream.per_subject { u64::MAX } else { since };
                live.results_since = live.results_since.max(since);
            }
            if output.dead_letters {
                // Replayed and purged dead letters can be missing anywhere in the stream.
                let whole = stream.deleted == 0 && !stream.per_subject;
                live.dead_letters_since = Some(if whole { since } else { u64::MAX });
            }
            let filters: Vec<String> = output.filter.into_iter().collect();
            let begin = Begin::Time(first.saturating_sub(SKEW));
            let mut reader = stream.read(&filters, begin, stream.last).await?;
            let next = reader.next().await?;
            live.branches.push(Branch { reader, next });
        }
        Ok(live)
    }

    /// Passes the next output on: the result of a window to `windows`, others to the matcher. Returns whether there was one.
    pub(super) async fn tell(
        &mut self,
        matcher: &mut Matcher,
        windows: &mut Windows,
    ) -> Result<bool> {
        let oldest = self
            .branches
            .iter_mut()
            .filter(|branch| branch.next.is_some());
        let oldest = oldest.min_by_key(|branch| branch.next.as_ref().map(|next| next.stored));
        let Some(branch) = oldest else {
            return Ok(false);
        };
        if let Some(Stored { message, .. }) = &branch.next
            && !windows.take_live(message)
            && let Some((sequence, slot, line)) = stored(
                &self.identity,
                &message.subject,
                &message.headers,
                &message.payload,
            )
            && (self.range.first..=self.range.last).contains(&sequence)
        {
            matcher.published(sequence, slot, line);
        }
        branch.next = branch.reader.next().await?;
        Ok(true)
    }

    /// The outputs of the candidate that can have counterparts.
    pub(super) fn comparable(&self, mut outputs: Outputs) -> Outputs {
        if self.dead_letters_since.is_none() {
            outputs.retain(|(slot, _)| *slot != Slot::DeadLetter);
        }
        outputs
    }

    /// Whether results of the replayed inputs may have been removed.
    pub(super) fn forgets(&self) -> bool {
        self.results_since > self.range.first
    }

    /// Why the absence of this output is not a difference, if so.
    pub(super) fn judge(&self, sequence: u64, slot: Slot) -> Option<Why> {
        let since = match slot {
            Slot::Result(_) => self.results_since,
            Slot::DeadLetter => self.dead_letters_since.unwrap_or_default(),
        };
        if sequence > self.settled || self.parked.contains(&sequence) {
            Some(Why::Unsettled)
        } else {
            (sequence < since).then_some(Why::Forgotten)
        }
    }
}

/// The input up to which the pipeline has settled everything. A pipeline without a consumer is no longer
/// active.
async fn settled(connection: &Connection, pipeline: &Pipeline) -> Result<u64> {
    if pipeline.job.is_some() {
        return jobs::furthest(connection, pipeline).await;
    }
    let durable = streams::Durable {
        stream: pipeline.source.stream.clone(),
        consumer: pipeline.source.consumer.clone(),
        ..Default::default()
    };
    let context = streams::jetstream(connection);
    let info = consumers::info(&context, &durable).await;
    let info =
        info.with_context(|| format!("cannot read the state of consumer `{}`", durable.consumer))?;
    Ok(info.map_or(u64::MAX, |info| {
        match info.num_pending == 0 && info.num_ack_pending == 0 {
            true => u64::MAX,
            false => info.ack_floor.stream_sequence,
        }
    }))
}

/// The input before which outputs may have been removed from the stream.
async fn since(stream: &History, source: &History) -> Result<u64> {
    if stream.reaches_back_to(source.first_stored) {
        return Ok(0);
    }
    match stream.first > stream.last {
        true => Ok(u64::MAX),
        false => source.sequence_at(stream.first_stored).await,
    }
}
