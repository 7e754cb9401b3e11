//! Event times from text, and watermarks against shuffled arrivals, poisoned clocks and quiet inputs.

use super::parse::{LATEST, NoTime, Unit, event_time};
use super::watermark::{Rules, Watermark};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

#[test]
fn a_number_counts_the_unit_that_the_pipeline_says_and_text_is_rfc_3339() {
    let expected = Ok(1_700_000_000_000_000_000);
    for (text, unit) in [
        ("1700000000", Unit::Seconds),
        ("1700000000000", Unit::Milliseconds),
        ("1700000000000000", Unit::Microseconds),
        ("1700000000000000000", Unit::Nanoseconds),
        ("1700000000.0", Unit::Seconds),
        ("17e8", Unit::Seconds),
        (" 2023-11-14T22:13:20.000Z ", Unit::Seconds),
        ("2023-11-14T23:13:20+01:00", Unit::Nanoseconds),
    ] {
        assert_eq!(event_time(text, unit), expected, "{text}");
    }
    assert_eq!(
        event_time("1700000000.25", Unit::Seconds),
        Ok(1_700_000_000_250_000_000)
    );
    assert_eq!(event_time("0", Unit::Milliseconds), Ok(0));
    assert_eq!(
        event_time("2262-04-11T23:47:16.854775807Z", Unit::Seconds),
        Ok(LATEST)
    );
}

#[test]
fn what_is_no_time_or_none_that_can_be_counted_is_refused_with_the_reason() {
    for (text, why) in [
        ("", NoTime::Unreadable),
        ("yesterday", NoTime::Unreadable),
        ("NaN", NoTime::Unreadable),
        ("inf", NoTime::Unreadable),
        ("true", NoTime::Unreadable),
        ("2026-02-30T00:00:00Z", NoTime::Unreadable),
        ("2026-01-01", NoTime::Unreadable),
        ("-5", NoTime::Before1970),
        ("-0.001", NoTime::Before1970),
        ("-1e300", NoTime::Before1970),
        ("1969-12-31T23:59:59Z", NoTime::Before1970),
        ("1676-01-01T00:00:00Z", NoTime::Before1970),
        ("1e300", NoTime::After2262),
        ("253370764800000", NoTime::After2262),
        ("9999-01-01T00:00:00Z", NoTime::After2262),
        ("9999-12-31T23:59:59Z", NoTime::After2262),
        ("9999-12-31T23:59:59", NoTime::Unreadable),
        ("-009999-01-01T00:00:00Z", NoTime::Before1970),
        ("2262-04-11T23:47:16.854775808Z", NoTime::After2262),
        ("170141183460469231731687303715884105727", NoTime::After2262),
    ] {
        assert_eq!(event_time(text, Unit::Milliseconds), Err(why), "{text}");
    }
}

#[test]
fn an_event_time_far_ahead_moves_nothing_and_makes_none_of_the_next_late() {
    let rules = Rules {
        bound: 0,
        max_ahead: Some(10 * SECOND),
        idle_timeout: None,
    };
    let mut mark = Watermark::default();
    let now = 1_000 * SECOND;
    assert!(mark.pass(&rules, now, now));
    for poison in [now + 10 * SECOND + 1, now + 86_400 * SECOND, i64::MAX] {
        assert!(!mark.pass(&rules, poison, now));
        assert_eq!(mark.get(), Some(now));
    }
    // Ten honest ones, each of them not behind the watermark when it comes.
    for second in 1..=10 {
        let time = now + second * SECOND;
        assert!(mark.get() <= Some(time));
        assert!(mark.pass(&rules, time, time));
    }
    assert_eq!(mark.get(), Some(now + 10 * SECOND));
    // At the limit it counts.
    assert!(mark.pass(&rules, now + 20 * SECOND, now + 10 * SECOND));
}

