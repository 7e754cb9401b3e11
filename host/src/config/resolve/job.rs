//! Which pipelines are jobs, what a job needs, and which keys have no meaning with or without a job.
//!
//! `delivery` and `order` imply each other: only jobs keep order, and every job keeps order. If one is
//! missing, it follows from the other.

use super::values::{Context, absolute};
use super::views::views;
use super::{bounds, time};
use crate::config::cursor::Cursor;
use crate::config::model::{self, Delivery, Order};
use crate::config::resolved::{self, Bounds, Job, Sink};
use crate::config::template::Template;

/// Of a pipeline that has a consumer or publishes by itself, by section and field.
const WITHOUT_JOB: [(&str, &str); 6] = [
    ("source", "consumer"),
    ("source", "ack-wait"),
    ("source", "max-ack-pending"),
    ("retry", "park-after"),
    ("in-flight", ""),
    ("sink", "fast-ingest"),
];

/// Partitions of a job with `order: key`, unless the file says otherwise.
const PARTITIONS: usize = 8;

/// `Some(None)` if the pipeline is not a job.
pub(super) fn job(
    model: &model::Pipeline,
    sink: Option<&Sink>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Option<Job>> {
    let Some((order, because)) = order(model, at, context)? else {
        return no_job(model, at, context).then_some(None);
    };
    for (section, field) in WITHOUT_JOB {
        let mut of = at.field(section);
        if !field.is_empty() {
            of = of.field(field);
        }
        if of.is_given() {
            let message = format!("`{}` has no meaning with `{because}`", of.path());
            let hint =
                "remove it: a job has no consumer, holds retries in its state and commits results";
            context.findings.add_hint(of.key_location(), message, hint);
        }
    }
    let partitions = partitions(model, order, at, context);
    if model.lanes > partitions {
        let lanes = model.lanes;
        let message = format!("`lanes` must not be more than `partitions`: {lanes} > {partitions}");
        context.findings.add(at.field("lanes").location(), message);
    }
    let is_sourced = |sink: &Sink| !sink.forward && sink.in_job_stream.is_none();
    let is_open = |sink: &Sink| sink.stream.is_none() && sink.subject.reach().is_none();
    if sink.is_some_and(|sink| is_sourced(sink) && is_open(sink)) {
        context.findings.add_hint(
            at.field("sink").field("subject").location(),
            "`sink.subject` does not determine the stream for the results of the job",
            "add `sink.stream`, begin the subject with a literal token, or set `sink.forward: true`",
        );
    }
    let is_kept = sink.is_some_and(|sink| sink.in_job_stream.is_some());
    let late = model.late.as_ref().filter(|_| is_kept);
    let late = late.and_then(|late| Template::parse(late).ok());
    if late.is_some_and(|late| late.reach().is_none()) {
        context.findings.add_hint(
            at.field("late").location(),
            "`sink.in-job-stream` needs subjects that begin with a literal token, also in `late`",
            "begin `late` with a token of its own, as in `late.{subject}`: the job's stream captures it",
        );
    }
    let state = at.field("state").field("max-bytes");
    let state_bytes = context.size(&model.state.max_bytes, &state);
    let ttl = at.field("state").field("ttl");
    let state_ttl = model.state.ttl.as_ref();
    let state_ttl = state_ttl.map(|text| context.positive_duration(text, &ttl));
    let store = store(&model.state, &at.field("state").field("path"), context);
    let views = views(model, &at.field("views"), context);
    let of_stream = |time: &Option<_>| matches!(time, None | Some(model::EventTime::Word(_)));
    let mut named = model.sources.values();
    let of_stream = match model.sources.is_empty() {
        true => of_stream(&model.event_time),
        false => named
            .all(|it| it.table || of_stream(&it.event_time.clone().or(model.event_time.clone()))),
    };
    let watermark = time::watermark(&model.watermark, of_stream, &at.field("watermark"), context);
    let commit = &model.commit;
    let Bounds { messages, bytes } = bounds(
        commit.max_messages,
        &commit.max_bytes,
        &at.field("commit"),
        context,
    )?;
    Some(Some(Job {
        order,
        partitions: u16::try_from(partitions).ok()?,
        state_bytes: state_bytes? as u64,
        store: store?,
        state_ttl: state_ttl.map_or(Some(None), |ttl| ttl.map(Some))?,
        standbys: model.state.standby,
        commit: Bounds { messages, bytes },
        views: views?,
        watermark: watermark?,
    }))
}

/// Where its state is.
fn store(
    model: &model::State,
    path: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<resolved::Store> {
    match (model.store, &model.path) {
        (model::Store::Memory, None) => Some(resolved::Store::Memory),
        (model::Store::Memory, Some(_)) => {
            context.findings.add_hint(
                path.key_location(),
                "`state.path` has no meaning without `store: disk`",
                "add `store: disk`, or remove `path`",
            );
            None
        }
        (model::Store::Disk, None) => Some(resolved::Store::Disk(None)),
        (model::Store::Disk, Some(text)) => {
            let path = absolute(&context.path(text));
            path.map(|path| resolved::Store::Disk(Some(path)))
        }
    }
}

/// The order of a job, and what in the file makes it one; `Some(None)` for a pipeline that is no job.
fn order(
    model: &model::Pipeline,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Option<(resolved::Order, &'static str)>> {
    let (by_key, by_stream) = (resolved::Order::Key, resolved::Order::Stream);
    let (order, because) = match model.order {
        Some(Order::Key) => (by_key, "order: key"),
        Some(Order::Stream) => (by_stream, "order: stream"),
        Some(Order::None) if model.delivery == Some(Delivery::ExactlyOnce) => {
            context.findings.add_hint(
                at.field("order").location(),
                "`delivery: exactly-once` keeps the order of each key, so `order: none` has no meaning",
                "remove `order`, or write `delivery: at-least-once`",
            );
            return None;
        }
        None if model.delivery == Some(Delivery::ExactlyOnce) => {
            let whole = model.partitions == Some(1) && !has_key(model, at);
            let order = if whole { by_stream } else { by_key };
            return Some(Some((order, "delivery: exactly-once")));
        }
        _ => return Some(None),
    };
    if model.delivery == Some(Delivery::AtLeastOnce) {
        context.findings.add_hint(
            at.field("delivery").location(),
            format!("`{because}` has no meaning with `delivery: at-least-once`: only a job keeps order"),
            "remove `delivery`; a job needs nats-server 2.12.14, a stream of its own, and a stream for the results that \
             sources it or `sink.forward`, and it stores each result once; or write `order: none`",
        );
        return None;
    }
    Some(Some((order, because)))
}

/// Whether every source has a rule for the key.
fn has_key(model: &model::Pipeline, at: &Cursor<'_>) -> bool {
    let has = |at: Cursor<'_>| at.field("key").is_given() || at.field("bucket").is_given();
    let of = |name: &String| has(at.field("sources").field(name));
    let all = !model.sources.is_empty() && model.sources.keys().all(of);
    at.field("key").is_given() || at.field("source").field("bucket").is_given() || all
}

/// How many partitions the job has.
fn partitions(
    model: &model::Pipeline,
    order: resolved::Order,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> usize {
    let (of_order, has_key) = (at.field("order"), has_key(model, at));
    if order == resolved::Order::Stream {
        let partitions = model.partitions.unwrap_or(1);
        if partitions > 1 {
            context.findings.add_hint(
                at.field("partitions").location(),
                format!("`order: stream` needs a single partition, and there are {partitions}"),
                "remove `partitions`, or write `order: key`",
            );
        }
        return 1;
    }
    let hint =
        "add `key: \"{subject[1]}\"`, for example, or write `order: stream` for a single partition";
    if !has_key && of_order.is_given() {
        let message = "`order: key` needs a rule that says what the key is";
        context
            .findings
            .add_hint(of_order.location(), message, hint);
    } else if !has_key {
        let message = "a job with several partitions needs a rule that says what the key is";
        let delivery = at.field("delivery");
        context
            .findings
            .add_hint(delivery.location(), message, hint);
    }
    model.partitions.unwrap_or(PARTITIONS)
}

/// Whether a pipeline that is no job has nothing that only a job has.
fn no_job(model: &model::Pipeline, at: &Cursor<'_>, context: &mut Context<'_>) -> bool {
    let mut is_one = true;
    let whole = [
        "sources",
        "partitions",
        "state",
        "commit",
        "watermark",
        "views",
        "late",
    ];
    let whole = whole.map(|name| at.field(name));
    let operators = at.field("operators");
    let windows = (0..model.operators.len()).map(|index| operators.item(index).field("window"));
    let fields = [
        ("sink", "forward"),
        ("sink", "in-job-stream"),
        ("dead-letter", "forward"),
        ("event-time", "on-invalid"),
    ];
    let fields = fields.map(|(section, field)| at.field(section).field(field));
    for at in whole
        .into_iter()
        .chain(windows)
        .chain(fields)
        .filter(Cursor::is_given)
    {
        let message = format!("`{}` needs `delivery: exactly-once`", at.path());
        let hint = format!("add `delivery: exactly-once`, or remove `{}`", at.path());
        context.findings.add_hint(at.key_location(), message, hint);
        is_one = false;
    }
    is_one
}
