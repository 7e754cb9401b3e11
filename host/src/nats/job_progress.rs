//! The progress of a job on this host: written by its lanes, read by the host. Plain data.

use crate::threads::locked;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Shared by the lanes of a job and the host.
#[derive(Debug, Default)]
pub struct JobProgress {
    lanes: Vec<Lane>,
    inputs: usize,
    /// Partitions in whose state messages wait for a retry.
    waiting: AtomicUsize,
    /// What partitions cannot do, until they can.
    troubles: Mutex<BTreeMap<(u16, Task), Trouble>>,
    /// Whether its operator has paused the job.
    paused: AtomicBool,
    /// Whether it was said that event times are too early to be right.
    said_early: AtomicBool,
    /// Whether it was said that messages have no key.
    said_keyless: AtomicBool,
    /// The partitions that are owned.
    state: Mutex<BTreeMap<u16, PartitionState>>,
}

/// What a partition does that can fail for long while everything else goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Claims, recovers, processes and commits.
    Own,
    /// Forwards results, or dead letters.
    ForwardResults,
    ForwardDeadLetters,
}

/// Why it fails, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub words: String,
    pub hint: Option<String>,
    /// When it is tried again, where that is known.
    pub again: Option<Instant>,
}

impl Trouble {
    /// In how many seconds it is tried again: 0 while it is tried.
    #[must_use]
    pub fn again_seconds(&self) -> Option<u64> {
        let left = self.again?.saturating_duration_since(Instant::now());
        Some(left.as_secs_f64().ceil() as u64)
    }

    /// For `weir status`.
    #[must_use]
    pub fn shown(&self, partition: u16) -> Value {
        let (error, hint, again) = (&self.words, &self.hint, self.again_seconds());
        json!({ "partition": partition, "error": error, "hint": hint, "again_seconds": again })
    }
}

/// A partition, as its owner sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PartitionState {
    pub partition: u16,
    /// Keys with values, counted for each operator.
    pub keys: u64,
    /// Values, timers, and messages that wait; and bytes, as they count against the budget.
    pub rows: u64,
    pub bytes: u64,
    /// How far event time has come, nanoseconds since the Unix epoch; 0 before there is anything to go by.
    pub watermark: u64,
    /// Deltas in the log, and their bytes: what a new owner reads in addition to snapshots.
    pub log_records: u64,
    pub log_bytes: u64,
    /// How long the last commit took.
    pub commit_seconds: f64,
    /// The tables that it reads before all other inputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loading: Vec<LoadingTable>,
}

/// A table on its way to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadingTable {
    /// `<stream>@<incarnation>`.
    pub table: Arc<str>,
    /// The sequence up to which it is read, and its end.
    pub position: u64,
    pub upto: u64,
}

/// What a lane says of itself.
#[derive(Debug, Default)]
struct Lane {
    /// Partitions that it is to own, and those that read the source.
    wanted: AtomicUsize,
    reading: AtomicUsize,
    /// Up to where each input has nothing for any of them that is not processed.
    positions: Vec<AtomicU64>,
}

/// All lanes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Partitions that this host is to own, and those that read the source.
    pub wanted: usize,
    pub partitions: usize,
    /// Up to where each input has nothing for any of them that is not processed; none if none reads.
    pub positions: Vec<Option<u64>>,
}

impl Read {
    /// Partitions that this host is to own and that do not read yet.
    #[must_use]
    pub fn unowned(&self) -> usize {
        self.wanted.saturating_sub(self.partitions)
    }
}

