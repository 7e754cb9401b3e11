//! The interface between a job and the store of a partition's commits. Plain data and one trait.
//!
//! For one partition, a log contains one [`Checkpoint`], records of what each commit changed in the state
//! ([`Delta`]), at most one [`Snapshot`] of each key group, and the results. One rule makes it safe: a
//! [`Commit`] is stored as a whole, and only if the checkpoint is still the one that its [`Fence`] names.
//! Everything else may fail, be late, or be read from a replica that lags behind.
//!
//! `jetstream.rs` stores a log on a stream, and `model.rs` in memory with seeded faults. The content of
//! deltas and snapshots is opaque here.

use crate::message::Message;
use crate::outgoing::OutgoingMessage;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The place of a checkpoint in its log. It grows with every commit, and is zero if there is no checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub u64);

/// Who owns a partition, and how far it has come. One record, replaced by each commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Of one claim alone: no other claim, not even by the same host, ever has the same.
    pub owner: Arc<str>,
    /// Claims so far.
    pub epoch: u64,
    /// Claims and commits so far.
    pub number: u64,
    /// The number of the last [`Delta`]; zero before the first.
    pub log: u64,
    /// The chain of all deltas so far, see [`chained`]: another chain for this `log` means another state. A
    /// change of the state without a delta changes it, too. Empty before the first delta: then it proves
    /// nothing.
    #[serde(default)]
    pub chain: Arc<str>,
    /// The number of the last delta that the snapshots of all groups reach: those up to here may be purged.
    #[serde(default)]
    pub compacted: u64,
    /// One for each input, in the order in which the job first had them. Never fewer.
    pub inputs: Vec<Progress>,
    /// Up to where event time has come in the partition, nanoseconds since the Unix epoch; 0 before there is any. It never goes
    /// back, whichever inputs come or go. None if an earlier version of weir has written it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<u64>,
    /// Digests of the owner's configuration and of its plugins by name.
    pub digests: Arc<BTreeMap<String, String>>,
    /// The key groups of the partition; none before the first claim. It can be claimed only for the same
    /// groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Range<u16>>,
    /// The views of the state that have all of it; see [`View::identity`](crate::config::resolved::View::identity).
    #[serde(default, skip_serializing_if = "no_views")]
    pub viewed: Arc<BTreeSet<String>>,
    /// Whether the state is being replaced and is incomplete (`replace.rs`): then only a replacement may
    /// claim it. The replacement's last commit resets it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replacing: bool,
}

fn no_views(views: &Arc<BTreeSet<String>>) -> bool {
    views.is_empty()
}

/// How far an input has been processed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// `<stream>@<incarnation>`.
    pub source: Arc<str>,
    /// The sequence of the last message whose effects are committed; zero before the first.
    pub position: u64,
    /// Nanoseconds since the Unix epoch; none before the first event.
    pub watermark: Option<i64>,
    /// Key groups that are further: they come from a savepoint. Each ends when `position` reaches it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<Ahead>,
}

/// Key groups of which everything up to a later position is in the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    pub groups: Range<u16>,
    pub position: u64,
}

impl Progress {
    /// An input of which everything up to `position` is behind the job.
    #[must_use]
    pub fn at(source: impl Into<Arc<str>>, position: u64) -> Self {
        Self {
            source: source.into(),
            position,
            watermark: None,
            ahead: Vec::new(),
        }
    }

    /// The stream of `<stream>@<incarnation>`.
    #[must_use]
    pub fn stream(&self) -> &str {
        let split = self.source.rsplit_once('@');
        split.map_or(&*self.source, |(stream, _)| stream)
    }

    /// Everything up to `position` is behind the job now.
    pub fn advance(&mut self, position: u64) {
        self.position = self.position.max(position);
        let reached = self.position;
        self.ahead.retain(|ahead| ahead.position > reached);
    }

    /// Whether the message with this sequence and of this group is in the state already.
    #[must_use]
    pub fn is_done(&self, group: u16, sequence: u64) -> bool {
        let mut ahead = self.ahead.iter();
        ahead.any(|ahead| sequence <= ahead.position && ahead.groups.contains(&group))
    }
}

/// A checkpoint as it was found, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub fence: Fence,
    pub checkpoint: Checkpoint,
}

/// The chain of deltas with one more.
#[must_use]
pub fn chained(chain: &str, delta: &[u8]) -> Arc<str> {
    let mut hash = blake3::Hasher::new();
    hash.update(chain.as_bytes()).update(delta);
    // Half of it: nobody has to be kept from finding another with the same.
    let hex = hash.finalize().to_hex();
    hex.get(..32).unwrap_or_default().into()
}

/// What one commit changed in the state of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// From 1, without gaps.
    pub number: u64,
    pub content: Bytes,
}

/// The whole state of one key group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub group: u16,
    /// The number of the last delta whose changes are in it.
    pub reach: u64,
    pub content: Bytes,
}

/// All that becomes true at once, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    pub outputs: Vec<OutgoingMessage>,
    pub dead_letters: Vec<OutgoingMessage>,
    /// Values of views (`views.rs`): one for each key.
    pub views: Vec<OutgoingMessage>,
    /// None if the state did not change. Its number is the checkpoint's `log`.
    pub delta: Option<Bytes>,
    /// Of the state behind this commit.
    pub snapshots: Vec<Snapshot>,
    pub checkpoint: Checkpoint,
}

