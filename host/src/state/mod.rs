//! Keyed state and timers of one partition of a job. Start here.
//!
//! A [`State`] is the committed store with two layers of writes over it: those of the commit in flight, and
//! those of the batches since. Reads look through all three. Its owner, the engine of a job, goes round:
//!
//! ```text
//! begin(time)         a batch begins at this time of the job's clock
//! take_due            the timers that are due; they are deleted with what their calls write
//! get set delete scan set_timer delete_timer hold release     with savepoints and roll_back
//! seal                the writes become those of the commit in flight, as a delta
//! snapshot            perhaps of some groups, into the same commit
//! confirmed           the commit is in the store now; or discard: all that is not stored is dropped
//! ```
//!
//! A recovery fills an empty state from snapshots (`restore`) and the log (`replay`); a standby goes on with
//! it. All of it is pure and synchronous, and knows no broker, no plugin and no process.
//!
//! What a plugin keeps belongs to an operator's id and a message's key; below that, names tell values and
//! timers apart. A key's group decides which partition has it, so a key of another partition is refused.

mod backward;
pub mod clock;
pub mod codec;
mod disk;
pub mod entries;
pub mod group;
mod held;
mod overlay;
mod record;
mod recovery;
mod row;
mod rows;
mod sample;
mod shared;
mod snapshot;
mod store;
mod timers;
mod values;
mod viewed;

pub use codec::Corrupt;
pub use disk::{Location, Mark, remove_unused};
pub use group::{Group, Groups};
pub use held::HeldMessage;
pub use row::Operator;
pub use shared::SharedState;
pub use store::{Gone, Usage};
pub use timers::{Clock, Timer};
pub use values::Outdated;
pub use viewed::{Cursor, Shown};

use bytes::Bytes;
use overlay::Overlay;
use row::{Address, Addressed, Kind, Row};
use std::fmt;
use store::{Change, Store};

/// Why a write or a read was refused. It changed nothing. The present message causes all of them: the same
/// message is refused again, others are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The state would be larger than its budget. Writes that make it no larger go on.
    Budget {
        /// Bytes with this write, as [`Usage`] counts them.
        needed: u64,
        /// As given to [`State::new`].
        budget: u64,
    },
    /// The key belongs to another partition. Only the keys of the present messages are certain to belong to
    /// this one.
    OtherPartition,
    /// The value is of another format than that of this version of the plugin: a later one, or it belongs to a
    /// key that the call is not about.
    Format {
        /// Of the value.
        format: u32,
        /// That of the version.
        reads: u32,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget { needed, budget } => write!(
                formatter,
                "the state of the partition would need {needed} bytes, and may have {budget}"
            ),
            Self::OtherPartition => write!(
                formatter,
                "the key belongs to another partition; use the key of a message of the batch"
            ),
            Self::Format { format, reads } => write!(
                formatter,
                "the value is of format {format}, and this version of the plugin reads format {reads}"
            ),
        }
    }
}

impl std::error::Error for Refused {}

/// A point to which writes can be undone. Valid until [`State::seal`], [`State::discard`] or [`State::keep`],
/// and until an earlier one was rolled back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint(pub usize);

/// State and timers of a partition, as its owner sees them. See the top of this file.
#[derive(Debug)]
pub struct State {
    store: Store,
    /// The writes of the commit in flight.
    in_flight: Option<Overlay>,
    /// The writes since.
    overlay: Overlay,
    /// Bytes, as [`Usage`] counts them.
    budget: u64,
    /// See [`State::with_ttl`].
    ttl: Option<u64>,
    /// The time of the present batch: nanoseconds of the job's clock. Decides what has expired.
    now: u64,
    /// The time of the last delta.
    sealed_at: u64,
    /// See [`State::set_watermark`].
    watermark: u64,
    /// See [`State::set_format`].
    format: u32,
    /// See [`State::with_viewed`].
    viewed: Vec<(Operator, Box<[u8]>)>,
    gone: Gone,
}