impl JobProgress {
    /// Of a job with so many lanes, none of which reads yet, and inputs.
    #[must_use]
    pub fn new(lanes: usize, inputs: usize) -> Self {
        let lane = |_| Lane {
            positions: (0..inputs).map(|_| AtomicU64::default()).collect(),
            ..Lane::default()
        };
        Self {
            lanes: (0..lanes).map(lane).collect(),
            inputs,
            waiting: AtomicUsize::new(0),
            troubles: Mutex::default(),
            paused: AtomicBool::new(false),
            said_early: AtomicBool::new(false),
            said_keyless: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// A partition cannot do something, or can again. Returns how many cannot be owned.
    pub fn set_trouble(&self, partition: u16, task: Task, trouble: Option<Trouble>) -> usize {
        let mut troubles = locked(&self.troubles);
        match trouble {
            Some(trouble) => troubles.insert((partition, task), trouble),
            None => troubles.remove(&(partition, task)),
        };
        let unowned = troubles.keys().filter(|(_, task)| *task == Task::Own);
        unowned.count()
    }

    /// What partitions cannot do now, by partition.
    #[must_use]
    pub fn troubles(&self) -> Vec<(u16, Task, Trouble)> {
        let troubles = locked(&self.troubles);
        let each = troubles.iter();
        each.map(|((partition, task), trouble)| (*partition, *task, trouble.clone()))
            .collect()
    }

    /// How many partitions a lane is to own.
    pub fn wants(&self, lane: usize, partitions: usize) {
        if let Some(lane) = self.lanes.get(lane) {
            lane.wanted.store(partitions, Ordering::Relaxed);
        }
    }

    /// How many partitions of a lane read, and how far each input is.
    pub fn reads(&self, lane: usize, partitions: usize, positions: impl Iterator<Item = u64>) {
        if let Some(lane) = self.lanes.get(lane) {
            for (place, position) in lane.positions.iter().zip(positions) {
                place.store(position, Ordering::Relaxed);
            }
            lane.reading.store(partitions, Ordering::Relaxed);
        }
    }

    /// What all of them read.
    #[must_use]
    pub fn read(&self) -> Read {
        let none = Read {
            wanted: 0,
            partitions: 0,
            positions: vec![None; self.inputs],
        };
        self.lanes.iter().fold(none, |all, lane| {
            let partitions = lane.reading.load(Ordering::Relaxed);
            let positions = all.positions.into_iter().zip(&lane.positions);
            let positions = positions.map(|(least, position)| {
                let position = position.load(Ordering::Relaxed);
                let position = (partitions > 0).then_some(position);
                least.into_iter().chain(position).min()
            });
            Read {
                positions: positions.collect(),
                wanted: all.wanted + lane.wanted.load(Ordering::Relaxed),
                partitions: all.partitions + partitions,
            }
        })
    }

    /// In the state of a partition messages wait for a retry, or none does any more.
    pub fn set_waiting(&self, waits: bool) {
        match waits {
            true => self.waiting.fetch_add(1, Ordering::Relaxed),
            false => self.waiting.fetch_sub(1, Ordering::Relaxed),
        };
    }

    /// Whether the log does not yet have the warning about event times that are too early.
    pub fn is_first_to_say_early(&self) -> bool {
        !self.said_early.swap(true, Ordering::Relaxed)
    }

    /// Whether the log does not yet have the warning about messages without a key.
    pub fn is_first_to_say_keyless(&self) -> bool {
        !self.said_keyless.swap(true, Ordering::Relaxed)
    }

    /// The job is paused, or goes on.
    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Whether the job is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// A partition that is owned has something new to say.
    pub fn update(&self, partition: u16, change: impl FnOnce(&mut PartitionState)) {
        change(
            locked(&self.state)
                .entry(partition)
                .or_insert(PartitionState {
                    partition,
                    ..PartitionState::default()
                }),
        );
    }

    /// The least watermark of the partitions that are owned and have one.
    #[must_use]
    pub fn watermark(&self) -> Option<u64> {
        let state = locked(&self.state);
        let marks = state.values().map(|state| state.watermark);
        marks.filter(|mark| *mark > 0).min()
    }

    /// A partition is not owned any more.
    pub fn forget(&self, partition: u16) {
        locked(&self.state).remove(&partition);
    }

    /// The partitions that are owned.
    #[must_use]
    pub fn state(&self) -> Vec<PartitionState> {
        locked(&self.state).values().cloned().collect()
    }

    /// The numbers of those.
    #[must_use]
    pub fn owned(&self) -> BTreeSet<u16> {
        locked(&self.state).keys().copied().collect()
    }

    /// Whether no message waits for a retry.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }
}
