//! All rows of a few keys, as a record: for the trial of a new version of a plugin.

use super::record;
use super::row::{Address, Kind, Row};
use super::{Operator, State};
use bytes::Bytes;
use std::collections::BTreeSet;

impl State {
    /// The values and timers of these keys, as the present batch sees them, in a record that
    /// [`State::replay`] takes. Keys that would make it longer than `most` bytes are left out, and so are those
    /// of other partitions. None if there is nothing.
    #[must_use]
    pub fn sample<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a [u8]>,
        most: usize,
    ) -> Option<Bytes> {
        let keys: BTreeSet<&[u8]> = keys.into_iter().collect();
        let (mut sample, mut length) = (Vec::new(), 0);
        for key in keys {
            let rows: Vec<&Row> = self.rows_with(key).collect();
            let bytes: usize = rows.iter().map(|row| row.bytes().len()).sum();
            if length + bytes <= most {
                length += bytes;
                sample.extend(rows);
            }
        }
        let rows = || sample.iter().copied();
        let capacity = record::most(&self.store.operators, sample.len(), length);
        (!sample.is_empty())
            .then(|| record::write(None, self.now, capacity, &self.store.operators, rows()))
    }

    /// The values and timers of all operators with this key.
    fn rows_with<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a Row> {
        let operators = 1..self.store.operators.iter().count();
        let tables = operators.flat_map(|operator| {
            let operator = Operator(operator as u16);
            [Kind::Value, Kind::Timer].map(|kind| Address::new(operator, kind, key, b""))
        });
        tables.flat_map(|from| self.rows_of(from).map(|(row, _)| row))
    }
}
