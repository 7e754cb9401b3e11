//! From the model to settings that cannot be invalid, section by section.
//!
//! Every function reports the problems of its section and continues; it returns `None` if there were any.
//! The rules that look at several sections are in `lint.rs` and run on the sections that could be
//! resolved.

mod connection;
mod job;
mod keys;
mod operators;
mod outputs;
mod rollout;
mod source;
mod streams;
mod time;
mod values;
mod views;
mod windows;

pub use connection::{address, without_credentials};
pub(super) use values::Context;

use super::cursor::Cursor;
use super::lint;
use super::load::Draft;
use super::model;
use super::resolved::{Bounds, NamedSource, Pipeline, Retry};
use crate::headers::REMOVALS;
use std::time::Duration;

/// The names that must be unique in a process.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) name: Option<String>,
    /// Servers, stream and durable consumer.
    pub(super) consumer: Option<(Vec<String>, String, String)>,
    pub(super) views: Vec<String>,
}

/// One pipeline, and what it claims even if something else is wrong with it.
pub(super) fn pipeline(
    model: &model::Pipeline,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> (Draft, Claims) {
    let name = context.identifier(model.name.as_deref(), &at.field("name"));
    let nats = connection::nats(&model.nats, &at.field("nats"), context);
    let sources = source::sources(model, name.as_deref(), at, context);
    let first = sources.as_ref().and_then(|sources| sources.first());
    let source = first.map(|named| named.source.clone());
    let batch = bounds(
        model.batch.max_messages,
        &model.batch.max_bytes,
        &at.field("batch"),
        context,
    );
    let in_flight = bounds(
        model.in_flight.max_messages,
        &model.in_flight.max_bytes,
        &at.field("in-flight"),
        context,
    );
    let ack_wait = source.as_ref().map(|source| source.ack_wait);
    let retry = retry(&model.retry, ack_wait, &at.field("retry"), context);
    let signers = keys::keys(
        &model.require_signature,
        &at.field("require-signature"),
        context,
    );
    let mut placed = operators::operators(
        &model.operators,
        &signers.clone().unwrap_or_default(),
        &at.field("operators"),
        context,
    );
    let of_keys = |named: &NamedSource| named.is_table || named.source.bucket.is_some();
    if sources.iter().flatten().any(of_keys) {
        let operators = placed.iter_mut().flatten();
        operators.for_each(|placed| placed.operator.headers.add(&REMOVALS));
    }
    let mut sink = outputs::sink(&model.sink, &at.field("sink"), context);
    let job = job::job(model, sink.as_ref(), at, context);
    if let (Some(Some(_)), Some(sink)) = (&job, &mut sink) {
        // A commit is one batch already. Its results say where they come from, in a header of weir's.
        sink.fast_ingest = false;
    }
    let late = outputs::late(model.late.as_deref(), &at.field("late"), context);
    let dead_letter = outputs::dead_letter(
        &model.dead_letter,
        name.as_deref(),
        &at.field("dead-letter"),
        context,
    );
    let drain = context.duration(&model.drain, &at.field("drain"));
    let stalled_after = match &model.stalled_after {
        Some(text) => context.positive_duration(text, &at.field("stalled-after")),
        None => ack_wait,
    };

    let plugins = placed
        .iter()
        .flatten()
        .map(|placed| &placed.operator.plugin);
    lint::registry(sink.as_ref(), plugins, at, context);
    lint::bounds(batch, in_flight, at, context);
    lint::windows(&model.operators, at, context);
    if let Some(sources) = &sources {
        sources
            .iter()
            .for_each(|named| lint::key(named, at, context));
        let views = job.iter().flatten().flat_map(|job| &*job.views);
        let views: Vec<_> = views.cloned().collect();
        lint::missing_key(sources, at, context);
        lint::sources(sources, at, context);
        lint::operators(&model.operators, sources, at, context);
        lint::named_sources(&model.operators, sources, at, context);
        let dead_letter = dead_letter.as_ref().and_then(Option::as_ref);
        let late = late.as_ref().and_then(Option::as_ref);
        let made = lint::Made {
            sink: sink.as_ref(),
            late,
            views: &views,
        };
        lint::results(model, sources, made, at, context);
        for named in sources {
            lint::loops(sink.as_ref(), dead_letter, &named.source, at, context);
            lint::late(late, sink.as_ref(), &named.source, at, context);
        }
        lint::streams(sources, sink.as_ref(), dead_letter, at, context);
        lint::reserved(
            sink.as_ref(),
            dead_letter,
            &model.nats.inbox_prefix,
            at,
            context,
        );
    }

    let of_views = job.iter().flatten().flat_map(|job| &job.views);
    let claims = Claims {
        name: name.clone(),
        views: of_views.map(|view| view.name.clone()).collect(),
        consumer: nats.as_ref().zip(source.as_ref()).map(|(nats, source)| {
            let mut servers = nats.servers.clone();
            servers.sort();
            (servers, source.stream.clone(), source.consumer.clone())
        }),
    };
    let mut draft = Draft {
        file: context.file().to_owned(),
        name: name.clone(),
        nats: nats.clone(),
        operators: placed.iter().flatten().cloned().collect(),
        pipeline: None,
    };
    draft.pipeline = (|| {
        signers?;
        Some(Pipeline {
            name: name?,
            nats: nats?,
            source: source?,
            sources: sources?,
            on_missing_key: model.on_missing_key,
            job: job?,
            lanes: model.lanes,
            batch: batch?,
            in_flight: in_flight?,
            retry: retry?,
            operators: placed
                .into_iter()
                .map(|placed| placed.filter(|placed| !placed.given.is_mistaken()))
                .map(|placed| Some(placed?.operator))
                .collect::<Option<_>>()?,
            sink: sink?,
            late: late?,
            dead_letter: dead_letter?,
            drain: drain?,
            stalled_after: stalled_after?,
        })
    })();
    (draft, claims)
}

fn bounds(
    messages: usize,
    bytes: &super::units::SizeText,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Bounds> {
    let at = at.field("max-bytes");
    let bytes = context.size(bytes, &at)?;
    if bytes == 0 {
        context.findings.add(
            at.location(),
            format!("`{}` must be more than 0", at.path()),
        );
        return None;
    }
    Some(Bounds { messages, bytes })
}

fn retry(
    model: &model::Retry,
    ack_wait: Option<Duration>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Retry> {
    let (initial_at, max_at) = (at.field("initial"), at.field("max"));
    let initial = context.duration(&model.initial, &initial_at);
    let max = context.duration(&model.max, &max_at);
    // If the ack-wait is invalid, there is no pipeline anyway.
    let park_after = match &model.park_after {
        None => ack_wait,
        Some(text) => context.positive_duration(text, &at.field("park-after")),
    };
    let (initial, max) = (initial?, max?);
    if initial.is_zero() {
        context.findings.add_hint(
            initial_at.location(),
            "`retry.initial` must be more than 0",
            "retries without a delay use up all attempts at once",
        );
        return None;
    }
    if initial > max {
        context.findings.add(
            max_at.or(initial_at).location(),
            "`retry.initial` must not be longer than `retry.max`",
        );
        return None;
    }
    Some(Retry {
        max_attempts: model.max_attempts,
        initial,
        max,
        park_after: park_after?,
    })
}
