//! Timers: rows of state, and the order in which they are due.
//!
//! A timer is known by its operator, key and tag; setting it again moves it, to another clock, too. It is
//! taken once it is due, which deletes it in the same commit as what the call does: it fires exactly once.
//! Timers of one clock are taken in the order of their times; those of one time in an order that is the same
//! for every owner.

use super::codec::Reader;
use super::overlay::Overlay;
use super::row::{Address, Kind, Operator, Row};
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
    /// Its key had values when it was committed: where they are gone, it is not called.
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

/// What a row says of a timer; `None` if it is none, or says that there is none.
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

/// Every timer of a store by the time at which it is due; the row says which it is.
#[derive(Debug, Default)]
pub(super) struct Index([BTreeSet<(u64, Row)>; 2]);

impl Index {
    pub(super) fn of(&self, clock: Clock) -> &BTreeSet<(u64, Row)> {
        let [event_time, processing_time] = &self.0;
        match clock {
            Clock::EventTime => event_time,
            Clock::ProcessingTime => processing_time,
        }
    }

    pub(super) fn of_mut(&mut self, clock: Clock) -> &mut BTreeSet<(u64, Row)> {
        let [event_time, processing_time] = &mut self.0;
        match clock {
            Clock::EventTime => event_time,
            Clock::ProcessingTime => processing_time,
        }
    }

    /// Adds a row, if it is a timer.
    pub(super) fn add(&mut self, row: &Row) {
        if let Some(timer) = read(row) {
            let row = Row::deleted(row.address());
            self.of_mut(timer.clock).insert((timer.at, row));
        }
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

    /// Deletes a timer; what is not there is deleted already.
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
        let timers = self.overlay.others().filter_map(|row| {
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
        self.due(clock, u64::MAX, 1).first().map(|(at, _)| *at)
    }

    /// The first timers up to a time, in order.
    pub(super) fn due(&self, clock: Clock, upto: u64, most: usize) -> Vec<(u64, &Row)> {
        let stored = self.store.timers(clock, upto);
        let stored = stored.filter(|(_, row)| self.layers().all(|layer| layer.get(*row).is_none()));
        let mut due: Vec<(u64, &Row)> = stored.take(most).collect();
        let written = self.layers().flat_map(Overlay::others).filter_map(|row| {
            let timer = read(row).filter(|timer| timer.clock == clock && timer.at <= upto)?;
            let is_uppermost = self.row(row).is_some_and(|upper| std::ptr::eq(upper, row));
            is_uppermost.then_some((timer.at, row))
        });
        due.extend(written);
        due.sort();
        due.truncate(most);
        due
    }
}
