//! What `delivery: exactly-once` needs, and what has no meaning with it or without it.

use super::bounds;
use super::values::Context;
use crate::config::cursor::Cursor;
use crate::config::model::{self, Delivery, Order};
use crate::config::resolved::{Bounds, Job, Sink};

/// Of a pipeline that has a consumer or publishes by itself, by section and field.
const WITHOUT_JOB: [(&str, &str); 7] = [
    ("source", "consumer"),
    ("source", "ack-wait"),
    ("source", "max-ack-pending"),
    ("retry", "park-after"),
    ("in-flight", ""),
    ("sink", "fast-ingest"),
    ("sink", "message-ids"),
];

/// `Some(None)` if the pipeline is no job.
pub(super) fn job(
    model: &model::Pipeline,
    sink: Option<&Sink>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Option<Job>> {
    if model.delivery == Delivery::AtLeastOnce {
        let mut is_one = true;
        let whole = ["partitions", "state", "commit"].map(|name| at.field(name));
        let forward = ["sink", "dead-letter"].map(|section| at.field(section).field("forward"));
        for at in whole.into_iter().chain(forward).filter(Cursor::is_given) {
            let message = format!("`{}` needs `delivery: exactly-once`", at.path());
            let hint = format!("add `delivery: exactly-once`, or remove `{}`", at.path());
            context.findings.add_hint(at.key_location(), message, hint);
            is_one = false;
        }
        return is_one.then_some(None);
    }
    for (section, field) in WITHOUT_JOB {
        let mut of = at.field(section);
        if !field.is_empty() {
            of = of.field(field);
        }
        if of.is_given() {
            let message = format!(
                "`{}` has no meaning with `delivery: exactly-once`",
                of.path()
            );
            let hint =
                "remove it: a job has no consumer, holds retries in its state and commits results";
            context.findings.add_hint(of.key_location(), message, hint);
        }
    }
    let partitions = at.field("partitions");
    if model.partitions > 1 && !at.field("key").is_given() {
        context.findings.add_hint(
            at.field("delivery").location(),
            "a job with several partitions needs a rule that says what the key is",
            "add `key: \"{subject[1]}\"`, for example, or `partitions: 1`",
        );
    }
    if model.order == Order::Stream && model.partitions > 1 {
        let message = format!(
            "`order: stream` needs a single partition, and there are {}",
            model.partitions
        );
        let hint = "write `partitions: 1`, or `order: key`";
        context
            .findings
            .add_hint(partitions.or(at.field("order")).location(), message, hint);
    }
    if model.lanes > model.partitions {
        let (lanes, partitions) = (model.lanes, model.partitions);
        let message = format!("`lanes` must not be more than `partitions`: {lanes} > {partitions}");
        context.findings.add(at.field("lanes").location(), message);
    }
    let is_open = |sink: &Sink| sink.stream.is_none() && sink.subject.reach().is_none();
    if sink.is_some_and(|sink| !sink.forward && is_open(sink)) {
        context.findings.add_hint(
            at.field("sink").field("subject").location(),
            "`sink.subject` leaves open which stream takes the results of the job",
            "add `sink.stream`, begin the subject with a literal token, or set `sink.forward: true`",
        );
    }
    let state = at.field("state").field("max-bytes");
    let state_bytes = context.size(&model.state.max_bytes, &state)?;
    let commit = &model.commit;
    let Bounds { messages, bytes } = bounds(
        commit.max_messages,
        &commit.max_bytes,
        &at.field("commit"),
        context,
    )?;
    Some(Some(Job {
        partitions: u16::try_from(model.partitions).ok()?,
        state_bytes: state_bytes as u64,
        commit: Bounds { messages, bytes },
    }))
}
