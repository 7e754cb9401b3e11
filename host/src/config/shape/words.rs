//! What was wanted, what was found, and what to write instead, in words.

use super::free::{plain_scalar, to_bool};
use super::read_scalar;
use crate::config::schema::{has_type, words};
use crate::config::tree::Scalar;
use serde_json::Value;

/// Most characters of a plain word that a finding quotes.
const LONGEST_WORD: usize = 12;

/// What a scalar of the wrong type is, and what to write.
pub(super) fn found(scalar: &Scalar, branches: &[&Value]) -> (String, Option<String>) {
    let shown = is_harmless(scalar, branches);
    let text = &scalar.text;
    let is_plain = scalar.plain || scalar.interpolated;
    let found = match plain_scalar(text) {
        _ if !shown => "text".to_owned(),
        Value::Number(_) if is_plain => format!("the number `{text}`"),
        Value::Bool(_) if is_plain => format!("`{text}`"),
        _ => format!("text `{text}`"),
    };
    (found, hint(scalar, branches, shown))
}

/// What to write, if the value says what was meant; the value itself only if it is `shown`.
fn hint(scalar: &Scalar, branches: &[&Value], shown: bool) -> Option<String> {
    let text = &scalar.text;
    let texts = |schema: &&Value| {
        let item = schema.get("items");
        item.is_some_and(|item| has_type(item, "string"))
    };
    if branches.iter().any(texts) {
        let item = if shown { text } else { "..." };
        return Some(format!("write a list: `[\"{item}\"]`"));
    }
    let is_number = plain_scalar(text).is_number();
    let unit = branches.iter().find_map(|branch| unit(branch));
    if let Some(unit) = unit.filter(|_| is_number) {
        return Some(format!("give the unit: `{text}{unit}`"));
    }
    if branches.iter().any(|branch| has_type(branch, "boolean"))
        && let Some(truth) = truth(text)
    {
        return Some(format!("write `{truth}`"));
    }
    let is_word = branches.iter().any(|branch| !words(branch).is_empty());
    if branches.iter().any(|branch| is_text(branch)) && !is_word {
        return Some(format!("quote it: `\"{text}\"`"));
    }
    is_quoted_in_vain(scalar, branches).then(|| "remove the quotes".to_owned())
}

/// The unit that a number probably lacks.
fn unit(schema: &Value) -> Option<&'static str> {
    match schema.get("x-kind").and_then(Value::as_str)? {
        "duration" => Some("s"),
        "size" => Some("MiB"),
        "percent" => Some("%"),
        _ => None,
    }
}

/// What YAML 1.1 reads as a boolean, and YAML 1.2 as text.
fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "y" | "on" => Some(true),
        "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

/// Whether a finding may quote a value of the wrong type. It may be a secret under a wrong key, unless it is a
/// number, a boolean, a size, a duration, a subject, a short word, or nearly one of the words that are allowed.
fn is_harmless(scalar: &Scalar, branches: &[&Value]) -> bool {
    let text = scalar.text.as_str();
    let is_short = text.len() <= 40;
    let is_quantity = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text
            .trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%')
            .len()
            + 3
            >= text.len()
        && text.bytes().filter(u8::is_ascii_alphabetic).count() <= 3;
    let is_pattern = text.contains('.') && (text.ends_with(".>") || text.contains(".*"));
    let near = |word: &str| strsim::damerau_levenshtein(word, text) <= 3;
    let is_near = branches
        .iter()
        .any(|branch| words(branch).iter().any(|word| near(word)));
    let is_word = !scalar.interpolated
        && text.len() <= LONGEST_WORD
        && text.bytes().all(|letter| letter.is_ascii_alphabetic());
    is_short && (is_quantity || is_pattern || is_near || is_word || to_bool(text).is_some())
}

/// Whether a text would be what is wanted without its quotes.
fn is_quoted_in_vain(scalar: &Scalar, branches: &[&Value]) -> bool {
    let plain = Scalar {
        plain: true,
        ..scalar.clone()
    };
    !scalar.plain
        && branches
            .iter()
            .any(|branch| read_scalar(&plain, branch).is_some())
}

/// Whether a branch accepts any text, and not only durations and similar kinds.
fn is_text(schema: &Value) -> bool {
    has_type(schema, "string") && schema.get("x-kind").is_none()
}

/// The kinds of values that are accepted.
pub(super) fn wanted(branches: &[&Value]) -> String {
    let mut wanted: Vec<String> = Vec::new();
    for branch in branches {
        let allowed = words(branch);
        match branch.get("x-kind").and_then(Value::as_str) {
            Some("duration") => wanted.push("a duration such as `30s`".to_owned()),
            Some("percent") => wanted.push("a share such as `10%`".to_owned()),
            Some("size") => wanted.push("a size such as `64MiB`".to_owned()),
            _ if !allowed.is_empty() => wanted.extend(allowed.iter().map(|w| format!("`{w}`"))),
            _ if has_type(branch, "object") => wanted.push("a mapping".to_owned()),
            _ if has_type(branch, "array") => wanted.push("a list".to_owned()),
            _ if has_type(branch, "integer") => wanted.push("a whole number".to_owned()),
            _ if has_type(branch, "number") => wanted.push("a number".to_owned()),
            _ if has_type(branch, "boolean") => wanted.push("`true` or `false`".to_owned()),
            _ => wanted.push("text".to_owned()),
        }
    }
    let mut seen = Vec::new();
    wanted.retain(|kind| {
        !seen.contains(kind) && {
            seen.push(kind.clone());
            true
        }
    });
    let last = wanted.pop().unwrap_or_default();
    if wanted.is_empty() {
        last
    } else {
        format!("{} or {last}", wanted.join(", "))
    }
}
