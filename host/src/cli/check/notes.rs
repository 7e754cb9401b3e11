//! What `weir check` notes about a pipeline without a mistake.

use super::{Checked, of};
use crate::config::resolved::{NamedSource, Pipeline, Place, Start};
use crate::config::{Draft, short_subjects, unseen_headers, unsure_results};
use crate::nats::{job, job_input};

/// What a pipeline is without.
const NO_IDS: &str = "`sink.message-ids: off`: results that are published again after a crash or a lost \
    connection are stored twice, and `weir trace`, `weir replay --compare` and shadows find none of them";

const NO_ORIGINS: &str = "`sink.message-ids: off`: `weir trace` and `weir replay --compare` do not know which \
    message a result comes from";
/// What a job is without whose results are not sourced.
const FORWARD: &str = "`sink.forward`: the job publishes its results, so a repeat that comes after the duplicate \
    window of their stream is stored twice; `--create` creates no stream for them, `sink.create` does";

/// What becomes of late messages that go nowhere.
const LATE: &str = "messages that are too late for all their windows are dropped, and counted by \
    `weir_late_messages_total`; `late` keeps them";

/// What a user should know about a valid pipeline.
pub(super) fn notes(draft: &Draft, checked: &[Checked<'_>]) -> Vec<String> {
    let Some(pipeline) = &draft.pipeline else {
        return Vec::new();
    };
    let mut notes = match pipeline.job.is_some() {
        true => job_notes(pipeline, of(draft, checked)),
        false => {
            let ingest = pipeline.sink.no_fast_ingest();
            let ingest = ingest.map(|why| format!("results are not published in batches: {why}"));
            let ids = (!pipeline.sink.message_ids).then(|| NO_IDS.to_owned());
            ingest.into_iter().chain(ids).collect()
        }
    };
    notes.extend(short_subjects(pipeline));
    notes.extend(unsure_results(pipeline));
    notes.extend(of(draft, checked).flat_map(unused_grants));
    notes.extend(of(draft, checked).filter_map(|one| unseen_headers(&one.placed.operator)));
    notes
}

/// What an operator grants a plugin that cannot use it.
fn unused_grants(checked: &Checked<'_>) -> Vec<String> {
    let unused = checked.result.as_ref().map(|plugin| plugin.unused_grants());
    let unused = unused.unwrap_or_default().into_iter();
    let name = &checked.placed.operator.name;
    let note = |grant| {
        format!(
            "`{name}` has `grants.{grant}`, and its plugin imports nothing for it: remove the grant; to use it, \
             a plugin in JavaScript, TypeScript or Python needs `{grant}: true` in plugin.yaml"
        )
    };
    unused.map(note).collect()
}

/// The same for a job: the streams that it needs and why, and state that nothing removes.
fn job_notes<'c>(
    pipeline: &Pipeline,
    operators: impl Iterator<Item = &'c Checked<'c>>,
) -> Vec<String> {
    let (prefix, stream) = job::names(&pipeline.name);
    let sink = &pipeline.sink;
    let results = match (&sink.stream, sink.subject.reach()) {
        (Some(stream), _) => format!("stream `{stream}`"),
        (None, Some(reach)) => format!("the stream of `{reach}`"),
        (None, None) => "the stream of the results".to_owned(),
    };
    let mut notes = vec![
        format!(
            "stream `{stream}` on `{prefix}.>`, with state and commits of the job; `--create` creates it"
        ),
        match (sink.forward, sink.in_job_stream) {
            (true, _) => FORWARD.to_owned(),
            (_, Some(_)) => format!(
                "stream `{stream}` captures the results as well; `--create` configures that, and no other stream may \
                 capture them"
            ),
            _ => {
                format!("{results} sources the results from there; `--create` configures that")
            }
        },
    ];
    let is_named = pipeline.is_named();
    for source in pipeline.streams() {
        let input = job_input::name(&stream, is_named.then_some(source));
        let names = pipeline
            .sources_of(source)
            .filter_map(|named| named.name.as_deref());
        let names: Vec<&str> = names.collect();
        if is_named {
            let how = match pipeline.sources_of(source).any(|named| named.is_table) {
                true => {
                    ": a table, which the job reads to its end before the first message of the other sources"
                }
                false => "",
            };
            notes.push(format!(
                "stream `{source}`, read as `{}`{how}",
                names.join("` and `")
            ));
        }
        let mut buckets = pipeline.sources_of(source);
        if let Some(bucket) = buckets.find_map(|named| named.source.bucket.as_ref()) {
            notes.push(format!(
                "bucket `{bucket}`, which must exist: `nats kv add {bucket}` creates it"
            ));
            continue;
        }
        let mut starts = pipeline.sources_of(source).map(|named| &named.source.start);
        notes.push(format!(
            "if `{source}` deletes settled messages, like a work queue: stream `{input}` sources it, and the \
             job reads that stream; `--create` creates it{}",
            match (starts.all(|start| *start == Start::All), is_named) {
                (true, _) => "",
                (_, true) => "; with `start` it is refused then, because a job reads all its messages",
                _ => "; with `source.start` it is refused then, because a job reads all its messages",
            }
        ));
    }
    if let Some(dead) = &pipeline.dead_letter {
        let subject = &dead.subject;
        notes.push(match dead.forward {
            true => format!("dead letters are forwarded to `{subject}` in the same way as results"),
            false => format!(
                "the stream of `{subject}` sources the dead letters; `--create` configures that"
            ),
        });
    }
    let views = pipeline.job.iter().flat_map(|job| &job.views);
    notes.extend(views.map(|view| {
        let (name, bucket, stream) = (&view.name, &view.bucket, view.stream());
        format!(
            "view `{name}` of {}: bucket `{bucket}`, whose stream `{stream}` sources the values by `{}` from \
             the job's stream; `--create` creates it",
            view.from.words(),
            view.key.as_str()
        )
    }));
    if !sink.message_ids {
        notes.push(NO_ORIGINS.to_owned());
    }
    let stateful =
        operators.filter(|one| one.result.as_ref().is_ok_and(|plugin| plugin.is_stateful()));
    let stateful: Vec<_> = stateful.collect();
    if !stateful.is_empty() {
        notes.push(event_time_note(pipeline));
    }
    if pipeline.has_windows() {
        notes.push(match &pipeline.late {
            Some(late) => format!(
                "messages that are too late for all their windows go to `{}`, beside the results",
                late.as_str()
            ),
            None => LATE.to_owned(),
        });
    }
    let ttl = pipeline.job.as_ref().and_then(|job| job.state_ttl);
    let kept = match ttl {
        Some(ttl) => format!("for {ttl:?}"),
        None => "for ever; set `state.ttl` to limit that".to_owned(),
    };
    let stateful = stateful.iter();
    let stateful = stateful.filter(|one| one.placed.operator.windows.is_none());
    notes.extend(stateful.map(|Checked { placed, .. }| {
        format!(
            "`{}` keeps state: values without a time to live are kept {kept}",
            placed.operator.name
        )
    }));
    notes
}

