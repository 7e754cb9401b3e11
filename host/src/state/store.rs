//! The committed state of a partition: its rows (`rows.rs`), their size, and the timers in the order in which
//! they are due. Timers are in RAM wherever the rows are.
//!
//! It changes when a commit is acked or recovered, and when expired rows are removed. Its time is that of
//! commits: each delta contains it, so that a recovered store hides the same rows as the live one.

use super::codec::Corrupt;
use super::group::{Group, Groups};
use super::overlay::Overlay;
use super::row::{Addressed, Kind, Operator, Row};
use super::rows::Rows;
use super::timers;
use std::collections::BTreeSet;

/// Rows that a sweep looks at for each row that a commit has written.
const SWEPT_PER_WRITE: usize = 4;
/// Rows that it looks at for each commit besides, so that a quiet job gets rid of what expired, too.
const SWEPT_PER_COMMIT: usize = 64;

/// How much state there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Values, timers, and messages that wait with their queues.
    pub rows: u64,
    /// Keys with values, for each operator; those of writes that are not committed are not in it.
    pub keys: u64,
    /// Bytes of memory, as they are counted: keys and values with a fixed sum for each row. What has expired
    /// counts until a sweep has removed it.
    pub bytes: u64,
}

/// What no plugin has deleted and is no longer there: each is counted, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Values that had expired, and were removed.
    pub values: u64,
    /// Timers that were due and not called, because the values of their keys were gone.
    pub timers: u64,
}

/// What a write changes of a [`Usage`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) rows: i64,
    pub(super) keys: i64,
    pub(super) bytes: i64,
}

impl Change {
    /// Of putting `new` in the place of `old`.
    pub(super) fn between(old: Option<&Row>, new: Option<&Row>) -> Self {
        let rows = |row: Option<&Row>| row.map_or(0, |row| i64::from(!row.is_deleted()));
        let bytes = |row: Option<&Row>| row.map_or(0, |row| row.cost() as i64);
        Self {
            rows: rows(new) - rows(old),
            keys: 0,
            bytes: bytes(new) - bytes(old),
        }
    }

    /// Of so many keys more, or less.
    pub(super) fn of_keys(keys: i64) -> Self {
        Self {
            keys,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.keys += other.keys;
        self.bytes += other.bytes;
    }

    pub(super) fn times(self, times: i64) -> Self {
        Self {
            rows: times * self.rows,
            keys: times * self.keys,
            bytes: times * self.bytes,
        }
    }
}

impl Usage {
    pub(super) fn add(&mut self, change: Change) {
        self.rows = self.rows.saturating_add_signed(change.rows);
        self.keys = self.keys.saturating_add_signed(change.keys);
        self.bytes = self.bytes.saturating_add_signed(change.bytes);
    }
}

/// What there is of one key group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shard {
    pub(super) usage: Usage,
    /// The number of rows with an expiry. Without any, no sweep runs.
    pub(super) expiring: usize,
}

/// The ids of operators; the place of one is its [`Operator`]. The first is the host's.
#[derive(Debug)]
pub(super) struct Operators(Vec<Box<str>>);

impl Operators {
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|id| &**id)
    }

    pub(super) fn find(&self, id: &str) -> Option<Operator> {
        let place = self.iter().position(|known| known == id)?;
        Some(Operator(place as u16))
    }

    /// The number of this id, a new one if it has none yet.
    pub(super) fn intern(&mut self, id: &str) -> Result<Operator, Corrupt> {
        if let Some(known) = self.find(id) {
            return Ok(known);
        }
        if self.0.len() >= Operator::MOST {
            return Err(Corrupt("there are too many operators"));
        }
        self.0.push(id.into());
        Ok(Operator((self.0.len() - 1) as u16))
    }
}

/// See the top of this file.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) groups: Groups,
    pub(super) operators: Operators,
    pub(super) rows: Rows,
    /// Of each group in `groups`.
    pub(super) shards: Vec<Shard>,
    /// Rows of each operator, and the latest format of those that it ever had.
    pub(super) per_operator: Vec<(u64, u32)>,
    /// With those that are not committed: whoever writes them changes it.
    pub(super) timers: timers::Index,
    pub(super) usage: Usage,
    /// The latest time of a commit that is in here: nanoseconds of the job's clock.
    pub(super) time: u64,
    /// The group that the next sweep looks at first, and how many rows it may look at besides its own.
    sweep: (usize, usize),
}

