//! Values of plugins: what a partition's state is read and written by.
//!
//! A read sees all writes before it, of the same batch and of those that are not committed yet. Nothing is
//! copied for it.

use super::row::{Address, Kind, Row};
use super::{Operator, Refused, State};

impl State {
    /// The value under a key and name. Several at once are several calls: each is a borrow.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`].
    pub fn get(
        &self,
        operator: Operator,
        key: &[u8],
        name: &[u8],
    ) -> Result<Option<&[u8]>, Refused> {
        let address = self.address(operator, Kind::Value, key, name)?;
        Ok(self.row(&address).and_then(|row| row.live(self.now)))
    }

    /// Sets a value. With a `ttl` (nanoseconds) it is gone that long after the present batch's time; a `ttl`
    /// of 0 deletes it.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn set(
        &mut self,
        operator: Operator,
        key: &[u8],
        name: &[u8],
        value: &[u8],
        ttl: Option<u64>,
    ) -> Result<(), Refused> {
        if ttl == Some(0) {
            return self.delete(operator, key, name);
        }
        let address = self.address(operator, Kind::Value, key, name)?;
        let expiry = ttl.map(|ttl| self.now.saturating_add(ttl));
        self.write(Row::new(address, expiry, value))
    }

    /// Deletes a value; what is not there is deleted already.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`].
    pub fn delete(&mut self, operator: Operator, key: &[u8], name: &[u8]) -> Result<(), Refused> {
        let address = self.address(operator, Kind::Value, key, name)?;
        self.write(Row::deleted(address))
    }

    /// The values of a key whose names begin with `prefix`, in the order of their names, behind the name
    /// `after`. The caller stops at its bound of values or bytes, and goes on after the last name.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`].
    pub fn scan<'a>(
        &'a self,
        operator: Operator,
        key: &'a [u8],
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
    ) -> Result<impl Iterator<Item = (&'a [u8], &'a [u8])>, Refused> {
        let start = after.map_or(prefix, |after| after.max(prefix));
        let from = self.address(operator, Kind::Value, key, start)?;
        let rows = self
            .rows_of(from)
            .take_while(move |(name, _)| name.starts_with(prefix));
        Ok(rows.filter(move |(name, _)| after.is_none_or(|after| *name > after)))
    }

    /// Names and values of a key, in order, from an address on.
    pub(super) fn rows_of<'a>(
        &'a self,
        from: Address<'a>,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let rows = self.rows_from(from, Some(&self.overlay));
        let rows = rows.map(|row| (row, row.address()));
        let rows = rows.take_while(move |(_, at)| at.place == from.place && at.key == from.key);
        rows.filter_map(|(row, at)| Some((at.name, row.live(self.now)?)))
    }

    /// Whether an operator has a value with this key.
    pub(super) fn has_values(&self, operator: Operator, key: &[u8]) -> bool {
        let from = Address::new(operator, Kind::Value, key, b"");
        self.rows_of(from).next().is_some()
    }
}
