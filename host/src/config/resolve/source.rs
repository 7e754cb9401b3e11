//! The `source:` and `sources:` sections.

use super::streams::{Wanted, create};
use super::time;
use super::values::{Context, optional};
use crate::config::cursor::Cursor;
use crate::config::event_time::EventTime;
use crate::config::model;
use crate::config::resolved::{Given, NamedSource, Source, Start};
use crate::config::template::KeyRule;
use std::time::Duration;

/// The shortest ack-wait. The host sends in-progress acks every third of it; below this, one pause of the
/// machine or of the server's disk causes redelivery.
const SHORTEST_ACK_WAIT: Duration = Duration::from_secs(2);

/// All that a pipeline reads, in the order of their names.
pub(super) fn sources(
    model: &model::Pipeline,
    pipeline: Option<&str>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<NamedSource>> {
    let (one, several) = (at.field("source"), at.field("sources"));
    let key = rules(model.key.as_deref(), model.event_time.as_ref(), at, context);
    match (one.is_given(), several.is_given()) {
        (true, true) => {
            context.findings.add_hint(
                several.key_location(),
                "`sources` stands in place of `source`, and both are there",
                "move `source` into `sources`, under a name",
            );
            None
        }
        (false, false) => {
            // Otherwise it has been reported what is there instead of a pipeline.
            if at.is_map() {
                let at = at.key_location();
                context.findings.add(at, "`source` is missing");
            }
            None
        }
        (true, false) => {
            let source = source(&model.source, pipeline, &one, context);
            let (key, event_time) = key?;
            Some(vec![NamedSource {
                name: None,
                source: source?,
                key,
                event_time,
            }])
        }
        (false, true) if model.sources.is_empty() => {
            let hint = "add one, such as `clicks: { stream: CLICKS }`";
            let at = several.key_location();
            context
                .findings
                .add_hint(at, "`sources` has no source", hint);
            None
        }
        (false, true) => {
            let named = model.sources.iter().map(|(name, model)| {
                let at = several.field(name);
                let name = context.identifier(Some(name), &at);
                let source = source(&model.source(), pipeline, &at, context);
                let own = rules(
                    model.key.as_deref(),
                    model.event_time.as_ref(),
                    &at,
                    context,
                );
                let ((own_key, own_time), (key, time)) = (own?, key.clone()?);
                let has_time = at.field("event-time").is_given();
                Some(NamedSource {
                    name: Some(name?),
                    source: source?,
                    key: own_key.or(key),
                    event_time: if has_time { own_time } else { time },
                })
            });
            // All of them are looked at, whatever is wrong with one.
            let named: Vec<_> = named.collect();
            named.into_iter().collect()
        }
    }
}

/// The rules for the key and the event time that stand here.
fn rules(
    key: Option<&str>,
    event_time: Option<&model::EventTime>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<(Option<KeyRule>, Option<EventTime>)> {
    let key = optional(key, |text| {
        context.parsed(KeyRule::parse(text), &at.field("key"))
    });
    let event_time = time::event_time(event_time, &at.field("event-time"), context);
    Some((key?, event_time?))
}

fn source(
    model: &model::Source,
    pipeline: Option<&str>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Source> {
    let stream = model
        .stream
        .as_deref()
        .and_then(|stream| context.server_name(stream, &at.field("stream")));
    let subjects = context.filters(&model.subjects, &at.field("subjects"));
    let consumer = match &model.consumer {
        Some(consumer) => context.server_name(consumer, &at.field("consumer")),
        None => pipeline.map(|pipeline| format!("weir-{pipeline}")),
    };
    let start = start(&model.start, &at.field("start"), context);
    let ack_wait = ack_wait(model, &at.field("ack-wait"), context);
    // Without valid subjects the stream to create cannot be checked.
    let create = subjects.as_ref().and_then(|subjects| {
        let wanted = Wanted {
            subjects,
            partly: false,
        };
        create(&model.create, wanted, &at.field("create"), context)
    });
    Some(Source {
        stream: stream?,
        subjects: subjects?,
        consumer: consumer?,
        start: start?,
        ack_wait: ack_wait?,
        max_ack_pending: model.max_ack_pending,
        given: Given {
            ack_wait: at.field("ack-wait").is_given(),
            max_ack_pending: at.field("max-ack-pending").is_given(),
        },
        create: create?,
    })
}

fn ack_wait(model: &model::Source, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<Duration> {
    let ack_wait = context.duration(&model.ack_wait, at)?;
    if ack_wait <= SHORTEST_ACK_WAIT {
        context.findings.add_hint(
            at.location(),
            "`source.ack-wait` must be longer than 2s",
            "a message whose ack-wait runs out is redelivered while it is still being processed",
        );
        return None;
    }
    Some(ack_wait)
}

fn start(model: &model::Start, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<Start> {
    let location = match model {
        model::Start::Word(model::StartWord::All) => return Some(Start::All),
        model::Start::Word(model::StartWord::New) => return Some(Start::New),
        model::Start::At(location) => location,
    };
    match (location.sequence, &location.time) {
        (Some(sequence), None) => Some(Start::Sequence(sequence)),
        (None, Some(time)) => {
            let parsed: Result<jiff::Timestamp, _> = time.parse();
            let parsed = parsed.map_err(|_| {
                format!("`{time}` is not a time; write it as in `2026-01-31T00:00:00Z`")
            });
            context
                .parsed(parsed, &at.field("time"))
                .map(|time| Start::Time(time.to_string()))
        }
        _ => {
            if at.field("sequence").is_given() == at.field("time").is_given() {
                context.findings.add_hint(
                    at.key_location(),
                    format!("`{}` takes either `sequence` or `time`", at.path()),
                    "write `all`, `new`, `{sequence: N}` or `{time: \"2026-01-31T00:00:00Z\"}`",
                );
            }
            None
        }
    }
}
