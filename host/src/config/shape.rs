//! Compares a tree with the schema: unknown and missing fields, wrong types, numbers out of range. Also
//! compares `config:` with the schema of a plugin.
//!
//! | file | |
//! |---|---|
//! | `shape/free.rs` | reads values without a schema |
//! | `shape/words.rs` | what was wanted, what was found, and what to write, in words |
//! | `shape/stand_in.rs` | the values that replace invalid ones |
//!
//! Continues after each finding and returns the valid part as JSON, so that the model can be read from it
//! and `resolve/` can report its findings in the same run.

mod free;
mod stand_in;
mod words;

use super::cursor::join;
use super::schema::{branches, fields, has_type, named, required, shared, words};
use super::suggest::suggest;
use super::tree::{Entry, Kind, Node, Scalar};
use crate::report::findings::{Collector, Location};
use free::{plain_scalar, to_bool, to_json};
use serde_json::{Map, Value};
use stand_in::{empty, stand_in};

/// Checks one document. The result contains only the valid part.
pub(super) fn check(document: &Node, findings: &mut Collector) -> Value {
    Shape {
        findings,
        schema: shared(),
        is_plugin: false,
        mistaken: Vec::new(),
    }
    .value(document, shared(), "", document.location)
    .unwrap_or_else(|| Value::Object(Map::new()))
}

/// The configuration of a plugin with mistakes.
pub(super) struct Mistaken {
    /// The valid part, and a value in the place of each that the plugin needs: what the plugin refuses besides can be
    /// found with it.
    pub(super) sound: Value,
    /// The paths of the mistakes, such as `operators[0].config.by`.
    pub(super) paths: Vec<String>,
}

/// Checks the configuration of a plugin with the plugin's own schema: `node`, or nothing, at `path`, whose key is at
/// `key`. It finds what is wrong for sure; the plugin checks the rest. `None` if nothing is wrong.
pub(super) fn check_config(
    node: Option<&Node>,
    (path, key): (&str, Location),
    schema: &Value,
    findings: &mut Collector,
) -> Option<Mistaken> {
    let mut shape = Shape {
        findings,
        schema,
        is_plugin: true,
        mistaken: Vec::new(),
    };
    let sound = match node {
        Some(node) if !node.is_null() => shape.value(node, schema, path, key),
        _ => {
            let needed: Vec<_> = required(schema).map(|name| format!("`{name}`")).collect();
            if !needed.is_empty() {
                let hint = format!("the plugin needs {}", needed.join(" and "));
                shape.add(path, key, format!("`{path}` is missing"), Some(hint));
            }
            None
        }
    };
    let paths = shape.mistaken;
    (!paths.is_empty()).then(|| Mistaken {
        sound: sound.unwrap_or_else(|| stand_in(schema)),
        paths,
    })
}

struct Shape<'f> {
    findings: &'f mut Collector,
    /// Of the whole.
    schema: &'f Value,
    /// Whether it is the configuration of a plugin, which gets a number as a number also where it expects text.
    is_plugin: bool,
    /// The path of each finding.
    mistaken: Vec<String>,
}

impl Shape<'_> {
    fn add(&mut self, path: &str, location: Location, message: String, hint: Option<String>) {
        self.mistaken.push(path.to_owned());
        match hint {
            Some(hint) => self.findings.add_hint(location, message, hint),
            None => self.findings.add(location, message),
        }
    }

    /// `key` is the location of the value's key.
    fn value(&mut self, node: &Node, schema: &Value, path: &str, key: Location) -> Option<Value> {
        let branches = branches(schema);
        if is_free(schema) {
            return to_json(node);
        }
        match &node.kind {
            Kind::Broken => None,
            _ if node.is_null() => {
                let hint = "give it one, or remove the key".to_owned();
                self.add(path, key, format!("`{path}` has no value"), Some(hint));
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
                            .or_else(|| Some(self.instead(schema)))
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
        let mut meant = Vec::new();
        for entry in entries {
            let place = join(path, &entry.key);
            match known.get(&entry.key).or_else(|| named(schema)) {
                Some(schema) => {
                    let value = self.value(&entry.value, schema, &place, entry.key_location);
                    let value = value.or_else(|| self.is_plugin.then(|| stand_in(schema)));
                    sound.extend(value.map(|value| (entry.key.clone(), value)));
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
                    let suggestion = suggest(&entry.key, known, self.schema);
                    self.add(&place, entry.key_location, message, Some(suggestion.hint));
                    meant.extend(suggestion.meant);
                }
            }
        }
        for name in required(schema) {
            if entries.iter().any(|entry| entry.key == name) {
                continue;
            }
            let place = join(path, name);
            if meant.iter().any(|meant| meant == name) {
                self.mistaken.push(place);
            } else {
                self.add(&place, key, format!("`{place}` is missing"), None);
            }
            if self.is_plugin {
                let value = known.get(name).map(stand_in);
                sound.insert(name.to_owned(), value.into());
            }
        }
        Value::Object(sound)
    }

    /// The replacement for an invalid item.
    fn instead(&self, schema: &Value) -> Value {
        match self.is_plugin {
            true => stand_in(schema),
            false => empty(schema),
        }
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
        let message = format!("`{path}` must be {wanted}, found {number}");
        self.add(path, node.location, message, None);
        None
    }

    fn wrong(&mut self, node: &Node, branches: &[&Value], path: &str) -> Option<Value> {
        let wanted = words::wanted(branches);
        let (found, hint) = match &node.kind {
            Kind::Map(_) => ("a mapping".to_owned(), None),
            Kind::List(_) => ("a list".to_owned(), None),
            Kind::Scalar(scalar) => words::found(scalar, branches),
            Kind::Broken => return None,
        };
        let message = match path {
            "" => format!("a pipeline must be {wanted}, found {found}"),
            path => format!("`{path}` must be {wanted}, found {found}"),
        };
        self.add(path, node.location, message, hint);
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
