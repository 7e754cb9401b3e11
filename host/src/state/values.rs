//! Values of plugins: the reads and writes of a partition's state.
//!
//! A read sees all earlier writes, of the same batch and of uncommitted ones. It copies nothing.

use super::row::{Address, Kind, Row, Written};
use super::{Operator, Refused, State};

/// A name and its value.
pub(super) type Named<'a> = (&'a [u8], &'a [u8]);

/// A value that a version of the plugin has written in an older format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outdated {
    pub key: Vec<u8>,
    pub name: Vec<u8>,
    pub format: u32,
    pub value: Vec<u8>,
}

impl State {
    /// Sets the format in which values are read and written from now on. The lender of the state sets it; 0
    /// until then.
    pub fn set_format(&mut self, format: u32) {
        self.format = format;
    }

    /// The value under a key and name. Several at once are several calls: each is a borrow.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`] and [`Refused::Format`].
    pub fn get(
        &self,
        operator: Operator,
        key: &[u8],
        name: &[u8],
    ) -> Result<Option<&[u8]>, Refused> {
        let address = self.address(operator, Kind::Value, key, name)?;
        let value = self.row(&address).and_then(|row| row.live_in(self.now));
        value.map(|value| self.read(value)).transpose()
    }

    /// Sets a value. With a `ttl` (nanoseconds) it expires that long after the present batch's time; a `ttl`
    /// of 0 deletes it. Without one, that of [`State::with_ttl`] applies.
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
        let expiry = ttl.or(self.ttl).map(|ttl| self.now.saturating_add(ttl));
        self.set_until(operator, key, name, value, expiry)
    }

    /// Sets a value that does not expire, whatever [`State::with_ttl`] says.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn set_for_good(
        &mut self,
        operator: Operator,
        key: &[u8],
        name: &[u8],
        value: &[u8],
    ) -> Result<(), Refused> {
        self.set_until(operator, key, name, value, None)
    }

    /// Sets a value of the present format.
    fn set_until(
        &mut self,
        operator: Operator,
        key: &[u8],
        name: &[u8],
        value: &[u8],
        expiry: Option<u64>,
    ) -> Result<(), Refused> {
        let address = self.address(operator, Kind::Value, key, name)?;
        self.expires(operator, key, name, expiry)?;
        let format = self.format;
        let written = Written {
            expiry,
            format,
            value,
        };
        self.write(Row::with(address, &written))
    }

    /// Deletes a value; a missing one is not an error.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`].
    pub fn delete(&mut self, operator: Operator, key: &[u8], name: &[u8]) -> Result<(), Refused> {
        let address = self.address(operator, Kind::Value, key, name)?;
        self.expires(operator, key, name, None)?;
        self.write(Row::deleted(address))
    }

    /// The values of a key whose names begin with `prefix`, in the order of their names, behind the name
    /// `after`. The caller stops at its bound of values or bytes, and goes on after the last name.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`], and for a value [`Refused::Format`].
    pub fn scan<'a>(
        &'a self,
        operator: Operator,
        key: &'a [u8],
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
    ) -> Result<impl Iterator<Item = Result<Named<'a>, Refused>>, Refused> {
        let start = after.map_or(prefix, |after| after.max(prefix));
        let from = self.address(operator, Kind::Value, key, start)?;
        let rows = self
            .rows_of(from)
            .map(|(row, value)| (row.address().name, value))
            .take_while(move |(name, _)| name.starts_with(prefix));
        let rows = rows.filter(move |(name, _)| after.is_none_or(|after| *name > after));
        Ok(rows.map(|(name, value)| Ok((name, self.read(value)?))))
    }

    /// Values of a key that are of an older format than this one: the first of them, up to `most` bytes.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`].
    pub fn outdated(
        &self,
        operator: Operator,
        key: &[u8],
        most: usize,
    ) -> Result<Vec<Outdated>, Refused> {
        let from = self.address(operator, Kind::Value, key, b"")?;
        let old = self
            .rows_of(from)
            .filter(|(_, (format, _))| *format < self.format);
        let (mut outdated, mut bytes) = (Vec::new(), 0);
        for (row, (format, value)) in old {
            let name = row.address().name;
            bytes += key.len() + name.len() + value.len();
            if bytes > most && !outdated.is_empty() {
                break;
            }
            outdated.push(Outdated {
                key: key.to_vec(),
                name: name.to_vec(),
                format,
                value: value.to_vec(),
            });
        }
        Ok(outdated)
    }

    /// Puts a value of the present format in the place of one that was read with [`State::outdated`]; none
    /// deletes it. It expires when that one would have.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn migrate(
        &mut self,
        operator: Operator,
        outdated: &Outdated,
        value: Option<&[u8]>,
    ) -> Result<(), Refused> {
        let (key, name) = (&*outdated.key, &*outdated.name);
        let Some(value) = value else {
            return self.delete(operator, key, name);
        };
        let address = self.address(operator, Kind::Value, key, name)?;
        let expiry = self.row(&address).and_then(|row| row.written()?.expiry);
        self.set_until(operator, key, name, value, expiry)
    }

    /// A value, if it is of the format of this version of the plugin. Those of the keys of a call have been
    /// migrated, if they were older.
    pub(super) fn read<'a>(&self, (format, value): (u32, &'a [u8])) -> Result<&'a [u8], Refused> {
        let reads = self.format;
        match format == reads {
            true => Ok(value),
            false => Err(Refused::Format { format, reads }),
        }
    }

    /// Rows and values of a key, in order, from an address on.
    pub(super) fn rows_of<'a>(
        &'a self,
        from: Address<'a>,
    ) -> impl Iterator<Item = (&'a Row, (u32, &'a [u8]))> {
        let rows = self.rows_from(from, Some(&self.overlay));
        let rows = rows.take_while(move |row| {
            let at = row.address();
            at.place == from.place && at.key == from.key
        });
        rows.filter_map(|row| Some((row, row.live_in(self.now)?)))
    }

    /// Whether an operator has a value with this key.
    pub(super) fn has_values(&self, operator: Operator, key: &[u8]) -> bool {
        let from = Address::new(operator, Kind::Value, key, b"");
        self.rows_of(from).next().is_some()
    }
}
