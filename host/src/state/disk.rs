//! Rows on disk: an LSM store (`fjall`) in its own directory, which is a cache of the log.
//!
//! Writes gather in RAM. [`Disk::note`] stores them in one transaction with their position in the log
//! (`disk/head.rs`). A crash between two transactions leaves the earlier one. The disk is not synced: after a
//! power loss the store has an earlier transaction, and the log has what is missing.
//!
//! `disk/files.rs` has the files, `disk/keys.rs` the keys, `disk/unused.rs` removes files that nobody uses. A store that is damaged, or belongs to another
//! job, partition or format, is deleted when it is opened. Damage that is found later, and a failed write,
//! make the store *broken*: it reads nothing more, nothing of it may be committed, and the owner of the
//! partition starts again. Reads and writes block the thread of the caller.
//!
//! A row has the key of its place, key and name, in the order of rows in RAM. Such a key has at most 64 KiB;
//! the few rows with longer keys are stored by their digest and are all in RAM.

mod files;
mod head;
mod kept;
mod keys;
mod lent;
mod unused;

pub use head::Mark;
pub use unused::remove_unused;

use super::group::Group;
use super::row::{Addressed, Row};
use super::rows::{first_of, siblings};
use bytes::Bytes;
use files::Files;
use fjall::Slice;
use keys::{HEAD, group_key, is_long, key_of, long_key, row_of};
use lent::Lent;
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::iter::Peekable;
use std::ops::Bound;
use std::path::PathBuf;

/// Where the rows of a partition are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Has a directory for each copy.
    pub folder: PathBuf,
    /// What the directories of this partition are named by.
    pub name: String,
    /// The owner of the rows: a store of another owner is deleted.
    pub identity: String,
    /// Bytes of memory for blocks that were read.
    pub cache: u64,
    /// Bytes of writes in RAM before they become a file. Twice as many may wait meanwhile; then writers wait,
    /// too.
    pub memtable: usize,
}

impl Location {
    /// Whether anything is kept there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.folder.join(format!("{}.0", self.name)).exists()
    }
}

/// See the top of this file.
pub(super) struct Disk {
    files: Files,
    /// See [`head`].
    identity: Vec<u8>,
    /// Where in the log the last note is.
    mark: Option<Mark>,
    /// What was put and is not stored, and how many bytes that has.
    pending: BTreeSet<Row>,
    waiting: usize,
    /// How many may wait.
    most: usize,
    /// What there was of their groups at the last note.
    groups: BTreeMap<Group, Bytes>,
    /// The last note, if it is not stored.
    head: Option<Bytes>,
    /// Rows whose keys are too long.
    long: BTreeSet<Row>,
    lent: Lent,
}

impl fmt::Debug for Disk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Disk({})", self.files.path().display())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.store(true);
    }
}

impl Disk {
    fn open(at: &Location, identity: Vec<u8>, keep: bool) -> Result<Self, String> {
        Ok(Self {
            files: Files::open(at, keep)?,
            identity,
            mark: None,
            pending: BTreeSet::new(),
            waiting: 0,
            most: at.memtable.saturating_mul(2),
            groups: BTreeMap::new(),
            head: None,
            long: BTreeSet::new(),
            lent: Lent::default(),
        })
    }

    fn parsed(&self, key: &[u8], bytes: &[u8]) -> Option<Row> {
        let row = row_of(key, bytes);
        row.map_err(|why| self.files.fails(&format!("a row is damaged: {}", why.0)))
            .ok()
    }

    /// A row as it is stored.
    fn stored(&self, key: &[u8]) -> Option<Row> {
        self.parsed(key, &self.files.get(key)?)
    }

