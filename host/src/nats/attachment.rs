//! A pipeline on its server, with what only the server knows: its progress, its parked messages, and what
//! keeps its consumer from delivering.

use super::job::{JobPlace, Reads};
use super::job_input::{self, Input};
use super::job_outputs::{self, Sourced};
use super::job_progress::Task;
use super::stored::{self, Which};
use super::streams::{self, Durable, Ensured};
use super::{Connection, consumers, failed, jobs, parking, permitted, unless_refused};
use crate::telemetry::metrics::PipelineMetrics;
use anyhow::{Result, anyhow};
use async_nats::jetstream::consumer::Info;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A pipeline on its server: a connection, and the streams that were found or made there. A restart
/// makes another.
pub struct Attachment {
    pub connection: Connection,
    pub ensured: Ensured,
    /// The sequence of the source up to which every message is settled. Set by [`Self::observe`].
    settled: AtomicU64,
}

/// What the server knows of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerView {
    /// Messages of the source that are to be delivered.
    pub pending: u64,
    /// Deliveries that are not settled yet.
    pub ack_pending: u64,
    /// How many of those there may be; 0 if there is no limit.
    pub most: u64,
    /// Up to which delivery everything is settled.
    pub floor: u64,
    /// How long the consumer will deliver nothing, because somebody has paused it.
    pub paused: Option<Duration>,
    /// Messages in the parking stream.
    pub parked: u64,
    /// Of these, those that are due and to be delivered.
    pub due: u64,
    /// Assigned partitions of a job on which this host does not work yet.
    pub unowned: usize,
    /// What the streams of the pipeline have of what its job has published.
    pub sourced: Sourced,
}

impl ServerView {
    /// Whether the consumer delivers nothing until something is settled.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.most > 0 && self.ack_pending >= self.most
    }
}

impl Attachment {
    #[must_use]
    pub fn new(connection: Connection, ensured: Ensured) -> Self {
        Self {
            connection,
            settled: AtomicU64::new(ensured.source.settled),
            ensured,
        }
    }

    /// What was found, with what was settled since. A restart compares with it.
    #[must_use]
    pub fn last(&self) -> Ensured {
        let mut last = self.ensured.clone();
        last.source.settled = self.settled.load(Ordering::Relaxed);
        last
    }

    /// Whether every message of the source is settled and none is parked, as the server says now.
    pub async fn is_drained(&self) -> bool {
        let context = streams::jetstream(&self.connection);
        if let Some(place) = &self.ensured.job {
            let is_read = place.progress.read().partitions == usize::from(place.partitions);
            let nothing_waits = is_read && place.progress.is_quiet();
            return nothing_waits
                && matches!(self.behind(place).await, Ok(behind) if behind.iter().sum::<u64>() == 0);
        }
        let settled = match consumers::info(&context, &self.ensured.source).await {
            Ok(Some(info)) => info.num_pending == 0 && info.num_ack_pending == 0,
            _ => false,
        };
        // Asked last: what is parked between the two questions is seen.
        settled
            && match &self.ensured.parking {
                Ok(place) => matches!(parking::pending(&context, place).await, Ok(0)),
                Err(_) => true,
            }
    }

    /// Reads from the server what only it knows.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn observe(&self, metrics: &PipelineMetrics) -> Result<ServerView> {
        let mut seen = ServerView::default();
        if let Some(place) = &self.ensured.job {
            let behind = self.behind(place).await?;
            seen.pending = behind.iter().sum();
            metrics.lag.set(gauge(seen.pending));
            for (reads, behind) in place.reads.iter().zip(behind) {
                for name in &reads.names {
                    metrics.source_lag(name).set(gauge(behind));
                }
            }
            seen.unowned = place.progress.read().unowned();
            for input in place.reads.iter().filter_map(|reads| reads.own.as_ref()) {
                job_input::sweep(&self.connection, place, input).await?;
            }
            seen.sourced = job_outputs::sweep(&self.connection, place).await?;
            return Ok(seen);
        }
        if let Some(info) = self.ask(&self.ensured.source).await? {
            seen.pending = info.num_pending;
            seen.ack_pending = info.num_ack_pending as u64;
            seen.most = u64::try_from(info.config.max_ack_pending).unwrap_or_default();
            seen.floor = info.ack_floor.consumer_sequence;
            seen.paused = info.pause_remaining.filter(|_| info.paused);
            metrics.lag.set(gauge(seen.pending));
            metrics.ack_pending.set(gauge(seen.ack_pending));
            let settled = info.ack_floor.stream_sequence;
            self.settled.fetch_max(settled, Ordering::Relaxed);
        }
        if let Ok(place) = &self.ensured.parking {
            let api = self.connection.api.stream_info(&place.stream);
            let context = streams::jetstream(&self.connection);
            let parked =
                unless_refused(&self.connection, &api, parking::pending(&context, place)).await;
            seen.parked = parked.map_err(|refused| anyhow!(refused))??;
            metrics.parked_pending.set(gauge(seen.parked));
            if seen.parked > 0 {
                let info = self.ask(place).await?;
                seen.due = info.map_or(0, |info| info.num_pending);
            }
        }
        Ok(seen)
    }

    /// How far the last message of each input is ahead of what this host has read for its partitions of a job, those that
    /// fail included.
    async fn behind(&self, place: &JobPlace) -> Result<Vec<u64>> {
        let positions = place.progress.read().positions;
        let mut failing = Vec::new();
        for (partition, task, _) in place.progress.troubles() {
            if task == Task::Own {
                let connection = &self.connection;
                failing.push(jobs::positions(connection, place, partition).await?);
            }
        }
        let mut behind = Vec::with_capacity(positions.len());
        for (reads, position) in place.reads.iter().zip(positions) {
            let of_failing = failing.iter().map(|inputs: &Vec<(String, u64)>| {
                let mut inputs = inputs.iter();
                let input = inputs.find(|(source, _)| *source == reads.id);
                // Of a checkpoint that cannot be read nothing is known to be processed.
                input.map_or(reads.begin, |(_, position)| *position)
            });
            let position = position.into_iter().chain(of_failing).min();
            behind.push(self.behind_in(reads, position).await?);
        }
        Ok(behind)
    }

    async fn behind_in(&self, reads: &Reads, position: Option<u64>) -> Result<u64> {
        let context = streams::jetstream(&self.connection);
        let filters: Vec<&str> = match &*reads.filters {
            [] => stored::ALL.into(),
            filters => filters.iter().map(|filter| &**filter).collect(),
        };
        let mut last = 0;
        for filter in filters {
            let which = Which::last(filter);
            let found = stored::get(&self.connection, &context, &reads.stream, &which).await?;
            last = last.max(found.map_or(0, |found| found.sequence));
        }
        // What the server is to move into the job's stream comes on top.
        let mut waiting = 0;
        if let Some(Input { stream, .. }) = &reads.own {
            let api = self.connection.api.stream_info(stream);
            let found = permitted(&self.connection, &api, context.get_stream(stream)).await?;
            let found = found.map_err(|error| failed(&error))?;
            waiting = found
                .cached_info()
                .sources
                .iter()
                .map(|source| source.lag)
                .sum();
        }
        Ok(waiting + position.map_or(0, |position| last.saturating_sub(position)))
    }

    async fn ask(&self, durable: &Durable) -> Result<Option<Info>> {
        let api = self
            .connection
            .api
            .consumer_info(&durable.stream, &durable.consumer);
        let context = streams::jetstream(&self.connection);
        let info = unless_refused(&self.connection, &api, consumers::info(&context, durable));
        info.await.map_err(|refused| anyhow!(refused))?
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
