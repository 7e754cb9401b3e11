//! The keys of a store on disk. Rows have the same order as in RAM.

use crate::state::codec::Corrupt;
use crate::state::group::Group;
use crate::state::row::{Addressed, Place, Row};

/// What the store takes as a key.
const LONGEST: usize = 0xffff;
/// What the store says of itself (`head.rs`).
pub(super) const HEAD: &[u8] = b"h";
/// Is in every store that has not lost its files (`files.rs`).
pub(super) const ANCHOR: &[u8] = b"a";
/// What there is of a group; its number follows.
const GROUP: u8 = b'g';
/// Rows, and those whose keys are longer than the store takes.
pub(super) const ROW: u8 = b'r';
pub(super) const LONG: u8 = b'l';

/// The key of a row. No zero byte of the row's key is followed by a zero.
pub(super) fn key_of(row: &dyn Addressed) -> Vec<u8> {
    let (key, name) = row.parts();
    let mut bytes = Vec::with_capacity(1 + 8 + key.len() + 2 + name.len());
    bytes.push(ROW);
    bytes.extend_from_slice(&row.place().to_bytes());
    for byte in key {
        bytes.push(*byte);
        if *byte == 0 {
            bytes.push(0xff);
        }
    }
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(name);
    bytes
}

/// Whether the store does not take the key of a row.
pub(super) fn is_long(key: &[u8]) -> bool {
    key.len() > LONGEST
}

/// What it is stored under then.
pub(super) fn long_key(key: &[u8]) -> Vec<u8> {
    let place = key.get(1..9).unwrap_or_default();
    [&[LONG], place, blake3::hash(key).as_bytes()].concat()
}

/// A row as it is stored.
pub(super) fn row_of(key: &[u8], bytes: &[u8]) -> Result<Row, Corrupt> {
    let place = key.get(1..).and_then(Place::of_bytes);
    let place = place.ok_or(Corrupt("it has no place"))?;
    let row = Row::read(place.operator(), place.kind(), bytes)?;
    match row.place() == place {
        true => Ok(row),
        false => Err(Corrupt("it is not in its place")),
    }
}

/// As much of a key as a stored one can have. No stored one lies between the two.
pub(super) fn cut(mut key: Vec<u8>) -> Vec<u8> {
    key.truncate(LONGEST);
    key
}

/// From where to where the rows of a group are that are not before an address; a few that are may be among them.
pub(super) fn range(from: &dyn Addressed) -> (Vec<u8>, Vec<u8>) {
    let start = cut(key_of(from));
    let next = Group::new(u64::from(from.place().group().number()) + 1);
    let upto = next.map(|next| [&[ROW][..], &Place::first_of(next).to_bytes()].concat());
    (start, upto.unwrap_or_else(|| vec![ROW + 1]))
}

pub(super) fn group_key(group: Group) -> Vec<u8> {
    [&[GROUP][..], &group.number().to_be_bytes()].concat()
}