#[test]
fn a_quiet_input_passes_the_end_of_its_last_window_and_never_goes_back_for_it() {
    let rules = Rules {
        bound: 2 * SECOND,
        max_ahead: None,
        idle_timeout: Some(30 * SECOND),
    };
    // One that never had a message follows the clock, too.
    let (mut mark, mut never) = (Watermark::default(), Watermark::default());
    mark.pass(&rules, 100 * SECOND, 101 * SECOND);
    let end = 110 * SECOND;
    let due = rules.idle_reaches(end).unwrap_or_default();
    assert_eq!(due, 142 * SECOND);
    for (now, is_past) in [(131 * SECOND, false), (due - 1, false), (due, true)] {
        mark.idle(&rules, now);
        never.idle(&rules, now);
        assert_eq!(
            (mark.get() >= Some(end), never.get() >= Some(end)),
            (is_past, is_past),
            "{now}"
        );
    }
    // The clock steps an hour back: nothing happens.
    mark.idle(&rules, due - 3600 * SECOND);
    assert_eq!(mark.get(), Some(end));
    // Without an idle timeout it waits.
    let mut waits = Watermark::default();
    waits.idle(&Rules::default(), i64::MAX);
    assert_eq!(
        (waits.get(), Rules::default().idle_reaches(0)),
        (None, None)
    );
}

/// Event times whose arrivals are out of order by at most `bound`.
fn shuffled(bound: i64) -> impl Strategy<Value = Vec<i64>> {
    let event = (-50_i64..50, 0..=bound);
    proptest::collection::vec(event, 1..60).prop_map(|mut events| {
        // Each arrives that much after it happened.
        events.sort_by_key(|(time, delay)| time + delay);
        events.into_iter().map(|(time, _)| time).collect()
    })
}

proptest! {
    #[test]
    fn nothing_that_arrives_within_the_bound_is_behind_the_watermark(
        (bound, times) in (0_i64..20).prop_flat_map(|bound| (Just(bound), shuffled(bound)))
    ) {
        let rules = Rules { bound, ..Rules::default() };
        let mut mark = Watermark::default();
        for time in &times {
            prop_assert!(mark.get() <= Some(*time), "{time} is late in {times:?}");
            let before = mark;
            mark.pass(&rules, *time, 0);
            prop_assert!(before <= mark);
        }
        let latest = times.iter().max().map(|latest| latest - bound);
        prop_assert_eq!(mark.get(), latest);
    }

    #[test]
    fn a_watermark_does_not_depend_on_batches_restarts_or_the_order_within_the_bound(
        (bound, times) in (0_i64..20).prop_flat_map(|bound| (Just(bound), shuffled(bound))),
        restart in 0_usize..60,
        seed in any::<u64>(),
    ) {
        let rules = Rules { bound, ..Rules::default() };
        let mut whole = Watermark::default();
        times.iter().for_each(|time| { whole.pass(&rules, *time, 0); });
        let mut other = times.clone();
        // Any order: a small generator is enough to mix them.
        for index in (1..other.len()).rev() {
            other.swap(index, (seed.wrapping_mul(index as u64 | 1) >> 7) as usize % (index + 1));
        }
        let mut restarted = Watermark::default();
        for (index, time) in other.iter().enumerate() {
            if index == restart {
                // As the checkpoint has it.
                restarted = Watermark::at(restarted.get());
            }
            restarted.pass(&rules, *time, 0);
        }
        prop_assert_eq!(whole, restarted);
    }

    #[test]
    fn whatever_comes_a_watermark_never_goes_back_and_never_passes_the_clock_by_more_than_it_may(
        steps in proptest::collection::vec((any::<bool>(), any::<i64>(), any::<i64>()), 1..40),
        bound in 0_i64..i64::MAX,
        ahead in 0_i64..i64::MAX,
    ) {
        let rules = Rules { bound, max_ahead: Some(ahead), idle_timeout: Some(ahead) };
        let (mut mark, mut latest) = (Watermark::default(), i64::MIN);
        for (is_idle, time, now) in steps {
            let before = mark;
            latest = latest.max(now);
            match is_idle {
                true => mark.idle(&rules, now),
                false => { mark.pass(&rules, time, now); }
            }
            prop_assert!(before <= mark);
            prop_assert!(mark.get() <= Some(latest.saturating_add(ahead)));
        }
    }
}
