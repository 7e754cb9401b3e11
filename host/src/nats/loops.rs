//! Whether the results of a pipeline return to it through other streams: mirrors, sources, and subject
//! transforms.
//!
//! It follows the streams upstream from the source, and computes for each which subjects would become inputs.
//! The header [`HOPS`](crate::headers::HOPS) detects other loops while the pipeline runs.

use super::streams::Context;
use super::{Connection, unless_refused};
use crate::config::resolved::{self, Pipeline};
use crate::report;
use anyhow::{Result, anyhow};
use async_nats::jetstream::stream::{Config, Source, SubjectTransform};
use std::collections::BTreeSet;

/// Streams that are looked at, at most.
const MOST: usize = 64;

/// Subjects of a stream whose messages become inputs, and the streams on the way from there.
struct Upstream {
    config: Config,
    wanted: Vec<String>,
    way: Vec<String>,
}

/// Refuses a pipeline whose results or dead letters come back through other streams. `source` is the stream
/// that it reads, or one of them, and `read` what of it.
///
/// # Errors
/// Which subject comes back, and on which way.
pub(super) async fn refuse(
    connection: &Connection,
    context: &Context,
    pipeline: &Pipeline,
    read: &resolved::Source,
    source: &Config,
) -> Result<()> {
    let subjects = &read.subjects;
    let mut wanted: Vec<String> = subjects.iter().map(ToString::to_string).collect();
    if wanted.is_empty() {
        wanted.push(">".to_owned());
    }
    let published = published(pipeline, &wanted);
    let (mut seen, mut next) = (BTreeSet::from([source.name.clone()]), Vec::new());
    let first = Upstream {
        config: source.clone(),
        wanted,
        way: vec![source.name.clone()],
    };
    // What it captures itself is refused for each message; unless it stores it under another subject.
    if source.subject_transform.is_some() {
        find(&first, &published)?;
    }
    next.push(first);
    while let Some(stream) = next.pop() {
        for (origin, wanted) in origins(&stream) {
            if seen.len() >= MOST || !seen.insert(origin.name.clone()) {
                continue;
            }
            let api = connection.api.stream_info(&origin.name);
            let asked = unless_refused(connection, &api, context.get_stream(&origin.name)).await;
            // Who may not look, or where there is nothing to see, runs all the same.
            let Ok(Ok(found)) = asked else { continue };
            let mut way = stream.way.clone();
            way.push(origin.name.clone());
            let config = found.cached_info().config.clone();
            let upstream = Upstream {
                config,
                wanted,
                way,
            };
            find(&upstream, &published)?;
            next.push(upstream);
        }
    }
    Ok(())
}

/// What the pipeline publishes, as filters, with the role of each.
fn published(pipeline: &Pipeline, inputs: &[String]) -> Vec<(&'static str, String)> {
    let mut published = Vec::new();
    let template = &pipeline.sink.subject;
    if !pipeline.sink.allow_own_source {
        match template.reach() {
            Some(reach) => published.push(("results", reach.to_string())),
            // They keep the subject of their input.
            None if template.begins_with_subject() => {
                published.extend(inputs.iter().map(|input| ("results", input.clone())));
            }
            None => {}
        }
    }
    let dead = pipeline.dead_letter.as_ref();
    published.extend(dead.map(|dead| ("dead letters", dead.subject.clone())));
    published
}

