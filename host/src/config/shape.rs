//! Compares a tree with the schema: unknown and missing fields, wrong types, numbers out of range. Also
//! compares `config:` with the schema of a plugin. `shape/free.rs` reads values without a schema.
//!
//! Continues after each finding and returns the valid part as JSON, so that the model can be read from it
//! and `resolve/` can report its findings in the same run.

mod free;

use super::cursor::{Cursor, join};
use super::schema::{branches, fields, has_type, named, shared, words};
use super::suggest::suggest;
use super::tree::{Entry, Kind, Node, Scalar};
use crate::report::findings::{Collector, Location};
use free::{plain_scalar, to_bool, to_json};
use serde_json::{Map, Value};

/// Checks one document. The result contains only the valid part.
pub(super) fn check(document: &Node, findings: &mut Collector) -> Value {
    let schema = shared();
    let is_plugin = false;
    Shape {
        findings,
        schema,
        is_plugin,
    }
    .value(document, schema, "", document.location)
    .unwrap_or_else(|| Value::Object(Map::new()))
}

/// Checks the configuration of a plugin, at `config:` of its operator, with the plugin's own schema. It finds what
/// is wrong for sure; the plugin checks the rest.
pub(super) fn check_config(at: &Cursor<'_>, schema: &Value, findings: &mut Collector) {
    check_given(at.node(), (at.path(), at.key_location()), schema, findings);
}

/// The same for what is given somewhere, with the path and the location of its key.
pub(super) fn check_given(
    node: Option<&Node>,
    (path, key): (&str, Location),
    schema: &Value,
    findings: &mut Collector,
) {
    match node {
        Some(node) if !node.is_null() => {
            let is_plugin = true;
            Shape {
                findings,
                schema,
                is_plugin,
            }
            .value(node, schema, path, key);
        }
        _ => {
            let needed: Vec<_> = required(schema).map(|name| format!("`{name}`")).collect();
            if !needed.is_empty() {
                let message = format!("`{path}` is missing");
                let hint = format!("the plugin needs {}", needed.join(" and "));
                findings.add_hint(key, message, hint);
            }
        }
    }
}

struct Shape<'f> {
    findings: &'f mut Collector,
    /// Of the whole.
    schema: &'f Value,
    /// Whether it is the configuration of a plugin, which gets a number as a number also where it expects text.
    is_plugin: bool,
}

