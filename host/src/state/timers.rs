//! Timers: rows of state, and the order in which they are due.
//!
//! Operator, key and tag identify a timer; setting it again moves it, also to another clock. A due timer is
//! taken, which deletes it in the same commit as the writes of its call: it fires exactly once. Timers of one
//! clock are taken in the order of their times; timers of one time in an order that is the same for every
//! owner.

use super::codec::Reader;
use super::row::{Address, Kind, Operator, Row};
use super::viewed::is_expiry;
use super::{Refused, State};
use std::collections::BTreeSet;

/// Which clock a timer follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clock {
    /// The watermark over the event times of messages.
    EventTime,
    /// The job's clock: see [`super::clock`].
    ProcessingTime,
}

/// A timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Whose it is; [`Operator::HOST`] for a queue of messages that wait, with the same key and tag.
    pub operator: Operator,
    /// The key that it was set for.
    pub key: Vec<u8>,
    /// Tells the timers of a key apart.
    pub tag: Vec<u8>,
    /// What `at` is a time of.
    pub clock: Clock,
    /// When it is due: nanoseconds since the Unix epoch, by its clock.
    pub at: u64,
}

/// What the value of a timer's row says.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub(super) clock: Clock,
    pub(super) at: u64,
    /// Its key had values when it was committed: if they are gone, it does not fire.
    pub(super) had_values: bool,
}

const PROCESSING_TIME: u8 = 1;
const HAD_VALUES: u8 = 2;

impl Setting {
    /// The value of a row that says this.
    pub(super) fn value(self) -> [u8; 9] {
        let clock = if self.clock == Clock::ProcessingTime {
            PROCESSING_TIME
        } else {
            0
        };
        let values = if self.had_values { HAD_VALUES } else { 0 };
        let mut value = [clock | values; 9];
        for (byte, part) in value.iter_mut().skip(1).zip(self.at.to_le_bytes()) {
            *byte = part;
        }
        value
    }
}

/// The timer in a row; `None` if the row is not a timer, or marks a deletion.
pub(super) fn read(row: &Row) -> Option<Setting> {
    if row.kind() != Kind::Timer {
        return None;
    }
    let mut value = Reader(row.written()?.value);
    let flags = value.byte().ok()?;
    let clock = match flags & PROCESSING_TIME {
        0 => Clock::EventTime,
        _ => Clock::ProcessingTime,
    };
    Some(Setting {
        clock,
        at: value.fixed().ok()?,
        had_values: flags & HAD_VALUES != 0,
    })
}

/// A timer as it stands in the [`Index`]: when it is due, and a row that says which it is.
pub(super) struct Entry(Clock, (u64, Row));

impl Entry {
    /// That of a row, if it is a timer.
    pub(super) fn of(row: &Row) -> Option<Self> {
        let timer = read(row)?;
        Some(Self(timer.clock, (timer.at, Row::deleted(row.address()))))
    }
}

/// Timers of both clocks in the order in which they are due.
#[derive(Debug, Default)]
pub(super) struct Index([BTreeSet<(u64, Row)>; 2]);

impl Extend<Entry> for Index {
    fn extend<T: IntoIterator<Item = Entry>>(&mut self, entries: T) {
        for Entry(clock, timer) in entries {
            self.of_mut(clock).insert(timer);
        }
    }
}

impl Index {
    fn of(&self, clock: Clock) -> &BTreeSet<(u64, Row)> {
        let [event_time, processing_time] = &self.0;
        match clock {
            Clock::EventTime => event_time,
            Clock::ProcessingTime => processing_time,
        }
    }

    fn of_mut(&mut self, clock: Clock) -> &mut BTreeSet<(u64, Row)> {
        let [event_time, processing_time] = &mut self.0;
        match clock {
            Clock::EventTime => event_time,
            Clock::ProcessingTime => processing_time,
        }
    }

    /// Adds a row, if it is a timer.
    pub(super) fn add(&mut self, row: &Row) {
        self.extend(Entry::of(row));
    }

    /// Removes a row, if it is a timer.
    pub(super) fn remove(&mut self, row: &Row) {
        self.replace(Entry::of(row), None);
    }

    /// Puts a timer in the place of another.
    pub(super) fn replace(&mut self, old: Option<Entry>, new: Option<Entry>) {
        if let Some(Entry(clock, timer)) = old {
            self.of_mut(clock).remove(&timer);
        }
        self.extend(new);
    }

