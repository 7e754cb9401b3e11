//! Which snapshots of groups are due, and which part of the log can be purged. Pure.
//!
//! When the deltas are longer than the state, each commit contains snapshots of some groups, in turn, so that
//! the work is spread. Deltas that the snapshots of all groups include are purged only after the commits with
//! these snapshots are stored: a purge cannot be undone.

use super::log::Fence;
use std::collections::VecDeque;
use std::ops::Range;

/// Below this many bytes of deltas nothing is compacted, however small the state is.
pub const LEAST: usize = 1 << 20;

/// What the snapshots of a partition's groups reach, and the deltas behind them.
#[derive(Debug)]
pub struct Compaction {
    groups: Range<u16>,
    least: usize,
    /// The number of the last delta in the snapshot of each group; zero without a snapshot.
    reach: Vec<u64>,
    /// The deltas that are not known to be purged, oldest first.
    deltas: VecDeque<Record>,
    /// How many there are, and their bytes.
    count: usize,
    bytes: usize,
    /// The place in `reach` of the group whose turn it is.
    turn: usize,
}

#[derive(Debug)]
struct Record {
    number: u64,
    /// Behind the delta.
    end: Fence,
    /// Deltas and bytes; one delta, but for those that were there when a kept state was opened.
    length: (usize, usize),
}

impl Compaction {
    #[must_use]
    pub fn new(groups: Range<u16>, least: usize) -> Self {
        Self {
            reach: vec![0; groups.len()],
            groups,
            least,
            deltas: VecDeque::new(),
            count: 0,
            bytes: 0,
            turn: 0,
        }
    }

    /// Whether the changes of a delta are missing in the snapshot of a group of this partition.
    #[must_use]
    pub fn applies(&self, group: u16, delta: u64) -> bool {
        let reach = group.checked_sub(self.groups.start);
        let reach = reach.and_then(|place| self.reach.get(usize::from(place)));
        reach.is_some_and(|reach| delta > *reach)
    }

    /// The number of the last delta that all snapshots reach: what a recovery needs begins behind it.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.reach.iter().copied().min().unwrap_or_default()
    }

    /// All groups have a snapshot in the log that reaches this delta or further.
    pub fn compacted(&mut self, upto: u64) {
        for reach in &mut self.reach {
            *reach = upto.max(*reach);
        }
        self.purge();
    }

    /// A delta is in the log, before `end`.
    pub fn add(&mut self, number: u64, end: Fence, bytes: usize) {
        self.add_all(number, end, (1, bytes));
    }

    /// Several are, of which this is the last: so many, of so many bytes. They are purged together.
    pub fn add_all(&mut self, number: u64, end: Fence, length: (usize, usize)) {
        self.count = self.count.saturating_add(length.0);
        self.bytes = self.bytes.saturating_add(length.1);
        self.deltas.push_back(Record {
            number,
            end,
            length,
        });
    }

    /// A snapshot is in the log, or in the commit in flight. False if the group is not one of this partition.
    pub fn written(&mut self, group: u16, reach: u64) -> bool {
        let place = group.checked_sub(self.groups.start);
        let place = place.and_then(|place| self.reach.get_mut(usize::from(place)));
        place.is_some_and(|known| {
            *known = reach.max(*known);
            true
        })
    }

    /// Whether the log is longer than a state of this many bytes.
    #[must_use]
    pub fn is_due(&self, state: usize) -> bool {
        self.bytes > state.max(self.least)
    }

    /// How many deltas are not known to be purged, and their bytes.
    #[must_use]
    pub fn length(&self) -> (usize, usize) {
        (self.count, self.bytes)
    }

    /// How many groups the partition has.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.reach.len()
    }

    /// The group whose turn it is.
    #[must_use]
    pub fn turn(&self) -> Option<u16> {
        self.groups.clone().nth(self.turn)
    }

    /// It is the next group's turn.
    pub fn next_turn(&mut self) {
        self.turn = (self.turn + 1) % self.reach.len().max(1);
    }

    /// It is the turn of the group whose snapshot is the oldest.
    pub fn oldest_turn(&mut self) {
        let oldest = self.oldest();
        self.turn = (self.reach.iter().position(|reach| *reach == oldest)).unwrap_or_default();
    }

    /// The end of the deltas that can be purged, which are forgotten here. None if there are none. Call it
    /// only while no commit is in flight.
    pub fn purge(&mut self) -> Option<Fence> {
        let oldest = self.oldest();
        let mut end = None;
        while let Some(record) = self.deltas.pop_front_if(|delta| delta.number <= oldest) {
            self.count = self.count.saturating_sub(record.length.0);
            self.bytes = self.bytes.saturating_sub(record.length.1);
            end = Some(record.end);
        }
        end
    }
}
