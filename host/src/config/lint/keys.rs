//! Rules about keys: whether a message can have one. `results.rs` checks whether everything that needs a key
//! has one.

use super::{known_subjects, section};
use crate::config::cursor::Cursor;
use crate::config::resolve::Context;
use crate::config::resolved::{NamedSource, Pipeline};
use crate::config::subject::SubjectFilter;
use crate::config::template::KeyRule;

/// If the key is a token of the subject, some subject of the source must have that token.
pub(in crate::config) fn key(named: &NamedSource, at: &Cursor<'_>, context: &mut Context<'_>) {
    let Some(token) = named.key.as_ref().and_then(KeyRule::highest_token) else {
        return;
    };
    let own = section(named, at).field("key");
    let at = own.or(at.field("key"));
    let longest: Option<Vec<usize>> = known_subjects(&named.source)
        .iter()
        .map(SubjectFilter::max_tokens)
        .collect();
    let Some(longest) = longest.and_then(|counts| counts.into_iter().max()) else {
        return;
    };
    if token >= longest {
        context.findings.add_hint(
            at.location(),
            format!(
                "`{}`: no subject of the source has a token {token}",
                at.path()
            ),
            format!("tokens count from 0; the last one is {}", longest - 1),
        );
    }
}

/// What becomes of messages without a key has no meaning where no source has a rule for it.
pub(in crate::config) fn missing_key(
    sources: &[NamedSource],
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) {
    let field = at.field("on-missing-key");
    if field.is_given() && sources.iter().all(|named| named.key.is_none()) {
        context.findings.add_hint(
            field.key_location(),
            "`on-missing-key` needs a rule that says what the key is",
            "add `key: \"{subject[1]}\"`, for example, or remove `on-missing-key`",
        );
    }
}

/// Of a valid pipeline, what it reads that has no key, because the rule asks for a token that its subject lacks.
#[must_use]
pub fn short_subjects(pipeline: &Pipeline) -> Vec<String> {
    let mut notes = Vec::new();
    for named in &pipeline.sources {
        let Some((rule, token)) = named
            .key
            .as_ref()
            .and_then(|rule| Some((rule.as_str(), rule.highest_token()?)))
        else {
            continue;
        };
        let known = known_subjects(&named.source);
        let is_short = |filter: &&SubjectFilter| filter.max_tokens().is_some_and(|it| it <= token);
        notes.extend(known.iter().filter(is_short).map(|filter| {
            format!("messages on `{filter}` have no key: their subject has no token {token}, which `{rule}` asks for")
        }));
    }
    notes
}