    /// Timers of a clock up to a time, in order.
    fn upto(&self, clock: Clock, upto: u64) -> impl Iterator<Item = (u64, &Row)> {
        let timers = self.of(clock).iter().map(|(at, row)| (*at, row));
        timers.take_while(move |(at, _)| *at <= upto)
    }
}

impl State {
    /// Sets a timer, or moves it. One in the past is due at the next batch.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn set_timer(
        &mut self,
        operator: Operator,
        key: &[u8],
        tag: &[u8],
        clock: Clock,
        at: u64,
    ) -> Result<(), Refused> {
        let address = self.address(operator, Kind::Timer, key, tag)?;
        let had_values = false;
        let setting = Setting {
            clock,
            at,
            had_values,
        };
        self.write(Row::new(address, None, &setting.value()))
    }

    /// Deletes a timer; a missing one is not an error.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`].
    pub fn delete_timer(
        &mut self,
        operator: Operator,
        key: &[u8],
        tag: &[u8],
    ) -> Result<(), Refused> {
        let address = self.address(operator, Kind::Timer, key, tag)?;
        self.write(Row::deleted(address))
    }

    /// Takes the first `most` timers of a clock that are due: `upto` is the watermark, or the present
    /// batch's time. They are deleted from here on; a roll-back to an earlier savepoint brings them back.
    ///
    /// A timer that was committed while its key had values, and whose key has none any more, is deleted and
    /// counted, and not returned.
    pub fn take_due(&mut self, clock: Clock, upto: u64, most: usize) -> Vec<Timer> {
        let due = self
            .due(clock, upto, most)
            .into_iter()
            .filter_map(|(at, row)| {
                let had_values = read(self.row(row)?)?.had_values;
                let Address { key, name, .. } = row.address();
                let is_called = !had_values || self.has_values(row.operator(), key);
                let timer = Timer {
                    operator: row.operator(),
                    key: key.to_vec(),
                    tag: name.to_vec(),
                    clock,
                    at,
                };
                Some((timer, is_called))
            });
        let due: Vec<_> = due.collect();
        let mut called = Vec::with_capacity(due.len());
        for (timer, is_called) in due {
            let Timer {
                operator, key, tag, ..
            } = &timer;
            self.put(Row::deleted(Address::new(*operator, Kind::Timer, key, tag)));
            match is_called {
                true => called.push(timer),
                false => self.gone.timers += 1,
            }
        }
        called
    }

    /// Notes for the timers that are about to be committed whether their keys have values.
    pub(super) fn mark_timers(&mut self) {
        let others = self.overlay.others();
        let of_plugins = others.filter(|row| !is_expiry(row.address().name));
        let timers = of_plugins.filter_map(|row| {
            let setting = read(row).filter(|timer| !timer.had_values)?;
            let had_values = self.has_values(row.operator(), row.address().key);
            let setting = Setting {
                had_values,
                ..setting
            };
            had_values.then(|| Row::new(row.address(), None, &setting.value()))
        });
        let timers = timers.collect();
        self.overlay.amend(timers);
    }

    /// When the first timer of a clock is due.
    #[must_use]
    pub fn next_due(&self, clock: Clock) -> Option<u64> {
        let mut timers = self.store.timers.upto(clock, u64::MAX);
        timers.next().map(|(at, _)| at)
    }

    /// The first timers up to a time, in order.
    pub(super) fn due(&self, clock: Clock, upto: u64, most: usize) -> Vec<(u64, &Row)> {
        self.store.timers.upto(clock, upto).take(most).collect()
    }

    /// Takes back writes, of which these rows are timers.
    pub(super) fn untime(&mut self, timers: &[Row], take_back: impl FnOnce(&mut Self)) {
        for timer in timers {
            let written = self.row(timer).and_then(Entry::of);
            self.store.timers.replace(written, None);
        }
        take_back(self);
        for timer in timers {
            let before = self.row(timer).and_then(Entry::of);
            self.store.timers.replace(None, before);
        }
    }
}

/// Rows that stand for the timers among these.
pub(super) fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<Row> {
    let timers = rows.filter(|row| row.kind() == Kind::Timer);
    timers.map(|row| Row::deleted(row.address())).collect()
}
