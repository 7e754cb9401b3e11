//! The `window:` section of an operator.

use super::values::Context;
use crate::config::cursor::Cursor;
use crate::config::model;
use crate::config::units::DurationText;
use crate::time::watermark::nanoseconds;
use crate::time::windows::{CalendarUnit, Early, Kind, Panes, Windows};
use jiff::tz::TimeZone;
use std::time::Duration;

/// The shortest window. Its beginning and end are in headers and in the state.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest window, so that what comes of adding a few of them up can be counted.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
/// Windows that one message may be in.
const MOST: i64 = 1_000;

/// What an operator says of its windows.
pub(super) fn windows(
    model: &model::Window,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Windows> {
    let kind = kind(model, at, context);
    let lateness_at = at.field("allowed-lateness");
    let lateness = context
        .duration(&model.allowed_lateness, &lateness_at)
        .and_then(|lateness| context.parsed(at_most(lateness), &lateness_at));
    let early_at = at.field("early");
    let interval_at = early_at.field("interval");
    let interval = super::values::optional(model.early.interval.as_ref(), |text| {
        let interval = context.positive_duration(text, &interval_at)?;
        context.parsed(at_most(interval), &interval_at)
    });
    Some(Windows {
        kind: kind?,
        allowed_lateness: nanoseconds(lateness?),
        early: Early {
            count: model.early.count,
            interval: interval?.map(|interval| nanoseconds(interval).unsigned_abs()),
        },
        panes: match model.panes {
            model::Panes::Accumulating => Panes::Accumulating,
            model::Panes::Discarding => Panes::Discarding,
        },
    })
}

fn kind(model: &model::Window, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<Kind> {
    let kinds = ["tumbling", "hopping", "session"].map(|kind| at.field(kind));
    if kinds.iter().filter(|kind| kind.is_given()).count() != 1 {
        context.findings.add_hint(
            at.key_location(),
            format!(
                "`{}` takes exactly one of `tumbling`, `hopping` and `session`",
                at.path()
            ),
            "write `window: { tumbling: 1m }`, for example",
        );
        return None;
    }
    let [tumbling_at, hopping_at, session_at] = kinds;
    let zone_at = at.field("timezone");
    if let Some(model::Tumbling::Unit(unit)) = model.tumbling {
        let zone = zone(model.timezone.as_deref(), &zone_at, context)?;
        let unit = match unit {
            model::CalendarUnit::Day => CalendarUnit::Day,
            model::CalendarUnit::Week => CalendarUnit::Week,
            model::CalendarUnit::Month => CalendarUnit::Month,
        };
        return Some(Kind::Calendar { unit, zone });
    }
    if zone_at.is_given() {
        context.findings.add_hint(
            zone_at.key_location(),
            format!(
                "`{}` has no meaning with windows of a fixed length",
                zone_at.path()
            ),
            "remove it, or write `tumbling: day`, `week` or `month`",
        );
        return None;
    }
    if let Some(model::Tumbling::Size(size)) = &model.tumbling {
        let parsed = size.parse();
        let parsed =
            parsed.map_err(|why| format!("{why}; a calendar has `day`, `week` and `month`"));
        let size = context.parsed(parsed.and_then(allowed), &tumbling_at)?;
        let size = nanoseconds(size);
        return Some(Kind::Tumbling { size });
    }
    if let Some(model) = &model.hopping {
        return hopping(model, &hopping_at, context);
    }
    let gap = model.session.as_ref()?.gap.as_ref();
    let gap = length(gap, &session_at.field("gap"), context)?;
    Some(Kind::Session { gap })
}

fn hopping(model: &model::Hopping, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<Kind> {
    let size = length(model.size.as_ref(), &at.field("size"), context);
    let every = length(model.every.as_ref(), &at.field("every"), context);
    let (size, every) = (size?, every?);
    let windows = size.unsigned_abs().div_ceil(every.unsigned_abs().max(1));
    if windows > MOST.unsigned_abs() {
        context.findings.add_hint(
            at.key_location(),
            format!(
                "`{}`: a message would be in {windows} windows, and the limit is {MOST}",
                at.path()
            ),
            "make `every` longer or `size` shorter",
        );
        return None;
    }
    Some(Kind::Hopping { size, every })
}

fn zone(name: Option<&str>, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<TimeZone> {
    let Some(name) = name else {
        return Some(TimeZone::UTC);
    };
    let zone = TimeZone::get(name).ok();
    if zone.is_none() {
        context.findings.add_hint(
            at.location(),
            format!("`{}`: there is no time zone `{name}`", at.path()),
            "take a name of the IANA database, such as `Europe/Berlin` or `UTC`",
        );
    }
    zone
}

/// The length of a window, in nanoseconds. One that is missing has been reported.
fn length(text: Option<&DurationText>, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<i64> {
    let length = text?.parse().and_then(allowed);
    context.parsed(length, at).map(nanoseconds)
}

fn allowed(length: Duration) -> Result<Duration, String> {
    match length < SHORTEST {
        true => Err("a window has at least 1ms".to_owned()),
        false => at_most(length),
    }
}

fn at_most(length: Duration) -> Result<Duration, String> {
    match length > LONGEST {
        true => Err("that is more than 100 years".to_owned()),
        false => Ok(length),
    }
}
