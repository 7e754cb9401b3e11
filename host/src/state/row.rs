//! A row: one value, timer or waiting message, in one allocation.
//!
//! The bytes of a row are the same in memory, in deltas and in snapshots:
//!
//! ```text
//! key length | key | name length | name | 0                        it was deleted
//!                                       | 1 | value
//!                                       | 2 | expiry (8 bytes) | value
//!                                       | 3 | format | value
//!                                       | 4 | expiry (8 bytes) | format | value
//! ```
//!
//! The format is that of the plugin's version which wrote the value; without a number it is 0.
//!
//! In memory its place stands beside them: the group, the table and the hash of its key. Nearly every
//! comparison in a map is one of places, and does not follow the pointer to the bytes.

use super::codec::{Corrupt, Reader, put_bytes, put_varint, varint_len};
use super::group::{self, Group};
use std::borrow::Borrow;
use std::cmp::Ordering;

/// Whose rows they are: an operator of the pipeline, or the host. A number of one process: records have the
/// operator's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operator(pub(super) u16);

impl Operator {
    /// What the host itself keeps for a job; its id is empty.
    pub const HOST: Self = Self(0);
    /// How many there can be, the host included: what [`Place`] has bits for.
    pub(super) const MOST: usize = 1 << 12;
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A value of a plugin.
    Value,
    /// A timer; the name is its tag.
    Timer,
    /// A message that waits; the name is its number in its queue.
    Message,
    /// The queue of the messages with one key.
    Queue,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Value, Self::Timer, Self::Message, Self::Queue];

    /// Operator and kind in a number, for records. The operator's number is that of the record.
    pub(super) fn table(self, operator: Operator) -> u64 {
        u64::from(operator.0) << 2 | self as u64
    }

    /// Both of a number; the first is the place in the record's list of operators.
    pub(super) fn of_table(table: u64) -> (usize, Self) {
        let kind = Self::ALL.get(table as usize & 3).copied();
        (
            usize::try_from(table >> 2).unwrap_or(usize::MAX),
            kind.unwrap_or(Self::Value),
        )
    }
}

/// Where a row stands in its map: group (10 bits), operator (12), kind (2), more of the key's hash (22).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

impl Place {
    pub(super) fn new(operator: Operator, kind: Kind, key: &[u8]) -> Self {
        let hash = group::hash(key);
        let group = u64::from(Group::of_hash(hash).number());
        let more = u64::from(hash / u32::from(group::GROUPS));
        Self(group << 54 | kind.table(operator) << 40 | more << 18)
    }

    /// Where the rows of a group begin.
    pub(super) fn first_of(group: Group) -> Self {
        Self(u64::from(group.number()) << 54)
    }

    /// As keys on disk begin, in the order of places.
    pub(super) fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// That of such a key.
    pub(super) fn of_bytes(key: &[u8]) -> Option<Self> {
        Some(Self(u64::from_be_bytes(*key.first_chunk()?)))
    }

    /// Where the rows of an operator of one kind begin in a group, and where they end.
    pub(super) fn of_table(group: Group, operator: Operator, kind: Kind) -> [Self; 2] {
        let first = u64::from(group.number()) << 54 | kind.table(operator) << 40;
        [Self(first), Self(first | ((1 << 40) - 1))]
    }

    pub(super) fn group(self) -> Group {
        Group::of_bits(self.0 >> 54)
    }

    pub(super) fn operator(self) -> Operator {
        Operator((self.0 >> 42) as u16 & 0xfff)
    }

    pub(super) fn kind(self) -> Kind {
        let kind = (self.0 >> 40) as usize & 3;
        Kind::ALL.get(kind).copied().unwrap_or(Kind::Value)
    }
}

/// What identifies a row. Rows are looked up by it without making one.
#[derive(Clone, Copy)]
pub(super) struct Address<'a> {
    pub(super) place: Place,
    pub(super) key: &'a [u8],
    pub(super) name: &'a [u8],
}

