//! The rows of a key group, for display and for copies.

use super::row::{Address, Kind, Place, Row, Written};
use super::timers::{self, Clock};
use super::viewed::is_expiry;
use super::{Group, State};

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A value of a plugin.
    Value,
    /// A timer of a plugin, or the one that wakes messages that wait. `at` is nanoseconds since the Unix epoch, by the
    /// clock.
    Timer { clock: Clock, at: u64 },
    /// A message, or a timer, that waits for its next attempt or behind another.
    Waiting,
    /// A queue of such messages.
    Queue,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The id of the operator; empty for the host.
    pub operator: &'a str,
    pub what: What,
    pub key: &'a [u8],
    /// Of a timer its tag.
    pub name: &'a [u8],
    /// Nanoseconds of the job's clock.
    pub expiry: Option<u64>,
    pub value: &'a [u8],
}

impl State {
    /// All rows of a group, in order, without those that have expired and the timers for it.
    pub fn entries(&self, group: Group) -> impl Iterator<Item = Entry<'_>> {
        let (place, key, name) = (Place::first_of(group), &b""[..], &b""[..]);
        let rows = self.rows_from(Address { place, key, name }, None);
        let rows = rows.take_while(move |row| row.group() == group);
        rows.filter_map(|row| self.entry(row))
    }

    fn entry<'a>(&'a self, row: &'a Row) -> Option<Entry<'a>> {
        row.live(self.now)?;
        let Written { expiry, value, .. } = row.written()?;
        let Address { key, name, .. } = row.address();
        if row.kind() == Kind::Timer && is_expiry(name) {
            return None;
        }
        let ids = &mut self.store.operators.iter();
        Some(Entry {
            operator: ids.nth(usize::from(row.operator().0)).unwrap_or_default(),
            what: match (row.kind(), timers::read(row)) {
                (Kind::Timer, Some(timer)) => What::Timer {
                    clock: timer.clock,
                    at: timer.at,
                },
                (Kind::Message, _) => What::Waiting,
                (Kind::Queue, _) => What::Queue,
                _ => What::Value,
            },
            key,
            name,
            expiry,
            value,
        })
    }
}