impl State {
    /// An empty one, of a partition with these groups, to be filled by [`State::restore`] and
    /// [`State::replay`]. `operators` are the ids of the pipeline's operators, in order; `budget` is in bytes
    /// as [`Usage`] counts them.
    ///
    /// # Errors
    /// More than 4,095 operators.
    pub fn new<'a>(
        groups: Groups,
        operators: impl IntoIterator<Item = &'a str>,
        budget: u64,
    ) -> Result<Self, Corrupt> {
        Ok(Self::of(Store::new(groups, operators)?, budget))
    }

    fn of(store: Store, budget: u64) -> Self {
        Self {
            now: store.time,
            sealed_at: store.time,
            store,
            in_flight: None,
            overlay: Overlay::default(),
            budget,
            ttl: None,
            watermark: 0,
            format: 0,
            viewed: Vec::new(),
            gone: Gone::default(),
        }
    }

    /// The same with a time to live (nanoseconds) for values that are set without one; none keeps them
    /// forever.
    #[must_use]
    pub fn with_ttl(self, ttl: Option<u64>) -> Self {
        Self { ttl, ..self }
    }

    /// The operator with this id, if the pipeline has it or the recovered state had it.
    #[must_use]
    pub fn operator(&self, id: &str) -> Option<Operator> {
        self.store.operators.find(id)
    }

    /// Ids of the operators that have state here. An id that is not in the pipeline is an orphan: its
    /// operator was removed or renamed, and the job must not continue without it.
    pub fn occupied(&self) -> impl Iterator<Item = &str> {
        self.store.occupied()
    }

    /// By operator, the latest format of its values, where that is not 0.
    pub fn formats(&self) -> impl Iterator<Item = (&str, u32)> {
        self.store.formats()
    }

    /// A batch begins at this time of the job's clock, see [`clock::JobClock`]. Time does not go back.
    pub fn begin(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.store.rows.settle();
    }

    /// The time of the present batch; of the last commit before the first batch.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The watermark of the partition's input: nanoseconds since the Unix epoch. Its owner sets it, here and
    /// after a recovery; plugins ask for it.
    pub fn set_watermark(&mut self, watermark: u64) {
        self.watermark = watermark;
    }

    /// The watermark; 0 until there is one.
    #[must_use]
    pub fn watermark(&self) -> u64 {
        self.watermark
    }

    /// The same; none until there is one.
    #[must_use]
    pub fn watermark_so_far(&self) -> Option<i64> {
        let watermark = Some(self.watermark).filter(|watermark| *watermark > 0);
        watermark.map(|watermark| i64::try_from(watermark).unwrap_or(i64::MAX))
    }

    /// How many of the values at [`State::now`] are expired at `now`: the cost of an outage. It examines all
    /// rows: call it before the first batch, and report a number other than zero.
    #[must_use]
    pub fn expiring(&self, now: u64) -> Usage {
        self.store.expiring(now)
    }

    /// How much there is, with all writes so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let mut change = Change::default();
        self.layers().for_each(|layer| change.add(layer.change()));
        let mut usage = self.store.usage();
        usage.add(change);
        usage
    }

    /// How much a group has in the store; nothing for one of another partition.
    #[must_use]
    pub fn group_usage(&self, group: Group) -> Usage {
        let position = self.store.groups.position(group);
        position.map_or_else(Usage::default, |position| self.store.group_usage(position))
    }

    /// What has expired since the last call.
    pub fn take_gone(&mut self) -> Gone {
        std::mem::take(&mut self.gone)
    }

    /// Marks the writes so far.
    pub fn savepoint(&mut self) -> Savepoint {
        Savepoint(self.overlay.savepoint())
    }

    /// Ends all savepoints: a batch before is not undone any more. Otherwise what would undo each batch since the
    /// last commit is kept.
    pub fn keep(&mut self) {
        self.overlay.keep();
    }

    /// Undoes the writes since a savepoint, also those of [`State::take_due`].
    pub fn roll_back(&mut self, to: Savepoint) {
        let timers = timers::of(self.overlay.undone(to.0));
        self.untime(&timers, |state| state.overlay.roll_back(to.0));
    }

    /// Bytes of the delta that [`State::seal`] would make now, at most.
    #[must_use]
    pub fn unsealed(&self) -> usize {
        match self.overlay.rows().len() {
            0 => 0,
            rows => record::most(&self.store.operators, rows, self.overlay.bytes()),
        }
    }

    /// Makes the writes since the last commit those of the commit in flight, and returns what they change.
    /// None if nothing was written, or while a commit is in flight.
    pub fn seal(&mut self) -> Option<Bytes> {
        if self.in_flight.is_some() || self.overlay.rows().len() == 0 {
            return None;
        }
        self.mark_timers();
        let capacity = self.unsealed();
        let overlay = std::mem::take(&mut self.overlay);
        let (operators, rows) = (&self.store.operators, overlay.rows());
        let delta = record::write(None, self.now, capacity, operators, rows);
        self.sealed_at = self.now;
        self.in_flight = Some(overlay);
        Some(delta)
    }

    /// The commit in flight is stored. Without one this does nothing.
    pub fn confirmed(&mut self) {
        let Some(overlay) = self.in_flight.take() else {
            return;
        };
        let written = overlay.rows().len();
        for row in overlay.into_rows() {
            // Its key was found to be of this partition when it was written.
            drop(self.store.put(row));
        }
        self.store.time = self.sealed_at;
        self.gone.values += self.store.sweep(written, &self.overlay);
    }

    /// Drops all writes that are not stored: those of the commit in flight, and those since.
    pub fn discard(&mut self) {
        let timers = timers::of(self.layers().flat_map(Overlay::rows));
        self.untime(&timers, |state| {
            state.in_flight = None;
            state.overlay = Overlay::default();
        });
    }

    /// The layers of writes, the upper one first.
    fn layers(&self) -> impl Iterator<Item = &Overlay> {
        std::iter::once(&self.overlay).chain(&self.in_flight)
    }

    /// The uppermost row at an address; it may say that there is none, or have expired.
    fn row(&self, address: &dyn Addressed) -> Option<&Row> {
        let written = self.layers().find_map(|layer| layer.get(address));
        written.or_else(|| self.store.get(address))
    }

    /// The uppermost rows of a group, in order, from an address on: some say that there is none, or have
    /// expired. Without those of `overlay`, as they are with the commit in flight.
    fn rows_from<'a>(
        &'a self,
        from: Address<'_>,
        overlay: Option<&'a Overlay>,
    ) -> impl Iterator<Item = &'a Row> + use<'a> {
        let layer = |layer: Option<&'a Overlay>| {
            let rows = layer.map(|layer| layer.from(&from));
            rows.into_iter().flatten().peekable()
        };
        let (mut overlay, mut in_flight) = (layer(overlay), layer(self.in_flight.as_ref()));
        let mut store = self.store.from(&from).peekable();
        std::iter::from_fn(move || {
            let heads = [overlay.peek(), in_flight.peek(), store.peek()];
            // Of equal ones this is the first: the uppermost.
            let least: &Row = heads.into_iter().flatten().min()?;
            overlay.next_if(|row| *row == least);
            in_flight.next_if(|row| *row == least);
            store.next_if(|row| *row == least);
            Some(least)
        })
    }

    fn address<'a>(
        &self,
        operator: Operator,
        kind: Kind,
        key: &'a [u8],
        name: &'a [u8],
    ) -> Result<Address<'a>, Refused> {
        let address = Address::new(operator, kind, key, name);
        let position = self.store.groups.position(address.place.group());
        position.map(|_| address).ok_or(Refused::OtherPartition)
    }

    /// Writes a row if there is room for it.
    fn write(&mut self, row: Row) -> Result<(), Refused> {
        self.write_within(row, self.budget)
    }

    /// Writes a row of the host, for which there is always room, or deletes one.
    fn put(&mut self, row: Row) {
        // Only the budget refuses a row.
        let _ = self.write_within(row, u64::MAX);
    }

    fn write_within(&mut self, row: Row, budget: u64) -> Result<(), Refused> {
        let below = self.in_flight.as_ref().and_then(|layer| layer.get(&row));
        let below = below.or_else(|| self.store.get(&row));
        let old = self.overlay.get(&row).or(below);
        let change = Change::between(old, Some(&row));
        let needed = self.usage().bytes.saturating_add_signed(change.bytes);
        if change.bytes > 0 && needed > budget {
            return Err(Refused::Budget { needed, budget });
        }
        let (old, new) = (old.and_then(timers::Entry::of), timers::Entry::of(&row));
        let is_nothing = row.is_deleted() && below.is_none_or(Row::is_deleted);
        self.store.timers.replace(old, new);
        match is_nothing {
            true => self.overlay.remove(&row, change),
            false => self.overlay.put(row, change),
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]
mod tests;
