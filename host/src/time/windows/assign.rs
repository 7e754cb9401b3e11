//! The windows of a time. Tumbling and hopping windows are computed; calendar windows follow their time zone.

use super::{CalendarUnit, Kind, Window, Windows};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use smallvec::{SmallVec, smallvec};

impl Windows {
    /// The windows that a time is in, the earliest first; none in a gap between hopping windows. For a session, what
    /// it is if it joins no other.
    #[must_use]
    pub fn of(&self, time: i64) -> SmallVec<[Window; 1]> {
        match &self.kind {
            Kind::Tumbling { size } => hopping(time, *size, *size),
            Kind::Hopping { size, every } => hopping(time, *size, *every),
            Kind::Session { gap } => smallvec![window(time.into(), *gap)],
            Kind::Calendar { unit, zone } => smallvec![calendar(time, *unit, zone)],
        }
    }

    /// The start of the slice that a time is in: slices end where any window begins or ends. That of a window for
    /// windows that do not overlap.
    #[must_use]
    pub fn slice(&self, time: i64) -> i64 {
        let Kind::Hopping { size, every } = self.kind else {
            return self.of(time).first().map_or(time, |window| window.start);
        };
        let (size, every) = (size.max(1), every.max(1));
        // Windows end this long after one begins.
        let end = size.rem_euclid(every);
        let since = time.rem_euclid(every);
        let start = if since < end { 0 } else { end };
        time.saturating_sub(since - start)
    }

    /// The first and the last start that a window may have that a slice is in.
    #[must_use]
    pub fn over(&self, slice: i64) -> (i64, i64) {
        let size = match self.kind {
            Kind::Hopping { size, .. } => size,
            _ => 1,
        };
        (slice.saturating_sub(size - 1), slice)
    }
}

fn window(start: i128, size: i64) -> Window {
    let bounded = |time: i128| time.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    Window {
        start: bounded(start),
        end: bounded(start + i128::from(size)),
    }
}

fn hopping(time: i64, size: i64, every: i64) -> SmallVec<[Window; 1]> {
    let (time, size, every) = (i128::from(time), size.max(1), every.max(1));
    let last = time.div_euclid(every.into());
    let first = (time - i128::from(size)).div_euclid(every.into()) + 1;
    (first..=last)
        .map(|number| window(number * i128::from(every), size))
        .collect()
}

/// A clock that is set back at midnight shows the end of a day again: it counts to the next day then, as windows do
/// not overlap.
fn calendar(time: i64, unit: CalendarUnit, zone: &TimeZone) -> Window {
    let at = Timestamp::from_nanosecond(time.into()).unwrap_or_default();
    let mut first = first_of(unit, zone.to_datetime(at).date());
    loop {
        let next = next_of(unit, first);
        let found = Window {
            start: start_of(first, zone),
            end: start_of(next, zone),
        };
        if time < found.start && found.start > i64::MIN {
            first = first_of(unit, first.yesterday().unwrap_or(first));
        } else if time >= found.end && found.end < i64::MAX {
            first = next;
        } else {
            return found;
        }
    }
}

/// The first day of what a day is in.
fn first_of(unit: CalendarUnit, day: Date) -> Date {
    match unit {
        CalendarUnit::Day => day,
        CalendarUnit::Week => {
            let since = day.weekday().to_monday_zero_offset();
            day.saturating_sub(i64::from(since).days())
        }
        CalendarUnit::Month => day.first_of_month(),
    }
}

fn next_of(unit: CalendarUnit, first: Date) -> Date {
    first.saturating_add(match unit {
        CalendarUnit::Day => 1.day(),
        CalendarUnit::Week => 1.week(),
        CalendarUnit::Month => 1.month(),
    })
}

/// When a day begins: at midnight, or when the clock goes on where midnight is skipped.
fn start_of(day: Date, zone: &TimeZone) -> i64 {
    let start = zone.to_timestamp(day.at(0, 0, 0, 0));
    let start = start.map_or(i128::from(i64::MAX), Timestamp::as_nanosecond);
    window(start, 0).start
}
