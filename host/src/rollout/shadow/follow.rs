//! The live side of a shadow: what the pipeline publishes, and which inputs are complete.
//!
//! An input without an output is known after the pipeline has settled it and everything was read that its
//! streams contained at that time. A [`Milestone`] is such a time: the inputs that were settled then, and the
//! positions up to which each stream must be read.

use crate::compare::matcher::Matcher;
use crate::compare::report::Why;
use crate::compare::{Identity, Slot, stored, stored_of_job};
use crate::config::resolved::Pipeline;
use crate::jsonl::Line;
use crate::nats::history::{Begin, History, Reader, Stored};
use crate::nats::streams::{self, Durable};
use crate::nats::{Connection, consumers, outputs, parking};
use anyhow::{Context, Result};
use futures_util::future::select_all;
use std::collections::{BTreeMap, HashSet};

/// How far the clocks of servers may be apart, in nanoseconds.
const SKEW: u64 = 10_000_000_000;
/// Parked retries that are looked at; with more of them, nothing is said of what is not there.
const PARKED: usize = 200;

/// One stream of outputs.
struct Branch {
    stream: History,
    filter: Option<String>,
    reader: Reader,
}

/// What the live pipeline publishes.
pub(crate) struct Follow {
    identity: Identity,
    branches: Vec<Branch>,
    /// Whether its dead letters are among it.
    pub(crate) dead_letters: bool,
    /// What of it no input names; nothing where there are no timers.
    pub(crate) unnamed: Option<Unnamed>,
}

/// Outputs of a job that no input names.
pub(crate) struct Unnamed {
    /// The stream of the job, and its sources.
    pub(crate) job: String,
    pub(crate) identities: Vec<Identity>,
    /// Whether these are all of its outputs, and not those of timers alone.
    pub(crate) is_all: bool,
    /// Where the checkpoints stood of which the shadow has copies, and whether there is one of each partition.
    pub(crate) copied: BTreeMap<u16, u64>,
    pub(crate) is_whole: bool,
}

/// What was known of the live pipeline at some time.
pub(crate) struct Milestone {
    /// Inputs up to this one were settled.
    pub(crate) settled: u64,
    /// Of these, what waited for a retry.
    parked: HashSet<u64>,
    /// What each stream held last.
    latest: Vec<u64>,
}

impl Milestone {
    /// Why it says nothing that there is no output of an input.
    pub(crate) fn judge(&self, sequence: u64, _slot: Slot) -> Option<Why> {
        let defer = self.parked.len() >= PARKED || self.parked.contains(&sequence);
        defer.then_some(Why::Unsettled)
    }
}

impl Follow {
    /// Where the outputs begin of the first input that the shadow has not compared.
    ///
    /// # Errors
    /// When the server does not say.
    pub(crate) async fn behind(source: &History, compared: u64) -> Result<Begin> {
        let first = source.stored_at(compared + 1).await?;
        Ok(Begin::Time(first.unwrap_or_else(now).saturating_sub(SKEW)))
    }

    /// Reads outputs from `begin` on; those that are still to come, if there is none.
    ///
    /// # Errors
    /// When the outputs cannot be found or read.
    pub(crate) async fn open(
        connection: &Connection,
        pipeline: &Pipeline,
        identity: Identity,
        begin: Option<Begin>,
    ) -> Result<Self> {
        let mut branches = Vec::new();
        let mut dead_letters = false;
        for output in outputs::output_streams(connection, pipeline, &[]).await? {
            dead_letters |= output.dead_letters;
            let filters: Vec<String> = output.filter.iter().cloned().collect();
            let begin = begin.unwrap_or(Begin::Sequence(output.stream.last + 1));
            branches.push(Branch {
                reader: output.stream.read(&filters, begin, u64::MAX).await?,
                stream: output.stream,
                filter: output.filter,
            });
        }
        Ok(Self {
            identity,
            branches,
            dead_letters,
            unnamed: None,
        })
    }

    /// Waits for the next stored message. Safe to drop while it waits.
    ///
    /// # Errors
    /// When a stream is gone.
    pub(crate) async fn arrives(&mut self) -> Result<Stored> {
        let arrivals = self.branches.iter_mut();
        let arrivals = arrivals.map(|branch| Box::pin(branch.reader.arrives()));
        select_all(arrivals).await.0
    }

    /// Tells the matcher of a message, if it is an output of the pipeline.
    pub(crate) fn tell(&self, matcher: &mut Matcher, arrived: &Stored) {
        let message = &arrived.message;
        let is_all = self.unnamed.as_ref().is_some_and(|unnamed| unnamed.is_all);
        let output = stored(
            &self.identity,
            &message.subject,
            &message.headers,
            &message.payload,
        );
        if let Some((sequence, slot, line)) = output.filter(|_| !is_all) {
            matcher.published(sequence, slot, line);
        } else if let Some(unnamed) = &self.unnamed
            && let Some(found) = stored_of_job(
                &unnamed.job,
                &unnamed.identities,
                (&arrived.stream, message),
            )
            && self.compares(&found.line)
        {
            // What was committed before is in the copy. Of which partition a result is that was forwarded is not known.
            let fences = match found.partition {
                Some(partition) => {
                    let fence = unnamed.copied.get(&partition);
                    fence.map(|fence| (*fence, *fence))
                }
                None => {
                    let mut fences: Vec<u64> = unnamed.copied.values().copied().collect();
                    fences.sort_unstable();
                    let last = fences.last().filter(|_| unnamed.is_whole);
                    let last = last.copied().unwrap_or(u64::MAX);
                    fences.first().map(|first| (*first, last))
                }
            };
            if let Some((_, last)) = fences.filter(|(first, _)| found.place > *first) {
                matcher.published_unnamed(found.line, found.input, found.place > last);
            }
        }
    }

    /// Whether an output of the candidate can have a counterpart.
    pub(crate) fn compares(&self, line: &Line) -> bool {
        self.dead_letters || !matches!(line, Line::Dead(_))
    }

    /// Looks where the live pipeline is.
    ///
    /// # Errors
    /// When the server does not say.
    pub(crate) async fn look(
        &self,
        connection: &Connection,
        pipeline: &Pipeline,
        live: &Durable,
    ) -> Result<Milestone> {
        // In this order: what is settled and not parked is in the streams that are looked at then.
        let context = streams::jetstream(connection);
        let info = consumers::info(&context, live).await?;
        let info = info.context("the consumer of the live pipeline is gone")?;
        let settled = match info.num_ack_pending {
            0 => info.delivered.stream_sequence,
            _ => info.ack_floor.stream_sequence,
        };
        let source_id = &self.identity.source_id;
        let parked = parking::waiting(connection, pipeline, source_id, PARKED).await?;
        self.milestone(settled, parked).await
    }

    /// A time at which the streams have all results of the inputs up to `settled` that are not parked.
    ///
    /// # Errors
    /// When the server does not say what the streams have.
    pub(crate) async fn milestone(&self, settled: u64, parked: HashSet<u64>) -> Result<Milestone> {
        let mut latest = Vec::new();
        for branch in &self.branches {
            latest.push(branch.stream.latest(branch.filter.as_deref()).await?);
        }
        Ok(Milestone {
            settled,
            parked,
            latest,
        })
    }

    /// Whether all is read that there was then.
    pub(crate) fn has_reached(&self, milestone: &Milestone) -> bool {
        let mut pairs = self.branches.iter().zip(&milestone.latest);
        pairs.all(|(branch, latest)| branch.reader.read_up_to() >= *latest)
    }
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default()
}
