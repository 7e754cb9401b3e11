//! Rows that were read from disk, as long as a reader borrows them.
//!
//! Readers of a state borrow its rows. A row on disk has no owner, so it is kept here until the store changes
//! or the next batch begins. Each row is kept once, however often it is read.

use crate::state::row::Row;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

/// Rows of the first block. Each block is twice as long as the one before, and none ever moves.
const FIRST: usize = 64;
const BLOCKS: usize = 40;

/// See the top of this file.
pub(super) struct Lent {
    blocks: Vec<OnceCell<Box<[OnceCell<Row>]>>>,
    /// Where each is, by the key that it has on disk.
    places: RefCell<BTreeMap<Box<[u8]>, usize>>,
}

impl Lent {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Row> {
        let place = *self.places.borrow().get(key)?;
        self.slot(place)?.get()
    }

    /// Keeps a row. Of one that is lent already the first is returned.
    pub(super) fn lend(&self, key: &[u8], row: Row) -> Option<&Row> {
        let place = {
            let mut places = self.places.borrow_mut();
            let next = places.len();
            *places.entry(key.into()).or_insert(next)
        };
        Some(self.slot(place)?.get_or_init(|| row))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn slot(&self, place: usize) -> Option<&OnceCell<Row>> {
        let block = (place / FIRST + 1).ilog2() as usize;
        let before = FIRST * ((1 << block) - 1);
        let rows = || (0..FIRST << block).map(|_| OnceCell::new()).collect();
        let rows = self.blocks.get(block)?.get_or_init(rows);
        rows.get(place - before)
    }
}

impl Default for Lent {
    fn default() -> Self {
        Self {
            blocks: (0..BLOCKS).map(|_| OnceCell::new()).collect(),
            places: RefCell::default(),
        }
    }
}
