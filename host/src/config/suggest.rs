//! Suggestions for a field that does not exist.

use super::cursor::join;
use super::schema::{fields, items};
use serde_json::{Map, Value};

/// Similarity above which a name is certainly meant, and above which it is possibly meant.
const SURELY: f64 = 0.8;
const MAYBE: f64 = 0.6;

/// Fewest characters of an abbreviation that is recognised.
const SHORTEST: usize = 3;

/// What to write in the place of an unknown field.
pub(super) struct Suggestion {
    pub(super) hint: String,
    /// The known field that it names.
    pub(super) meant: Option<String>,
}

/// A hint for the unknown field `name`: the most similar of the `known` fields, a field of another section
/// of `schema`, or all known fields.
pub(super) fn suggest(name: &str, known: &Map<String, Value>, schema: &Value) -> Suggestion {
    let name = kebab(name);
    let nearest = known
        .keys()
        .map(|candidate| (similarity(&name, candidate), candidate))
        .max_by(|(left, _), (right, _)| left.total_cmp(right));
    let near = |least: f64| {
        let (_, candidate) = nearest.filter(|(similarity, _)| *similarity >= least)?;
        Some(Suggestion {
            hint: format!("did you mean `{candidate}`?"),
            meant: Some(candidate.clone()),
        })
    };
    if let Some(suggestion) = near(SURELY) {
        return suggestion;
    }
    let mut elsewhere = Vec::new();
    find_elsewhere(&name, schema, "", &mut elsewhere);
    let hint = if let Some((last, others)) = elsewhere.split_last() {
        let others: String = others.iter().map(|path| format!("`{path}`, ")).collect();
        let others = others
            .strip_suffix(", ")
            .map(|others| format!("{others} or "));
        format!("did you mean {}`{last}`?", others.unwrap_or_default())
    } else if let Some(suggestion) = near(MAYBE) {
        return suggestion;
    } else {
        let names: Vec<_> = known.keys().map(|name| format!("`{name}`")).collect();
        format!("the fields are {}", names.join(", "))
    };
    Suggestion { hint, meant: None }
}

/// From 0 to 1. The beginning of a name may stand for it.
fn similarity(name: &str, candidate: &str) -> f64 {
    let similarity = strsim::normalized_damerau_levenshtein(name, candidate);
    match name.len() >= SHORTEST && candidate.starts_with(name) {
        true => similarity.max(MAYBE),
        false => similarity,
    }
}

/// `maxMessages` and `max_messages` as `max-messages`.
fn kebab(name: &str) -> String {
    let mut kebab = String::with_capacity(name.len() + 4);
    let mut after_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && after_lower {
            kebab.push('-');
        }
        after_lower = c.is_lowercase();
        match c {
            '_' | ' ' => kebab.push('-'),
            c => kebab.extend(c.to_lowercase()),
        }
    }
    kebab
}

/// The fields of other sections that are certainly meant, except those of streams to create, whose names
/// would appear three times.
fn find_elsewhere(name: &str, schema: &Value, path: &str, found: &mut Vec<String>) {
    let Some(fields) = fields(schema) else { return };
    for (field, schema) in fields.iter().filter(|(field, _)| *field != "create") {
        let inner = join(path, field);
        if !path.is_empty() && strsim::normalized_damerau_levenshtein(name, field) >= SURELY {
            found.push(inner.clone());
        }
        find_elsewhere(name, schema, &inner, found);
        for item in items(schema) {
            find_elsewhere(name, item, &format!("{inner}[]"), found);
        }
    }
}
