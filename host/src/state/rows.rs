//! The rows of a partition: in RAM, as a sorted map for each key group, or on disk (`disk.rs`). It counts
//! nothing and knows no time: `store.rs` does.
//!
//! A row that is read is lent until the store changes or the next batch begins.

use super::disk::Disk;
use super::group::Group;
use super::row::{Address, Addressed, Place, Row};
use std::collections::BTreeSet;
use std::ops::Bound;

/// See the top of this file. Groups are named by their position in the partition.
#[derive(Debug)]
pub(super) enum Rows {
    Memory(Vec<BTreeSet<Row>>),
    Disk(Box<Disk>),
}

/// One of two iterators.
enum Either<A, B> {
    Memory(A),
    Disk(B),
}

impl<A: Iterator, B: Iterator<Item = A::Item>> Iterator for Either<A, B> {
    type Item = A::Item;

    fn next(&mut self) -> Option<A::Item> {
        match self {
            Self::Memory(rows) => rows.next(),
            Self::Disk(rows) => rows.next(),
        }
    }
}

impl Rows {
    pub(super) fn get<'a>(&'a self, position: usize, row: &dyn Addressed) -> Option<&'a Row> {
        match self {
            Self::Memory(groups) => groups.get(position)?.get(row),
            Self::Disk(disk) => disk.get(row),
        }
    }

    /// Rows of a group in order, from an address on.
    pub(super) fn from<'a>(
        &'a self,
        position: usize,
        from: &dyn Addressed,
    ) -> impl Iterator<Item = &'a Row> + use<'a> {
        let bounds = (Bound::Included(from), Bound::Unbounded);
        match self {
            Self::Memory(groups) => {
                let rows = groups.get(position);
                let rows = rows.map(|rows| rows.range::<dyn Addressed, _>(bounds));
                Either::Memory(rows.into_iter().flatten())
            }
            Self::Disk(disk) => Either::Disk(disk.from(from)),
        }
    }

    /// Rows of a group from an address on and before another one, the last one first.
    pub(super) fn back<'a>(
        &'a self,
        position: usize,
        from: &dyn Addressed,
        upto: &dyn Addressed,
    ) -> impl Iterator<Item = &'a Row> + use<'a> {
        let bounds = (Bound::Included(from), Bound::Excluded(upto));
        match self {
            Self::Memory(groups) => {
                let rows = groups.get(position);
                let rows = rows.map(|rows| rows.range::<dyn Addressed, _>(bounds).rev());
                Either::Memory(rows.into_iter().flatten())
            }
            Self::Disk(disk) => Either::Disk(disk.back(from, upto)),
        }
    }

    /// Whether there is another row of the same operator, kind and key.
    pub(super) fn has_sibling(&self, position: usize, row: &Row) -> bool {
        match self {
            Self::Memory(groups) => {
                let rows = groups.get(position);
                rows.is_some_and(|rows| siblings(rows, row).next().is_some())
            }
            Self::Disk(disk) => disk.has_sibling(row),
        }
    }

    /// Shows all rows of a group in order, and lends none: of those on disk one is in RAM at a time.
    pub(super) fn each(&self, position: usize, group: Group, show: &mut dyn FnMut(&Row)) {
        match self {
            Self::Memory(groups) => groups.get(position).into_iter().flatten().for_each(show),
            Self::Disk(disk) => disk.each(group, show),
        }
    }

    /// Puts a row, or removes it if the new row marks a deletion. Returns the old row.
    pub(super) fn put(&mut self, position: usize, row: Row) -> Option<Row> {
        match self {
            Self::Memory(groups) => {
                let rows = groups.get_mut(position)?;
                match row.is_deleted() {
                    true => rows.take(&row),
                    false => rows.replace(row),
                }
            }
            Self::Disk(disk) => disk.put(row),
        }
    }

    /// Puts these rows in the place of those of a group. Returns what was there.
    pub(super) fn fill(&mut self, position: usize, group: Group, rows: BTreeSet<Row>) -> Vec<Row> {
        match self {
            Self::Memory(groups) => {
                let old = groups
                    .get_mut(position)
                    .map(|old| std::mem::replace(old, rows));
                old.into_iter().flatten().collect()
            }
            Self::Disk(disk) => {
                let mut old = Vec::new();
                disk.each(group, &mut |row| old.push(Row::deleted(row.address())));
                let old = old.into_iter().filter_map(|gone| disk.put(gone)).collect();
                for row in rows {
                    disk.put(row);
                }
                old
            }
        }
    }

    /// No row is lent any more.
    pub(super) fn settle(&mut self) {
        if let Self::Disk(disk) = self {
            disk.settle();
        }
    }
}

/// The other rows of the same operator, kind and key.
pub(super) fn siblings<'a>(rows: &'a BTreeSet<Row>, row: &'a Row) -> impl Iterator<Item = &'a Row> {
    let from = row.first_of_key();
    let bounds = (Bound::Included(&from as &dyn Addressed), Bound::Unbounded);
    rows.range::<dyn Addressed, _>(bounds)
        .take_while(|other| other.has_key_of(row))
        .filter(move |other| *other != row)
}

/// Where the rows of a group begin.
pub(super) fn first_of(group: Group) -> Address<'static> {
    let place = Place::first_of(group);
    Address {
        place,
        key: b"",
        name: b"",
    }
}