impl Store {
    /// An empty one. The operators are those of the pipeline, in order.
    pub(super) fn new<'a>(
        groups: Groups,
        operators: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Corrupt> {
        let mut ids = Operators(vec!["".into()]);
        for id in operators {
            ids.intern(id)?;
        }
        Ok(Self {
            rows: Rows::Memory(groups.iter().map(|_| Default::default()).collect()),
            shards: groups.iter().map(|_| Shard::default()).collect(),
            groups,
            operators: ids,
            per_operator: Vec::new(),
            timers: timers::Index::default(),
            usage: Usage::default(),
            time: 0,
            sweep: (0, 0),
        })
    }

    pub(super) fn get<'a>(&'a self, row: &dyn Addressed) -> Option<&'a Row> {
        let position = self.groups.position(row.place().group())?;
        self.rows.get(position, row)
    }

    /// Rows of the group of `from`, from there on.
    pub(super) fn from<'a>(
        &'a self,
        from: &dyn Addressed,
    ) -> impl Iterator<Item = &'a Row> + use<'a> {
        let position = self.groups.position(from.place().group());
        let rows = position.map(|position| self.rows.from(position, from));
        rows.into_iter().flatten()
    }

    /// Rows of the group of `from`, from there on and before another one, the last one first.
    pub(super) fn back<'a>(
        &'a self,
        from: &dyn Addressed,
        upto: &dyn Addressed,
    ) -> impl Iterator<Item = &'a Row> + use<'a> {
        let position = self.groups.position(from.place().group());
        let rows = position.map(|position| self.rows.back(position, from, upto));
        rows.into_iter().flatten()
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    pub(super) fn group_usage(&self, position: usize) -> Usage {
        let shard = self.shards.get(position);
        shard.map_or_else(Usage::default, |shard| shard.usage)
    }

    /// Ids of the operators that have rows.
    pub(super) fn occupied(&self) -> impl Iterator<Item = &str> {
        let counts = self.operators.iter().zip(&self.per_operator);
        counts
            .skip(1)
            .filter(|(_, (rows, _))| *rows > 0)
            .map(|(id, _)| id)
    }

    /// By operator, the latest format of its values, where that is not 0.
    pub(super) fn formats(&self) -> impl Iterator<Item = (&str, u32)> {
        let formats = self.operators.iter().zip(&self.per_operator);
        formats
            .map(|(id, (_, format))| (id, *format))
            .filter(|(_, format)| *format > 0)
    }

    /// Whether an operator has rows.
    pub(super) fn has_rows(&self, operator: Operator) -> bool {
        let rows = self.per_operator.get(usize::from(operator.0));
        rows.is_some_and(|(rows, _)| *rows > 0)
    }

    /// Takes over a row of a log, and the timer that it may be. Rows of other partitions are refused.
    pub(super) fn replay(&mut self, row: Row) -> Result<(), Corrupt> {
        let new = timers::Entry::of(&row);
        let old = self.put(row)?;
        let old = old.as_ref().and_then(timers::Entry::of);
        self.timers.replace(old, new);
        Ok(())
    }

    /// Takes over a row of a commit. Returns what was there. Rows of other partitions are refused.
    pub(super) fn put(&mut self, row: Row) -> Result<Option<Row>, Corrupt> {
        let position = self.position(&row)?;
        self.account(position, &row, 1);
        let is_new = row.kind() == Kind::Value && !row.is_deleted();
        let new = is_new.then(|| Row::deleted(row.address()));
        let old = self.rows.put(position, row);
        let (of, keys) = match (&old, &new) {
            (None, Some(new)) => (Some(new), 1),
            (Some(old), None) if old.kind() == Kind::Value => (Some(old), -1),
            _ => (None, 0),
        };
        if of.is_some_and(|row| !self.rows.has_sibling(position, row)) {
            self.count(position, Change::of_keys(keys));
        }
        if let Some(old) = &old {
            self.account(position, old, -1);
        }
        Ok(old)
    }

    /// Fills a group, in the place of what is there of it.
    pub(super) fn fill(&mut self, position: usize, group: Group, rows: Vec<Row>) {
        // From rows in order, as snapshots have them, this makes full nodes.
        let rows: BTreeSet<Row> = rows.into_iter().collect();
        let timers: Vec<_> = rows.iter().filter_map(timers::Entry::of).collect();
        let (mut keys, mut last) = (0, None);
        for row in &rows {
            self.account(position, row, 1);
            let at = row.address();
            if row.kind() == Kind::Value
                && last.replace((at.place, at.key)) != Some((at.place, at.key))
            {
                keys += 1;
            }
        }
        let before = self.group_usage(position).keys;
        self.count(position, Change::of_keys(keys - before as i64));
        for row in self.rows.fill(position, group, rows) {
            self.account(position, &row, -1);
            self.timers.remove(&row);
        }
        self.timers.extend(timers);
    }

    /// Which of its groups a row belongs to.
    pub(super) fn position(&self, row: &Row) -> Result<usize, Corrupt> {
        let position = self.groups.position(row.place().group());
        position.ok_or(Corrupt("it has a key of another partition"))
    }

    /// Counts a row once more, or once less.
    fn account(&mut self, position: usize, row: &Row, times: i64) {
        let change = Change::between(None, Some(row)).times(times);
        self.count(position, change);
        let operator = usize::from(row.operator().0);
        if self.per_operator.len() <= operator {
            self.per_operator.resize(operator + 1, (0, 0));
        }
        let written = row.written();
        if let Some((rows, format)) = self.per_operator.get_mut(operator) {
            *rows = rows.saturating_add_signed(change.rows);
            *format = written
                .as_ref()
                .map_or(*format, |written| written.format.max(*format));
        }
        let expires = written.is_some_and(|written| written.expiry.is_some());
        if let Some(shard) = self.shards.get_mut(position) {
            shard.expiring = shard
                .expiring
                .saturating_add_signed(expires as isize * times as isize);
        }
    }

    fn count(&mut self, position: usize, change: Change) {
        self.usage.add(change);
        if let Some(shard) = self.shards.get_mut(position) {
            shard.usage.add(change);
        }
    }

    /// Removes rows that have expired from some groups, in turn; returns how many. `written` is how many
    /// rows the last commit has written. Rows that `above` replaces stay until it is applied.
    pub(super) fn sweep(&mut self, written: usize, above: &Overlay) -> u64 {
        let (mut next, mut allowed) = self.sweep;
        allowed += SWEPT_PER_COMMIT + SWEPT_PER_WRITE * written;
        let (time, mut expired) = (self.time, Vec::new());
        for _ in 0..self.shards.len() {
            if let Some((shard, group)) = self.shard(next).filter(|(it, _)| it.expiring > 0) {
                // A group is looked at whole, once there were enough commits for it.
                let Some(left) = allowed.checked_sub(shard.usage.rows as usize) else {
                    break;
                };
                allowed = left;
                self.rows.each(next, group, &mut |row| {
                    if row.live(time).is_none() && above.get(row).is_none() {
                        expired.push(Row::deleted(row.address()));
                    }
                });
            }
            next = (next + 1) % self.shards.len();
        }
        self.sweep = (next, allowed.min(self.usage.rows as usize));
        let count = expired.len() as u64;
        for row in expired {
            // It is a row of this store.
            drop(self.put(row));
        }
        count
    }

    /// How much of what is visible now is expired at `time`.
    pub(super) fn expiring(&self, time: u64) -> Usage {
        let mut usage = Usage::default();
        let expires = (0..self.shards.len()).filter_map(|position| {
            let (shard, group) = self.shard(position)?;
            (shard.expiring > 0).then_some((position, group))
        });
        for (position, group) in expires {
            self.rows.each(position, group, &mut |row| {
                if row.live(self.time).is_some() && row.live(time).is_none() {
                    usage.add(Change::between(None, Some(row)));
                }
            });
        }
        usage
    }

    /// What there is of a group, by its position.
    fn shard(&self, position: usize) -> Option<(&Shard, Group)> {
        let number = usize::from(self.groups.numbers().start) + position;
        Some((self.shards.get(position)?, Group::new(number as u64)?))
    }
}
