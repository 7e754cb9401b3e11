//! Rules that look at several values at once.
//!
//! Each rule catches a configuration that is well formed and cannot work, or that will lose or repeat
//! messages. `resolve/` checks single values; the host checks at its start what only a server knows.

mod headers;
mod keys;
mod named;
mod results;

use super::component::Reference;
use super::cursor::Cursor;
use super::model;
use super::resolve::Context;
use super::resolved::{Bounds, DeadLetter, NamedSource, Sink, Source, StreamSettings};
use super::subject::SubjectFilter;
use super::template::Template;
pub use headers::unseen_headers;
pub use keys::short_subjects;
pub(super) use keys::{key, missing_key};
pub(super) use named::named_sources;
pub use results::unsure_results;
pub(super) use results::{Made, results};
use std::borrow::Cow;

/// A full batch must fit into what may be in flight; otherwise no batch is ever full.
pub(super) fn bounds(
    batch: Option<Bounds>,
    in_flight: Option<Bounds>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) {
    let (Some(batch), Some(in_flight)) = (batch, in_flight) else {
        return;
    };
    for (field, fits) in [
        ("max-messages", batch.messages <= in_flight.messages),
        ("max-bytes", batch.bytes <= in_flight.bytes),
    ] {
        if !fits {
            let [room, batch] =
                ["in-flight", "batch"].map(|section| at.field(section).field(field));
            let at = room.or(batch);
            let message = format!("`in-flight.{field}` must not be less than `batch.{field}`");
            context.findings.add(at.location(), message);
        }
    }
}

/// A message is of one source.
pub(super) fn sources(sources: &[NamedSource], at: &Cursor<'_>, context: &mut Context<'_>) {
    for (index, one) in sources.iter().enumerate() {
        let before = sources.iter().take(index);
        for other in before.filter(|other| other.source.stream == one.source.stream) {
            let (mine, theirs) = (&one.source, &other.source);
            let at = section(one, at);
            let name = |named: &NamedSource| named.name.clone().unwrap_or_default();
            let (first, second, stream) = (name(other), name(one), &mine.stream);
            let meets =
                |subject: &SubjectFilter| theirs.subjects.iter().any(|it| it.overlaps(subject));
            let (all, of_all) = (mine.subjects.is_empty(), theirs.subjects.is_empty());
            if all || of_all || mine.subjects.iter().any(meets) {
                context.findings.add_hint(
                    at.key_location(),
                    format!("a message of `{stream}` could be of `{first}` and of `{second}`"),
                    "give both `subjects` that do not overlap",
                );
            } else if mine.start != theirs.start {
                context.findings.add_hint(
                    at.field("start").or(at).key_location(),
                    format!(
                        "`{first}` and `{second}` have the same stream and start at different messages"
                    ),
                    "give both the same `start`",
                );
            } else if one.is_table != other.is_table {
                context.findings.add_hint(
                    at.field("table").or(at).key_location(),
                    format!(
                        "`{first}` and `{second}` have the same stream, and only one is a table"
                    ),
                    "a stream is read in its order: make both tables, or neither",
                );
            }
        }
    }
}

/// An operator's own filter must match some subject of the sources.
pub(super) fn operators(
    models: &[model::Operator],
    sources: &[NamedSource],
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) {
    let known: Vec<_> = sources
        .iter()
        .map(|named| known_subjects(&named.source))
        .collect();
    if known.iter().any(Vec::is_empty) {
        return;
    }
    let known = known.concat();
    let at = at.field("operators");
    for (index, model) in models.iter().enumerate() {
        for (number, text) in model.subjects.iter().enumerate() {
            let Ok(filter) = SubjectFilter::parse(text) else {
                continue;
            };
            if !known.iter().any(|known| known.overlaps(&filter)) {
                let at = at.item(index).field("subjects").item(number);
                let message = format!("`{}`: the source has no subject `{filter}`", at.path());
                context.findings.add(at.location(), message);
            }
        }
    }
}