    pub(super) fn get<'a>(&'a self, row: &dyn Addressed) -> Option<&'a Row> {
        if let Some(row) = self.pending.get(row) {
            return Some(row).filter(|row| !row.is_deleted());
        }
        let key = key_of(row);
        if is_long(&key) {
            return self.long.get(row);
        }
        match self.lent.get(&key) {
            Some(row) => Some(row),
            None => self.lent.lend(&key, self.stored(&key)?),
        }
    }

    /// Rows of its group in order, from an address on.
    pub(super) fn from<'a>(
        &'a self,
        from: &dyn Addressed,
    ) -> impl Iterator<Item = &'a Row> + use<'a> {
        let stored = self.range(from);
        let stored = stored.filter_map(|(key, row)| self.lent.lend(&key, row));
        let group = from.place().group();
        let [pending, long] = [&self.pending, &self.long].map(|rows| {
            let bounds = (Bound::Included(from), Bound::Unbounded);
            let rows = rows.range::<dyn Addressed, _>(bounds);
            rows.take_while(move |row| row.group() == group)
        });
        let rows = merged(pending, merged(long, stored));
        rows.filter(|row| !row.is_deleted())
    }

    /// Rows of a group from an address on and before another one, the last one first.
    pub(super) fn back<'a>(
        &'a self,
        from: &dyn Addressed,
        upto: &dyn Addressed,
    ) -> impl Iterator<Item = &'a Row> + use<'a> {
        let (first, last) = (key_of(from), key_of(upto));
        let bounds = [&first, &last].map(|key| keys::cut(key.clone()));
        let [start, end] = bounds;
        let stored = self.files.scan_back(start, end);
        let stored = stored
            .filter(move |(key, _)| **key < *last)
            .take_while(move |(key, _)| **key >= *first)
            .map_while(|(key, bytes)| Some((self.parsed(&key, &bytes)?, key)))
            .filter_map(|(row, key)| self.lent.lend(&key, row));
        let [pending, long] = [&self.pending, &self.long].map(|rows| {
            let bounds = (Bound::Included(from), Bound::Excluded(upto));
            let rows = rows.range::<dyn Addressed, _>(bounds);
            rows.rev().map(Reverse)
        });
        let rows = merged(pending, merged(long, stored.map(Reverse)));
        rows.map(|Reverse(row)| row).filter(|row| !row.is_deleted())
    }

    pub(super) fn each(&self, group: Group, show: &mut dyn FnMut(&Row)) {
        let from = first_of(group);
        let mut above = {
            let bounds = (Bound::Included(&from as &dyn Addressed), Bound::Unbounded);
            let [pending, long] = [&self.pending, &self.long].map(|rows| {
                let rows = rows.range::<dyn Addressed, _>(bounds);
                rows.take_while(|row| row.group() == group)
            });
            merged(pending, long).peekable()
        };
        let mut show = |row: &Row| {
            if !row.is_deleted() {
                show(row);
            }
        };
        for (_, row) in self.range(&from) {
            while let Some(upper) = above.next_if(|upper| **upper < row) {
                show(upper);
            }
            match above.next_if(|upper| **upper == row) {
                Some(upper) => show(upper),
                None => show(&row),
            }
        }
        above.for_each(show);
    }

    /// What is stored of a group, from an address on.
    fn range(&self, from: &dyn Addressed) -> impl Iterator<Item = (Slice, Row)> + use<'_> {
        let (start, upto) = keys::range(from);
        let from = key_of(from);
        self.files
            .scan(start, upto)
            .skip_while(move |(key, _)| **key < *from)
            .map_while(|(key, bytes)| {
                let row = self.parsed(&key, &bytes)?;
                Some((key, row))
            })
    }

    pub(super) fn has_sibling(&self, row: &Row) -> bool {
        let is_there = |other: &Row| self.pending.get(other).is_none_or(|row| !row.is_deleted());
        let mut above = siblings(&self.pending, row).chain(siblings(&self.long, row));
        let stored = self.range(&row.first_of_key()).map(|(_, other)| other);
        let mut stored = stored.take_while(|other| other.has_key_of(row));
        above.any(is_there) || stored.any(|other| other != *row && is_there(&other))
    }

    pub(super) fn put(&mut self, row: Row) -> Option<Row> {
        let old = match self.pending.take(&row) {
            Some(old) => Some(old),
            None => {
                let key = key_of(&row);
                match is_long(&key) {
                    true => self.long.take(&row),
                    false => self.stored(&key),
                }
            }
        };
        self.waiting += row.bytes().len();
        self.pending.insert(row);
        old.filter(|old| !old.is_deleted())
    }

    /// Nothing that was read is lent any more.
    pub(super) fn settle(&mut self) {
        self.lent.clear();
    }

    /// The groups of which something was put and is not stored.
    fn changed(&self) -> BTreeSet<Group> {
        self.pending.iter().map(Row::group).collect()
    }

    /// What was put is to be stored, with what there is of its groups now.
    fn note(&mut self, head: Bytes, groups: impl Iterator<Item = (Group, Bytes)>) {
        self.head = Some(head);
        self.groups.extend(groups);
        self.store(self.waiting > self.most);
    }

    /// Stores the last note; later, if the store makes a file and that is not waited for.
    fn store(&mut self, wait: bool) {
        if self.head.is_none() || !self.files.is_free(wait) {
            return;
        }
        self.settle();
        let mut batch = self.files.batch();
        for row in std::mem::take(&mut self.pending) {
            let key = key_of(&row);
            let is_long = is_long(&key);
            let key = if is_long { long_key(&key) } else { key };
            batch.put(key, (!row.is_deleted()).then_some(row.bytes()));
            if is_long && !row.is_deleted() {
                self.long.insert(row);
            }
        }
        for (group, content) in std::mem::take(&mut self.groups) {
            batch.put(group_key(group), Some(&content));
        }
        batch.put(HEAD.to_vec(), self.head.take().as_deref());
        self.files.write(batch);
        self.waiting = 0;
    }
}

#[cfg(test)]
impl Disk {
    /// Writes something that is no row in the place of each.
    pub(super) fn damage(&mut self) {
        self.store(true);
        let rows: Vec<_> = self
            .files
            .scan(vec![keys::ROW], vec![keys::ROW + 1])
            .collect();
        let mut batch = self.files.batch();
        for (key, _) in rows {
            batch.put(key.to_vec(), Some(&[9; 3]));
        }
        self.files.write(batch);
    }

    /// Its head is that of a later version of weir.
    pub(super) fn make_newer(&mut self) {
        self.store(true);
        let mut batch = self.files.batch();
        let newer = head::FORMAT + 1;
        let newer = super::codec::seal(&[newer as u8, b'?']);
        batch.put(HEAD.to_vec(), Some(&newer));
        self.files.write(batch);
    }

    /// What is stored so far becomes files.
    pub(super) fn make_files(&mut self) {
        self.try_make_files();
        assert_eq!(self.files.broken(), None);
    }

    /// The same, where that may fail.
    pub(super) fn try_make_files(&mut self) {
        self.store(true);
        self.files.make_file();
        self.files.is_free(true);
    }
}

/// Two orders of rows in one; of equal ones only that of `upper`.
fn merged<T: Ord>(
    upper: impl Iterator<Item = T>,
    lower: impl Iterator<Item = T>,
) -> impl Iterator<Item = T> {
    let (mut upper, mut lower): (Peekable<_>, Peekable<_>) = (upper.peekable(), lower.peekable());
    std::iter::from_fn(move || match (upper.peek(), lower.peek()) {
        (Some(one), Some(other)) => match one.cmp(other) {
            Ordering::Less => upper.next(),
            Ordering::Greater => lower.next(),
            Ordering::Equal => {
                lower.next();
                upper.next()
            }
        },
        (Some(_), None) => upper.next(),
        (None, _) => lower.next(),
    })
}