impl<'a> Address<'a> {
    pub(super) fn new(operator: Operator, kind: Kind, key: &'a [u8], name: &'a [u8]) -> Self {
        let place = Place::new(operator, kind, key);
        Self { place, key, name }
    }
}

/// What has an address: the order of rows in a map.
pub(super) trait Addressed {
    fn place(&self) -> Place;
    /// Key and name.
    fn parts(&self) -> (&[u8], &[u8]);
}

impl Addressed for Address<'_> {
    fn place(&self) -> Place {
        self.place
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        (self.key, self.name)
    }
}

impl Addressed for Row {
    fn place(&self) -> Place {
        self.place
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        let (key, name, _) = split(&self.bytes).unwrap_or_default();
        (key, name)
    }
}

impl Ord for dyn Addressed + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        let places = self.place().cmp(&other.place());
        places.then_with(|| self.parts().cmp(&other.parts()))
    }
}

impl PartialOrd for dyn Addressed + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Addressed + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for dyn Addressed + '_ {}

/// One row. Rows are equal where their addresses are.
#[derive(Debug)]
pub(super) struct Row {
    place: Place,
    bytes: Box<[u8]>,
}

impl<'a> Borrow<dyn Addressed + 'a> for Row {
    fn borrow(&self) -> &(dyn Addressed + 'a) {
        self
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> Ordering {
        (self as &dyn Addressed).cmp(other)
    }
}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Row {}

const DELETED: u8 = 0;
const FOR_EVER: u8 = 1;
const UNTIL: u8 = 2;
const FOR_EVER_IN: u8 = 3;
const UNTIL_IN: u8 = 4;

/// What a row says of its value.
pub(super) struct Written<'a> {
    /// When it expires; never if none.
    pub(super) expiry: Option<u64>,
    pub(super) format: u32,
    pub(super) value: &'a [u8],
}

impl Row {
    /// A row with this value, until `expiry` (nanoseconds of the job's clock) if there is one.
    pub(super) fn new(address: Address<'_>, expiry: Option<u64>, value: &[u8]) -> Self {
        let (format, value) = (0, value);
        let written = Written {
            expiry,
            format,
            value,
        };
        Self::with(address, &written)
    }

    /// The same with a format.
    pub(super) fn with(address: Address<'_>, written: &Written<'_>) -> Self {
        let Written {
            expiry,
            format,
            value,
        } = *written;
        let tag = match (expiry, format) {
            (None, 0) => FOR_EVER,
            (Some(_), 0) => UNTIL,
            (None, _) => FOR_EVER_IN,
            (Some(_), _) => UNTIL_IN,
        };
        let end = expiry.map(u64::to_le_bytes);
        let end = end.as_ref().map_or(&[][..], |end| end.as_slice());
        let mut number = Vec::new();
        if format > 0 {
            put_varint(&mut number, format.into());
        }
        Self::of_parts(address, tag, [end, &number, value])
    }

    /// The row that marks a deletion.
    pub(super) fn deleted(address: Address<'_>) -> Self {
        Self::of_parts(address, DELETED, [&[], &[], &[]])
    }

    fn of_parts(address: Address<'_>, tag: u8, rest: [&[u8]; 3]) -> Self {
        let Address { place, key, name } = address;
        let lengths = varint_len(key.len() as u64) + varint_len(name.len() as u64);
        // Exactly as long as it becomes, so that no byte is left over in the allocation.
        let rest_length: usize = rest.iter().map(|part| part.len()).sum();
        let length = lengths + key.len() + name.len() + 1 + rest_length;
        let mut bytes = Vec::with_capacity(length);
        put_bytes(&mut bytes, key);
        put_bytes(&mut bytes, name);
        bytes.push(tag);
        for part in rest {
            bytes.extend_from_slice(part);
        }
        let bytes = bytes.into_boxed_slice();
        Self { place, bytes }
    }