/// The pipeline must not read what it publishes.
pub(super) fn loops(
    sink: Option<&Sink>,
    dead_letter: Option<&DeadLetter>,
    source: &Source,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) {
    let known = known_subjects(source);
    if let Some(sink) = sink.filter(|sink| !sink.allow_own_source) {
        // Even if the stream's subjects are unknown, the subject of an input is one of them.
        let blind = known.is_empty() && sink.subject.begins_with_subject();
        let meets = known.iter().find(|filter| sink.subject.overlaps(filter));
        let at = at.field("sink").field("subject");
        let hint = "give results a subject of their own, such as `results.{subject}`; if plugins set other subjects, add `allow-own-source: true`";
        let reads = match meets {
            Some(filter) => format!("the pipeline reads `{filter}`"),
            None if blind => format!("the pipeline reads all of `{}`", source.stream),
            None => String::new(),
        };
        if !reads.is_empty() {
            let message = if at.is_given() {
                format!("`sink.subject`: results would come back, {reads}")
            } else {
                format!(
                    "without `sink.subject` results keep their subject and would come back, {reads}"
                )
            };
            context.findings.add_hint(at.location(), message, hint);
        }
    }
    if let Some(dead) = dead_letter
        && let Some(filter) = known.iter().find(|filter| filter.matches(&dead.subject))
    {
        let at = at.field("dead-letter").field("subject");
        context.findings.add_hint(
            at.location(),
            format!(
                "dead letters on `{}` would come back, the pipeline reads `{filter}`",
                dead.subject
            ),
            "give dead letters a subject of their own, such as `dead.NAME`",
        );
    }
}

/// One operator of a chain has windows. Behind it the times of messages are those of its windows.
pub(super) fn windows(models: &[model::Operator], at: &Cursor<'_>, context: &mut Context<'_>) {
    let places = models.iter().enumerate();
    let mut windowed = places.filter(|(_, model)| model.window.is_some());
    let first = windowed.next();
    let at_operators = at.field("operators");
    for (index, _) in windowed {
        let at = at_operators.item(index).field("window");
        let message = format!("`{}`: another operator has windows before it", at.path());
        let hint = "let a separate pipeline read the results of the first";
        context.findings.add_hint(at.key_location(), message, hint);
    }
    let late = at.field("late");
    if first.is_none() && late.is_given() {
        let message = "`late` has no meaning without an operator with `window`";
        let hint = "remove it, or add `window: { tumbling: 1m }` to the operator that aggregates";
        context
            .findings
            .add_hint(late.key_location(), message, hint);
    }
}

/// Late messages must not come back.
pub(super) fn late(
    late: Option<&Template>,
    sink: Option<&Sink>,
    source: &Source,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) {
    let Some(late) = late.filter(|_| sink.is_none_or(|sink| !sink.allow_own_source)) else {
        return;
    };
    let known = known_subjects(source);
    let blind = known.is_empty() && late.begins_with_subject();
    let meets = known.iter().find(|filter| late.overlaps(filter));
    let reads = match meets {
        Some(filter) => format!("the pipeline reads `{filter}`"),
        None if blind => format!("the pipeline reads all of `{}`", source.stream),
        None => return,
    };
    let message = format!("`late`: late messages would come back, {reads}");
    let hint = "give them a subject of their own, such as `late.{subject}`";
    context
        .findings
        .add_hint(at.field("late").location(), message, hint);
}

/// Results must not all land where nothing but the server, weir or an inbox may be.
pub(super) fn reserved(
    sink: Option<&Sink>,
    dead_letter: Option<&DeadLetter>,
    inbox_prefix: &str,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) {
    let inbox = |text: &str| {
        let filter = SubjectFilter::parse(&format!("{inbox_prefix}.>")).ok()?;
        filter
            .covers(&SubjectFilter::parse(text).ok()?)
            .then_some(filter)
    };
    let reach = sink.and_then(|sink| sink.subject.reach());
    if let (Some(reach), Some(dead)) = (&reach, dead_letter)
        && reach.as_str() == dead.subject
    {
        let message = format!("results on `{reach}` would be among the dead letters");
        let hint = "give results a subject of their own, such as `results.{subject}`; if plugins set other subjects, add `allow-own-source: true`";
        let at = at.field("sink").field("subject");
        context.findings.add_hint(at.location(), message, hint);
    }
    let reach = reach.as_ref().map(SubjectFilter::as_str);
    let subjects = [
        ("sink", reach),
        ("dead-letter", dead_letter.map(|dead| &*dead.subject)),
    ];
    for (section, subject) in subjects {
        if let Some(filter) = subject.and_then(inbox) {
            let at = at.field(section).field("subject");
            let message = format!("`{}`: subjects under `{filter}` are inboxes", at.path());
            context.findings.add(at.location(), message);
        }
    }
}