/// What the job takes for the time of a message, and when timers of event time fire or windows are emitted.
fn event_time_note(pipeline: &Pipeline) -> String {
    let rules = pipeline.job.as_ref().map(|job| job.watermark);
    let rules = rules.unwrap_or_default();
    let span = |nanoseconds| format!("{:#}", jiff::SignedDuration::from_nanos(nanoseconds));
    let time = |named: &NamedSource| match named.event_time.as_ref().map(|rule| &rule.place) {
        None => "when the stream stored a message".to_owned(),
        Some(Place::Header(name)) => format!("header `{name}`"),
        Some(Place::JsonPointer(pointer)) => format!("`{}` in the payload", pointer.as_str()),
    };
    let (what, its, than) = match pipeline.has_windows() {
        true => ("the result of a window appears", "end", " than its end"),
        false => ("a timer fires", "time", ""),
    };
    let timed = pipeline.sources.iter().filter(|named| !named.is_table);
    let times = timed.map(|named| match &named.name {
        Some(name) => format!("{} of `{name}`", time(named)),
        None => time(named),
    });
    let time = times.collect::<Vec<_>>().join(", ");
    let of = match pipeline.streams().len() {
        1 => "",
        _ => " of each stream",
    };
    let message = match rules.bound {
        0 => format!("of its {its} or later"),
        bound => format!("that is {} later{than}", span(bound)),
    };
    let idle = match rules.idle_timeout {
        Some(timeout) => {
            let timeout = span(timeout.saturating_add(rules.bound));
            format!("or the clock is {timeout} later{than} and nothing comes")
        }
        None => "and waits while nothing comes (`watermark.idle-timeout` limits that)".to_owned(),
    };
    let ahead = match rules.max_ahead {
        Some(ahead) => format!(
            "more than {} ahead of the clock does not count",
            span(ahead)
        ),
        None => "far ahead of the clock makes all before it late".to_owned(),
    };
    format!(
        "event time is {time}: {what} when a message{of} {message} is processed, {idle}; a time {ahead}"
    )
}
