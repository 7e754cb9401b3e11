//! The changes of a commit: rows over the store, and how to undo them up to a savepoint.
//!
//! It knows neither the store below nor the meaning of a row. A row marked *deleted* hides one below.
//!
//! A write allocates its row, which later moves into the store unchanged. The first write to an address after
//! a savepoint allocates the address once more, for the undo.

use super::row::{Addressed, Kind, Operator, Row};
use super::store::Change;
use std::collections::BTreeSet;
use std::ops::Bound;

/// Writes of the batches since the last commit.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    rows: BTreeSet<Row>,
    /// How many of them are the host's.
    of_host: usize,
    /// Their bytes.
    bytes: usize,
    /// What to do to undo the writes since the first savepoint, the last first. Empty before it.
    undo: Vec<Undo>,
    /// Whether there is a savepoint. Before the first one, nothing need be remembered.
    is_marked: bool,
    /// What it changes of the usage of what is below.
    change: Change,
    /// Whether it has, or had, rows that are no values.
    has_others: bool,
}

#[derive(Debug)]
struct Undo {
    row: Row,
    /// Put the row back, or remove what has its address.
    put: bool,
    /// What the write had changed.
    change: Change,
}

impl Overlay {
    pub(super) fn get(&self, row: &dyn Addressed) -> Option<&Row> {
        self.rows.get(row)
    }

    /// Rows from this one on.
    pub(super) fn from<'a>(
        &'a self,
        from: &dyn Addressed,
    ) -> impl Iterator<Item = &'a Row> + use<'a> {
        let bounds = (Bound::Included(from), Bound::Unbounded);
        self.rows.range::<dyn Addressed, _>(bounds)
    }

    /// Rows from one on and before another, the last one first.
    pub(super) fn back<'a>(
        &'a self,
        from: &dyn Addressed,
        upto: &dyn Addressed,
    ) -> impl Iterator<Item = &'a Row> + use<'a> {
        let bounds = (Bound::Included(from), Bound::Excluded(upto));
        self.rows.range::<dyn Addressed, _>(bounds).rev()
    }

    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = &Row> {
        self.rows.iter()
    }

    /// Bytes of all rows.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it has rows of the host: messages that wait, or that no longer do.
    pub(super) fn has_host(&self) -> bool {
        self.of_host > 0
    }

    /// Rows as they were before the writes from the one with this number on.
    pub(super) fn undone(&self, from: usize) -> impl Iterator<Item = &Row> {
        let undone = self.undo.iter().skip(from);
        undone.map(|undo| &undo.row)
    }

    /// Those that are no values: timers and what waits. Of a commit of values alone there is none to look for.
    pub(super) fn others(&self) -> impl Iterator<Item = &Row> {
        let rows = self.has_others.then(|| self.rows.iter());
        let rows = rows.into_iter().flatten();
        rows.filter(|row| row.kind() != Kind::Value)
    }

    pub(super) fn into_rows(self) -> impl ExactSizeIterator<Item = Row> {
        self.rows.into_iter()
    }

    pub(super) fn change(&self) -> Change {
        self.change
    }

    /// Writes a row. `change` is what that changes of the usage.
    pub(super) fn put(&mut self, row: Row, change: Change) {
        self.change.add(change);
        self.has_others |= row.kind() != Kind::Value;
        let old = self.take(&row);
        if self.is_marked {
            let put = old.is_some();
            let undone = old.unwrap_or_else(|| Row::deleted(row.address()));
            self.remember(undone, put, change);
        }
        self.insert(row);
    }

    /// Forgets a row that it has written, if it has.
    pub(super) fn remove(&mut self, row: &dyn Addressed, change: Change) {
        self.change.add(change);
        if let Some(old) = self.take(row) {
            self.remember(old, true, change);
        }
    }

    /// Puts a row at an empty address.
    fn insert(&mut self, row: Row) {
        self.bytes += row.bytes().len();
        self.of_host += usize::from(row.operator() == Operator::HOST);
        self.rows.insert(row);
    }

    fn take(&mut self, row: &dyn Addressed) -> Option<Row> {
        let old = self.rows.take(row)?;
        self.bytes -= old.bytes().len();
        self.of_host -= usize::from(old.operator() == Operator::HOST);
        Some(old)
    }

    fn remember(&mut self, row: Row, put: bool, change: Change) {
        if self.is_marked {
            self.undo.push(Undo { row, put, change });
        }
    }

    /// Replaces rows by others with the same addresses, which count the same. Not undone.
    pub(super) fn amend(&mut self, rows: Vec<Row>) {
        for row in rows {
            self.rows.replace(row);
        }
    }

    /// How many writes there are to undo.
    pub(super) fn savepoint(&mut self) -> usize {
        self.is_marked = true;
        self.undo.len()
    }

    /// What was written so far is not undone any more.
    pub(super) fn keep(&mut self) {
        self.undo = Vec::new();
        self.is_marked = false;
    }

    /// Undoes all writes but the first `to` since the first savepoint.
    pub(super) fn roll_back(&mut self, to: usize) {
        while self.undo.len() > to {
            let Some(Undo { row, put, change }) = self.undo.pop() else {
                return;
            };
            self.change.add(change.times(-1));
            drop(self.take(&row));
            if put {
                self.insert(row);
            }
        }
    }
}
