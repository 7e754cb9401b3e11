//! The messages to replay, in the order in which they were stored. Of messages with the same time, those of
//! tables come first.

use super::range::Range;
use crate::config::resolved::Pipeline;
use crate::nats::history::{Begin, History, Reader, Stored};
use anyhow::Result;

/// The streams, each with its next message.
pub(super) struct Inputs(Vec<Branch>);

struct Branch {
    reader: Reader,
    first: u64,
    next: Option<Stored>,
    /// The last that was taken.
    last: u64,
    is_over: bool,
    is_table: bool,
    /// It is read to its end before the others.
    is_whole: bool,
}

/// Whether the sources of a stream are tables.
pub(super) fn is_table(pipeline: &Pipeline, stream: &str) -> bool {
    pipeline.sources_of(stream).any(|named| named.is_table)
}

impl Inputs {
    /// With the same ranges as streams; `whole` says which of these are read before the others.
    ///
    /// # Errors
    /// When the server does not let it.
    pub(super) async fn open(
        pipeline: &Pipeline,
        sources: &[History],
        ranges: &[Range],
        whole: &[bool],
    ) -> Result<Self> {
        let mut branches = Vec::new();
        for ((source, range), is_whole) in sources.iter().zip(ranges).zip(whole) {
            let read = pipeline.read_of(&source.name);
            let filters = read.iter().flat_map(|read| &read.subjects);
            let filters: Vec<String> = filters.map(ToString::to_string).collect();
            let begin = Begin::Sequence(range.first);
            branches.push(Branch {
                reader: source.read(&filters, begin, range.last).await?,
                first: range.first,
                next: None,
                last: 0,
                is_over: false,
                is_table: is_table(pipeline, &source.name),
                is_whole: *is_whole,
            });
        }
        Ok(Self(branches))
    }

    /// The next message, with the place of its source.
    ///
    /// # Errors
    /// When a stream is gone, or the server does not say.
    pub(super) async fn next(&mut self) -> Result<Option<(usize, Stored)>> {
        for branch in &mut self.0 {
            if branch.next.is_none() && !branch.is_over {
                branch.next = branch.reader.next().await?;
                branch.is_over = branch.next.is_none();
            }
        }
        let branches = self.0.iter_mut().enumerate();
        let first = branches.filter(|(_, branch)| branch.next.is_some());
        let first = first.min_by_key(|(_, branch)| {
            let stored = branch.next.as_ref().map(|next| next.stored);
            (!branch.is_whole, stored, !branch.is_table)
        });
        Ok(first.and_then(|(place, branch)| {
            let next = branch.next.take()?;
            branch.last = next.message.sequence;
            Some((place, next))
        }))
    }

    /// The last message of each stream that was given.
    pub(super) fn read(&self) -> Vec<u64> {
        self.0.iter().map(|branch| branch.last).collect()
    }

    /// How many messages have been passed.
    pub(super) fn passed(&self) -> u64 {
        let passed = self.0.iter();
        let passed =
            passed.map(|branch| (branch.reader.read_up_to() + 1).saturating_sub(branch.first));
        passed.sum()
    }
}
