//! The owner of the values of a windowed operator: its name together with its windows.

use crate::time::windows::{CalendarUnit, Kind, Panes, Windows};
use jiff::SignedDuration;
use std::borrow::Cow;
use std::fmt::Write;

/// The id of an operator in the state: its name, and behind a space its windows, if it has any. No name of an operator
/// contains a space. Accumulators of other windows are therefore those of another operator, and never read as
/// these.
#[must_use]
pub fn state_id<'a>(operator: &'a str, windows: Option<&Windows>) -> Cow<'a, str> {
    match windows {
        None => operator.into(),
        Some(windows) => format!("{operator} {}", described(windows)).into(),
    }
}

/// The name of an operator in its id, and its windows, as [`state_id`] has joined them.
#[must_use]
pub fn parts(id: &str) -> (&str, Option<&str>) {
    match id.split_once(' ') {
        Some((operator, windows)) => (operator, Some(windows)),
        None => (id, None),
    }
}

/// Everything that decides which values are kept. The same windows have the same text in all versions.
fn described(windows: &Windows) -> String {
    let mut text = match &windows.kind {
        Kind::Tumbling { size } => format!("tumbling {}", span(*size)),
        Kind::Hopping { size, every } => format!("hopping {} every {}", span(*size), span(*every)),
        Kind::Session { gap } => format!("session {}", span(*gap)),
        Kind::Calendar { unit, zone } => {
            let unit = match unit {
                CalendarUnit::Day => "day",
                CalendarUnit::Week => "week",
                CalendarUnit::Month => "month",
            };
            format!("{unit} in {}", zone.iana_name().unwrap_or("UTC"))
        }
    };
    // Writing to a string does not fail.
    if windows.allowed_lateness > 0 {
        let _ = write!(text, ", late {}", span(windows.allowed_lateness));
    }
    if let Some(count) = windows.early.count {
        let _ = write!(text, ", early {count}");
    }
    if let Some(interval) = windows.early.interval {
        let _ = write!(text, ", early {}", span(interval.cast_signed()));
    }
    if windows.panes == Panes::Discarding {
        text.push_str(", discarding");
    }
    text
}

fn span(nanoseconds: i64) -> String {
    format!("{:#}", SignedDuration::from_nanos(nanoseconds)).replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::windows::Early;
    use jiff::tz::TimeZone;

    #[test]
    fn an_operator_with_other_windows_is_another_one_in_the_state() {
        let second = 1_000_000_000;
        let plain = |kind| Windows {
            kind,
            allowed_lateness: 0,
            early: Early::default(),
            panes: Panes::Accumulating,
        };
        let size = 90 * second;
        let hopping = Kind::Hopping {
            size,
            every: second / 2,
        };
        let calendar = Kind::Calendar {
            unit: CalendarUnit::Week,
            zone: TimeZone::UTC,
        };
        let all = Windows {
            allowed_lateness: second,
            early: Early {
                count: Some(3),
                interval: Some(5),
            },
            panes: Panes::Discarding,
            ..plain(Kind::Session { gap: 1 })
        };
        for (windows, id) in [
            (plain(Kind::Tumbling { size }), "a tumbling 1m30s"),
            (plain(hopping), "a hopping 1m30s every 500ms"),
            (plain(calendar), "a week in UTC"),
            (
                all,
                "a session 1ns, late 1s, early 3, early 5ns, discarding",
            ),
        ] {
            assert_eq!(state_id("a", Some(&windows)), id);
            assert_eq!(parts(id), ("a", id.split_once(' ').map(|(_, it)| it)));
        }
        assert_eq!((&*state_id("a", None), parts("a")), ("a", ("a", None)));
    }
}
