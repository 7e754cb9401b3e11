//! The `source:` and `sources:` sections.

use super::streams::{Wanted, create};
use super::time;
use super::values::{Context, optional};
use crate::config::cursor::Cursor;
use crate::config::event_time::EventTime;
use crate::config::model;
use crate::config::resolved::{Given, NamedSource, Source, Start};
use crate::config::template::{KeyRule, SubjectFilter};
use std::time::Duration;

/// The shortest ack-wait. The host sends in-progress acks every third of it; below this, one pause of the
/// machine or of the server's disk causes redelivery.
const SHORTEST_ACK_WAIT: Duration = Duration::from_secs(2);

/// What the subjects of all buckets begin with.
const BUCKET: &str = "$KV.";

/// All sources of a pipeline, in the order of their names.
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
                "`sources` replaces `source`, but both are set",
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
            let ((key, event_time), source) = (key?, source?);
            Some(vec![NamedSource {
                name: None,
                key: key.or_else(|| key_in_bucket(&source)),
                source,
                event_time,
                is_table: false,
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
                let is_sound = !model.table || table(model, &at, context);
                let ((own_key, own_time), (key, time)) = (own?, key.clone()?);
                let has_time = at.field("event-time").is_given() || model.table;
                let source = source.filter(|_| is_sound)?;
                Some(NamedSource {
                    name: Some(name?),
                    key: own_key.or_else(|| key_in_bucket(&source)).or(key),
                    source,
                    event_time: if has_time { own_time } else { time },
                    is_table: model.table,
                })
            });
            // All of them are looked at, whatever is wrong with one.
            let named: Vec<_> = named.collect();
            if model.sources.values().all(|it| it.table) {
                context.findings.add_hint(
                    several.key_location(),
                    "each of the `sources` is a table",
                    "add a source whose messages are joined with them, or remove a `table: true`",
                );
            }
            named.into_iter().collect()
        }
    }
}

/// Of a key-value bucket, the key in it: a removal has no payload to take one from.
fn key_in_bucket(source: &Source) -> Option<KeyRule> {
    source.bucket.as_ref().map(|_| KeyRule::of_bucket())
}

/// Whether it can be a table.
fn table(model: &model::NamedSource, at: &Cursor<'_>, context: &mut Context<'_>) -> bool {
    let (start, time) = (at.field("start"), at.field("event-time"));
    let is_whole = matches!(model.start, model::Start::Word(model::StartWord::All));
    let wrong = [
        (!is_whole, start, "is read from its beginning", "`start`"),
        (time.is_given(), time, "has no event time", "`event-time`"),
    ];
    let mut is_sound = true;
    for (_, field, why, what) in wrong.into_iter().filter(|(is_wrong, ..)| *is_wrong) {
        let message = format!("`{}`: a table {why}", field.path());
        let hint = format!("remove {what}, or `table: true`");
        context
            .findings
            .add_hint(field.key_location(), message, hint);
        is_sound = false;
    }
    let key = model.key.as_deref().map(KeyRule::parse);
    let of_payload = key
        .and_then(Result::ok)
        .is_some_and(|key| key.reads_payload());
    if model.bucket.is_some() && of_payload {
        let key = at.field("key");
        let message = format!(
            "`{}`: a key that is removed from the bucket has no payload",
            key.path()
        );
        let hint = "remove `key`: the key in the bucket replaces it";
        context.findings.add_hint(key.location(), message, hint);
        is_sound = false;
    }
    is_sound
}

/// The rules for the key and the event time that stand here.
fn rules(
    key: Option<&str>,
    event_time: Option<&model::EventTime>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<(Option<KeyRule>, Option<EventTime>)> {
    let key = optional(key, |text| {
        let hint = "name the part that distinguishes keys, such as `{subject[1]}`; or write `order: stream` without a `key`";
        context.key_rule(KeyRule::parse(text), &at.field("key"), hint)
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
    let place = place(model, at, context);
    let consumer = match &model.consumer {
        Some(consumer) => context.server_name(consumer, &at.field("consumer")),
        None => pipeline.map(|pipeline| format!("weir-{pipeline}")),
    };
    let start = start(&model.start, &at.field("start"), context);
    let ack_wait = ack_wait(model, &at.field("ack-wait"), context);
    // Without valid subjects the stream to create cannot be checked.
    let create = place.as_ref().and_then(|Place { subjects, .. }| {
        let wanted = Wanted {
            subjects,
            partly: false,
        };
        create(&model.create, wanted, &at.field("create"), context)
    });
    let Place {
        stream,
        subjects,
        bucket,
    } = place?;
    Some(Source {
        stream,
        subjects,
        bucket,
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

/// Where a source is.
struct Place {
    stream: String,
    subjects: Vec<SubjectFilter>,
    bucket: Option<String>,
}

/// That of a stream, or of a bucket: its stream, and its keys as subjects.
fn place(model: &model::Source, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<Place> {
    let is_bucket = at.field("bucket").is_given();
    let (name, filters, others) = match is_bucket {
        true => ("bucket", "keys", &["stream", "subjects", "create"][..]),
        false => ("stream", "subjects", &["keys"][..]),
    };
    let name_at = at.field(name);
    if !name_at.is_given() {
        // Otherwise it has been reported what is there instead of a source.
        if at.is_map() {
            let message = format!("`{}` is missing", name_at.path());
            let hint = "name a `stream`, or a key-value `bucket`";
            context.findings.add_hint(at.key_location(), message, hint);
        }
        return None;
    }
    let others = others.iter().map(|other| (*other, at.field(other)));
    let mut is_sound = true;
    for (other, field) in others.filter(|(_, field)| field.is_given()) {
        let message = format!("`{}` is not for a `{name}`", field.path());
        let hint = match other {
            "create" => "remove it, and make the bucket with `nats kv add`".to_owned(),
            _ => format!("use `{name}` and `{filters}`"),
        };
        context
            .findings
            .add_hint(field.key_location(), message, hint);
        is_sound = false;
    }
    let (text, filters_of) = match is_bucket {
        true => (&model.bucket, &model.keys),
        false => (&model.stream, &model.subjects),
    };
    let name = text.as_deref();
    let name = name.and_then(|name| context.server_name(name, &name_at));
    let subjects = context.filters(filters_of, &at.field(filters));
    let in_full = filters_of
        .iter()
        .enumerate()
        .filter(|(_, key)| is_bucket && key.starts_with(BUCKET));
    for (number, key) in in_full {
        let at = at.field(filters).item(number);
        let own = key
            .strip_prefix(BUCKET)
            .and_then(|rest| rest.split_once('.'));
        let message = format!(
            "`{}`: a key of a bucket is written without `{BUCKET}` and the bucket's name",
            at.path()
        );
        let hint = format!("write `{}`", own.map_or(">", |(_, key)| key));
        context.findings.add_hint(at.location(), message, hint);
        is_sound = false;
    }
    let (name, subjects) = name.zip(subjects).filter(|_| is_sound)?;
    if !is_bucket {
        return Some(Place {
            stream: name,
            subjects,
            bucket: None,
        });
    }
    let of_key = |key: &SubjectFilter| SubjectFilter::parse(&format!("$KV.{name}.{key}")).ok();
    Some(Place {
        subjects: subjects.iter().map(of_key).collect::<Option<_>>()?,
        stream: format!("KV_{name}"),
        bucket: Some(name),
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