/// Fails if a stream captures what is published and it becomes an input.
fn find(stream: &Upstream, published: &[(&'static str, String)]) -> Result<()> {
    for (role, subject) in published {
        let captured = stream.config.subjects.iter();
        let mut captured = captured.filter_map(|captured| intersection(captured, subject));
        let comes_back = captured.any(|captured| {
            let stored = match &stream.config.subject_transform {
                Some(transform) => forward(transform, &captured),
                None => vec![captured],
            };
            stored.iter().any(|stored| {
                let mut wanted = stream.wanted.iter();
                wanted.any(|wanted| intersection(stored, wanted).is_some())
            })
        });
        if comes_back {
            let way: Vec<&str> = stream.way.iter().rev().map(String::as_str).collect();
            let error = anyhow!(
                "{role} on `{subject}` would come back: stream `{}` captures them, and the pipeline \
                 reads them by way of `{}`",
                stream.config.name,
                way.join("` -> `"),
            );
            let hint = "give them a subject of their own; `sink.allow-own-source: true` allows results to come back";
            return Err(report::hint(error, hint));
        }
    }
    Ok(())
}

/// The streams from which a stream gets its messages, each with the wanted subjects.
fn origins(stream: &Upstream) -> Vec<(&Source, Vec<String>)> {
    let sources = stream.config.sources.iter().flatten();
    let origins = stream.config.mirror.iter().chain(sources);
    // Those of other accounts and domains cannot be looked at.
    let near = origins.filter(|origin| origin.external.is_none() && origin.domain.is_none());
    let wanted = |origin: &Source| -> Vec<String> {
        let all = Some(origin.filter_subject.as_deref().unwrap_or_default());
        let filter = all.filter(|filter| !filter.is_empty()).unwrap_or(">");
        let wanted = stream.wanted.iter();
        match origin.subject_transforms.as_slice() {
            [] => wanted
                .filter_map(|wanted| intersection(wanted, filter))
                .collect(),
            transforms => wanted
                .flat_map(|wanted| transforms.iter().filter_map(|it| backward(it, wanted)))
                .collect(),
        }
    };
    near.map(|origin| (origin, wanted(origin)))
        .filter(|(_, wanted)| !wanted.is_empty())
        .collect()
}

/// What matches both filters, as a filter.
fn intersection(one: &str, other: &str) -> Option<String> {
    let (mut ones, mut others) = (one.split('.').peekable(), other.split('.').peekable());
    let mut both = Vec::new();
    loop {
        match (ones.peek(), others.peek()) {
            (None, None) => return Some(both.join(".")),
            (Some(&">"), Some(_)) => {
                both.extend(others);
                return Some(both.join("."));
            }
            (Some(_), Some(&">")) => {
                both.extend(ones);
                return Some(both.join("."));
            }
            (Some(&left), Some(&right)) if left == right || right == "*" => both.push(left),
            (Some(&"*"), Some(&right)) => both.push(right),
            _ => return None,
        }
        ones.next();
        others.next();
    }
}

/// Where a stream with a transform stores what comes on these subjects.
fn forward(transform: &SubjectTransform, subjects: &str) -> Vec<String> {
    let source = whole(&transform.source);
    let Some(matched) = intersection(source, subjects) else {
        return vec![subjects.to_owned()];
    };
    let values = values(source, &matched);
    let tokens = transform
        .destination
        .split('.')
        .map(|token| match wildcard(token) {
            Placeholder::Wildcard(number) => values.get(number).copied().unwrap_or("*"),
            Placeholder::Function => "*",
            Placeholder::None if token == ">" => values.last().copied().unwrap_or(">"),
            Placeholder::None => token,
        });
    let mut stored = vec![tokens.collect::<Vec<_>>().join(".")];
    // What does not match keeps its subject.
    if matched != subjects {
        stored.push(subjects.to_owned());
    }
    stored
}

/// On which subjects a stream must have a message, so that a transform gives it one of these.
fn backward(transform: &SubjectTransform, wanted: &str) -> Option<String> {
    let destination = transform
        .destination
        .split('.')
        .map(|token| match wildcard(token) {
            Placeholder::None => token,
            _ => "*",
        });
    let destination = destination.collect::<Vec<_>>().join(".");
    let matched = intersection(&destination, wanted)?;
    let (mut matched, mut literals) = (matched.split('.'), Vec::new());
    let mut rest = ">".to_owned();
    for token in transform.destination.split('.') {
        if token == ">" {
            rest = matched.by_ref().collect::<Vec<_>>().join(".");
        } else if let (Placeholder::Wildcard(number), Some(value)) =
            (wildcard(token), matched.next())
        {
            literals.push((number, value));
        }
    }
    let mut number = 0;
    let source = whole(&transform.source)
        .split('.')
        .map(|token| match token {
            "*" => {
                let known = literals.iter().find(|(known, _)| *known == number);
                number += 1;
                known.map_or("*", |(_, value)| *value)
            }
            ">" => &rest,
            token => token,
        });
    Some(source.collect::<Vec<_>>().join("."))
}

/// The source of a transform: everything where it names nothing.
fn whole(source: &str) -> &str {
    match source {
        "" => ">",
        source => source,
    }
}

/// What the wildcards of a filter stand for in a narrower one.
fn values<'a>(filter: &str, narrower: &'a str) -> Vec<&'a str> {
    let mut values = Vec::new();
    let mut at = 0;
    for (token, value) in filter.split('.').zip(narrower.split('.')) {
        match token {
            "*" => values.push(value),
            ">" => values.push(narrower.get(at..).unwrap_or(">")),
            _ => {}
        }
        at += value.len() + 1;
    }
    values
}