impl Commit {
    /// How many results and dead letters it has.
    #[must_use]
    pub fn results(&self) -> usize {
        self.outputs.len() + self.dead_letters.len()
    }
}

/// What [`Log::recover`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    Snapshot(Snapshot),
    /// With a fence that no record before it reaches, and that it does not reach itself.
    Delta(Delta, Fence),
    /// The checkpoint, where the reading came upon it.
    Checkpoint(Held),
}

/// A message of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its place in the checkpoint's `inputs`.
    pub input: usize,
    /// Its sequence is its position in the input.
    pub message: Message,
    /// When it was stored there, in nanoseconds since the Unix epoch; 0 where that is not known any more.
    pub stored: u64,
    /// Whether its event time is the one that the pipeline configures. Otherwise it is the stream's, and
    /// moves no watermark.
    pub timed: bool,
}

/// What [`Log::read`] finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Those of each input in order.
    pub messages: Vec<Input>,
    /// The position up to which an input, by its place in the checkpoint, has no messages for this partition.
    /// None of the messages is from it.
    pub passed: Vec<(usize, u64)>,
}

/// Why a log did not answer. If a commit failed, nothing of it is stored, unless the variant says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogError {
    /// The checkpoint is not the one that the fence names.
    WrongFence,
    /// No answer came: the commit may be stored, now or later.
    Ambiguous(String),
    /// Not now: an election, too many requests.
    Busy(String),
    /// Not now, and not before somebody makes room.
    Full(String),
    /// The commit has more messages or bytes than the log takes at once.
    TooLarge(String),
    /// What it holds of this partition cannot be read, or is not whole; other partitions are not concerned.
    Damaged(String),
    /// The log will never take this, or is not as it was made.
    Permanent(String),
}

impl std::error::Error for LogError {}

impl fmt::Display for LogError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongFence => formatter.write_str("the checkpoint is not the expected one"),
            Self::Ambiguous(reason)
            | Self::Busy(reason)
            | Self::Full(reason)
            | Self::TooLarge(reason)
            | Self::Damaged(reason)
            | Self::Permanent(reason) => formatter.write_str(reason),
        }
    }
}

/// The log of one partition with its inputs. Every method may be dropped while it waits; a commit or a purge
/// may happen all the same then, at any later time.
#[expect(
    async_fn_in_trait,
    reason = "a partition stays on one thread, so nothing here has to be sent to another"
)]
pub trait Log {
    /// What was sent ahead of a commit: a prefix of its results and one of its dead letters. Without the commit,
    /// nothing of it is ever stored.
    type Staged: Default;

    /// The last checkpoint; none in a new log. It may be older than the last one.
    ///
    /// # Errors
    /// All errors except [`LogError::Damaged`] and [`LogError::Permanent`] are temporary.
    async fn checkpoint(&self) -> Result<Option<Held>, LogError>;

    /// Sends results and dead letters of the commit that gathers, as many as can be sent at once and are not in
    /// `staged` yet, so that the commit has less to send. What fails here is found out by the commit.
    fn stage(&self, staged: &mut Self::Staged, gathered: &Commit);

    /// Stores a commit whose checkpoint follows the one at `expected`. Returns where its own checkpoint
    /// stands.
    ///
    /// # Errors
    /// Only after [`LogError::Ambiguous`] may it be stored, now or later.
    async fn commit(
        &self,
        expected: Fence,
        commit: &Commit,
        staged: Self::Staged,
    ) -> Result<Fence, LogError>;

    /// Reads twice, in the order of the log: first snapshots and then deltas, each up to the checkpoint at
    /// `claim`. A checkpoint is passed on when it is found, after everything that was stored before it. A
    /// replica that lags behind may return older checkpoints first, and an older snapshot of a group before a
    /// newer one. Ends early if it finds a checkpoint after `claim`, or has waited for one too long.
    ///
    /// # Errors
    /// All errors except [`LogError::Damaged`] and [`LogError::Permanent`] are temporary; the caller reads
    /// again.
    async fn recover(
        &self,
        claim: Fence,
        take: &mut dyn FnMut(Stored) -> Result<(), LogError>,
    ) -> Result<(), LogError>;

    /// Goes on from a place in the log, in its order: deltas and checkpoints, as they come to be stored. Ends as
    /// [`recover`](Self::recover) does. Deltas that were purged are missing.
    ///
    /// # Errors
    /// Everything but [`LogError::Permanent`] passes; the reading goes on behind what was given.
    async fn follow(
        &self,
        from: Fence,
        upto: Fence,
        take: &mut dyn FnMut(Stored) -> Result<(), LogError>,
    ) -> Result<(), LogError>;

    /// Waits for messages after these positions, and returns at most `most`. May return none while all
    /// messages are for other partitions. Tables are read to their present end before the other inputs, and
    /// their messages come first.
    ///
    /// # Errors
    /// All errors except [`LogError::Damaged`] and [`LogError::Permanent`] are temporary.
    async fn read(&self, behind: &[Progress], most: usize) -> Result<Read, LogError>;

    /// Waits until all these inputs are idle: each had nothing pending for this partition during the idle
    /// timeout. An input that is not read, or cannot be read, is not idle. Never ends if there is no idle
    /// timeout.
    async fn idle(&self, behind: &[Progress]);

    /// Removes the deltas before `before`, now or later. The snapshots of all groups include them.
    ///
    /// # Errors
    /// All errors are temporary, and only delay the release of storage.
    async fn purge(&self, before: Fence) -> Result<(), LogError>;
}
