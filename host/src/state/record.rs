//! Records: the changes of a commit, and whole key groups.
//!
//! Both are a header, the ids of operators, and rows:
//!
//! ```text
//! delta   0         | time | ids | rows
//! group   1 | group | time | ids | rows
//! row     table (place of the operator's id, and kind) | length | bytes as in memory
//! ```
//!
//! Where a record belongs in the log is its keeper's to know, and so is how it is stored in parts.

use super::codec::{self, Corrupt, ENVELOPE, Reader, put_bytes, put_varint};
use super::group::Group;
use super::row::{Kind, Operator, Row};
use super::store::Operators;
use super::timers;
use bytes::Bytes;

/// Bytes of a record besides ids and rows, at most: envelope, kind, group, time, number of ids.
const HEADER: usize = ENVELOPE + 1 + 3 + 10 + 2;
/// Bytes of an id or a row in a record besides its own, at most: table and length.
const LENGTHS: usize = 3 + 5;

/// The record of a group, or of a commit if there is none. `time` is that of the last commit in it, and
/// `capacity` the bytes that it probably has.
pub(super) fn write<'a>(
    group: Option<Group>,
    time: u64,
    capacity: usize,
    operators: &Operators,
    rows: impl Iterator<Item = &'a Row>,
) -> Bytes {
    let mut record = Writer::begin(group, time, capacity, operators);
    rows.for_each(|row| record.add(row));
    record.finish()
}

/// A record whose rows come one by one.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// See [`write`].
    pub(super) fn begin(
        group: Option<Group>,
        time: u64,
        capacity: usize,
        operators: &Operators,
    ) -> Self {
        let mut body = codec::begin(capacity);
        body.push(u8::from(group.is_some()));
        if let Some(group) = group {
            put_varint(&mut body, u64::from(group.number()));
        }
        put_varint(&mut body, time);
        put_varint(&mut body, operators.iter().count() as u64);
        for id in operators.iter() {
            put_bytes(&mut body, id.as_bytes());
        }
        Self(body)
    }

    pub(super) fn add(&mut self, row: &Row) {
        put_varint(&mut self.0, row.table());
        put_bytes(&mut self.0, row.bytes());
    }

    pub(super) fn finish(self) -> Bytes {
        codec::finish(self.0)
    }
}

/// How long a record of so many rows with so many bytes is, at most.
pub(super) fn most(operators: &Operators, rows: usize, bytes: usize) -> usize {
    let ids = operators.iter().map(|id| LENGTHS + id.len());
    HEADER + ids.sum::<usize>() + LENGTHS * rows + bytes
}

/// A record, with its rows still to be read.
pub(super) struct Record<'a> {
    /// None for what a commit changed.
    pub(super) group: Option<Group>,
    /// Of the commit, or of the last one that is in the group.
    pub(super) time: u64,
    /// By their places in this record.
    operators: Vec<Operator>,
    rows: Reader<'a>,
}

impl<'a> Record<'a> {
    /// Reads the header, and makes its operators known.
    pub(super) fn read(record: &'a [u8], known: &mut Operators) -> Result<Self, Corrupt> {
        let mut reader = codec::open(record)?;
        let group = match reader.byte()? {
            0 => None,
            1 => {
                let group = Group::new(reader.varint()?);
                Some(group.ok_or(Corrupt("there is no such key group"))?)
            }
            _ => return Err(Corrupt("it is of an unknown kind")),
        };
        let time = reader.varint()?;
        let (count, mut operators) = (reader.varint()?, Vec::new());
        if count > Operator::MOST as u64 {
            return Err(Corrupt("it names too many operators"));
        }
        for _ in 0..count {
            let id = std::str::from_utf8(reader.bytes()?);
            let id = id.map_err(|_| Corrupt("the id of an operator is not UTF-8"))?;
            operators.push(known.intern(id)?);
        }
        Ok(Self {
            group,
            time,
            operators,
            rows: reader,
        })
    }

    /// The next row; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Row>, Corrupt> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let (operator, kind) = Kind::of_table(self.rows.varint()?);
        let operator = self.operators.get(operator).copied();
        let operator =
            operator.ok_or(Corrupt("it has a row of an operator that it does not name"))?;
        let row = Row::read(operator, kind, self.rows.bytes()?)?;
        if kind == Kind::Timer && !row.is_deleted() && timers::read(&row).is_none() {
            return Err(Corrupt("it has a timer without a time"));
        }
        Ok(Some(row))
    }
}
