//! Windows of times, at the limits and in time zones.

use super::*;
use jiff::Timestamp;
use proptest::prelude::*;

const HOUR: i64 = 3_600_000_000_000;

fn windows(kind: Kind) -> Windows {
    Windows {
        kind,
        allowed_lateness: 0,
        early: Early::default(),
        panes: Panes::Accumulating,
    }
}

fn calendar(unit: CalendarUnit, zone: &str) -> Windows {
    let zone = TimeZone::get(zone).unwrap();
    windows(Kind::Calendar { unit, zone })
}

fn at(text: &str) -> i64 {
    let time: Timestamp = text.parse().unwrap();
    i64::try_from(time.as_nanosecond()).unwrap()
}

/// The one window of a time, as text and in hours.
fn one(windows: &Windows, time: &str) -> (String, String, i64) {
    let found = windows.of(at(time));
    assert_eq!(found.len(), 1);
    let text = |time: i64| Timestamp::from_nanosecond(time.into()).unwrap().to_string();
    let length = (found[0].end - found[0].start) / HOUR;
    (text(found[0].start), text(found[0].end), length)
}

fn is((start, end, hours): (&str, &str, i64), found: (String, String, i64)) {
    assert_eq!((&*found.0, &*found.1, found.2), (start, end, hours));
}

#[test]
fn days_have_23_hours_in_march_and_25_in_october() {
    let days = calendar(CalendarUnit::Day, "Europe/Berlin");
    let march = ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 23);
    for time in [
        "2026-03-28T23:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-29T21:59:59.999999999Z",
    ] {
        is(march, one(&days, time));
    }
    is(
        ("2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z", 24),
        one(&days, "2026-03-29T22:00:00Z"),
    );
    let october = ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 25);
    // Half past two comes twice.
    for time in [
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T22:30:00Z",
    ] {
        is(october, one(&days, time));
    }
}

#[test]
fn a_zone_without_clock_changes_has_days_of_24_hours_only() {
    let days = calendar(CalendarUnit::Day, "Asia/Kolkata");
    is(
        ("2026-03-28T18:30:00Z", "2026-03-29T18:30:00Z", 24),
        one(&days, "2026-03-29T12:00:00Z"),
    );
    for day in 0..800_i64 {
        let window = days.of(at("2025-01-01T00:00:00Z") + day * 24 * HOUR)[0];
        assert_eq!(window.end - window.start, 24 * HOUR);
    }
}

#[test]
fn a_day_begins_when_the_clock_goes_on_where_midnight_is_skipped() {
    let days = calendar(CalendarUnit::Day, "America/Sao_Paulo");
    is(
        ("2015-10-18T03:00:00Z", "2015-10-19T02:00:00Z", 23),
        one(&days, "2015-10-18T12:00:00Z"),
    );
    // A whole day is skipped.
    let days = calendar(CalendarUnit::Day, "Pacific/Apia");
    is(
        ("2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", 24),
        one(&days, "2011-12-30T09:59:59Z"),
    );
    is(
        ("2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z", 24),
        one(&days, "2011-12-30T10:00:00Z"),
    );
}

#[test]
fn weeks_begin_on_monday_and_months_are_as_long_as_they_are() {
    let weeks = calendar(CalendarUnit::Week, "Europe/Berlin");
    is(
        ("2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z", 7 * 24 - 1),
        one(&weeks, "2026-03-29T12:00:00Z"),
    );
    let months = calendar(CalendarUnit::Month, "UTC");
    for (time, days) in [
        ("2024-02-29T00:00:00Z", 29),
        ("2026-02-28T23:59:59Z", 28),
        ("2026-04-30T12:00:00Z", 30),
        ("2026-12-31T23:59:59Z", 31),
    ] {
        assert_eq!(one(&months, time).2, days * 24, "{time}");
    }
    let months = calendar(CalendarUnit::Month, "Europe/Berlin");
    is(
        ("2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z", 31 * 24 - 1),
        one(&months, "2026-03-15T00:00:00Z"),
    );
}

#[test]
fn calendars_begin_before_1970_and_end_in_2262() {
    for unit in [CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month] {
        let windows = calendar(unit, "America/New_York");
        let first = windows.of(0)[0];
        assert!(first.start < 0 && first.end > 0);
        let last = windows.of(i64::MAX)[0];
        assert_eq!(last.end, i64::MAX);
        assert!(last.start < i64::MAX);
        assert!(windows.of(i64::MIN)[0].start <= i64::MIN + HOUR);
    }
}

#[test]
fn what_is_kept_comes_back_and_other_bytes_do_not() {
    for (number, stage) in [Stage::Open, Stage::Closed, Stage::Final]
        .into_iter()
        .enumerate()
    {
        let kept = Kept {
            window: Window {
                start: -5,
                end: i64::MAX,
            },
            stage,
            index: u32::MAX,
            since: number as u32,
        };
        let bytes = kept.write(b"accumulator");
        assert_eq!(Kept::read(&bytes), Some((kept, &b"accumulator"[..])));
        assert_eq!(Kept::read(&bytes[..24]), None);
        assert_eq!(Kept::read(&[&[7], &bytes[1..]].concat()), None);
    }
}

const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/Toronto",
    "Pacific/Apia",
    "Asia/Kolkata",
];

proptest! {
    #[test]
    fn windows_of_a_calendar_lie_side_by_side(
        zone in 0..ZONES.len(),
        unit in 0..3_usize,
        time in 0..=i64::MAX,
    ) {
        let unit = [CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month][unit];
        let windows = calendar(unit, ZONES[zone]);
        let window = windows.of(time)[0];
        prop_assert!(window.start <= time && time < window.end || window.end == i64::MAX);
        prop_assert_eq!(windows.of(window.start)[0], window);
        prop_assert_eq!(windows.of(window.end - 1)[0], window);
        if window.end < i64::MAX {
            prop_assert_eq!(windows.of(window.end)[0].start, window.end);
        }
    }

    #[test]
    fn slices_end_where_any_window_begins_or_ends(
        size in 1..40_i64,
        every in 1..40_i64,
        time in prop_oneof![-100..100_i64, Just(i64::MIN), Just(i64::MAX)],
    ) {
        let windows = windows(Kind::Hopping { size, every });
        let slice = windows.slice(time);
        prop_assert!(slice <= time);
        if time.unsigned_abs() <= 100 {
            // Two times are in one slice if they are in the same windows, and nothing between them is in others.
            for before in slice..time {
                prop_assert_eq!(windows.of(before), windows.of(time));
            }
            let starts: Vec<i64> = (-200..200).filter(|start| start % every == 0).collect();
            let is_edge = starts.iter().any(|start| *start == slice || start + size == slice);
            prop_assert!(is_edge);
            let over: Vec<i64> = windows.of(slice).iter().map(|window| window.start).collect();
            let (first, last) = windows.over(slice);
            let found = starts.into_iter().filter(|start| (first..=last).contains(start));
            let found: Vec<i64> = found.collect();
            prop_assert_eq!(over, found);
        }
    }
}