    /// A row in a record.
    pub(super) fn read(operator: Operator, kind: Kind, bytes: &[u8]) -> Result<Self, Corrupt> {
        let (key, ..) = split(bytes)?;
        written(bytes)?;
        let place = Place::new(operator, kind, key);
        let bytes = bytes.into();
        Ok(Self { place, bytes })
    }

    pub(super) fn operator(&self) -> Operator {
        self.place.operator()
    }

    pub(super) fn kind(&self) -> Kind {
        self.place.kind()
    }

    pub(super) fn group(&self) -> Group {
        self.place.group()
    }

    /// Operator and kind, for records.
    pub(super) fn table(&self) -> u64 {
        self.kind().table(self.operator())
    }

    /// The form in a record.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn address(&self) -> Address<'_> {
        let (key, name) = self.parts();
        let place = self.place;
        Address { place, key, name }
    }

    /// Where the rows of its operator, kind and key begin.
    pub(super) fn first_of_key(&self) -> Address<'_> {
        Address {
            name: b"",
            ..self.address()
        }
    }

    /// Whether both are of one operator, kind and key.
    pub(super) fn has_key_of(&self, other: &Self) -> bool {
        self.place == other.place && self.address().key == other.address().key
    }

    /// Whether it marks a deletion.
    pub(super) fn is_deleted(&self) -> bool {
        let tag = split(&self.bytes).and_then(|(.., mut rest)| rest.byte());
        tag.unwrap_or(DELETED) == DELETED
    }

    /// Its value; `None` if it marks a deletion.
    pub(super) fn written(&self) -> Option<Written<'_>> {
        written(&self.bytes).ok()?
    }

    /// The value, unless it was deleted or has expired at `now`.
    pub(super) fn live(&self, now: u64) -> Option<&[u8]> {
        self.live_in(now).map(|(_, value)| value)
    }

    /// The same with its format.
    pub(super) fn live_in(&self, now: u64) -> Option<(u32, &[u8])> {
        let Written {
            expiry,
            format,
            value,
        } = self.written()?;
        let is_live = expiry.is_none_or(|expiry| expiry > now);
        is_live.then_some((format, value))
    }

    /// What it counts in bytes of memory: its own, with its part of a node of the map and what the allocator
    /// rounds up.
    pub(super) fn cost(&self) -> u64 {
        match self.place.kind() {
            _ if self.is_deleted() => 0,
            // It stands in the index of timers, too.
            Kind::Timer => 2 * (self.bytes.len() as u64 + OVERHEAD),
            _ => self.bytes.len() as u64 + OVERHEAD,
        }
    }
}

/// Bytes of memory of a row besides its bytes. *Measured* with mimalloc, 1 million rows, keys of 16 bytes:
/// with values of 100 bytes a row takes 173 to 185 bytes of resident memory, with values of 8 bytes 83 to 88.
const OVERHEAD: u64 = 60;

/// What the bytes of a row say of its value.
fn written(bytes: &[u8]) -> Result<Option<Written<'_>>, Corrupt> {
    let (.., mut rest) = split(bytes)?;
    let tag = rest.byte()?;
    let expiry = match tag {
        DELETED if rest.is_empty() => return Ok(None),
        FOR_EVER | FOR_EVER_IN => None,
        UNTIL | UNTIL_IN => Some(rest.fixed()?),
        _ => return Err(Corrupt("it has a row of an unknown kind")),
    };
    let format = match tag {
        FOR_EVER_IN | UNTIL_IN => rest.varint()?,
        _ => 0,
    };
    let format = u32::try_from(format);
    Ok(Some(Written {
        expiry,
        format: format.map_err(|_| Corrupt("it has a value of an unknown format"))?,
        value: rest.0,
    }))
}

/// Key, name, and what is behind them.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8], Reader<'_>), Corrupt> {
    let mut reader = Reader(bytes);
    Ok((reader.bytes()?, reader.bytes()?, reader))
}