impl Shape<'_> {
    /// `key` is the location of the value's key.
    fn value(&mut self, node: &Node, schema: &Value, path: &str, key: Location) -> Option<Value> {
        let branches = branches(schema);
        if is_free(schema) {
            return to_json(node);
        }
        match &node.kind {
            Kind::Broken => None,
            _ if node.is_null() => {
                let message = format!("`{path}` has no value");
                self.findings
                    .add_hint(key, message, "give it one, or remove the key");
                None
            }
            Kind::Map(entries) => match object(&branches, entries) {
                Some(branch) => Some(self.map(entries, branch, path, key)),
                None => self.wrong(node, &branches, path),
            },
            Kind::List(items) => match branches.iter().find(|branch| has_type(branch, "array")) {
                Some(branch) => {
                    let schema = branch.get("items").unwrap_or(&Value::Bool(true));
                    let items = items.iter().enumerate().filter_map(|(index, item)| {
                        self.value(item, schema, &format!("{path}[{index}]"), item.location)
                            // Keeps the positions of the other items.
                            .or_else(|| Some(empty(schema)))
                    });
                    Some(Value::Array(items.collect()))
                }
                None => self.wrong(node, &branches, path),
            },
            Kind::Scalar(scalar) => {
                match branches
                    .iter()
                    .find_map(|branch| read_scalar(scalar, branch))
                    .filter(|value| !self.is_plugin || is_same_kind(value, scalar))
                {
                    Some(value) => self.in_range(value, node, &branches, path),
                    None => self.wrong(node, &branches, path),
                }
            }
        }
    }

    fn map(&mut self, entries: &[Entry], schema: &Value, path: &str, key: Location) -> Value {
        let empty = Map::new();
        let known = fields(schema).unwrap_or(&empty);
        let mut sound = Map::new();
        for entry in entries {
            match known.get(&entry.key).or_else(|| named(schema)) {
                Some(schema) => {
                    let path = join(path, &entry.key);
                    if let Some(value) = self.value(&entry.value, schema, &path, entry.key_location)
                    {
                        sound.insert(entry.key.clone(), value);
                    }
                }
                None if schema.get("additionalProperties") != Some(&Value::Bool(false)) => {
                    let value = to_json(&entry.value);
                    sound.extend(value.map(|value| (entry.key.clone(), value)));
                }
                None => {
                    let message = match path {
                        "" => format!("unknown field `{}`", entry.key),
                        path => format!("unknown field `{}` in `{path}`", entry.key),
                    };
                    let hint = suggest(&entry.key, known, self.schema);
                    self.findings.add_hint(entry.key_location, message, hint);
                }
            }
        }
        for name in required(schema) {
            if !entries.iter().any(|entry| entry.key == name) {
                self.findings
                    .add(key, format!("`{}` is missing", join(path, name)));
            }
        }
        Value::Object(sound)
    }

    fn in_range(
        &mut self,
        value: Value,
        node: &Node,
        branches: &[&Value],
        path: &str,
    ) -> Option<Value> {
        let Some(number) = value.as_number().and_then(serde_json::Number::as_i128) else {
            return Some(value);
        };
        let bound = |name| {
            branches
                .iter()
                .find_map(|branch| branch.get(name)?.as_number()?.as_i128())
        };
        let (least, most) = (bound("minimum"), bound("maximum"));
        let fits = match branches
            .iter()
            .find_map(|branch| branch.get("format")?.as_str())
        {
            Some("uint32") => u32::try_from(number).is_ok(),
            Some("int64") => i64::try_from(number).is_ok(),
            _ => true,
        };
        let wanted = match (least, most) {
            (Some(least), _) if number < least => format!("at least {least}"),
            (_, Some(most)) if number > most => format!("at most {most}"),
            _ if !fits => "smaller".to_owned(),
            _ => return Some(value),
        };
        self.findings.add(
            node.location,
            format!("`{path}` must be {wanted}, found {number}"),
        );
        None
    }

    fn wrong(&mut self, node: &Node, branches: &[&Value], path: &str) -> Option<Value> {
        let wanted = describe(branches);
        let found = match &node.kind {
            Kind::Map(_) => "a mapping".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Scalar(scalar) => found(scalar, is_harmless(scalar, branches)),
            Kind::Broken => return None,
        };
        let message = match path {
            "" => format!("a pipeline must be {wanted}, found {found}"),
            path => format!("`{path}` must be {wanted}, found {found}"),
        };
        let texts = |schema: &&&Value| {
            schema
                .get("items")
                .is_some_and(|item| has_type(item, "string"))
        };
        match &node.kind {
            Kind::Scalar(scalar) if branches.iter().find(texts).is_some() => {
                let hint = match is_harmless(scalar, branches) {
                    true => format!("write a list: `[\"{}\"]`", scalar.text),
                    false => "write a list: `[\"...\"]`".to_owned(),
                };
                self.findings.add_hint(node.location, message, hint);
            }
            Kind::Scalar(scalar)
                if branches.iter().any(|branch| is_text(branch))
                    && branches.iter().all(|branch| words(branch).is_empty()) =>
            {
                let hint = format!("quote it: `\"{}\"`", scalar.text);
                self.findings.add_hint(node.location, message, hint);
            }
            Kind::Scalar(scalar) if is_quoted_in_vain(scalar, branches) => {
                let hint = "remove the quotes";
                self.findings.add_hint(node.location, message, hint);
            }
            _ => self.findings.add(node.location, message),
        }
        None
    }
}