/// Results must not land where the pipeline takes its plugins from.
pub(super) fn registry<'p>(
    sink: Option<&Sink>,
    plugins: impl IntoIterator<Item = &'p Reference>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) {
    let Some(bucket) = sink.and_then(|sink| sink.subject.bucket()) else {
        return;
    };
    let is_it = |plugin: &Reference| matches!(plugin, Reference::Bucket(it) if it.bucket == bucket);
    if plugins.into_iter().any(is_it) {
        let at = at.field("sink").field("subject");
        let message = format!("`{}`: `{bucket}` is a bucket of plugins", at.path());
        let hint = "give results a bucket of their own";
        context.findings.add_hint(at.location(), message, hint);
    }
}

/// Streams to create must not conflict.
pub(super) fn streams(
    sources: &[NamedSource],
    sink: Option<&Sink>,
    dead_letter: Option<&DeadLetter>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) {
    let sink_stream = sink.and_then(|sink| sink.stream.as_deref());
    let dead_stream = dead_letter.and_then(|dead| dead.stream.as_deref());
    let of_sources = sources.iter().map(|named| {
        let source = &named.source;
        let (path, section) = match &named.name {
            Some(name) => (Cow::from(format!("sources.{name}")), section(named, at)),
            None => (Cow::from("source"), section(named, at)),
        };
        (
            path,
            section,
            Some(source.stream.as_str()),
            source.create.as_ref(),
        )
    });
    let others = [
        (
            "sink",
            sink_stream,
            sink.and_then(|sink| sink.create.as_ref()),
        ),
        (
            "dead-letter",
            dead_stream,
            dead_letter.and_then(|dead| dead.create.as_ref()),
        ),
    ];
    let others =
        others.map(|(name, stream, settings)| (Cow::from(name), at.field(name), stream, settings));
    let mut before: Vec<(Cow<'_, str>, Option<&str>, &StreamSettings)> = Vec::new();
    for (section, at, stream, settings) in of_sources.chain(others) {
        let Some(settings) = settings else { continue };
        let create = at.field("create");
        for (other_section, other_stream, other) in &before {
            let message = match (stream, other_stream) {
                (Some(stream), Some(other_stream)) if stream == *other_stream => {
                    // Sources of one stream have it made with the subjects of all.
                    let is_source = section.starts_with("sources.");
                    let subjects = &other.subjects;
                    let alike = StreamSettings {
                        subjects: if is_source {
                            subjects
                        } else {
                            &settings.subjects
                        }
                        .clone(),
                        ..settings.clone()
                    };
                    if **other == alike {
                        continue;
                    }
                    format!(
                        "`{section}.create` and `{other_section}.create` have different settings for \
                         one stream, `{stream}`"
                    )
                }
                _ => match shared_subject(settings, other) {
                    None => continue,
                    Some((mine, theirs)) if mine == theirs => format!(
                        "`{section}.create` and `{other_section}.create` would both capture `{mine}`"
                    ),
                    Some((mine, theirs)) => format!(
                        "`{section}.create` would capture `{mine}`, and `{other_section}.create` \
                         `{theirs}`"
                    ),
                },
            };
            let hint = "two streams cannot capture one subject; name one stream in both sections, \
                        with the same settings, or subjects that do not overlap";
            context
                .findings
                .add_hint(create.key_location(), message, hint);
        }
        before.push((section, stream, settings));
    }
}

fn shared_subject<'s>(
    left: &'s StreamSettings,
    right: &'s StreamSettings,
) -> Option<(&'s str, &'s str)> {
    let pairs = left.subjects.iter().flat_map(|mine| {
        right
            .subjects
            .iter()
            .map(move |theirs| (mine.as_str(), theirs.as_str()))
    });
    pairs.into_iter().find(|(mine, theirs)| {
        let filters = (SubjectFilter::parse(mine), SubjectFilter::parse(theirs));
        matches!(filters, (Ok(mine), Ok(theirs)) if mine.overlaps(&theirs))
    })
}

/// Where the file has a source.
fn section<'t>(named: &NamedSource, at: &Cursor<'t>) -> Cursor<'t> {
    match &named.name {
        Some(name) => at.field("sources").field(name),
        None => at.field("source"),
    }
}

/// The known subjects that the pipeline reads; empty if only the server knows them.
fn known_subjects(source: &Source) -> Vec<SubjectFilter> {
    if !source.subjects.is_empty() {
        return source.subjects.clone();
    }
    let of_bucket = source.bucket.iter();
    let of_bucket = of_bucket.filter_map(|it| SubjectFilter::parse(&format!("$KV.{it}.>")).ok());
    let created = source.create.iter().flat_map(|settings| &settings.subjects);
    created
        .filter_map(|text| SubjectFilter::parse(text).ok())
        .chain(of_bucket)
        .collect()
}
