//! Inputs that are tables: read to their end before all other inputs.
//!
//! The end is the last message of the server when a partition begins to read. The leader of the stream is
//! asked for it, because a consumer on a replica that is behind would report an earlier end.
//!
//! To read up to that end is not enough. If a key gets a new value in the meantime, its earlier message is
//! gone, and the new one is after the end. So a table is loaded at a moment at which its reader has nothing
//! more to read.

use super::super::answer;
use super::line::Line;
use super::{Inputs, Known, LogError};
use crate::nats::job_progress::LoadingTable;
use crate::nats::stored;
use futures_util::future::select_all;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When nothing has come for so long, the end is asked for again: the message there may have been removed.
const AGAIN: Duration = Duration::from_secs(1);

/// A table that is not read to its end for a partition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loading {
    /// What is to be read at least; not known yet if none.
    pub(super) upto: Option<u64>,
}

impl Inputs {
    /// Waits until one of these tables has something for a partition that loads it, or is read to its end. Which, and up to
    /// where it has nothing, if that is so.
    pub(super) async fn load(
        &self,
        partition: u16,
        tables: &[Known<'_>],
    ) -> Result<(usize, Option<u64>), LogError> {
        self.note_loading(partition);
        let loading = tables
            .iter()
            .filter(|(.., line)| line.is_loading(partition));
        let loads = loading.map(|(input, behind, line)| {
            Box::pin(async move { (*input, line.load(partition, *behind, self).await) })
        });
        let ((input, passed), ..) = select_all(loads).await;
        Ok((input, passed?))
    }

    /// All tables of a partition are loaded: the others begin.
    pub(super) fn loaded(&self, partition: u16, others: &[Known<'_>]) {
        self.note_loading(partition);
        for (.., line) in others {
            if let Some(queue) = line.queues.borrow_mut().get_mut(&partition) {
                queue.since = Instant::now();
            }
        }
    }

    /// Notes how far the tables are that a partition loads.
    fn note_loading(&self, partition: u16) {
        let Some((progress, _)) = &self.progress else {
            return;
        };
        let loading = self.lines.iter().filter_map(|line| {
            let (position, upto) = line.loaded(partition)?;
            Some(LoadingTable {
                table: Arc::clone(&line.source.name),
                position,
                upto,
            })
        });
        let loading = loading.collect();
        progress.update(partition, |state| state.loading = loading);
    }
}

impl Line {
    /// Whether it is a table that is not read to its end for a partition.
    pub(super) fn is_loading(&self, partition: u16) -> bool {
        let queues = self.queues.borrow();
        let queue = queues.get(&partition);
        queue.is_some_and(|queue| queue.loading.is_some())
    }

    /// Waits until something of a table waits for a partition, or it is read to its end. Up to where it has nothing, if
    /// that is so.
    async fn load(
        &self,
        partition: u16,
        behind: u64,
        inputs: &Inputs,
    ) -> Result<Option<u64>, LogError> {
        while !self.is_loaded(partition) {
            if self.loaded(partition).is_some() {
                tokio::select! {
                    biased;
                    passed = self.come(partition, behind, inputs) => return passed,
                    () = tokio::time::sleep(AGAIN) => {}
                }
            }
            let end = self.end().await?;
            let mut queues = self.queues.borrow_mut();
            let Some(queue) = queues.get_mut(&partition) else {
                continue;
            };
            let position = queue.position(self.next.get());
            // If there is nothing behind what it has, this is all.
            let is_whole = position >= end;
            let upto = queue.loading.and_then(|loading| loading.upto);
            if upto.is_none() && !is_whole {
                let table = &*self.source.name;
                tracing::info!(table, partition, position, upto = end, "loading a table");
            }
            let upto = Some(upto.map_or(end, |upto| upto.min(end)));
            queue.loading = (!is_whole).then_some(Loading { upto });
        }
        Ok(None)
    }

    /// Whether everything up to the end of a table has been handed over to a partition. That stays so.
    pub(super) fn is_loaded(&self, partition: u16) -> bool {
        let (mut queues, next) = (self.queues.borrow_mut(), self.next.get());
        let Some(queue) = queues.get_mut(&partition) else {
            return false;
        };
        if queue.is_at_end(next, &self.level) {
            queue.loading = None;
        }
        queue.loading.is_none()
    }

    /// How far it is loaded for a partition, and how far it has to be; none if it is, or that is not known.
    fn loaded(&self, partition: u16) -> Option<(u64, u64)> {
        let queues = self.queues.borrow();
        let queue = queues.get(&partition)?;
        Some((queue.position(self.next.get()), queue.loading?.upto?))
    }

    /// The last message at the server; 0 if there is none.
    async fn end(&self) -> Result<u64, LogError> {
        let subject = self.wire.api.message(&self.source.stream);
        let filters: Vec<&str> = match &*self.source.filters {
            [] => stored::ALL.into(),
            filters => filters.iter().map(|filter| &**filter).collect(),
        };
        let mut end = 0;
        for filter in filters {
            let found = answer::last(&self.wire, &subject, filter, self.patience).await?;
            end = end.max(found.map_or(0, |found| found.seq));
        }
        Ok(end)
    }
}
