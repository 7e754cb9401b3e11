//! The `sink:` and `dead-letter:` sections.

use super::streams::{Wanted, create};
use super::values::{Context, optional};
use crate::config::cursor::Cursor;
use crate::config::model;
use crate::config::pointer::Pointer;
use crate::config::resolved::{DeadLetter, Redact, Sink};
use crate::config::subject::{SubjectFilter, check_free, check_subject};
use crate::config::template::Template;
use std::time::Duration;

/// What the subjects of dead letters begin with where none is given.
const DEAD: &str = "weir.dead.";

pub(super) fn sink(
    model: &model::Sink,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Sink> {
    let subject = context.parsed(Template::parse(&model.subject), &at.field("subject"));
    let stream = stream(model.stream.as_deref(), at, context);
    let create = subject.as_ref().and_then(|subject| {
        let reach = subject.reach();
        let wanted = Wanted {
            subjects: reach.as_slice(),
            partly: true,
        };
        create(&model.create, wanted, &at.field("create"), context)
    });
    let kept = in_job_stream(model, subject.as_ref(), at, context);
    Some(Sink {
        subject: subject?,
        stream: stream?,
        create: create?,
        allow_own_source: model.allow_own_source,
        fast_ingest: model.fast_ingest == model::FastIngest::Auto,
        message_ids: model.message_ids == model::MessageIds::On,
        forward: model.forward,
        in_job_stream: kept?,
    })
}

/// `Some(None)` if the stream of a job does not keep the results.
fn in_job_stream(
    model: &model::Sink,
    subject: Option<&Template>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Option<Duration>> {
    let at_kept = at.field("in-job-stream");
    let max_age = optional(model.in_job_stream.as_ref(), |kept| {
        context.positive_duration(&kept.max_age, &at_kept.field("max-age"))
    });
    if !at_kept.is_given() {
        return max_age;
    }
    for other in ["stream", "create", "forward"] {
        let other = at.field(other);
        if other.is_given() {
            let message = format!(
                "`{}` has no meaning with `{}`",
                other.path(),
                at_kept.path()
            );
            let hint = "remove one of the two: the stream of the job keeps the results, and no other has them";
            context
                .findings
                .add_hint(other.key_location(), message, hint);
        }
    }
    if subject.is_some_and(|subject| subject.reach().is_none()) {
        context.findings.add_hint(
            at.field("subject").location(),
            format!("`{}` needs a subject that begins with a literal token", at_kept.path()),
            "begin `sink.subject` with a token of its own, as in `results.{key}`: the job's stream captures it",
        );
    }
    max_age
}

/// `Some(None)` if late messages are dropped.
pub(super) fn late(
    model: Option<&str>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Option<Template>> {
    optional(model, |text| context.parsed(Template::parse(text), at))
}

/// `Some(None)` if dead letters are off.
pub(super) fn dead_letter(
    model: &model::DeadLetter,
    pipeline: Option<&str>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Option<DeadLetter>> {
    let model = match model {
        model::DeadLetter::Word(model::Off::Off) => return Some(None),
        model::DeadLetter::Settings(model) => model,
    };
    let subject = match &model.subject {
        Some(subject) => literal(subject, &at.field("subject"), context),
        None => pipeline.map(|pipeline| format!("{DEAD}{pipeline}")),
    };
    let stream = stream(model.stream.as_deref(), at, context);
    let create = subject.as_deref().and_then(|subject| {
        let filter = SubjectFilter::parse(subject).ok();
        let wanted = Wanted {
            subjects: filter.as_slice(),
            partly: false,
        };
        create(&model.create, wanted, &at.field("create"), context)
    });
    let redact = redact(&model.redact, &at.field("redact"), context);
    Some(Some(DeadLetter {
        subject: subject?,
        stream: stream?,
        create: create?,
        forward: model.forward,
        redact: redact?.into(),
    }))
}

fn redact(model: &model::Redact, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<Redact> {
    let fields = at.field("fields");
    let pointers = model.fields.iter().enumerate();
    let pointers: Vec<_> = pointers
        .map(|(index, text)| context.parsed(Pointer::parse(text), &fields.item(index)))
        .collect();
    Some(Redact {
        fields: pointers.into_iter().collect::<Option<_>>()?,
        headers: model.headers.clone(),
    })
}

fn stream(
    model: Option<&str>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Option<String>> {
    optional(model, |stream| {
        context.server_name(stream, &at.field("stream"))
    })
}

fn literal(text: &str, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<String> {
    if text.contains(['{', '}']) {
        context.findings.add_hint(
            at.location(),
            format!("`{}` cannot contain placeholders", at.path()),
            "the header `Weir-Subject` has the message's own subject",
        );
        return None;
    }
    let free = |()| match text.starts_with(DEAD) {
        true => Ok(()),
        // `lint.rs` knows the inboxes.
        false => check_free(text, "_INBOX"),
    };
    context
        .parsed(check_subject(text).and_then(free), at)
        .map(|()| text.to_owned())
}
