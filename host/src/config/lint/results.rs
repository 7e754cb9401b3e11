//! Rules about missing properties of results: a key, if no rule gives their messages one, and a subject, if
//! they are results of a window.
//!
//! An operator can set either for its results. Of the standard plugins only `route` does, and it sets the
//! subject. For other plugins only their authors know. So if a chain has only standard plugins, the result is
//! a finding, and otherwise a note.

use crate::config::cursor::Cursor;
use crate::config::model;
use crate::config::resolve::Context;
use crate::config::resolved::{NamedSource, Pipeline, Sink, View, ViewFrom};
use crate::config::template::{KeyRule, Template};

/// The standard plugin that gives its results subjects.
const ROUTE: &str = "route";

/// What is made of results, with where the file says it.
#[derive(Clone, Copy)]
pub(in crate::config) struct Made<'p> {
    pub sink: Option<&'p Sink>,
    pub late: Option<&'p Template>,
    pub views: &'p [View],
}

/// What the results of a pipeline may lack.
struct Lacks {
    /// No message has a key by a rule.
    key: bool,
    /// Results are those of windows.
    subject: bool,
}

/// What is made of `{key}` or `{subject}` needs results that have it.
pub(in crate::config) fn results(
    model: &model::Pipeline,
    sources: &[NamedSource],
    made: Made<'_>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) {
    let operators = || model.operators.iter();
    let plugin = |one: &model::Operator| one.plugin.clone().unwrap_or_default();
    let is_standard = |one: &model::Operator| plugin(one).starts_with("std:");
    let is_route = |one: &model::Operator| plugin(one).strip_prefix("std:").is_some_and(routes);
    let mut behind = operators()
        .skip_while(|one| one.window.is_none())
        .peekable();
    let lacks = Lacks {
        key: !has_rule(sources) && operators().all(is_standard),
        subject: behind.peek().is_some() && behind.all(|one| is_standard(one) && !is_route(one)),
    };
    let subject = at.field("sink").field("subject");
    let mut places = Vec::new();
    if let Some(sink) = made.sink {
        places.push((subject, sink.subject.has_key(), sink.subject.has_subject()));
    }
    if let Some(late) = made.late {
        // A late message is one of the source, and has its subject.
        places.push((at.field("late"), late.has_key(), false));
    }
    for (index, view) in made.views.iter().enumerate() {
        if view.from == ViewFrom::Results {
            let at = at.field("views").item(index);
            let (has_key, has_subject) = (view.key.has_key(), view.key.has_subject());
            places.push((at.field("key").or(at), has_key, has_subject));
        }
    }
    for (at, of_key, of_subject) in places {
        let path = at.path();
        if lacks.key && of_key {
            context.findings.add_hint(
                at.location(),
                format!("`{path}` needs `{{key}}`, and no message has a key"),
                "add `key: \"{subject[1]}\"`, for example, or use another placeholder",
            );
        }
        if lacks.subject && of_subject {
            let message = match at.is_given() {
                true => format!(
                    "`{path}` needs the subject of a message, and the result of a window has none"
                ),
                false => format!(
                    "without `{path}` results keep their subject, and the result of a window has none"
                ),
            };
            let hint = "write a subject of your own, such as `totals.{key}`";
            context.findings.add_hint(at.location(), message, hint);
        }
    }
}

/// Of a valid pipeline, what results have only if an operator gives it to them.
#[must_use]
pub fn unsure_results(pipeline: &Pipeline) -> Vec<String> {
    let windowed = pipeline.operators.iter().any(|one| one.windows.is_some());
    let lacks = Lacks {
        key: !has_rule(&pipeline.sources),
        subject: windowed,
    };
    let views = pipeline.job.iter().flat_map(|job| &job.views);
    let of_results = views.filter(|view| view.from == ViewFrom::Results);
    let keys: Vec<&KeyRule> = of_results.map(|view| &view.key).collect();
    let sink = &pipeline.sink.subject;
    let mut notes = Vec::new();
    if lacks.key && (sink.has_key() || keys.iter().any(|key| key.has_key())) {
        notes.push(
            "`{key}`: the pipeline has no `key`, so a result has one only if an operator sets it"
                .to_owned(),
        );
    }
    if lacks.subject && (sink.has_subject() || keys.iter().any(|key| key.has_subject())) {
        notes.push(
            "`{subject}`: the result of a window has one only if an operator sets it".to_owned(),
        );
    }
    notes
}

fn has_rule(sources: &[NamedSource]) -> bool {
    sources.iter().any(|named| named.key.is_some())
}

/// Whether the standard plugin of this name, perhaps with a version, sets subjects.
fn routes(name: &str) -> bool {
    name == ROUTE
        || name
            .strip_prefix(ROUTE)
            .is_some_and(|it| it.starts_with('@'))
}
