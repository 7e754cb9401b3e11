//! The messages of a side that wait for others of their key, in the order of their event times.
//!
//! Each is a value of the key, with a name that begins with its side, event time and sequence.

use crate::config::Side;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_sdk::{Error, Message, state};

/// How many are read at once.
const PAGE: u32 = 100;

/// A message that waits.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    pub payload: Box<RawValue>,
    /// Whether there was a match.
    pub matched: bool,
}

/// The digits of a time in a name: all that 64 bits can have.
fn prefix(side: Side, time: u64) -> String {
    let side = match side {
        Side::Left => 'l',
        Side::Right => 'r',
    };
    format!("{side}{time:020}")
}

/// Of a name, which of the sides it is of, and its event time.
pub fn read(name: &str) -> Option<(Side, u64)> {
    let side = match name.get(..1)? {
        "l" => Side::Left,
        "r" => Side::Right,
        _ => return None,
    };
    Some((side, name.get(1..21)?.parse().ok()?))
}

/// A name for a message that no other has.
pub fn name(side: Side, message: &Message) -> String {
    let mut name = format!(
        "{}.{:020}",
        prefix(side, message.event_time),
        message.sequence
    );
    while state::get(message.state_key(), &name).is_some() {
        name.push('+');
    }
    name
}

pub fn get(key: &str, name: &str) -> Result<Option<Kept>, Error> {
    let bytes = state::get(key, name);
    Ok(bytes
        .map(|bytes| serde_json::from_slice(&bytes))
        .transpose()?)
}

pub fn put(key: &str, name: &str, kept: &Kept) -> Result<(), Error> {
    state::set(key, name, &serde_json::to_vec(kept)?, None)
}

/// The name of what a table has for a key. It begins like that of no message.
const ROW: &str = "t";

/// What the table has for a key.
pub fn row(key: &str) -> Result<Option<Box<RawValue>>, Error> {
    let bytes = state::get(key, ROW);
    Ok(bytes
        .map(|bytes| serde_json::from_slice(&bytes))
        .transpose()?)
}

/// The table has this for a key now, or nothing.
pub fn set_row(key: &str, row: Option<&RawValue>) -> Result<(), Error> {
    match row {
        Some(row) => state::set(key, ROW, row.get().as_bytes(), None)?,
        None => state::delete(key, ROW),
    }
    Ok(())
}

/// The event time of the first of a side and key.
pub fn first(key: &str, side: Side) -> Option<u64> {
    let page = state::scan(key, &prefix(side, 0)[..1], None, 1);
    page.first().and_then(|(name, _)| Some(read(name)?.1))
}

/// Those of a side and key from one time to another, both included.
pub fn between(key: &str, side: Side, from: u64, to: u64) -> Result<Vec<(String, Kept)>, Error> {
    let all = &prefix(side, 0)[..1];
    let (mut after, mut found) = (prefix(side, from), Vec::new());
    loop {
        let page = state::scan(key, all, Some(&after), PAGE);
        let Some((last, _)) = page.last() else {
            return Ok(found);
        };
        after = last.clone();
        for (name, bytes) in page {
            match read(&name) {
                Some((_, time)) if time <= to => {
                    found.push((name, serde_json::from_slice(&bytes)?))
                }
                _ => return Ok(found),
            }
        }
    }
}