/// Whether a schema allows any value, or says what is not checked here.
fn is_free(schema: &Value) -> bool {
    let has = |names: &[&str]| names.iter().any(|name| schema.get(name).is_some());
    let says_more = has(&[
        "$ref",
        "allOf",
        "not",
        "if",
        "patternProperties",
        "unevaluatedProperties",
    ]);
    let is_mixed = has(&["properties"]) && has(&["anyOf", "oneOf"]);
    !has(&["type", "anyOf", "oneOf", "enum", "const"]) || says_more || is_mixed
}

/// The branch that a mapping is meant for: the one that knows most of its keys.
fn object<'s>(branches: &[&'s Value], entries: &[Entry]) -> Option<&'s Value> {
    let known = |branch: &Value| {
        let fields = fields(branch);
        let is_known =
            |entry: &&Entry| fields.is_some_and(|fields| fields.contains_key(&entry.key));
        entries.iter().filter(is_known).count()
    };
    let objects = branches.iter().filter(|branch| has_type(branch, "object"));
    // The first of those that know as many.
    objects.copied().rev().max_by_key(|branch| known(branch))
}

/// The fields that must be there.
fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

/// The replacement for an invalid item.
fn empty(schema: &Value) -> Value {
    if has_type(schema, "object") {
        Value::Object(Map::new())
    } else {
        Value::String(String::new())
    }
}

/// A scalar as the type that one branch of a schema requires.
fn read_scalar(scalar: &Scalar, schema: &Value) -> Option<Value> {
    let allowed = words(schema);
    if !allowed.is_empty() {
        return allowed
            .contains(&scalar.text.as_str())
            .then(|| scalar.text.clone().into());
    }
    if has_type(schema, "string") {
        // A number is accepted as text; a boolean is probably a mistake.
        let is_text = !scalar.plain || scalar.interpolated || to_bool(&scalar.text).is_none();
        return is_text.then(|| scalar.text.clone().into());
    }
    // Quotes around a reference say nothing of what it stands for.
    let is_plain = scalar.plain || scalar.interpolated;
    if has_type(schema, "integer") && is_plain {
        let text = scalar.text.trim_start_matches('+');
        return text
            .parse::<u64>()
            .map(Value::from)
            .or_else(|_| text.parse::<i64>().map(Value::from))
            .ok();
    }
    if has_type(schema, "number") && is_plain {
        return scalar.text.parse::<f64>().ok().map(Value::from);
    }
    if has_type(schema, "boolean") && is_plain {
        return to_bool(&scalar.text).map(Value::from);
    }
    None
}

/// Whether a text that was read is text without a schema, too.
fn is_same_kind(value: &Value, scalar: &Scalar) -> bool {
    !value.is_string() || !scalar.plain || plain_scalar(&scalar.text).is_string()
}

/// Whether a finding may quote a value of the wrong type. It may be a secret under a wrong key, unless it is a
/// number, a boolean, a size, a duration, a subject, or nearly one of the words that are allowed.
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
    let is_word = branches
        .iter()
        .any(|branch| words(branch).iter().any(|word| near(word)));
    is_short && (is_quantity || is_pattern || is_word || to_bool(text).is_some())
}

/// What a scalar is, in words; its value only if that is `shown`.
fn found(scalar: &Scalar, shown: bool) -> String {
    let text = &scalar.text;
    let is_plain = scalar.plain || scalar.interpolated;
    match plain_scalar(text) {
        _ if !shown => "text".to_owned(),
        Value::Number(_) if is_plain => format!("the number `{text}`"),
        Value::Bool(_) if is_plain => format!("`{text}`"),
        _ => format!("text `{text}`"),
    }
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

/// The kinds of values that are accepted, in words.
fn describe(branches: &[&Value]) -> String {
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