enum Placeholder {
    /// Stands for a wildcard of the source, from 0.
    Wildcard(usize),
    /// Stands for something that is computed.
    Function,
    None,
}

/// `$1`, `{{wildcard(1)}}`, or another function.
fn wildcard(token: &str) -> Placeholder {
    let (dollar, function) = (token.strip_prefix('$'), token.strip_prefix("{{"));
    let number = dollar.or_else(|| {
        let inner = function?.strip_suffix("}}")?.trim();
        let (name, rest) = inner.split_at_checked("wildcard(".len())?;
        let argument = rest.strip_suffix(')')?.trim();
        name.eq_ignore_ascii_case("wildcard(").then_some(argument)
    });
    match number.and_then(|number| number.parse::<usize>().ok()?.checked_sub(1)) {
        Some(number) => Placeholder::Wildcard(number),
        None if function.is_some() => Placeholder::Function,
        None => Placeholder::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transform(source: &str, destination: &str) -> SubjectTransform {
        SubjectTransform {
            source: source.to_owned(),
            destination: destination.to_owned(),
        }
    }

    #[test]
    fn what_matches_two_filters_is_a_filter() {
        let both = |one, other| intersection(one, other);
        assert_eq!(both("a.*.c", "a.b.>").as_deref(), Some("a.b.c"));
        assert_eq!(both("*.b", "a.*").as_deref(), Some("a.b"));
        assert_eq!(both(">", "a.>").as_deref(), Some("a.>"));
        assert_eq!(both("a.>", "a"), None);
        assert_eq!(both("a.b", "a.c"), None);
        assert_eq!(both("a.*", "a.b.c"), None);
    }

    #[test]
    fn subjects_are_followed_through_transforms_in_both_directions() {
        let swapped = transform("in.*.*", "stored.$2.{{wildcard(1)}}");
        assert_eq!(forward(&swapped, "in.a.*"), ["stored.*.a"]);
        assert_eq!(forward(&swapped, "other.a"), ["other.a"]);
        assert_eq!(backward(&swapped, "stored.x.>").as_deref(), Some("in.*.x"));
        assert_eq!(backward(&swapped, "elsewhere.>"), None);
        let moved = transform("out.>", "in.>");
        assert_eq!(forward(&moved, "out.a.b"), ["in.a.b"]);
        assert_eq!(backward(&moved, "in.a.*").as_deref(), Some("out.a.*"));
        let spread = transform("in.*", "part.{{partition(3,1)}}.$1");
        assert_eq!(backward(&spread, "part.2.a").as_deref(), Some("in.a"));
        assert_eq!(forward(&spread, "in.>"), ["part.*.*", "in.>"]);
        assert_eq!(
            backward(&transform("", "x.>"), "x.a.>").as_deref(),
            Some("a.>")
        );
    }
}
