//! Where event times come from, and how watermarks follow them.

use super::values::Context;
use crate::config::cursor::Cursor;
use crate::config::event_time::{EventTime, Place};
use crate::config::model::{self, DurationOrOff};
use crate::config::pointer::Pointer;
use crate::config::template::check_header_name;
use crate::time::watermark::{Rules, nanoseconds};

/// After which an input of which nothing is pending is idle, where the event time is the stream's: a later message
/// has a later time, so that none is late for it.
const IDLE_TIMEOUT: &str = "30s";

/// `Some(None)` for the stream's time.
pub(super) fn event_time(
    model: Option<&model::EventTime>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Option<EventTime>> {
    let Some(model::EventTime::Settings(model)) = model else {
        return Some(None);
    };
    let (header, payload) = (at.field("header"), at.field("payload"));
    let place = match (&model.header, &model.payload) {
        (Some(name), None) => context
            .parsed(check_header_name(name), &header)
            .map(|()| Place::Header(name.clone())),
        (None, Some(pointer)) => context
            .parsed(Pointer::parse(pointer), &payload)
            .map(Place::JsonPointer),
        _ => {
            // If one of them has the wrong type, that has been reported.
            if header.is_given() == payload.is_given() {
                context.findings.add_hint(
                    at.key_location(),
                    "`event-time` takes either `header` or `payload`",
                    "write `event-time: {header: NAME}` or `event-time: {payload: /POINTER}`",
                );
            }
            None
        }
    };
    Some(Some(EventTime {
        place: place?,
        unit: model.unit,
        on_invalid: model.on_invalid.unwrap_or_default(),
    }))
}

/// `of_stream` says that the event time is the stream's.
pub(super) fn watermark(
    model: &model::Watermark,
    of_stream: bool,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Rules> {
    let bound = context.duration(&model.bound, &at.field("bound"));
    let usual = of_stream.then(|| DurationOrOff::Duration(IDLE_TIMEOUT.into()));
    let idle_timeout = match model.idle_timeout.as_ref().or(usual.as_ref()) {
        None | Some(DurationOrOff::Off(_)) => Some(None),
        Some(DurationOrOff::Duration(text)) => {
            let at = at.field("idle-timeout");
            context.positive_duration(text, &at).map(Some)
        }
    };
    let max_ahead = match &model.max_ahead {
        DurationOrOff::Off(_) => Some(None),
        DurationOrOff::Duration(text) => context.duration(text, &at.field("max-ahead")).map(Some),
    };
    Some(Rules {
        bound: nanoseconds(bound?),
        max_ahead: max_ahead?.map(nanoseconds),
        idle_timeout: idle_timeout?.map(nanoseconds),
    })
}
