//! The interface between the engine and the runner of a partition: plain data and one trait.

use super::log::{LogError, Progress};
use super::partition::Bounds;
use super::recovery::Recovery;
use crate::failpoint::Station;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The settings of every owner of a partition.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The key groups of the partition.
    pub groups: Range<u16>,
    /// The inputs, and where each begins.
    pub inputs: Vec<Progress>,
    /// Of the configuration and the plugins, by name.
    pub digests: Arc<BTreeMap<String, String>>,
    pub bounds: Bounds,
    /// Messages that are processed at once, at most.
    pub batch: usize,
    /// Bytes of deltas below which nothing is compacted.
    pub least: usize,
}

/// What is around a partition.
#[expect(
    async_fn_in_trait,
    reason = "a partition stays on one thread, so nothing here has to be sent to another"
)]
pub trait Surroundings {
    /// A name that no claim of a partition has ever used.
    fn new_owner(&self) -> Arc<str>;
    /// Waits until entries of the state that are due at this time are due.
    async fn until(&self, due: u64);
    /// Waits while nothing may be processed: what was processed is committed meanwhile.
    async fn permitted(&self) {}
    /// Waits before a failed request is repeated, longer with each attempt, from 1, and varied by chance.
    async fn pause(&self, attempt: u32);
    /// A step is done. A fault test may want the host to stand still here.
    async fn reached(&self, _station: Station) {}
    /// Waits until the partition is to be handed over.
    async fn stopped(&self);
    /// Told of everything that makes a partition late or end, to count it and to say it.
    fn note(&self, note: Note<'_>);
}

/// What happened to a partition.
#[derive(Clone, Copy, Debug)]
pub enum Note<'a> {
    /// It is claimed and its state is there: that of the standby with what was missing, if `warm`.
    Recovered { warm: bool },
    /// It is another's, and the state of this standby has come so far and has so many bytes.
    Follows(&'a Recovery, usize),
    /// A commit is stored.
    Committed,
    /// So many deltas, with so many bytes, are in the log now.
    Logged(usize, usize),
    /// The same, after a commit without an answer.
    Resolved,
    /// A request failed, and is repeated.
    Failed(&'a LogError),
    /// A message exceeds what a commit holds, and becomes a dead letter.
    Rejected,
    /// The snapshot of this group is larger than a commit has room for, so the log grows.
    Oversized(u16),
    /// Commits are smaller from now on, as the log does not take larger ones.
    Halved,
}

/// Why a partition is not owned any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Another owner has claimed it.
    Deposed,
    /// As it was told to, with nothing left to commit.
    Stopped,
    /// It cannot continue on any host. Other partitions are not affected.
    Damaged(String),
    /// The job cannot go on.
    Failed(String),
}
